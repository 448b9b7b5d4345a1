"""TreeNet (arXiv 2512.16743) with gain vectors for variable rate."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from treenet_fast.model.blocks import Fusion, ResidualDown, ResidualUp, convolution
from treenet_fast.model.bottleneck import Bottleneck, BottleneckOutput, Rounding
from treenet_fast.model.effective import EffectiveModule
from treenet_fast.model.gains import DEFAULT_LAMBDAS, QUALITY_MAX, QUALITY_MIN, Gains
from treenet_fast.model_layout import CHANNELS, LATENTS

DOWNSAMPLING = 16
# The network works on values centred around zero: it then trains much faster from a random start.
IMAGE_CENTRE = 0.5


class AnalysisTree(nn.Module):
    """A perfect binary tree of height 3, and a fusion for each pair of leaves: an image to four latents (SPEC §4).

    `block` makes the node of a level and place, `fusion` the fusion of a place.
    """

    def __init__(self, block: Callable[[int, int], nn.Module], fusion: Callable[[int], nn.Module]) -> None:
        super().__init__()
        for level in range(4):
            self.add_module(f"level{level}", nn.ModuleList(block(level, i) for i in range(2**level)))
        self.fusion = nn.ModuleList(fusion(b) for b in range(LATENTS))

    def forward(self, x: Tensor) -> list[Tensor]:
        outputs = [x]
        for level in range(4):
            nodes = cast(nn.ModuleList, self.get_submodule(f"level{level}"))
            outputs = [node(outputs[i // 2]) for i, node in enumerate(nodes)]
        return [fuse(outputs[2 * b], outputs[2 * b + 1]) for b, fuse in enumerate(self.fusion)]


class SynthesisTree(nn.Module):
    """Four latents to an image: levels of 4, 3, 2, 1 nodes, neighbours fused between them (SPEC §6).

    `block` makes the node of a level and place, `fusion` the fusion of a level and place, `output` the last layer.
    """

    def __init__(
        self,
        block: Callable[[int, int], nn.Module],
        fusion: Callable[[int, int], nn.Module],
        output: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        for level in range(4):
            self.add_module(f"level{level}", nn.ModuleList(block(level, i) for i in range(LATENTS - level)))
        for level in range(3):
            self.add_module(f"fusion{level}", nn.ModuleList(fusion(level, i) for i in range(LATENTS - 1 - level)))
        self.output = output()

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        for level in range(4):
            nodes = cast(nn.ModuleList, self.get_submodule(f"level{level}"))
            inputs = [node(x) for node, x in zip(nodes, inputs, strict=True)]
            if level < 3:
                fusions = cast(nn.ModuleList, self.get_submodule(f"fusion{level}"))
                inputs = [fuse(inputs[i], inputs[i + 1]) for i, fuse in enumerate(fusions)]
        image: Tensor = self.output(inputs[0])
        return image


@dataclass
class TreeNetOutput:
    """What a forward pass gives.

    Attributes:
        reconstruction: `[N, 3, H, W]`, around 0..1 but not clamped to it.
        bottlenecks: of the four latents, their decoded values and likelihoods.
    """

    reconstruction: Tensor
    bottlenecks: list[BottleneckOutput]

    def bits(self) -> Tensor:
        """Estimated bits of each image, `[N]`."""
        likelihoods = [x for b in self.bottlenecks for x in (b.y_likelihood, b.z_likelihood)]
        return sum((-torch.log2(x).sum(dim=(1, 2, 3)) for x in likelihoods), start=torch.zeros(()))


class TreeCodec(nn.Module):
    """The order of all steps, whatever the arithmetic of each."""

    bottleneck: nn.ModuleList
    gain: Gains

    def forward(self, image: Tensor, quality: Tensor | float, rounding: Rounding | None = None) -> TreeNetOutput:
        """Encode and decode.

        Args:
            image: `[N, 3, H, W]`, 0..1, any size; extended to multiples of 16 by repeating its last row and column.
            quality: 1..100, one or `[N]`; on a GPU it is not checked, for which the GPU would have to be waited for.
            rounding: see `bottleneck.Rounding`; by default `"noise"` in training mode, `"round"` in evaluation mode.
        """
        rounding = rounding or ("noise" if self.training else "round")
        quality = self._quality(image, quality)
        latents = self.analyse(image, quality)
        # Probabilities are differences of nearly equal numbers: they need all digits whatever the transforms run in.
        with torch.autocast(image.device.type, enabled=False):
            bottlenecks = [self.bottleneck[b](y.float(), rounding) for b, y in enumerate(latents)]
        x = self.synthesise([b.y_hat for b in bottlenecks], quality)
        return TreeNetOutput(x[:, :, : image.shape[2], : image.shape[3]], bottlenecks)

    @abstractmethod
    def analyse(self, image: Tensor, quality: Tensor) -> list[Tensor]:
        """The four latents `[N, 32, h, w]` in quantisation steps, of an image as in `forward`, `quality` `[N]`."""

    @abstractmethod
    def synthesise(self, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
        """The extended image of four decoded latents."""

    @staticmethod
    def _quality(image: Tensor, quality: Tensor | float) -> Tensor:
        quality = torch.as_tensor(quality, dtype=torch.float32)
        if quality.device.type == "cpu" and bool(((quality < QUALITY_MIN) | (quality > QUALITY_MAX)).any()):
            raise ValueError(f"quality is outside {QUALITY_MIN}..{QUALITY_MAX}")
        return quality.to(image.device).expand(image.shape[0])


class TreeNet(TreeCodec):
    """The float network. Parameters are named as the tensors of a checkpoint (see `checkpoint.py`).

    `skip_below`: see `Bottleneck`.
    """

    def __init__(self, lambdas: Sequence[float] = DEFAULT_LAMBDAS, skip_below: float = 0.0) -> None:
        super().__init__()
        self.analysis = AnalysisTree(
            block=lambda level, _: ResidualDown(3 if level == 0 else CHANNELS, CHANNELS),
            fusion=lambda _: Fusion(CHANNELS),
        )
        self.bottleneck = nn.ModuleList(Bottleneck(CHANNELS, skip_below) for _ in range(LATENTS))
        self.synthesis = SynthesisTree(
            block=lambda *_: ResidualUp(CHANNELS),
            fusion=lambda *_: Fusion(CHANNELS),
            output=lambda: convolution(CHANNELS, 3, 3),
        )
        self.gain = Gains(LATENTS * CHANNELS, lambdas)

    def analyse(self, image: Tensor, quality: Tensor) -> list[Tensor]:
        latents = self.analysis(pad_to_multiple(image, DOWNSAMPLING) - IMAGE_CENTRE)
        gains = self.gain.encode(quality).chunk(LATENTS, dim=1)
        return [y * gain for y, gain in zip(latents, gains, strict=True)]

    def synthesise(self, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
        gains = self.gain.decode(quality).chunk(LATENTS, dim=1)
        image: Tensor = self.synthesis([y * gain for y, gain in zip(latents, gains, strict=True)])
        return image.float() + IMAGE_CENTRE

    def effective_state(self) -> dict[str, Tensor]:
        """All parameters by name, as effective values, detached."""
        state: dict[str, Tensor] = dict(self.named_parameters())
        for prefix, module in self.named_modules():
            if isinstance(module, EffectiveModule):
                state |= {f"{prefix}.{name}": value for name, value in module.effective().items()}
        return {name: value.detach() for name, value in state.items()}

    def load_effective_state(self, state: dict[str, Tensor]) -> None:
        """Set all parameters from effective values.

        Raises:
            RuntimeError: names or shapes differ from this network's, as `load_state_dict` does.
        """
        self.load_state_dict(state)
        for prefix, module in self.named_modules():
            if isinstance(module, EffectiveModule):
                module.set_effective({name: state[f"{prefix}.{name}"] for name in module.effective()})


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Extend `[N, C, H, W]` at the bottom and at the right by repeating its last row and column (SPEC §3)."""
    return F.pad(x, (0, -x.shape[3] % multiple, 0, -x.shape[2] % multiple), mode="replicate")
