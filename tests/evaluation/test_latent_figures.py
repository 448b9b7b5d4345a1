"""What the figures of the latent studies show."""

import numpy as np
import pytest

from treenet_fast.evaluation.latent_figures import propagation_figure, rate_figure
from treenet_fast.evaluation.latents import LatentStudy, rate_map
from treenet_fast.evaluation.metrics import psnr
from treenet_fast.reference.rate import LatentBits


@pytest.fixture
def study(thumbnail):
    """Of made-up images and bits; the latents of 50x37 pixels have 4x3 positions."""
    random = np.random.default_rng(0)
    bits = [LatentBits(b * random.random((3, 4, 32)), random.random((1, 1, 32))) for b in range(1, 5)]
    images = [thumbnail // (b + 2) for b in range(8)]
    return LatentStudy(thumbnail, bytes(100), images[:4], images[4:], bits)


def test_propagation(study):
    axes = propagation_figure(study).axes
    shown = [ax.images[0].get_array() for ax in axes]
    np.testing.assert_array_equal(shown, study.selective + study.accumulative)
    assert axes[1].get_title() == "y2 alone"
    assert axes[6].get_title() == f"y1 to y3: {psnr(study.image, study.accumulative[2]):.2f} dB"


def test_rates(study):
    figure = rate_figure(study)
    figure.draw_without_rendering()  # where the colour bar gets its ticks
    image, *maps, bar = figure.axes
    np.testing.assert_array_equal(image.images[0].get_array(), study.image)
    assert image.get_title() == f"50x37, {800 / (50 * 37):.3f} bpp"
    largest = max(rate_map(bits).max() for bits in study.bits) / 256
    for b, ax in enumerate(maps):
        shown = ax.images[0]
        np.testing.assert_array_equal(shown.get_array(), rate_map(study.bits[b]) / 256)
        assert shown.get_clim() == (0, largest)
        assert shown.get_interpolation() == "nearest"
        assert shown.get_extent() == [0, 64, 48, 0]  # a position is over its 16x16 pixels
        assert (ax.get_xlim(), ax.get_ylim()) == ((0, 50), (37, 0))
        assert ax.get_title() == f"y{b + 1}: {study.bits[b].sum() / (50 * 37):.3f} bpp"
    assert bar.get_ylabel() == "bits per pixel"
    assert bar.get_ylim() == (0, largest)
