"""The loss: rate plus weighted distortion, R + l1 * MSE + l2 * (1 - MS-SSIM) (arXiv 2512.16743)."""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass

import torch
from pytorch_msssim import ms_ssim
from torch import Tensor

from treenet_fast.model import TreeNetOutput
from treenet_fast.training.options import Loss

MS_SSIM_WEIGHT = 240.0  # l2 / l1
# MS-SSIM halves the image four times, and its window must still fit: 11 as published, 7 for small crops.
_WINDOW, _SMALL_WINDOW = 11, 7
_COARSEST = 16


@dataclass
class Terms:
    """The parts of the loss, `[N]` each.

    Attributes:
        bits_per_pixel: estimated, of all latents and hyper-latents.
        squared_error: mean squared error on the 0..255 scale.
        ms_ssim: 0..1; None where it is not part of the loss.
    """

    bits_per_pixel: Tensor
    squared_error: Tensor
    ms_ssim: Tensor | None

    def total(self, weight: Tensor, rate_share: Tensor | float = 1.0) -> Tensor:
        """The loss `[N]` for weights `[N]` (l1), with a share of the rate."""
        distortion = self.squared_error
        if self.ms_ssim is not None:
            distortion = distortion + MS_SSIM_WEIGHT * (1 - self.ms_ssim)
        return rate_share * self.bits_per_pixel + weight * distortion


def terms(output: TreeNetOutput, image: Tensor, loss: Loss) -> Terms:
    """The parts of `loss` for what the network made of `image` `[N, 3, H, W]`, 0..1."""
    pixels = image.shape[2] * image.shape[3]
    error = output.reconstruction.float() - image
    return Terms(
        output.bits() / pixels,
        255**2 * error.square().mean(dim=(1, 2, 3)),
        multi_scale_similarity(output.reconstruction.float(), image) if loss == "mixed" else None,
    )


def multi_scale_similarity(x: Tensor, y: Tensor) -> Tensor:
    """MS-SSIM `[N]` of images `[N, 3, H, W]`, 0..1, no side shorter than 128."""
    size = _WINDOW if min(x.shape[2:]) > _COARSEST * (_WINDOW - 1) else _SMALL_WINDOW
    window, weights = _constants(size, x.device)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "To copy construct from a tensor")  # what the library does with weights
        value: Tensor = ms_ssim(x, y, data_range=1.0, size_average=False, win=window, weights=weights)
    return value


@functools.cache
def _constants(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The window, for each of three channels, and the weights of the scales, as published (Wang et al., 2003).

    The library makes the same, but on the CPU and for every call, where a CUDA graph (`graph`) cannot copy them.
    """
    with torch.inference_mode(False):  # the first call may be an evaluation's
        offsets = torch.arange(size, dtype=torch.float32) - size // 2
        window = torch.exp(offsets.square() / (-2 * 1.5**2))
        weights = torch.tensor([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
        return (window / window.sum()).expand(3, 1, 1, size).contiguous().to(device), weights.to(device)
