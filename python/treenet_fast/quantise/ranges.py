"""Formats of activations chosen from samples: where training them starts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from treenet_fast.quantise.arrays import Array

S16_MAX = 32767
U8_MAX = 255


class Range(NamedTuple):
    """The real value of an integer is `scale[c] * (integer - zero_point)`; `scale` is `[channels]`."""

    scale: Array
    zero_point: int = 0


def s16_range(samples: Array, headroom: float) -> Range:
    """One 16-bit scale for all samples `[channels, n]`, leaving `headroom` times their largest magnitude."""
    peak = np.abs(samples).max()
    return Range(np.full(len(samples), positive(peak) * headroom / S16_MAX))


def s16_channel_ranges(samples: Array, headroom: float) -> Range:
    """A 16-bit scale for each channel of samples `[channels, n]`, leaving `headroom` times its largest magnitude."""
    return Range(positive(np.abs(samples).max(axis=1)) * headroom / S16_MAX)


def u8_range(samples: Array, importance: Array) -> Range:
    """8-bit scales that clip none of the samples `[channels, n]`, each as fine as range and zero point allow.

    The zero point is the one with the smallest sum of squared steps, weighted by the `importance` `[channels]` of a
    channel's squared error. (Clipping rare values for a finer step was measured and lost: the images that have
    them, with saturated colours for instance, lose more than others gain.)
    """
    low = np.minimum(samples.min(axis=1), 0)
    high = np.maximum(positive(samples.max(axis=1)), 0)
    best_cost, best = np.inf, Range(high)
    for zero_point in range(U8_MAX):
        below = -low / max(zero_point, 1e-3)
        scale = np.maximum(below, high / (U8_MAX - zero_point))
        cost = float((importance * np.square(scale)).sum())
        if cost < best_cost:
            best_cost, best = cost, Range(scale, zero_point)
    return best


def positive(x: Array | np.float64) -> Array:
    """`x`, but never so small that a division by it misbehaves: a channel without signal gets a nominal range."""
    result: Array = np.maximum(x, 1e-6)
    return result
