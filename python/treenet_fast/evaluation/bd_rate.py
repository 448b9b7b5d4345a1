"""Bjøntegaard's delta rate: what one codec's rate-distortion curve saves over another's, as one number."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from treenet_fast.errors import InvalidArgumentError
from treenet_fast.evaluation.libraries import library

RateDistortion: TypeAlias = Sequence[tuple[float, float]]
"""Points (bits per pixel, quality): the quality of a metric, see `scores.Metric`."""

POINTS_MIN = 4


@dataclass(frozen=True)
class BdRate:
    """A delta rate, and the range that it is taken over.

    Attributes:
        percent: how much more rate the tested codec needs for equal quality; negative: it needs less.
        low, high: the range of quality that both curves cover.
        overlap: that range as a share of the range that either covers, 0..1.
    """

    percent: float
    low: float
    high: float
    overlap: float


def bd_rate(anchor: RateDistortion, test: RateDistortion) -> BdRate:
    """The delta rate of `test` against `anchor`.

    By PyPI's bjontegaard: log rate as Akima's interpolation over quality, averaged over the range that both cover
    (Herglotz et al., "The Bjøntegaard Bible", 2024).

    Raises:
        InvalidArgumentError: a curve has fewer than four points, a rate that is not positive, a quality that is
            infinite or does not rise with rate; or the curves have no quality in common.
        MissingLibraryError: bjontegaard is not installed.
    """
    (anchor_rates, anchor_quality), (test_rates, test_quality) = _columns("anchor", anchor), _columns("test", test)
    low, high = max(anchor_quality[0], test_quality[0]), min(anchor_quality[-1], test_quality[-1])
    total = max(anchor_quality[-1], test_quality[-1]) - min(anchor_quality[0], test_quality[0])
    if low >= high:
        ranges = " and ".join(f"{q[0]:.4g}..{q[-1]:.4g}" for q in (anchor_quality, test_quality))
        raise InvalidArgumentError(f"the curves have no quality in common: {ranges}")
    percent = library("bjontegaard").bd_rate(
        anchor_rates,
        anchor_quality,
        test_rates,
        test_quality,
        method="akima",
        require_matching_points=False,
        min_overlap=0,
    )
    return BdRate(float(percent), low, high, (high - low) / total)


def _columns(name: str, curve: RateDistortion) -> tuple[list[float], list[float]]:
    """Rates and qualities of a sound curve, in ascending order."""
    points = sorted(curve)
    if len(points) < POINTS_MIN:
        raise InvalidArgumentError(f"the {name} curve has {len(points)} points: use at least {POINTS_MIN}")
    if points[0][0] <= 0:
        raise InvalidArgumentError(f"the {name} curve has a rate of {points[0][0]}: rates are positive")
    if math.isinf(points[-1][1]):
        raise InvalidArgumentError(f"the {name} curve has an infinite quality: leave out what is without loss")
    for (rate, quality), (next_rate, next_quality) in itertools.pairwise(points):
        if next_rate <= rate or next_quality <= quality:
            raise InvalidArgumentError(
                f"the {name} curve does not rise from ({rate:.4f} bpp, {quality:.5g}) "
                f"to ({next_rate:.4f} bpp, {next_quality:.5g}): leave out one of them"
            )
    return [rate for rate, _ in points], [quality for _, quality in points]
