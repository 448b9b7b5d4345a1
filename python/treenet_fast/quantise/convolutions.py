"""Convolutions in integers (SPEC §2.1, §2.2): a float layer's weights to s8 and its biases to s32."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from treenet_fast.model.blocks import LEAKY_SLOPE
from treenet_fast.model.bottleneck import CheckerboardConvolution
from treenet_fast.model_layout import tensor_spec
from treenet_fast.quantise import steps
from treenet_fast.quantise.arrays import Array, IntegerTensors
from treenet_fast.quantise.formats import Format, LearnedFormat
from treenet_fast.quantise.samples import Samples

_WEIGHT_MAX = 127
# A bias beyond this many accumulator units would leave too little room for the sum.
_BIAS_MAX = 2.0**28
_SCALE_MIN = 2.0**-38


class Integers(NamedTuple):
    """Weights `[out, in, k, k]` and biases `[out]` in integers, held by float32 tensors.

    An accumulator `acc[o]` stands for the real value `scale[o] * acc[o]`; `multiplier[o]` leads from it to the target
    format and is `scale` itself where there is none.
    """

    weight: Tensor
    bias: Tensor
    scale: Tensor
    multiplier: Tensor


class RowScale(nn.Module):
    """The scale of each row of weights: it follows the row's largest weight, times a factor found in calibration.

    A factor below 1 clips the largest weights a little, which may pay.
    """

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.register_buffer("factor", torch.ones(rows))
        self.factor: Tensor

    def forward(self, rows: Tensor) -> Tensor:
        """`[out]` for rows `[out, ...]`."""
        return self.factor * self._full(rows)

    def fit(self, rows: Tensor) -> None:
        """Choose the factors with the smallest squared error."""
        rows = rows.flatten(1)
        full, best_error = self._full(rows), torch.full_like(self.factor, torch.inf)
        for factor in np.linspace(0.75, 1.0, 26).tolist():
            scale = (full * factor)[:, None]
            error = ((rows / scale).round().clamp(-_WEIGHT_MAX, _WEIGHT_MAX) * scale - rows).square().sum(dim=1)
            self.factor[error < best_error] = factor
            best_error = torch.minimum(error, best_error)

    @staticmethod
    def _full(rows: Tensor) -> Tensor:
        return (rows.flatten(1).abs().amax(dim=1) / _WEIGHT_MAX).clamp_min(_SCALE_MIN)


class IntegerConvolution(nn.Module):
    """A float layer, computed in integers.

    Args:
        layer: the float layer; its parameters are those of this module.
        source: the format of its input.
        target: the format of its output; None where accumulators go to a normalisation.
        leaky: whether a LeakyReLU follows.
        subpixel: whether a shuffle follows (SPEC §2.3); `target` has then a quarter of the layer's channels.
    """

    def __init__(
        self,
        layer: nn.Conv2d | CheckerboardConvolution,
        source: Format,
        target: Format | None = None,
        leaky: bool = False,
        subpixel: bool = False,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.source = source
        self.target = target
        self.rows = RowScale(len(layer.weight))
        self.leaky = leaky
        self.subpixel = subpixel
        self._stride = layer.stride[0] if isinstance(layer, nn.Conv2d) else 1

    def forward(self, x: Tensor) -> Tensor:
        """Integers `[N, in, h, w]` to integers of the target format."""
        return self.requantise(x, self.integers())

    def requantise(self, x: Tensor, integers: Integers) -> Tensor:
        """`forward` with what `integers` gave, for a layer that is used more than once."""
        assert isinstance(self.target, LearnedFormat)
        acc = self.accumulate(x, integers)
        return self._shuffled(steps.requantise(acc, integers.multiplier, *self.target.bounds, self.leaky))

    def scaled(self, x: Tensor, integers: Integers | None = None) -> Tensor:
        """`float(acc) * multiplier`: in units of the target format, not rounded."""
        integers = integers or self.integers()
        return self._shuffled(steps.scale(self.accumulate(x, integers), integers.multiplier))

    def accumulate(self, x: Tensor, integers: Integers) -> Tensor:
        """`float(acc)`."""
        return steps.accumulate(x, integers.weight, integers.bias, self._stride)

    def integers(self) -> Integers:
        """Weights and biases, rounded.

        Gradients are those of the real function: the scale of a row, which cancels but for rounding, has none.
        """
        weight, bias = self._weight(), self.layer.bias
        assert bias is not None
        if self.source.offset:
            bias = bias + self.source.offset * weight.sum(dim=(1, 2, 3))
        if self.target is not None and self.target.offset:
            bias = bias - self.target.offset
        scaled = self._scaled_weight(weight)
        with torch.no_grad():
            scale = torch.maximum(self.rows(scaled), bias.abs() / _BIAS_MAX)
        integers = steps.round_through(scaled / scale[:, None, None, None], -_WEIGHT_MAX, _WEIGHT_MAX)
        return Integers(integers, steps.round_through(bias / scale), scale, self._multiplier(scale))

    def _multiplier(self, scale: Tensor) -> Tensor:
        if self.target is None:
            return scale
        target = self.target.scale()
        return scale / (target.repeat_interleave(4) if self.subpixel else target)

    def _weight(self) -> Tensor:
        if isinstance(self.layer, CheckerboardConvolution):
            return self.layer.effective()["weight"]
        return self.layer.weight

    def _scaled_weight(self, weight: Tensor) -> Tensor:
        return weight * self.source.scale()[:, None, None]

    def _shuffled(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(x, 2) if self.subpixel else x

    def fit_rows(self) -> None:
        """Choose the scales of the rows for the weights and the source format as they are."""
        with torch.no_grad():
            self.rows.fit(self._scaled_weight(self._weight()))

    def importance(self) -> Array:
        """How much of an error in each input channel reaches the outputs, as a factor of its square: `[in]`."""
        result: Array = self._weight().detach().double().square().sum(dim=(0, 2, 3)).cpu().numpy()
        return result

    def activations(self, samples: Samples, name: str) -> Array:
        """Samples `[channels, n]` of the float output of this layer, `name`, after shuffle and LeakyReLU."""
        x = samples.output(name)
        if self.subpixel:
            x = x.reshape(len(x) // 4, -1)
        return np.where(x >= 0, x, LEAKY_SLOPE * x) if self.leaky else x

    def tensors(self, name: str) -> IntegerTensors:
        """The tensors of convolution `name` (SPEC §9)."""
        integers = self.integers()
        tensors = {f"{name}.weight": integers.weight, f"{name}.bias": integers.bias}
        if self.target is not None:
            tensors[f"{name}.multiplier"] = integers.multiplier
        return as_tensors(tensors)


def as_tensors(values: dict[str, Tensor]) -> IntegerTensors:
    """Tensors by name in the dtypes and shapes of SPEC §9."""
    spec = tensor_spec()
    return {
        name: value.detach().cpu().contiguous().numpy().astype(spec[name][0]).reshape(spec[name][1])
        for name, value in values.items()
    }
