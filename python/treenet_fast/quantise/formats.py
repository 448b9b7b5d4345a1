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


def u8_format(samples: Array, equalisation: float) -> Format:
    """An 8-bit format for samples `[channels, n]`, clipped where that makes the mean squared error smallest.

    Channels are first brought towards the same range, by the power `equalisation` of their range: 0 gives all of
    them one scale, 1 gives each all of the 256 values. The error is measured after that, so that channels count alike.
    """
    magnitude = np.abs(samples).max(axis=1)
    relative = _positive(magnitude / _positive(magnitude.max())) ** equalisation
    values = samples / relative[:, None]
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    best_error, best = np.inf, Format(np.ones(len(samples)))
    for low_factor in _shrink_factors(low):
        for high_factor in _shrink_factors(high):
            candidate = _u8_over(low * low_factor, high * high_factor)
            error = float(np.square(_through(values, candidate) - values).mean())
            if error < best_error:
                best_error, best = error, candidate
    return Format(best.scale * relative, best.zero_point)


def _shrink_factors(bound: float) -> list[float]:
    return [1.0] if bound == 0 else [1.0, 0.9, 0.8, 0.7, 0.6, 0.5]


def _u8_over(low: float, high: float) -> Format:
    """The format in which 0..255 covers `low..high`, zero among it exactly."""
    scale = _positive(np.float64(high - low)) / U8_MAX
    return Format(np.array([scale]), int(np.clip(np.rint(-low / scale), 0, U8_MAX)))


def _through(values: Array, form: Format) -> Array:
    integers = np.clip(np.rint(values / form.scale[0]) + form.zero_point, 0, U8_MAX)
    result: Array = (integers - form.zero_point) * form.scale[0]
    return result


def _positive(x: Array | np.float64) -> Array:
    """`x`, but never so small that a division by it misbehaves: a channel without signal gets a nominal range."""
    result: Array = np.maximum(x, 1e-6)
    return result
