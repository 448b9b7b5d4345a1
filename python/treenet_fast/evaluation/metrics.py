"""Distortion of a decoded image, on 8-bit RGB pixels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from treenet_fast.errors import InvalidArgumentError
from treenet_fast.evaluation.libraries import library

Pixels = NDArray[np.uint8]
"""An RGB image, u8 `[height, width, 3]`."""

Score: TypeAlias = Callable[[Pixels, Pixels], float]
"""Computes a metric of an image and what was decoded."""

PEAK = 255

MS_SSIM_SIDE_MIN = 161
"""Sides from which MS-SSIM is defined: its window of 11 has to fit the fifth, 16 times smaller scale."""


def psnr(image: Pixels, decoded: Pixels) -> float:
    """Peak signal-to-noise ratio in dB, of the mean squared error over all pixels and the three channels.

    Infinite where both are equal.

    Raises:
        InvalidArgumentError: the images are not u8 `[H, W, 3]` of one size.
    """
    check_pair(image, decoded)
    error = float(np.square(image.astype(np.float64) - decoded).mean())
    return 10 * math.log10(PEAK**2 / error) if error else math.inf


def ms_ssim(image: Pixels, decoded: Pixels) -> float:
    """Multi-scale structural similarity (Wang et al., 2003), 1 where both are equal.

    By PyPI's pytorch-msssim in float32: each of R, G and B by itself, their mean; five scales with the paper's weights,
    Gaussian windows of 11 with σ = 1.5.

    Raises:
        InvalidArgumentError: the images are not u8 `[H, W, 3]` of one size, or a side is below `MS_SSIM_SIDE_MIN`.
        MissingLibraryError: pytorch-msssim or torch is not installed.
    """
    check_pair(image, decoded)
    height, width, _ = image.shape
    if min(width, height) < MS_SSIM_SIDE_MIN:
        raise InvalidArgumentError(
            f"MS-SSIM is not defined on an image of {width}x{height}: each side needs {MS_SSIM_SIDE_MIN} pixels"
        )
    torch = library("torch")
    pair = (torch.tensor(x, dtype=torch.float32).permute(2, 0, 1)[None] for x in (image, decoded))
    return float(library("pytorch_msssim").ms_ssim(*pair, data_range=PEAK))


def decibels(similarity: float) -> float:
    """An MS-SSIM as −10 log10(1 − MS-SSIM), in dB, which spreads the values near 1; that of 1 is infinite."""
    return -10 * math.log10(1 - similarity) if similarity < 1 else math.inf


def from_decibels(value: float) -> float:
    """The MS-SSIM that `decibels` gives `value` for."""
    return 1 - 10 ** (-value / 10)


def check_pair(image: Pixels, decoded: Pixels) -> None:
    """Raises `InvalidArgumentError` for what is not two u8 `[H, W, 3]` of one size."""
    for name, pixels in (("image", image), ("decoded image", decoded)):
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            found = f"{pixels.dtype} {list(pixels.shape)}"
            raise InvalidArgumentError(f"the {name} is {found}: use RGB pixels, uint8 [height, width, 3]")
    if image.shape != decoded.shape:
        sizes = " and ".join(f"{x.shape[1]}x{x.shape[0]}" for x in (image, decoded))
        raise InvalidArgumentError(f"the images are of different sizes, {sizes}")
