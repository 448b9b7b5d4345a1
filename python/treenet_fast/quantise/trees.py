"""The trees of a float TreeNet in integers: which format each block reads and writes (SPEC §4, §6)."""

from __future__ import annotations

from torch import Tensor, nn

from treenet_fast.model import TreeNet
from treenet_fast.model.blocks import Fusion, ResidualDown, ResidualUp
from treenet_fast.model.bounds import lower_bound
from treenet_fast.model.treenet import IMAGE_CENTRE, AnalysisTree, SynthesisTree
from treenet_fast.model_layout import (
    CHANNELS,
    IMAGE_ZERO_POINT,
    LATENTS,
    SYNTHESIS_U8_LEVEL,
)
from treenet_fast.quantise import steps
from treenet_fast.quantise.blocks import IntegerResidual
from treenet_fast.quantise.convolutions import IntegerConvolution
from treenet_fast.quantise.formats import S16, U8, FixedFormat, LearnedFormat
from treenet_fast.quantise.fusion import IntegerFusion

PIXEL_MAX = 255


class OutputLayer(nn.Module):
    """The last convolution: to pixels 0..255 (SPEC §6)."""

    def __init__(self, layer: nn.Conv2d, source: LearnedFormat) -> None:
        super().__init__()
        # The float network's outputs are values around the centre.
        pixels = FixedFormat([1 / PIXEL_MAX] * 3, offset=-IMAGE_CENTRE)
        self.convolution = IntegerConvolution(layer, source, pixels)

    def forward(self, x: Tensor) -> Tensor:
        pixels = self.convolution.scaled(x)
        # A pixel that is clamped, but should not be, still learns.
        bounded = PIXEL_MAX - lower_bound(PIXEL_MAX - lower_bound(pixels, 0.0), 0.0)
        return steps.round_through(bounded)


def integer_analysis(master: TreeNet) -> AnalysisTree:
    """The analysis, from pixels less the zero point to the four fused leaves."""
    # Pixels count from black, and the zero point 128 is half a step above the centre (SPEC §3).
    image = FixedFormat([1 / PIXEL_MAX] * 3, offset=IMAGE_ZERO_POINT / PIXEL_MAX - IMAGE_CENTRE)
    levels = [[LearnedFormat(CHANNELS, S16) for _ in range(2**level)] for level in range(3)]
    # The two leaves of a fusion share a format.
    fused = [LearnedFormat(CHANNELS, S16) for _ in range(LATENTS)]
    levels.append([fused[i // 2] for i in range(2 * LATENTS)])

    def block(level: int, i: int) -> IntegerResidual:
        layers = master.get_submodule(f"analysis.level{level}.{i}")
        assert isinstance(layers, ResidualDown)
        return IntegerResidual(layers, levels[level - 1][i // 2] if level else image, levels[level][i])

    def fusion(b: int) -> IntegerFusion:
        layers = master.analysis.fusion[b]
        assert isinstance(layers, Fusion)
        return IntegerFusion(layers, fused[b])

    return AnalysisTree(block, fusion)


def integer_synthesis(master: TreeNet) -> SynthesisTree:
    """The synthesis, from the four scaled latents to pixels."""
    inputs = [LearnedFormat(CHANNELS, S16) for _ in range(LATENTS)]
    # All nodes of a level share a format: neighbours are fused, and fusions overlap.
    levels = [LearnedFormat(CHANNELS, U8 if level == SYNTHESIS_U8_LEVEL else S16) for level in range(4)]

    def block(level: int, i: int) -> IntegerResidual:
        layers = master.get_submodule(f"synthesis.level{level}.{i}")
        assert isinstance(layers, ResidualUp)
        return IntegerResidual(layers, levels[level - 1] if level else inputs[i], levels[level])

    def fusion(level: int, i: int) -> IntegerFusion:
        layers = master.get_submodule(f"synthesis.fusion{level}.{i}")
        assert isinstance(layers, Fusion)
        return IntegerFusion(layers, levels[level])

    def output() -> OutputLayer:
        layer = master.synthesis.output
        assert isinstance(layer, nn.Conv2d)
        return OutputLayer(layer, levels[3])

    return SynthesisTree(block, fusion, output)
