"""Evaluation of a network during training: estimated rate, and distortion of 8-bit pixels.

Of a large image its middle, `EVALUATION_SIDE` pixels wide and high, is evaluated: one process does it while all others
wait, and a photograph of 50 megapixels would take more memory than training does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from treenet_fast.model.treenet import TreeCodec
from treenet_fast.training.loss import MS_SSIM_WEIGHT, multi_scale_similarity
from treenet_fast.training.options import CROP_MULTIPLE, Loss, TrainingError
from treenet_fast.training.photographs import read_image

EVALUATION_QUALITIES = (1.0, 25.0, 50.0, 75.0, 100.0)
EVALUATION_SIDE = 768

_MS_SSIM_SIDE = 2 * CROP_MULTIPLE


def read_middles(files: Sequence[Path], loss: Loss) -> list[Tensor]:
    """The images to evaluate `loss` on, uint8 `[3, H, W]`, no side longer than `EVALUATION_SIDE`.

    Raises:
        TrainingError: one cannot be read, or is too small for the loss.
    """
    images = []
    for file in files:
        image = read_image(file)
        height, width = image.shape[1:]
        if loss == "mixed" and min(height, width) < _MS_SSIM_SIDE:
            raise TrainingError(
                f"{file}: {width}x{height} pixels are too few to evaluate the mixed loss on, whose MS-SSIM needs "
                f"{_MS_SSIM_SIDE}x{_MS_SSIM_SIDE}: name other images with --evaluation"
            )
        top, left = (max(0, side - EVALUATION_SIDE) // 2 for side in (height, width))
        # A copy, so that the rest of the image is not kept.
        images.append(image[:, top : top + EVALUATION_SIDE, left : left + EVALUATION_SIDE].clone())
    return images


@torch.inference_mode()
def evaluate(model: TreeCodec, images: Sequence[Tensor], quality: float, loss: Loss) -> dict[str, float]:
    """Means over uint8 images `[3, H, W]`: `loss`, `bpp`, `mse`, `psnr` and, where all are large enough, `ms_ssim`."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    similar = min(min(image.shape[1:]) for image in images) >= _MS_SSIM_SIDE
    sums: dict[str, float] = {}
    for image in images:
        x = (image[None].to(device).float() / 255).contiguous(memory_format=torch.channels_last)
        output = model(x, quality, "round")
        decoded = (output.reconstruction.float().clamp(0, 1) * 255).round() / 255
        mse = float(255**2 * (decoded - x).square().mean())
        values = {
            "bpp": float(output.bits()[0]) / (x.shape[2] * x.shape[3]),
            "mse": mse,
            "psnr": 10 * math.log10(255**2 / max(mse, 1e-10)),
        }
        if similar:
            values["ms_ssim"] = float(multi_scale_similarity(decoded, x)[0])
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value / len(images)
    weight = float(model.gain.rate_weight(torch.tensor([quality], device=device))[0])
    distortion = sums["mse"]
    if loss == "mixed":
        distortion += MS_SSIM_WEIGHT * (1 - sums["ms_ssim"])
    sums["loss"] = sums["bpp"] + weight * distortion
    model.train(was_training)
    return sums
