"""Variable rate: gain vectors on the latents (Cui et al., 2021), and what quality means."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

QUALITY_MIN, QUALITY_MAX = 1, 100

#: Weights of the mean squared error (0..1 scale, times 255²) against bits a pixel, at the five points.
DEFAULT_LAMBDAS = (0.00125, 0.0025, 0.005, 0.01, 0.02)


class Gains(nn.Module):
    """Gains of all latents' channels at a few points, interpolated linearly in their logarithm over quality 1..100."""

    def __init__(self, channels: int, lambdas: Sequence[float] = DEFAULT_LAMBDAS) -> None:
        super().__init__()
        self.lambdas = tuple(lambdas)
        self.register_buffer("_log_lambdas", torch.tensor(self.lambdas).log()[:, None], persistent=False)
        self._log_lambdas: Tensor
        # Latents start with a spread of several steps: with less, all of them round to zero and nothing is learnt.
        start = torch.linspace(math.log(4.0), math.log(16.0), len(self.lambdas))[:, None].repeat(1, channels)
        self.log_encode = nn.Parameter(start.clone())
        self.log_decode = nn.Parameter(-start)

    def encode(self, quality: Tensor) -> Tensor:
        """Gains before the bottlenecks, `[N, channels, 1, 1]`, for `quality` `[N]` in 1..100."""
        return self._gain(self.log_encode, quality)

    def decode(self, quality: Tensor) -> Tensor:
        """Gains after the bottlenecks, `[N, channels, 1, 1]`."""
        return self._gain(self.log_decode, quality)

    def rate_weight(self, quality: Tensor) -> Tensor:
        """The lambda to train `quality` `[N]` with, `[N]`: geometric between the points."""
        return self._interpolate(self._log_lambdas, quality).exp()[:, 0]

    def _gain(self, points: Tensor, quality: Tensor) -> Tensor:
        return self._interpolate(points, quality).exp()[:, :, None, None]

    @staticmethod
    def _interpolate(points: Tensor, quality: Tensor) -> Tensor:
        position = (quality - QUALITY_MIN) / (QUALITY_MAX - QUALITY_MIN) * (len(points) - 1)
        left = position.floor().clamp(0, len(points) - 2)
        fraction = (position - left)[:, None]
        index = left.long()
        return points[index] * (1 - fraction) + points[index + 1] * fraction


def resample(gains: Gains, lambdas: Sequence[float]) -> Gains:
    """The same gains at other points: straight lines in log lambda between the old points and beyond their ends."""
    result = Gains(gains.log_encode.shape[1], lambdas)
    old = torch.tensor(gains.lambdas).log()
    new = torch.tensor(result.lambdas).log()
    left = torch.searchsorted(old, new, right=True).sub(1).clamp(0, len(old) - 2)
    fraction = ((new - old[left]) / (old[left + 1] - old[left]))[:, None]
    with torch.no_grad():
        for name in ("log_encode", "log_decode"):
            points = getattr(gains, name)
            getattr(result, name).copy_(torch.lerp(points[left], points[left + 1], fraction))
    return result
