"""The normalised Laplacian pyramid distance against a naive one, written from the paper with whole 2-D filters."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from treenet_fast.errors import InvalidArgumentError
from treenet_fast.evaluation.nlpd import nlpd

LOW_PASS = np.outer(*[np.array([0.05, 0.25, 0.4, 0.25, 0.05])] * 2)
FILTERS = [
    [[0, 0.1011, 0], [0.1493, 0, 0.1460], [0, 0.1015, 0]],
    [[0, 0.0757, 0], [0.1986, 0, 0.1846], [0, 0.0837, 0]],
    [[0, 0.0477, 0], [0.2138, 0, 0.2243], [0, 0.0467, 0]],
    [[0, 0, 0], [0.2503, 0, 0.2616], [0, 0, 0]],
    [[0, 0, 0], [0.2598, 0, 0.2552], [0, 0, 0]],
    [[0, 0, 0], [0.2215, 0, 0.0717], [0, 0, 0]],
]
SIGMAS = [0.0248, 0.0185, 0.0179, 0.0191, 0.0220, 0.2782]


def convolved(x, kernel):
    """Only where the kernel fits."""
    kernel = np.array(kernel)[::-1, ::-1]
    return (sliding_window_view(x, kernel.shape) * kernel).sum((2, 3))


def naive_bands(image):
    x = (0.299 * image[:, :, 0] + 0.587 * image[:, :, 1] + 0.114 * image[:, :, 2]) / 255
    for sigma, neighbours in zip(SIGMAS, FILTERS, strict=True):
        band, smaller = x, None
        if sigma != SIGMAS[-1]:
            smaller = convolved(np.pad(x, 2, "symmetric"), LOW_PASS)[::2, ::2]
            wide = np.pad(smaller, 1, "edge")
            spread = np.zeros([2 * side for side in wide.shape])
            spread[::2, ::2] = 4 * wide
            band = x - convolved(np.pad(spread, 2), LOW_PASS)[2 : 2 + x.shape[0], 2 : 2 + x.shape[1]]
        yield band / (sigma + convolved(np.pad(np.abs(band), 1), neighbours))
        x = smaller


@pytest.mark.parametrize("size", [(64, 96), (67, 45), (9, 170)])
def test_against_a_naive_one(photograph, size):
    image = photograph[100 : 100 + size[0], 150 : 150 + size[1]]
    noise = np.random.default_rng(7).normal(0, 9, image.shape)
    decoded = (image + noise).clip(0, 255).astype(np.uint8)
    bands = zip(naive_bands(image), naive_bands(decoded), strict=True)
    expected = np.mean([np.sqrt(np.mean((a - b) ** 2)) for a, b in bands])
    assert 0.05 < expected < 0.5
    assert nlpd(image, decoded) == pytest.approx(expected, rel=1e-9)


def test_equal_images(photograph):
    assert nlpd(photograph, photograph) == 0


def test_one_pixel():
    """Only the coarsest band differs from 0, and has no neighbours: 1 / 0.2782 apart, averaged over six scales."""
    black, white = np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)
    assert nlpd(black, white) == pytest.approx(1 / 0.2782 / 6)


def test_more_noise_is_farther(photograph):
    noise = np.random.default_rng(3).normal(0, 1, photograph.shape)
    near, far = ((photograph + s * noise).clip(0, 255).astype(np.uint8) for s in (3, 6))
    assert 0 < nlpd(photograph, near) < nlpd(photograph, far)


def test_errors(photograph):
    with pytest.raises(InvalidArgumentError, match="different sizes"):
        nlpd(photograph, photograph[1:])
