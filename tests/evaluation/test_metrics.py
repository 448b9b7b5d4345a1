"""PSNR by hand, and MS-SSIM against a naive one in numpy."""

import math
import sys

import numpy as np
import pytest
import pytorch_msssim
import torch
from numpy.lib.stride_tricks import sliding_window_view
from skimage.metrics import peak_signal_noise_ratio

from treenet_fast.errors import InvalidArgumentError, MissingLibraryError
from treenet_fast.evaluation.metrics import decibels, from_decibels, ms_ssim, psnr

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def naive_ms_ssim(a, b):
    """Wang, Simoncelli and Bovik, 2003, of one channel `[H, W]` with sides that 16 divides."""
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window /= window.sum()

    def blur(x):
        return sliding_window_view(sliding_window_view(x, 11, axis=0) @ window, 11, axis=1) @ window

    a, b, result = a.astype(float), b.astype(float), 1.0
    for scale, weight in enumerate(WEIGHTS):
        h, w = (side // 2 * 2 for side in a.shape)
        mean_a, mean_b = blur(a), blur(b)
        variance_a, variance_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
        covariance = blur(a * b) - mean_a * mean_b
        similarity = (2 * covariance + 58.5225) / (variance_a + variance_b + 58.5225)
        if scale == len(WEIGHTS) - 1:
            similarity *= (2 * mean_a * mean_b + 6.5025) / (mean_a**2 + mean_b**2 + 6.5025)
        result *= similarity.mean() ** weight
        a, b = ((x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4 for x in (a[:h, :w], b[:h, :w]))
    return result


@pytest.fixture
def pair(photograph):
    """The photograph, and with noise that grows from channel to channel: u8 `[176, 192, 3]`."""
    image = photograph[50:226, 100:292]
    noise = np.random.default_rng(5).normal(0, (4, 12, 30), image.shape)
    return image, (image + noise).clip(0, 255).round().astype(np.uint8)


def test_psnr_by_hand():
    image = np.full((2, 2, 3), 100, np.uint8)
    decoded = image.copy()
    decoded[0, 0] = 106  # mean squared error 36 / 4 = 9
    assert psnr(image, decoded) == pytest.approx(10 * math.log10(65025 / 9))
    assert psnr(image, image) == math.inf
    assert psnr(np.zeros_like(image), np.full_like(image, 255)) == 0


def test_ms_ssim(pair):
    image, decoded = pair
    expected = np.mean([naive_ms_ssim(image[:, :, c], decoded[:, :, c]) for c in range(3)])
    assert 0.8 < expected < 0.99
    assert ms_ssim(image, decoded) == pytest.approx(expected, abs=2e-5)
    assert ms_ssim(image, image) == 1


def test_against_other_implementations(pair):
    """scikit-image's PSNR, and pytorch-msssim called by itself in double precision."""
    image, decoded = pair
    assert psnr(image, decoded) == pytest.approx(peak_signal_noise_ratio(image, decoded))
    tensors = (torch.tensor(x, dtype=torch.float64).permute(2, 0, 1)[None] for x in pair)
    assert ms_ssim(image, decoded) == pytest.approx(float(pytorch_msssim.ms_ssim(*tensors, data_range=255)), abs=1e-6)


def test_ms_ssim_of_the_smallest_image(photograph):
    assert ms_ssim(photograph[:161, :161], photograph[:161, :161]) == 1
    with pytest.raises(InvalidArgumentError, match="not defined on an image of 300x160: each side needs 161"):
        ms_ssim(photograph[:160, :300], photograph[:160, :300])


def test_decibels():
    assert decibels(0.99) == pytest.approx(20)
    assert decibels(1) == math.inf
    assert from_decibels(decibels(0.9321)) == pytest.approx(0.9321)


@pytest.mark.parametrize("metric", [psnr, ms_ssim])
def test_errors(metric, photograph):
    with pytest.raises(InvalidArgumentError, match=r"decoded image is float64 \[300, 451, 3\]"):
        metric(photograph, photograph / 255)
    with pytest.raises(InvalidArgumentError, match=r"the image is uint8 \[300, 451\]"):
        metric(photograph[:, :, 0], photograph)
    with pytest.raises(InvalidArgumentError, match="different sizes, 451x300 and 451x299"):
        metric(photograph, photograph[1:])


def test_missing_library(photograph, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_msssim", None)
    with pytest.raises(MissingLibraryError, match="pip install pytorch-msssim"):
        ms_ssim(photograph, photograph)
    assert psnr(photograph, photograph) == math.inf
