"""The delta rate where it can be told by hand."""

import math
import sys

import pytest

from treenet_fast.errors import InvalidArgumentError, MissingLibraryError
from treenet_fast.evaluation.bd_rate import bd_rate

CURVE = [(0.1, 26.0), (0.15, 27.7), (0.22, 29.0), (0.35, 30.9), (0.5, 32.2), (0.7, 33.6)]


@pytest.mark.parametrize("factor", [0.5, 0.93, 1.0, 1.25])
def test_a_constant_factor_of_rate(factor):
    found = bd_rate(CURVE, [(factor * rate, quality) for rate, quality in CURVE])
    assert found.percent == pytest.approx(100 * (factor - 1), abs=1e-9)
    assert (found.low, found.high, found.overlap) == (26.0, 33.6, 1.0)


def test_lines_in_log_rate():
    """Double the rate at 20 dB, quadruple at 30 dB: on average 2^1.5 times as much, over 20..30 of 10..30 dB."""
    anchor = [(2 ** (q / 10), q) for q in (10, 15, 20, 25, 30)]
    test = [(2 ** (q / 10) * 2 ** (1 + (q - 20) / 10), q) for q in (20, 22, 26, 30)]
    found = bd_rate(anchor, test)
    assert found.percent == pytest.approx(100 * (2**1.5 - 1))
    assert (found.low, found.high, found.overlap) == (20, 30, 0.5)


def test_order_of_points_does_not_matter():
    worse = [(1.1 * rate, quality) for rate, quality in CURVE]
    assert bd_rate(CURVE[::-1], worse) == bd_rate(CURVE, worse[::-1])


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (CURVE[:3], "test curve has 3 points: use at least 4"),
        ([(0.0, 20.0), *CURVE], "a rate of 0.0"),
        ([*CURVE, (0.8, 33.5)], r"does not rise from \(0.7000 bpp, 33.6\) to \(0.8000 bpp, 33.5\)"),
        ([*CURVE, (0.7, 33.7)], "does not rise"),
        ([*CURVE, (0.9, math.inf)], "infinite quality"),
        ([(rate, quality + 8) for rate, quality in CURVE], "no quality in common: 26..33.6 and 34..41.6"),
    ],
)
def test_errors(test, message):
    with pytest.raises(InvalidArgumentError, match=message):
        bd_rate(CURVE, test)


def test_missing_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "bjontegaard", None)
    with pytest.raises(MissingLibraryError, match="pip install bjontegaard"):
        bd_rate(CURVE, CURVE)
