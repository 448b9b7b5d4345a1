"""The latents alone and together, and the bits that they cost."""

import dataclasses

import numpy as np
import pytest

import treenet_fast
from synthetic import synthetic_image, synthetic_integer_model
from treenet_fast import models
from treenet_fast.errors import InvalidArgumentError, UnsupportedImageError
from treenet_fast.evaluation.latents import rate_map, study
from treenet_fast.reference.api import codec
from treenet_fast.reference.container import read_stream, split_payload
from treenet_fast.reference.leb128 import leb128
from treenet_fast.reference.rate import LatentBits, coded_bits
from treenet_fast.reference.segments import SEGMENT_POSITIONS


@pytest.fixture(scope="module")
def studied(thumbnail):
    return study(thumbnail, 80, "mse")


def test_all_latents_together_are_the_decoded_image(studied, thumbnail):
    assert studied.stream == treenet_fast.compress(thumbnail, 80, model="mse")
    decoded = treenet_fast.decompress(studied.stream, "numpy", model="mse")
    assert len(studied.accumulative) == 4
    np.testing.assert_array_equal(studied.accumulative[3], decoded)


def native_image(stream, kept):
    """What the native codec makes of some latents alone.

    The smallest gain that SPEC §9 allows, 2^-40, takes every value of a latent to zero (§6).
    """
    model = models.load("mse")
    gain = model.tensors["gain.decode"].copy()
    for b in set(range(4)) - set(kept):
        gain[:, 32 * b : 32 * (b + 1)] = 2.0**-40
    model = dataclasses.replace(model, tensors={**model.tensors, "gain.decode": gain})
    return treenet_fast.Codec(model).decompress(stream, "numpy")


@pytest.mark.parametrize("b", range(4))
def test_one_latent_alone(studied, b):
    np.testing.assert_array_equal(studied.selective[b], native_image(studied.stream, {b}))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_first_latents_together(studied, count):
    np.testing.assert_array_equal(studied.accumulative[count - 1], native_image(studied.stream, set(range(count))))


def test_the_studied_latents_all_show(studied):
    """Else the two tests above would hold for any choice of latents."""
    images = [*studied.selective, *studied.accumulative[1:]]
    assert len({image.tobytes() for image in images}) == 7


def test_bad_input(thumbnail):
    with pytest.raises(InvalidArgumentError, match="quality is 101"):
        study(thumbnail, 101)
    with pytest.raises(UnsupportedImageError):
        study(thumbnail.astype(np.int32), 50)


def tall_image():
    """Its latents are 1 wide and 520 high: two segments, the first of several lanes."""
    return synthetic_image(8320, 10)


@pytest.mark.parametrize(
    ("image", "quality", "model"),
    [
        ("photograph", 1, "ms-ssim"),
        ("photograph", 50, "mse"),
        ("photograph", 100, "ms-ssim"),
        ("thumbnail", 60, "ms-ssim"),
        (synthetic_image(1, 1), 100, "mse"),
        (synthetic_image(70, 130), 30, synthetic_integer_model()),  # nearly every other symbol is an escape
        pytest.param(tall_image(), 90, "mse", id="two segments"),
    ],
)
def test_the_maps_sum_to_the_payload(request, image, quality, model):
    """Up to what the coder adds to the symbols' cost (SPEC §7.3, §8).

    Each segment but the last has its length in the payload, and each segment a byte for its number of lanes. A lane's
    state of 32 bits lies in 2^16..2^32; it stands for the symbols' bits in it, but began as a check state in
    2^16..2^17: 16 to 33 bits of it are no symbol's.

    A lane's state x is rounded at each symbol, to ⌊x/f⌋ times 2^16 and a rest: the error is up or down, in bits at most
    the symbol's own cost divided by ⌊x/f⌋, which lies in 1..2^16, evenly in its logarithm. As errors of both signs
    cancel, one part in 2^8 is allowed, the middle of that range; and a byte for images of a few symbols.
    """
    pixels = request.getfixturevalue(image) if isinstance(image, str) else image
    model = models.resolve(model)
    coder = codec(model)
    height, width, _ = pixels.shape
    trace = coder.trace_encode(pixels, quality)
    bits = sum(rate_map(latent).sum() for latent in coded_bits(trace, model))

    _, payload = read_stream(coder.write(trace, height, width, quality, False), height * width)
    hyper_rows, hyper_columns = trace["Z.0"].shape[:2]
    segments = split_payload(payload, -(-hyper_rows // (SEGMENT_POSITIONS // hyper_columns)))
    lanes = sum(1 << segment[0] for segment in segments)
    besides = 8 * (len(segments) + sum(len(leb128(len(segment))) for segment in segments[:-1]))
    rounding = bits / 2**8 + 8
    assert 16 * lanes - rounding <= 8 * len(payload) - bits - besides <= 33 * lanes + rounding


def test_a_hyper_latent_is_spread_over_what_is_beneath_it():
    """Latents of 5x6 positions: beneath the hyper-latents' corner at the bottom right are two."""
    hyper_latent = np.zeros((2, 2, 32))
    hyper_latent[0, 0, 7] = 16
    hyper_latent[1, 0, :2] = 2
    hyper_latent[1, 1, 31] = 10
    latent = np.zeros((5, 6, 32))
    latent[2, 3, 4:6] = 0.5
    expected = np.zeros((5, 6))
    expected[:4, :4] = 1
    expected[4, :4] = 1
    expected[4, 4:] = 5
    expected[2, 3] += 1
    np.testing.assert_array_equal(rate_map(LatentBits(latent, hyper_latent)), expected)
