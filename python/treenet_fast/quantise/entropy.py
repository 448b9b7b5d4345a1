"""Tables of the entropy coder: scales, thresholds, frequencies (SPEC §5, §7.1)."""

from __future__ import annotations

from math import erf, sqrt

import numpy as np
import torch
from numpy.typing import NDArray

from treenet_fast.frequencies import integer_frequencies
from treenet_fast.model import TreeNet
from treenet_fast.model.bottleneck import SCALE_MIN
from treenet_fast.model_layout import CHANNELS, GAUSSIAN_TABLES, LATENTS, TABLE_WIDTH
from treenet_fast.quantise.arrays import Array, IntegerTensors

SCALE_MAX = 64.0
SCALE_UNITS = 256  # of `v` in SPEC §5
_PRIOR_REACH = 1024

_SCALE = np.geomspace(SCALE_MIN, SCALE_MAX, GAUSSIAN_TABLES)
_THRESHOLD = np.rint(np.sqrt(_SCALE[:-1] * _SCALE[1:]) * SCALE_UNITS)

# An escape costs a byte more than a value in the table; a value in the table takes at least MIN_FREQUENCY slots
# from the others. A value pays for its place from about this probability on: 8 bits * p = log2(1 + 32 / 65536).
_WORTH_A_PLACE = 0.7e-3 / 8


def entropy_tensors(model: TreeNet, skip_below: float) -> IntegerTensors:
    """All `entropy.*` tensors. Symbols whose scale's table is for less than `skip_below` steps are not coded."""
    return {
        "entropy.scale": _SCALE.astype(np.float32),
        "entropy.threshold": _THRESHOLD.astype(np.int32),
        "entropy.skip": np.array([_skip(skip_below)], np.int32),
        **_tables("gaussian", [_gaussian(s) for s in _SCALE]),
        **_tables("prior", _priors(model)),
    }


def coded_from(skip_below: float) -> int:
    """The smallest `v` of SPEC §5 whose symbol is coded, if those of less than `skip_below` steps are not."""
    skip = _skip(skip_below)
    return int(_THRESHOLD[skip - 1]) if skip > 0 else 0


def _skip(skip_below: float) -> int:
    return int(np.searchsorted(_SCALE, skip_below))


Distribution = tuple[int, Array]  # probabilities of consecutive values, and the first of these values


def _gaussian(scale: float) -> Distribution:
    """Probabilities of a rounded Gaussian, over as many values as a table may hold."""
    reach = (TABLE_WIDTH - 2) // 2
    upper = np.array([0.5 * (1 + erf((k + 0.5) / scale / sqrt(2))) for k in range(-1, reach + 1)])
    half = np.diff(upper)
    return -reach, np.concatenate([half[:0:-1], half])


def _priors(model: TreeNet) -> list[Distribution]:
    values = torch.arange(-_PRIOR_REACH, _PRIOR_REACH + 1, dtype=torch.float32)
    priors = []
    with torch.no_grad():
        for b in range(LATENTS):
            likelihood = model.get_submodule(f"bottleneck.{b}.prior")(values.expand(1, CHANNELS, 1, -1))
            priors += [(-_PRIOR_REACH, row) for row in likelihood[0, :, 0].double().numpy()]
    return priors


def _tables(kind: str, distributions: list[Distribution]) -> IntegerTensors:
    tables = [make_table(*distribution) for distribution in distributions]
    frequency = np.zeros((len(tables), TABLE_WIDTH), np.uint16)
    for row, (_, values) in zip(frequency, tables, strict=True):
        row[: len(values)] = values
    return {
        f"entropy.{kind}.offset": np.array([offset for offset, _ in tables], np.int32),
        f"entropy.{kind}.count": np.array([len(values) - 1 for _, values in tables], np.int32),
        f"entropy.{kind}.frequency": frequency,
    }


def make_table(first: int, probability: Array) -> tuple[int, NDArray[np.uint16]]:
    """Offset and frequencies, the escape's last, of the values `first, first + 1, ...` that are worth a place.

    The missing part of the probabilities goes to the escape.
    """
    best = int(np.argmax(probability))
    worthy = np.flatnonzero(probability >= _WORTH_A_PLACE)
    low, high = (best, best) if len(worthy) == 0 else (int(worthy[0]), int(worthy[-1]))
    while high - low + 1 > TABLE_WIDTH - 1:  # drop the less likely end
        low, high = (low + 1, high) if probability[low] < probability[high] else (low, high - 1)
    inside = probability[low : high + 1]
    return first + low, integer_frequencies(np.append(inside, max(0.0, 1.0 - float(inside.sum()))))
