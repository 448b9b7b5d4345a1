"""Convolutions in integers: weights to s8, biases to s32 (SPEC §2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from treenet_fast.quantise.formats import Array

IntegerTensors = dict[str, NDArray[Any]]

_WEIGHT_MAX = 127
# A bias beyond this many accumulator units would leave too little room for the sum.
_BIAS_MAX = 2.0**28
_SCALE_MIN = 2.0**-38


@dataclass(frozen=True)
class Convolution:
    """Weights and biases in integers; an accumulator `acc[o]` stands for the real value `scale[o] * acc[o]`."""

    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    scale: Array

    def tensors(self, name: str, multiplier: Array | None = None) -> IntegerTensors:
        """The tensors of convolution `name`; `multiplier` leads from accumulators to the units of the output."""
        tensors: IntegerTensors = {f"{name}.weight": self.weight, f"{name}.bias": self.bias}
        if multiplier is not None:
            tensors[f"{name}.multiplier"] = multiplier.astype(np.float32)
        return tensors


def quantise_convolution(weight: Array, bias: Array, input_scale: Array, input_offset: float = 0.0) -> Convolution:
    """Round a convolution's weights, a scale for each output channel.

    Args:
        weight: `[out, in, ...]`.
        bias: `[out]`.
        input_scale: `[in]`; the real input is `input_scale[c] * (integer - zero point) + input_offset`.
    """
    axes = tuple(range(1, weight.ndim))
    offset_bias = bias + input_offset * weight.sum(axis=axes)
    scaled = weight * input_scale.reshape(1, -1, *[1] * (weight.ndim - 2))
    scale = _best_scale(scaled.reshape(len(weight), -1))
    scale = np.maximum(scale, np.maximum(np.abs(offset_bias) / _BIAS_MAX, _SCALE_MIN))
    column = scale.reshape(-1, *[1] * (weight.ndim - 1))
    integers = np.clip(np.rint(scaled / column), -_WEIGHT_MAX, _WEIGHT_MAX).astype(np.int8)
    return Convolution(integers, np.rint(offset_bias / scale).astype(np.int32), scale)


def _best_scale(rows: Array) -> Array:
    """For each row the scale with the smallest squared error: clipping its largest weights a little may pay."""
    full = np.abs(rows).max(axis=1) / _WEIGHT_MAX
    full = np.maximum(full, _SCALE_MIN)
    best: Array = full
    best_error = np.full(len(rows), np.inf)
    for factor in np.linspace(0.75, 1.0, 26):
        scale = (full * factor)[:, None]
        rounded = np.clip(np.rint(rows / scale), -_WEIGHT_MAX, _WEIGHT_MAX) * scale
        error = np.square(rounded - rows).sum(axis=1)
        best = np.where(error < best_error, scale[:, 0], best)
        best_error = np.minimum(error, best_error)
    return best
