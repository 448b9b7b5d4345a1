"""Post-training quantisation: from a float TreeNet and calibration images to the integer model of SPEC §9."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from treenet_fast.model import TreeNet
from treenet_fast.model.gains import QUALITY_MAX, QUALITY_MIN
from treenet_fast.model_file import validate
from treenet_fast.quantise.bottleneck import BottleneckQuantiser, gain_tensors
from treenet_fast.quantise.calibration import calibrate
from treenet_fast.quantise.convolutions import IntegerTensors
from treenet_fast.quantise.entropy import entropy_tensors
from treenet_fast.quantise.settings import Settings
from treenet_fast.quantise.transforms import TransformQuantiser, sigmoid_table

__all__ = ["Settings", "quantise"]


def quantise(model: TreeNet, images: Sequence[Tensor], settings: Settings | None = None) -> IntegerTensors:
    """The tensors of an integer model.

    Args:
        model: the float network.
        images: calibration images, `[3, H, W]` each, 0..1; qualities are spread over them.
        settings: choices to depart from.

    Raises:
        ModelFileError: the network cannot be held within the limits of SPEC §9.
    """
    settings = settings or Settings()
    qualities = torch.linspace(QUALITY_MIN, QUALITY_MAX, len(images)).tolist()
    samples = calibrate(model, [image[None] for image in images], qualities)
    transforms = TransformQuantiser(model, samples, settings)
    analysis, fused = transforms.analysis()
    synthesis, synthesis_inputs = transforms.synthesis()
    tensors = {
        **analysis,
        **synthesis,
        **BottleneckQuantiser(model, samples, settings).tensors(),
        **gain_tensors(model, fused, synthesis_inputs),
        **sigmoid_table(),
        **entropy_tensors(model, settings.skip_below),
    }
    validate(tensors)
    return tensors
