"""The loss: rate plus weighted distortion, R + l1 * MSE + l2 * (1 - MS-SSIM) (arXiv 2512.16743)."""

from __future__ import annotations

from dataclasses import dataclass

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

    def total(self, weight: Tensor, rate_share: float = 1.0) -> Tensor:
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
    window = _WINDOW if min(x.shape[2:]) > _COARSEST * (_WINDOW - 1) else _SMALL_WINDOW
    value: Tensor = ms_ssim(x, y, data_range=1.0, size_average=False, win_size=window)
    return value
