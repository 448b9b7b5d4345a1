"""An entropy bottleneck: hyperprior with a checkerboard context model."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from treenet_fast.model.blocks import convolution, leaky_relu
from treenet_fast.model.bounds import lower_bound
from treenet_fast.model.effective import EffectiveModule
from treenet_fast.model.prior import LIKELIHOOD_MIN, FactorisedPrior
from treenet_fast.model_limits import context_mask

SCALE_MIN = 0.11
# Scales start near the spread of the latents: from far below it, likelihoods sit at their bound and teach little.
_INITIAL_SCALE = 4.0

#: How latents become integers in a forward pass. `"noise"`: uniform noise stands in for rounding everywhere.
#: `"straight_through"`: likelihoods under noise, but what is decoded is rounded, with the gradient of the identity.
#: `"round"`: rounding everywhere, as the codec does.
Rounding = Literal["noise", "straight_through", "round"]


class CheckerboardConvolution(EffectiveModule):
    """A 5x5 convolution whose taps (u, v) with u + v even are zero: a non-anchor sees anchors only (SPEC §5)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        layer = convolution(inputs, outputs, 5)
        assert layer.bias is not None
        self.weight, self.bias = layer.weight, layer.bias
        self.register_buffer("mask", torch.from_numpy(context_mask()).float(), persistent=False)
        self.mask: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=2)

    def effective(self) -> dict[str, Tensor]:
        return {"weight": self.weight * self.mask}

    def set_effective(self, values: dict[str, Tensor]) -> None:
        with torch.no_grad():
            self.weight.copy_(values["weight"] * self.mask)


class HyperAnalysis(nn.ModuleList):
    """`[N, 32, h, w]` to the hyper-latents `[N, 32, ⌈⌈h/2⌉/2⌉, ⌈⌈w/2⌉/2⌉]`."""

    STRIDES = (1, 1, 2, 1, 2)

    def __init__(self, channels: int) -> None:
        super().__init__(convolution(channels, channels, 3, stride) for stride in self.STRIDES)

    def forward(self, y: Tensor) -> Tensor:
        *hidden, last = self
        for layer in hidden:
            y = leaky_relu(layer(y))
        z: Tensor = last(y)
        return z


class HyperSynthesis(nn.ModuleList):
    """`[N, 32, h, w]` to `[N, 64, 4h, 4w]`; layers 1 and 3 are subpixel convolutions."""

    def __init__(self, channels: int) -> None:
        wide = channels * 3 // 2
        super().__init__(
            [
                convolution(channels, channels, 3),
                convolution(channels, 4 * channels, 3),
                convolution(channels, wide, 3),
                convolution(wide, 4 * wide, 3),
                convolution(wide, 2 * channels, 3),
            ]
        )

    def forward(self, z: Tensor) -> Tensor:
        z = leaky_relu(self[0](z))
        z = leaky_relu(F.pixel_shuffle(self[1](z), 2))
        z = leaky_relu(self[2](z))
        z = leaky_relu(F.pixel_shuffle(self[3](z), 2))
        psi: Tensor = self[4](z)
        return psi


class EntropyParameters(nn.ModuleList):
    """(psi, context), `[N, 128, h, w]`, to means and raw scales, `[N, 64, h, w]`."""

    def __init__(self, channels: int) -> None:
        sizes = (4 * channels, 106, 85, 2 * channels)
        super().__init__(convolution(a, b, 1) for a, b in itertools.pairwise(sizes))
        bias = self[-1].bias
        assert isinstance(bias, Tensor)
        nn.init.constant_(bias[channels:], _INITIAL_SCALE)

    def forward(self, features: Tensor) -> Tensor:
        *hidden, last = self
        for layer in hidden:
            features = leaky_relu(layer(features))
        parameters: Tensor = last(features)
        return parameters


@dataclass
class BottleneckOutput:
    """`y_hat`, `y_likelihood`, `mean`, `scale`: `[N, 32, h, w]`; `z_hat`, `z_likelihood`: `[N, 32, ⌈h/4⌉, ⌈w/4⌉]`."""

    y_hat: Tensor
    z_hat: Tensor
    y_likelihood: Tensor
    z_likelihood: Tensor
    mean: Tensor
    scale: Tensor


class Bottleneck(nn.Module):
    """One latent's entropy model, after the gain: the unit of `y` is the quantisation step.

    Where symbols are rounded for good (`"round"`), those whose scale is smaller than `skip_below` are not coded but
    taken for 0, as in the format (SPEC §5).
    """

    def __init__(self, channels: int, skip_below: float = 0.0) -> None:
        super().__init__()
        self._skip_below = skip_below
        self.hyper_analysis = HyperAnalysis(channels)
        self.hyper_synthesis = HyperSynthesis(channels)
        self.context = CheckerboardConvolution(channels, 2 * channels)
        self.entropy_parameters = EntropyParameters(channels)
        self.prior = FactorisedPrior(channels)

    def forward(self, y: Tensor, rounding: Rounding) -> BottleneckOutput:
        z = self.hyper_analysis(y)
        z_noisy = noisy(z)
        z_hat = z_noisy if rounding == "noise" else _rounded(z)
        psi = self.hyper_synthesis(z_hat)[:, :, : y.shape[2], : y.shape[3]]
        anchor = anchors(y)
        if rounding == "noise":
            y_hat = noisy(y)
        else:
            # Anchors know psi alone; what they decode to is the context of the others.
            y_hat, _ = self._decoded(y, *self._distribution(psi, torch.zeros_like(psi)), rounding)
        context = self.context(y_hat * anchor) * (1 - anchor)
        mean, scale = self._distribution(psi, context)
        if rounding != "noise":
            y_hat, certain = self._decoded(y, mean, scale, rounding)
        if rounding == "round":
            y_likelihood = gaussian_likelihood(y_hat - mean, scale).masked_fill(certain, 1.0)
            z_likelihood = self.prior(z_hat)
        else:
            y_likelihood, z_likelihood = gaussian_likelihood(noisy(y) - mean, scale), self.prior(z_noisy)
        return BottleneckOutput(y_hat, z_hat, y_likelihood, z_likelihood, mean, scale)

    def _decoded(self, y: Tensor, mean: Tensor, scale: Tensor, rounding: Rounding) -> tuple[Tensor, Tensor]:
        """The decoded latent, and where nothing is coded of it."""
        certain = scale < (self._skip_below if rounding == "round" else 0.0)
        return _rounded(y - mean).masked_fill(certain, 0.0) + mean, certain

    def _distribution(self, psi: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        mean, scale = self.entropy_parameters(torch.cat((psi, context), dim=1)).chunk(2, dim=1)
        return mean, lower_bound(scale, SCALE_MIN)


def anchors(y: Tensor) -> Tensor:
    """1 where row + column is even, else 0: `[1, 1, h, w]` of `y`'s dtype and device."""
    rows = torch.arange(y.shape[2], device=y.device)[:, None]
    columns = torch.arange(y.shape[3], device=y.device)[None, :]
    return ((rows + columns + 1) % 2).to(y.dtype)[None, None]


def gaussian_likelihood(deviation: Tensor, scale: Tensor) -> Tensor:
    """Probability of the unit interval around `deviation` under a Gaussian of mean 0; at least 1e-9."""
    distance = torch.abs(deviation)
    # Both arguments in the lower tail, where the difference keeps its precision.
    upper, lower = _normal_cdf((0.5 - distance) / scale), _normal_cdf((-0.5 - distance) / scale)
    return lower_bound(upper - lower, LIKELIHOOD_MIN)


def _normal_cdf(x: Tensor) -> Tensor:
    return 0.5 * torch.erfc(x * -math.sqrt(0.5))


def noisy(x: Tensor) -> Tensor:
    """`x` with uniform noise of one quantisation step."""
    return x + torch.rand_like(x) - 0.5


def _rounded(x: Tensor) -> Tensor:
    """Rounding with the gradient of the identity."""
    return x + (torch.round(x) - x).detach()
