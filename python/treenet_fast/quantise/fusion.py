"""Attentional fusion in integers (SPEC §2.7)."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from treenet_fast.model.blocks import Attention, Fusion
from treenet_fast.model_layout import ATTENTION_MATRICES, mean_fraction_bits
from treenet_fast.quantise import steps
from treenet_fast.quantise.arrays import IntegerTensors
from treenet_fast.quantise.convolutions import IntegerConvolution
from treenet_fast.quantise.formats import POSITIVE_S16, S16, U8, FinerFormat, FixedFormat, LearnedFormat
from treenet_fast.quantise.ranges import s16_channel_ranges, u8_range
from treenet_fast.quantise.samples import Samples
from treenet_fast.quantise.settings import Settings


class IntegerAttention(nn.Module):
    """Integers `[N, 32, h, w]` of a format to weights in 0..256."""

    def __init__(self, attention: Attention, source: LearnedFormat) -> None:
        super().__init__()
        self._fraction_bits = mean_fraction_bits(s16=source.limits == S16)
        hidden, channels = ATTENTION_MATRICES["local2"]
        mean = FinerFormat(source, self._fraction_bits)
        logits = FixedFormat([1 / steps.LOGIT_UNITS] * channels)
        # The limits are the ReLU.
        self.local_hidden = LearnedFormat(hidden, U8)
        self.global_hidden = LearnedFormat(hidden, POSITIVE_S16)
        self.local1 = IntegerConvolution(attention.local1, source, self.local_hidden)
        self.local2 = IntegerConvolution(attention.local2, self.local_hidden, logits)
        self.global1 = IntegerConvolution(attention.global1, mean, self.global_hidden)
        self.global2 = IntegerConvolution(attention.global2, self.global_hidden, logits)

    def forward(self, p: Tensor) -> Tensor:
        everywhere = self.global2.scaled(self.global1(steps.mean(p, self._fraction_bits)))
        here = self.local2.scaled(self.local1(p))
        return steps.attention_weight(here + everywhere)

    def calibrate(self, name: str, samples: Samples, settings: Settings) -> None:
        """Set the hidden formats from samples of the float attention `name`."""
        local = np.maximum(samples.output(f"{name}.local1"), 0)
        self.local_hidden.set(u8_range(local, self.local2.importance()))
        self.global_hidden.set(s16_channel_ranges(samples.output(f"{name}.global1"), settings.headroom))

    def tensors(self, name: str) -> IntegerTensors:
        """The tensors of attention `name`."""
        layers = {"local1": self.local1, "local2": self.local2, "global1": self.global1, "global2": self.global2}
        tensors: IntegerTensors = {}
        for part, layer in layers.items():
            tensors |= layer.tensors(f"{name}.{part}")
        return tensors


class IntegerFusion(nn.Module):
    """Fusion of two activations `[N, 32, h, w]` of one format, which is the result's too."""

    def __init__(self, fusion: Fusion, source: LearnedFormat) -> None:
        super().__init__()
        self.source = source
        self.first = IntegerAttention(fusion.first, source)
        self.second = IntegerAttention(fusion.second, source)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        v = steps.mix(self.first(x + y), x, y)
        return steps.mix(self.second(v), x, y)

    def calibrate(self, name: str, samples: Samples, settings: Settings) -> None:
        """Set the attentions' formats from samples of the float fusion `name`."""
        self.first.calibrate(f"{name}.first", samples, settings)
        self.second.calibrate(f"{name}.second", samples, settings)

    def tensors(self, name: str) -> IntegerTensors:
        """The tensors of fusion `name`."""
        return {**self.first.tensors(f"{name}.first"), **self.second.tensors(f"{name}.second")}
