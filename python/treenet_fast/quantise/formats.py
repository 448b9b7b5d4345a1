"""Number formats of activations: how integers stand for real values, and how they are chosen from samples.

A real value is `scale[c] * (integer - zero_point)`. SPEC knows integers only, so a scale may differ from channel to
channel: what makes an activation (a multiplier a channel) and what takes it in (a weight a channel) absorb it. The
zero point is one for the tensor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

S16_MAX = 32767
U8_MAX = 255


@dataclass(frozen=True)
class Format:
    """The format of an activation: `scale` `[channels]` and `zero_point`."""

    scale: Array
    zero_point: int = 0


def s16_format(samples: Array, headroom: float) -> Format:
    """A 16-bit format for samples `[channels, n]` that leaves `headroom` times their largest magnitude."""
    peak = np.abs(samples).max()
    return Format(np.full(len(samples), _positive(peak) * headroom / S16_MAX))


def u8_format(samples: Array, importance: Array) -> Format:
    """An 8-bit format that clips none of the samples `[channels, n]`, each channel as fine as range and zero point
    allow.

    The zero point is the one with the smallest sum of squared steps, weighted by the `importance` `[channels]` of a
    channel's squared error. (Clipping rare values for a finer step was measured and lost: the images that have
    them, with saturated colours for instance, lose more than others gain.)
    """
    low = np.minimum(samples.min(axis=1), 0)
    high = np.maximum(_positive(samples.max(axis=1)), 0)
    best_cost, best = np.inf, Format(high)
    for zero_point in range(U8_MAX):
        below = -low / max(zero_point, 1e-3)
        scale = np.maximum(below, high / (U8_MAX - zero_point))
        cost = float((importance * np.square(scale)).sum())
        if cost < best_cost:
            best_cost, best = cost, Format(scale, zero_point)
    return best


def _positive(x: Array | np.float64) -> Array:
    """`x`, but never so small that a division by it misbehaves: a channel without signal gets a nominal range."""
    result: Array = np.maximum(x, 1e-6)
    return result
