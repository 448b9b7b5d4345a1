"""Evaluation of a network during training: estimated rate, and distortion of 8-bit pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from treenet_fast.model.treenet import TreeCodec
from treenet_fast.training.loss import MS_SSIM_WEIGHT, multi_scale_similarity
from treenet_fast.training.options import CROP_MULTIPLE, Loss

EVALUATION_QUALITIES = (1.0, 25.0, 50.0, 75.0, 100.0)


@torch.inference_mode()
def evaluate(model: TreeCodec, images: Sequence[Tensor], quality: float, loss: Loss) -> dict[str, float]:
    """Means over uint8 images `[3, H, W]`: `loss`, `bpp`, `mse`, `psnr` and, where all are large enough, `ms_ssim`."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
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
        if min(x.shape[2:]) >= 2 * CROP_MULTIPLE:
            values["ms_ssim"] = float(multi_scale_similarity(decoded, x)[0])
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value / len(images)
    if min(min(image.shape[1:]) for image in images) < 2 * CROP_MULTIPLE:
        sums.pop("ms_ssim", None)
    weight = float(model.gain.rate_weight(torch.tensor([quality], device=device))[0])
    distortion = sums["mse"]
    if loss == "mixed":
        distortion += MS_SSIM_WEIGHT * (1 - sums["ms_ssim"])
    sums["loss"] = sums["bpp"] + weight * distortion
    model.train(was_training)
    return sums
