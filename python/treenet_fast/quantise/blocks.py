"""The residual blocks of the transforms in integers (SPEC §2.4 to §2.6)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from treenet_fast.model.blocks import ResidualDown, ResidualUp
from treenet_fast.model.normalisation import GDN
from treenet_fast.model_layout import CHANNELS
from treenet_fast.quantise import steps
from treenet_fast.quantise.arrays import Array, IntegerTensors
from treenet_fast.quantise.convolutions import IntegerConvolution, as_tensors
from treenet_fast.quantise.formats import S16, U8, Format, LearnedFormat, LearnedScale
from treenet_fast.quantise.ranges import U8_MAX, positive, s16_channel_ranges, u8_range
from treenet_fast.quantise.samples import Samples
from treenet_fast.quantise.settings import Settings

# By how much `k` reaches beyond the largest value seen: beyond its end a norm is too small, and the error large.
_K_HEADROOM = 1.25
_BETA_MAX = 2.0**30 - 1


class NormalisationIntegers(NamedTuple):
    """The values of SPEC §2.4; all `[32]` but gamma `[32, 32]`. `beta` and `gamma` hold integers."""

    numerator: Tensor
    magnitude: Tensor
    beta: Tensor
    gamma: Tensor


class IntegerNormalisation(nn.Module):
    """A normalisation of the accumulators of a convolution (SPEC §2.4), which it computes too.

    `k[j] * step[j]` stands for the convolution's output `|v[j]|`, and `unit[c] * n[c]` for
    `beta[c] + Σ gamma[c, j] v[j]²`.
    """

    def __init__(self, convolution: IntegerConvolution, gdn: GDN, output: Format) -> None:
        super().__init__()
        self.convolution = convolution
        self.gdn = gdn
        self.output = output
        self.step = LearnedScale(CHANNELS)

    def forward(self, t: Tensor) -> Tensor:
        """Integers `[N, 32, h, w]` to units of the output format, not rounded."""
        convolution = self.convolution.integers()
        acc = self.convolution.accumulate(t, convolution)
        return steps.normalise(acc, *self._integers(convolution.scale), inverse=self.gdn.inverse)

    def _integers(self, acc_scale: Tensor) -> NormalisationIntegers:
        effective, step = self.gdn.effective(), self.step.scale()
        beta, weighted = effective["beta"], effective["gamma"] * step.square()
        with torch.no_grad():
            # The largest weight of a row fills u8, unless that would leave beta too coarse or make it too large.
            full = weighted.amax(dim=1) / U8_MAX
            unit = torch.maximum(full.clamp(beta * 2.0**-24, beta * 2.0**-6), full)
            factor = unit.sqrt() if self.gdn.inverse else unit.rsqrt()
        return NormalisationIntegers(
            numerator=acc_scale * factor / self.output.scale(),
            magnitude=acc_scale / step,
            beta=steps.round_through(beta / unit, 1, _BETA_MAX),
            gamma=steps.round_through(weighted / unit[:, None], 0, U8_MAX),
        )

    def set_range(self, samples: Array) -> None:
        """Start from samples `[32, n]` of the convolution's output."""
        self.step.set_scale(positive(np.abs(samples).max(axis=1)) * _K_HEADROOM / steps.K_MAX)

    def tensors(self, name: str) -> IntegerTensors:
        """The tensors of normalisation `name`."""
        integers = self._integers(self.convolution.integers().scale)
        return as_tensors({f"{name}.{part}": value for part, value in integers._asdict().items()})


class IntegerResidual(nn.Module):
    """A residual block: integers of the format `source` to integers of the format `output` (SPEC §2.5, §2.6)."""

    def __init__(self, block: ResidualDown | ResidualUp, source: Format, output: LearnedFormat) -> None:
        super().__init__()
        self.up = isinstance(block, ResidualUp)
        self.source = source
        self.output = output
        self.hidden = LearnedFormat(CHANNELS, U8 if self.up else S16)
        self.conv1 = IntegerConvolution(block.conv1, source, self.hidden, leaky=True, subpixel=self.up)
        self.conv2 = IntegerConvolution(block.conv2, self.hidden)
        gdn = block.igdn if isinstance(block, ResidualUp) else block.gdn
        self.normalisation = IntegerNormalisation(self.conv2, gdn, output)
        self.skip = IntegerConvolution(block.skip, source, output, subpixel=self.up)

    def forward(self, x: Tensor) -> Tensor:
        main = self.normalisation(self.conv1(x))
        # Sliced as in the float block.
        skip = self.skip.scaled(x if self.up else x[:, :, ::2, ::2])
        return steps.round_clamp(main + skip, *self.output.bounds)

    def calibrate(self, name: str, samples: Samples, settings: Settings) -> None:
        """Set what is the block's own from samples of the float block `name`."""
        hidden = self.conv1.activations(samples, f"{name}.conv1")
        self.hidden.set(
            u8_range(hidden, self.conv2.importance()) if self.up else s16_channel_ranges(hidden, settings.headroom)
        )
        self.normalisation.set_range(samples.output(f"{name}.conv2"))

    def importance(self) -> Array:
        """How much of an error in each channel of the input reaches the block's convolutions, as a factor of its
        square."""
        return self.conv1.importance() + self.skip.importance()

    def tensors(self, name: str) -> IntegerTensors:
        """The tensors of block `name`."""
        zero_points = {f"{name}.conv1.zero_point": self.hidden, f"{name}.zero_point": self.output}
        return {
            **self.conv1.tensors(f"{name}.conv1"),
            **self.conv2.tensors(f"{name}.conv2"),
            **self.normalisation.tensors(f"{name}.{'igdn' if self.up else 'gdn'}"),
            **self.skip.tensors(f"{name}.skip"),
            **as_tensors({key: form.zero_point for key, form in zero_points.items() if form.limits == U8}),
        }
