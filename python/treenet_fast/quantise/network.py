"""The quantised network: a float TreeNet's function in the integers of SPEC.md, with gradients."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from treenet_fast.model import TreeNet
from treenet_fast.model.bottleneck import Bottleneck
from treenet_fast.model.gains import QUALITY_MAX, QUALITY_MIN
from treenet_fast.model.treenet import DOWNSAMPLING, TreeCodec, pad_to_multiple
from treenet_fast.model_file import validate
from treenet_fast.model_layout import (
    IMAGE_ZERO_POINT,
    LATENTS,
    analysis_blocks,
    analysis_fusions,
    synthesis_blocks,
    synthesis_fusions,
)
from treenet_fast.quantise import steps
from treenet_fast.quantise.arrays import IntegerTensors
from treenet_fast.quantise.blocks import IntegerResidual
from treenet_fast.quantise.bottleneck import LATENT_UNITS, IntegerBottleneck
from treenet_fast.quantise.calibration import calibrate
from treenet_fast.quantise.convolutions import IntegerConvolution, RowScale, as_tensors
from treenet_fast.quantise.entropy import entropy_tensors
from treenet_fast.quantise.formats import S16, Format, LearnedScale
from treenet_fast.quantise.fusion import IntegerFusion
from treenet_fast.quantise.settings import Settings
from treenet_fast.quantise.trees import PIXEL_MAX, OutputLayer, integer_analysis, integer_synthesis

_MASTER = "master."


class QuantisedTreeNet(TreeCodec):
    """A network that trains as a TreeNet does, and whose forward pass is the integer codec's (see `steps`).

    Its parameters are those of `master`, the float network that it stands for, and the scales of its number formats.
    In evaluation mode it gives what the codec gives: its latents, its pixels, and about the bits of its symbols.

    Attributes:
        master: the float network, whose layers are this network's layers too.
    """

    def __init__(self, master: TreeNet, settings: Settings | None = None) -> None:
        """A network without formats: `from_float` finds them, `load_format_state` sets them."""
        super().__init__()
        self.master = master
        self.settings = settings or Settings()
        self.gain = master.gain
        self.analysis = integer_analysis(master)
        self.bottleneck = nn.ModuleList(
            IntegerBottleneck(cast(Bottleneck, bottleneck), self.settings.skip_below)
            for bottleneck in master.bottleneck
        )
        self.synthesis = integer_synthesis(master)

    @classmethod
    def from_float(cls, model: TreeNet, images: Sequence[Tensor], settings: Settings | None = None) -> QuantisedTreeNet:
        """The quantised network of a copy of a float network, in the same mode.

        Args:
            model: the float network.
            images: calibration images, `[3, H, W]` each, 0..1; qualities are spread over them.
            settings: choices to depart from.
        """
        network = cls(copy.deepcopy(model), settings)
        calibrate(network, images)
        return network.train(model.training)

    def analyse(self, image: Tensor, quality: Tensor) -> list[Tensor]:
        pixels = (pad_to_multiple(image, DOWNSAMPLING) * PIXEL_MAX).round() - IMAGE_ZERO_POINT
        gains = self._encode_gain(quality).chunk(LATENTS, dim=1)
        # `Y` of SPEC §4
        latents = [steps.round_clamp(x * gain, *S16) for x, gain in zip(self.analysis(pixels), gains, strict=True)]
        return [y / LATENT_UNITS for y in latents]

    def synthesise(self, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
        gains = self._decode_gain(quality).chunk(LATENTS, dim=1)
        # `X` of SPEC §6
        inputs = [steps.round_clamp(y * LATENT_UNITS * gain, *S16) for y, gain in zip(latents, gains, strict=True)]
        pixels: Tensor = self.synthesis(inputs)
        return pixels / PIXEL_MAX

    def _encode_gain(self, quality: Tensor) -> Tensor:
        """`gain.encode` at each quality `[N]`: float32 `[N, 128, 1, 1]`."""
        scale = torch.cat([self._fusion(name).source.scale() for name in analysis_fusions()])
        return (self.gain.encode(quality.double()) * (scale * LATENT_UNITS)[:, None, None]).float()

    def _decode_gain(self, quality: Tensor) -> Tensor:
        """`gain.decode` at each quality `[N]`: float32 `[N, 128, 1, 1]`."""
        scale = torch.cat([self.input_format(b).scale() for b in range(LATENTS)])
        return (self.gain.decode(quality.double()) / (scale * LATENT_UNITS)[:, None, None]).float()

    def input_format(self, b: int) -> Format:
        """The format of the synthesis' input `X_b`."""
        return self._block(f"synthesis.level0.{b}").source

    @property
    def output(self) -> IntegerConvolution:
        """The synthesis' last convolution."""
        return cast(OutputLayer, self.synthesis.output).convolution

    def residual_blocks(self) -> Iterator[tuple[str, IntegerResidual]]:
        """The blocks of both trees, by name."""
        return ((name, self._block(name)) for _, name in (*analysis_blocks(), *synthesis_blocks()))

    def parts(self) -> Iterator[tuple[str, IntegerResidual | IntegerFusion | IntegerBottleneck]]:
        """All blocks, fusions and bottlenecks, by name."""
        yield from self.residual_blocks()
        for name in (*analysis_fusions(), *(name for _, name in synthesis_fusions())):
            yield name, self._fusion(name)
        for b, module in enumerate(self.bottleneck):
            yield f"bottleneck.{b}", cast(IntegerBottleneck, module)

    def _block(self, name: str) -> IntegerResidual:
        return cast(IntegerResidual, self.get_submodule(name))

    def _fusion(self, name: str) -> IntegerFusion:
        return cast(IntegerFusion, self.get_submodule(name))

    def tensors(self) -> IntegerTensors:
        """The tensors of the integer model.

        Raises:
            ModelFileError: the network cannot be held within the limits of SPEC §9.
        """
        quality = torch.arange(QUALITY_MIN, QUALITY_MAX + 1, device=self.gain.log_encode.device)
        tensors: IntegerTensors = {}
        with torch.no_grad():
            for name, module in self.parts():
                tensors |= module.tensors(name)
            tensors |= self.output.tensors("synthesis.output")
            tensors |= as_tensors(
                {
                    "gain.encode": self._encode_gain(quality),
                    "gain.decode": self._decode_gain(quality),
                    "sigmoid": steps.sigmoid_table(),
                }
            )
            tensors |= entropy_tensors(self.master, self.settings.skip_below)
        validate(tensors)
        return tensors

    def format_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that are not the master's: logarithms of scales."""
        return (value for name, value in self.named_parameters() if not name.startswith(_MASTER))

    def format_state(self) -> dict[str, Tensor]:
        """All values of the formats, by name; a format that modules share has the name that comes first."""
        return {
            f"{name}.{key}": value
            for name, module in self._format_modules()
            for key, value in module.state_dict().items()
        }

    def load_format_state(self, state: dict[str, Tensor]) -> None:
        """Set the formats to what `format_state` gave.

        Raises:
            RuntimeError: names or shapes differ from this network's, as `load_state_dict` does.
        """
        if state.keys() != self.format_state().keys():
            raise RuntimeError("the names of the formats' values are not those of this network")
        for name, module in self._format_modules():
            module.load_state_dict({key: state[f"{name}.{key}"] for key in module.state_dict()})

    def _format_modules(self) -> Iterator[tuple[str, nn.Module]]:
        return ((name, module) for name, module in self.named_modules() if isinstance(module, LearnedScale | RowScale))
