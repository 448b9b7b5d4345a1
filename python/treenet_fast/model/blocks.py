"""The blocks of the transforms: residual down, residual up, iterative attentional feature fusion."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from treenet_fast.model.normalisation import GDN

LEAKY_SLOPE = 0.01


def leaky_relu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, LEAKY_SLOPE)


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)


def _scale_weights(layer: nn.Conv2d, gain: float) -> None:
    """Gaussian weights whose output has `gain²` times the variance of the input; no bias."""
    assert layer.bias is not None
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, std=gain * fan_in**-0.5)
    nn.init.zeros_(layer.bias)


def _initialise_residual(conv1: nn.Conv2d, conv2: nn.Conv2d, skip: nn.Conv2d) -> None:
    """The skip keeps the variance, the main path adds a little: a deep tree then starts neither dead nor exploding."""
    _scale_weights(conv1, 2.0**0.5)
    _scale_weights(conv2, 0.5)
    _scale_weights(skip, 1.0)


class ResidualDown(nn.Module):
    """Residual downsampling block: `[N, inputs, H, W]` to `[N, channels, H/2, W/2]` (SPEC §2.5)."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, channels, 3, stride=2)
        self.conv2 = convolution(channels, channels, 3)
        self.gdn = GDN(channels)
        self.skip = nn.Conv2d(inputs, channels, 1)
        _initialise_residual(self.conv1, self.conv2, self.skip)

    def forward(self, x: Tensor) -> Tensor:
        main = self.gdn(self.conv2(leaky_relu(self.conv1(x))))
        # Sliced here: a 1x1 convolution with stride 2 corrupts memory in channels_last on a CPU (PyTorch 2.13).
        out: Tensor = main + self.skip(x[:, :, ::2, ::2])
        return out


class ResidualUp(nn.Module):
    """Residual upsampling block: `[N, channels, H, W]` to `[N, channels, 2H, 2W]` (SPEC §2.6)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = convolution(channels, 4 * channels, 3)
        self.conv2 = convolution(channels, channels, 3)
        self.igdn = GDN(channels, inverse=True)
        self.skip = convolution(channels, 4 * channels, 3)
        _initialise_residual(self.conv1, self.conv2, self.skip)

    def forward(self, x: Tensor) -> Tensor:
        main = self.igdn(self.conv2(leaky_relu(F.pixel_shuffle(self.conv1(x), 2))))
        out: Tensor = main + F.pixel_shuffle(self.skip(x), 2)
        return out


class Attention(nn.Module):
    """Multi-scale channel attention: weights in 0..1 from each position and from the global mean.

    Batch normalisation is left out: it would fold into the convolutions, and is fragile on a 1x1 map.
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        hidden = channels // reduction
        self.local1 = nn.Conv2d(channels, hidden, 1)
        self.local2 = nn.Conv2d(hidden, channels, 1)
        self.global1 = nn.Conv2d(channels, hidden, 1)
        self.global2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, p: Tensor) -> Tensor:
        local = self.local2(F.relu(self.local1(p)))
        mean = p.mean(dim=(2, 3), keepdim=True)
        return torch.sigmoid(local + self.global2(F.relu(self.global1(mean))))


class Fusion(nn.Module):
    """Iterative attentional feature fusion of `x` and `y`, `[N, channels, H, W]` both (SPEC §2.7)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Attention(channels)
        self.second = Attention(channels)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        v = y + self.first(x + y) * (x - y)
        out: Tensor = y + self.second(v) * (x - y)
        return out
