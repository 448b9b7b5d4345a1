"""Ranges, weights and tables, each by itself."""

import numpy as np
import pytest
import torch

from treenet_fast.quantise.convolutions import IntegerConvolution
from treenet_fast.quantise.entropy import make_table
from treenet_fast.quantise.formats import FixedFormat
from treenet_fast.quantise.ranges import s16_channel_ranges, s16_range, u8_range


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_u8_range_clips_nothing(random):
    samples = random.normal(size=(5, 1000)) * np.array([[0.1], [1.0], [7.0], [100.0], [0.0]]) + 0.2
    found = u8_range(samples, np.ones(5))
    integers = samples / found.scale[:, None] + found.zero_point
    assert 0 <= found.zero_point <= 255
    assert integers.min() > -1e-6
    assert integers.max() < 255 + 1e-6


def test_u8_range_gives_each_channel_its_own_step(random):
    samples = random.normal(size=(2, 1000)) * np.array([[1.0], [100.0]])
    found = u8_range(samples, np.ones(2))
    assert found.scale[1] / found.scale[0] == pytest.approx(100, rel=0.3)


def test_u8_range_of_positive_values_starts_at_zero(random):
    assert u8_range(random.random((3, 100)), np.ones(3)).zero_point == 0


def test_s16_range_leaves_headroom(random):
    samples = random.normal(size=(4, 100))
    found = s16_range(samples, headroom=4.0)
    assert np.abs(samples).max() / found.scale[0] == pytest.approx(32767 / 4)


def test_s16_channel_ranges_leave_headroom(random):
    samples = random.normal(size=(2, 100)) * np.array([[1.0], [100.0]])
    found = s16_channel_ranges(samples, headroom=4.0)
    np.testing.assert_allclose(np.abs(samples).max(axis=1) / found.scale, 32767 / 4)


def test_convolution_on_integers():
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(3, 6, 3)
    with torch.no_grad():
        layer.weight[5] = 0
    input_scale, offset = torch.rand(3) + 0.1, 0.25
    convolution = IntegerConvolution(layer, FixedFormat(input_scale.tolist(), offset))
    convolution.fit_rows()
    with torch.no_grad():
        integers = convolution.integers()
    assert float(integers.weight.abs().max()) == 127
    assert bool((integers.weight.frac() == 0).all())
    assert bool((integers.bias.frac() == 0).all())
    x = torch.randint(-128, 128, (1, 3, 3, 3)).float()
    real = input_scale[:, None, None] * x + offset
    acc = torch.nn.functional.conv2d(x, integers.weight, integers.bias)
    expected = layer(real).detach()
    found = acc * integers.scale[:, None, None]
    torch.testing.assert_close(found, expected, atol=0.02 * float(expected.abs().max()), rtol=0)


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
