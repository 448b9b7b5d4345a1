"""The start of a quantised network's formats: from the values that its float network takes on images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from treenet_fast.model.gains import QUALITY_MAX, QUALITY_MIN
from treenet_fast.model_layout import LATENTS
from treenet_fast.quantise.arrays import Array
from treenet_fast.quantise.convolutions import IntegerConvolution
from treenet_fast.quantise.formats import S16, Format, LearnedFormat
from treenet_fast.quantise.ranges import s16_range, u8_range
from treenet_fast.quantise.samples import Samples, sample

if TYPE_CHECKING:
    from treenet_fast.quantise.network import QuantisedTreeNet


def calibrate(network: QuantisedTreeNet, images: Sequence[Tensor]) -> None:
    """Set all formats of a network.

    Args:
        network: the network.
        images: `[3, H, W]` each, 0..1; qualities are spread over them.
    """
    qualities = torch.linspace(QUALITY_MIN, QUALITY_MAX, len(images)).tolist()
    samples = sample(network.master, [image[None] for image in images], qualities)
    _calibrate_between_blocks(network, samples)
    for name, part in network.parts():
        part.calibrate(name, samples, network.settings)
    for layer in network.modules():
        if isinstance(layer, IntegerConvolution):
            layer.fit_rows()  # the source formats are known now


def _calibrate_between_blocks(network: QuantisedTreeNet, samples: Samples) -> None:
    """Set the formats that blocks share, each from what the blocks that write it or read it say."""
    values: dict[Format, list[Array]] = {}
    importance: dict[Format, Array] = {}
    for name, block in network.residual_blocks():
        values.setdefault(block.output, []).append(samples.output(name))
        importance[block.source] = importance.get(block.source, 0) + block.importance()
    for b in range(LATENTS):
        values[network.input_format(b)] = [samples.input(f"synthesis.level0.{b}")]
    importance[network.output.source] = network.output.importance()
    for form, parts in values.items():
        assert isinstance(form, LearnedFormat)
        together = np.concatenate(parts, axis=1)
        s16 = form.limits == S16
        form.set(s16_range(together, network.settings.headroom) if s16 else u8_range(together, importance[form]))
