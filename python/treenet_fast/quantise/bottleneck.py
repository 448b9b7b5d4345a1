"""The bottlenecks in integers (SPEC §5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from treenet_fast.model.bottleneck import (
    SCALE_MIN,
    Bottleneck,
    BottleneckOutput,
    CheckerboardConvolution,
    Rounding,
    anchors,
    gaussian_likelihood,
    noisy,
)
from treenet_fast.model.bounds import lower_bound
from treenet_fast.model_layout import BOTTLENECK_CONVOLUTIONS, CHANNELS
from treenet_fast.quantise import steps
from treenet_fast.quantise.arrays import IntegerTensors
from treenet_fast.quantise.convolutions import IntegerConvolution, Integers
from treenet_fast.quantise.entropy import SCALE_UNITS, coded_from
from treenet_fast.quantise.formats import POSITIVE_S16, S16, FixedFormat, Format, JoinedFormat, LearnedFormat
from treenet_fast.quantise.ranges import s16_range
from treenet_fast.quantise.samples import Samples
from treenet_fast.quantise.settings import Settings

LATENT_UNITS = 64  # of `Y`, `M` and `Ŷ` in SPEC §4, §5

_SUBPIXEL = ("hyper_synthesis.1", "hyper_synthesis.3")
_WITHOUT_LEAKY = ("hyper_analysis.4", "hyper_synthesis.4", "context", "entropy_parameters.2")


class Parameters(NamedTuple):
    """The entropy parameters, integers `[N, 32, h, w]`: `M` and `v` of SPEC §5."""

    mean: Tensor
    scale: Tensor


class IntegerBottleneck(nn.Module):
    """One latent's entropy model; takes and gives what the float `Bottleneck` does.

    Symbols whose scale's table is for less than `skip_below` steps are not coded.
    """

    def __init__(self, bottleneck: Bottleneck, skip_below: float) -> None:
        super().__init__()
        self._coded_from = coded_from(skip_below)
        self.prior = bottleneck.prior
        latent, symbols = FixedFormat([1 / LATENT_UNITS] * CHANNELS), FixedFormat([1.0] * CHANNELS)
        parameters = FixedFormat([1 / LATENT_UNITS] * CHANNELS + [1 / SCALE_UNITS] * CHANNELS)
        self.hyper_analysis = _stack("hyper_analysis", bottleneck.hyper_analysis, latent, symbols)
        self.hyper_synthesis = _stack("hyper_synthesis", bottleneck.hyper_synthesis, symbols)
        self.context = _layer("context", bottleneck.context, latent)
        features = JoinedFormat([_target(self.hyper_synthesis[-1]), _target(self.context)])
        self.entropy_parameters = _stack("entropy_parameters", bottleneck.entropy_parameters, features, parameters)

    def forward(self, y: Tensor, rounding: Rounding) -> BottleneckOutput:
        latent = y * LATENT_UNITS
        z = self._hyper_analysis(latent)
        z_rounded, z_noisy = steps.round_through(z, *S16), noisy(z)
        z_hat = z_noisy if rounding == "noise" else z_rounded
        psi = z_hat
        for layer in self.hyper_synthesis:
            psi = layer(psi)
        psi = psi[:, :, : y.shape[2], : y.shape[3]]
        anchor = anchors(y)
        layers = [_convolution(layer).integers() for layer in self.entropy_parameters]
        if rounding == "noise":
            decoded = noisy(y) * LATENT_UNITS
        else:
            # Anchors know psi alone; what they decode to is the context of the others.
            at_anchors = self._distribution(psi, torch.zeros_like(psi), layers)
            decoded = self._decoded(latent, at_anchors)
        parameters = self._distribution(psi, self.context(decoded * anchor) * (1 - anchor), layers)
        if rounding != "noise":
            decoded = self._decoded(latent, parameters)
        mean, scale = parameters.mean / LATENT_UNITS, lower_bound(parameters.scale / SCALE_UNITS, SCALE_MIN)
        y_hat = decoded / LATENT_UNITS
        if rounding == "round":
            certain = parameters.scale < self._coded_from
            y_likelihood = gaussian_likelihood(y_hat - mean, scale).masked_fill(certain, 1.0)
            z_likelihood = self.prior(z_rounded)
        else:
            # Skipped symbols are paid for too: where that costs much, the scale is wrong and should grow.
            y_likelihood, z_likelihood = gaussian_likelihood(noisy(y) - mean, scale), self.prior(z_noisy)
        return BottleneckOutput(y_hat, z_hat, y_likelihood, z_likelihood, mean, scale)

    def _hyper_analysis(self, latent: Tensor) -> Tensor:
        """The hyper-latents, not rounded."""
        *hidden, last = (_convolution(layer) for layer in self.hyper_analysis)
        for layer in hidden:
            latent = layer(latent)
        return last.scaled(latent)

    def _distribution(self, psi: Tensor, context: Tensor, integers: Sequence[Integers]) -> Parameters:
        features = torch.cat((psi, context), dim=1)
        *hidden, last = zip(self.entropy_parameters, integers, strict=True)
        for layer, rounded in hidden:
            features = _convolution(layer).requantise(features, rounded)
        mean, scale = _convolution(last[0]).scaled(features, last[1]).chunk(2, dim=1)
        # A negative scale is clamped, but may leave that state again.
        return Parameters(steps.round_clamp(mean, *S16), steps.round_clamp(lower_bound(scale, 0.0), *POSITIVE_S16))

    def _decoded(self, latent: Tensor, parameters: Parameters) -> Tensor:
        """`Ŷ` of SPEC §5."""
        half = LATENT_UNITS // 2
        symbols = steps.floor_through((latent - parameters.mean + half) / LATENT_UNITS)
        symbols = symbols.masked_fill(parameters.scale < self._coded_from, 0.0)
        return (symbols * LATENT_UNITS + parameters.mean).clamp(*S16)

    def calibrate(self, name: str, samples: Samples, settings: Settings) -> None:
        """Set the formats from samples of the float bottleneck `name`."""
        for part, layer in self._layers():
            if isinstance(layer.target, LearnedFormat):
                layer.target.set(s16_range(layer.activations(samples, f"{name}.{part}"), settings.headroom))

    def tensors(self, name: str) -> IntegerTensors:
        """The tensors of bottleneck `name`."""
        tensors: IntegerTensors = {}
        for part, layer in self._layers():
            tensors |= layer.tensors(f"{name}.{part}")
        return tensors

    def _layers(self) -> Iterable[tuple[str, IntegerConvolution]]:
        return ((part, _convolution(self.get_submodule(part))) for part in BOTTLENECK_CONVOLUTIONS)


def _stack(name: str, layers: nn.ModuleList, source: Format, last: Format | None = None) -> nn.ModuleList:
    """Layers one after the other; the last one's output has the format `last`, or else a learned one."""
    stack: list[IntegerConvolution] = []
    for i, layer in enumerate(layers):
        assert isinstance(layer, nn.Conv2d)
        stack.append(_layer(f"{name}.{i}", layer, source, last if i == len(layers) - 1 else None))
        source = _target(stack[-1])
    return nn.ModuleList(stack)


def _layer(
    part: str, layer: nn.Conv2d | CheckerboardConvolution, source: Format, target: Format | None = None
) -> IntegerConvolution:
    subpixel = part in _SUBPIXEL
    if target is None:
        outputs = BOTTLENECK_CONVOLUTIONS[part][1]
        target = LearnedFormat(outputs // 4 if subpixel else outputs, S16)
    return IntegerConvolution(layer, source, target, leaky=part not in _WITHOUT_LEAKY, subpixel=subpixel)


def _convolution(layer: nn.Module) -> IntegerConvolution:
    assert isinstance(layer, IntegerConvolution)
    return layer


def _target(layer: nn.Module) -> Format:
    target = _convolution(layer).target
    assert target is not None
    return target
