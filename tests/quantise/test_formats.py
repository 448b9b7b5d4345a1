"""Formats, weights and tables, each by itself."""

import numpy as np
import pytest

from treenet_fast.quantise.convolutions import quantise_convolution
from treenet_fast.quantise.entropy import make_table
from treenet_fast.quantise.formats import s16_format, u8_format


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_u8_format_clips_nothing(random):
    samples = random.normal(size=(5, 1000)) * np.array([[0.1], [1.0], [7.0], [100.0], [0.0]]) + 0.2
    form = u8_format(samples, np.ones(5))
    integers = samples / form.scale[:, None] + form.zero_point
    assert 0 <= form.zero_point <= 255
    assert integers.min() > -1e-6
    assert integers.max() < 255 + 1e-6


def test_u8_format_gives_each_channel_its_own_step(random):
    samples = random.normal(size=(2, 1000)) * np.array([[1.0], [100.0]])
    form = u8_format(samples, np.ones(2))
    assert form.scale[1] / form.scale[0] == pytest.approx(100, rel=0.3)


def test_u8_format_of_positive_values_starts_at_zero(random):
    assert u8_format(random.random((3, 100)), np.ones(3)).zero_point == 0


def test_s16_format_leaves_headroom(random):
    samples = random.normal(size=(4, 100))
    form = s16_format(samples, headroom=4.0)
    assert np.abs(samples).max() / form.scale[0] == pytest.approx(32767 / 4)


def test_convolution_on_integers(random):
    weight, bias = random.normal(size=(6, 3, 3, 3)), random.normal(size=6)
    weight[5] = 0
    input_scale, offset, integers = random.random(3) + 0.1, 0.25, random.integers(-128, 128, (3, 3, 3))
    convolution = quantise_convolution(weight, bias, input_scale, offset)
    assert convolution.weight.dtype == np.int8
    assert convolution.bias.dtype == np.int32
    acc = convolution.bias + np.einsum("oiuv,iuv->o", convolution.weight.astype(np.int64), integers)
    real = input_scale[:, None, None] * integers + offset
    expected = bias + np.einsum("oiuv,iuv->o", weight, real)
    np.testing.assert_allclose(acc * convolution.scale, expected, atol=0.02 * np.abs(expected).max())


def test_table_is_in_proportion(random):
    probability = random.random(50) + 0.1
    probability *= 0.99 / probability.sum()
    offset, frequency = make_table(-20, probability)
    assert offset == -20
    assert frequency.sum() == 65536
    assert len(frequency) == 51
    np.testing.assert_allclose(frequency / 65536, np.append(probability, 0.01), atol=51 / 65536)


def test_table_leaves_out_what_is_too_rare():
    probability = np.array([1e-9, 1e-4, 0.5, 0.4, 1e-9, 0.0, 1e-9])
    offset, frequency = make_table(10, probability)
    assert offset == 11
    assert len(frequency) == 4
    assert frequency.min() >= 32
    assert frequency.sum() == 65536


def test_table_of_a_certain_value():
    offset, frequency = make_table(-1, np.array([0.0, 1.0, 0.0]))
    assert (offset, frequency.tolist()) == (0, [65504, 32])


def test_table_holds_255_values_at_most():
    offset, frequency = make_table(-500, np.full(1001, 1 / 1001))
    assert len(frequency) == 256
    assert -500 <= offset <= 500 - 254
    assert frequency.sum() == 65536
