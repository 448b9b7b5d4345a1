"""The steps' values against SPEC's formulas, and their gradients against those of the real functions."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from treenet_fast.quantise import steps
from treenet_fast.quantise.convolutions import IntegerConvolution
from treenet_fast.quantise.formats import U8, FixedFormat, LearnedFormat
from treenet_fast.quantise.ranges import Range


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def accumulators(channels=4):
    return (torch.randn(2, channels, 5, 7) * 20000).round()


def gradients(function, *inputs):
    """Of a weighted sum of the outputs, so that every position counts differently."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    out = function(*leaves)
    return torch.autograd.grad((out * torch.linspace(0.5, 1.5, out.numel()).view(out.shape)).sum(), leaves)


@pytest.mark.parametrize("leaky", [False, True])
@pytest.mark.parametrize("bounds", [(-100, 155), (0, 255)])
def test_requantise(leaky, bounds):
    acc, multiplier = accumulators(), torch.rand(4) * 0.01 + 0.005

    def real(acc, multiplier):
        x = acc * multiplier[:, None, None]
        return (F.leaky_relu(x, 0.01) if leaky else x).clamp(bounds[0] - 0.5, bounds[1] + 0.5)

    found = steps.requantise(acc, multiplier, *bounds, leaky)
    assert bool((found.frac() == 0).all())
    assert (float(found.min()), float(found.max())) == bounds or leaky
    torch.testing.assert_close(found, real(acc, multiplier), atol=0.5001, rtol=0)
    torch.testing.assert_close(
        gradients(lambda a, m: steps.requantise(a, m, *bounds, leaky), acc, multiplier),
        gradients(real, acc, multiplier),
    )


@pytest.mark.parametrize("inverse", [False, True])
def test_normalise(inverse):
    """`k` has few levels, so its gradients are near those of the real function only."""
    acc = accumulators(32).double().float()
    values = (torch.rand(32), 181 / acc.abs().amax(dim=(0, 2, 3)), torch.full((32,), 2e5), torch.rand(32, 32) * 255)

    def real(acc, numerator, magnitude, beta, gamma):
        k = acc.abs() * magnitude[:, None, None]
        root = F.conv2d(k * k, gamma[:, :, None, None], beta).sqrt()
        u = acc * numerator[:, None, None]
        return u * root if inverse else u / root

    found = gradients(lambda *x: steps.normalise(*x, inverse), acc, *values)
    for a, b in zip(found, gradients(real, acc, *values), strict=True):
        assert float((a - b).square().mean().sqrt()) < 0.02 * float(b.square().mean().sqrt())


def test_norms_that_end_teach_nothing():
    acc = torch.full((1, 32, 2, 2), 1000.0)
    values = (torch.ones(32), torch.ones(32), torch.ones(32), torch.ones(32, 32))
    to_magnitude = gradients(lambda *x: steps.normalise(*x, False), acc, *values)[2]
    assert not to_magnitude.any()


def test_attention_weight():
    logit = torch.linspace(-140, 140, 999)
    found = steps.attention_weight(logit)
    real = (256 * torch.sigmoid(logit / 16)).round()
    assert float((found - real).abs().max()) <= 2
    assert float(found.min()) == 0
    assert float(found.max()) == 256
    torch.testing.assert_close(
        gradients(steps.attention_weight, logit),
        gradients(lambda x: 256 * torch.sigmoid(x / 16), logit),
        atol=0.15,
        rtol=0,
    )


def test_sigmoid_table():
    expected = np.rint(256 / (1 + np.exp(-np.arange(128) / 16)) - 128)
    np.testing.assert_array_equal(steps.sigmoid_table().numpy(), expected)


def test_mix():
    weight = torch.randint(0, 257, (2, 3, 4, 4)).float()
    x, y = (torch.randint(-32768, 32768, weight.shape).float() for _ in range(2))
    w, a, b = (t.to(torch.int64) for t in (weight, x, y))
    assert torch.equal(steps.mix(weight, x, y), (b + ((w * (a - b) + 128) >> 8)).float())
    torch.testing.assert_close(
        gradients(steps.mix, weight, x, y), gradients(lambda w, x, y: y + w * (x - y) / 256, weight, x, y)
    )


@pytest.mark.parametrize("fraction_bits", [0, 6])
def test_mean(fraction_bits):
    p = torch.randint(-65535, 65536, (2, 3, 7, 9)).float()
    total = p.to(torch.int64).sum(dim=(2, 3))
    expected = ((total << (fraction_bits + 1)) + 63) // 126
    with steps.exact_sums():
        assert torch.equal(steps.mean(p, fraction_bits)[:, :, 0, 0], expected.float())
    (gradient,) = gradients(lambda p: steps.mean(p, fraction_bits), p)
    assert gradient[0, 0, 0, 0] == pytest.approx(0.5 * 2**fraction_bits / 63)


def test_accumulators_beyond_float32_are_rounded_once():
    x, weight = torch.full((1, 32, 3, 3), 32767.0), torch.full((1, 32, 3, 3), 127.0)
    with steps.exact_sums():
        found = steps.accumulate(x, weight, torch.tensor([3.0]))
    assert float(found[0, 0, 1, 1]) == float(np.float32(288 * 32767 * 127 + 3))


@pytest.mark.parametrize("scale", [0.005, 0.02, 0.08])
def test_gradient_of_a_learned_scale(scale):
    """Against finite differences of the error of an 8-bit format: where it clips, where it is about right, and where
    its steps are coarse."""

    def identity():
        layer = torch.nn.Conv2d(1, 1, 1)
        torch.nn.init.ones_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        return layer

    fine = FixedFormat([2.0**-12])
    form = LearnedFormat(1, U8)
    write, read = IntegerConvolution(identity(), fine, form), IntegerConvolution(identity(), form, fine)
    x = (torch.randn(1, 1, 500, 500) * 4096).round()

    def error(log_scale):
        form.set(Range(np.exp(np.array([log_scale])), 128))
        return (read.scaled(write(x)) - x).square().mean()

    start, step = np.log(scale), 0.05
    error(start).backward()
    with torch.no_grad():
        expected = float(error(start + step) - error(start - step)) / (2 * step)
    assert float(form.log_scale.grad) == pytest.approx(expected, rel=0.1)
