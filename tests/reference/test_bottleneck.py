"""The reference's bottlenecks (SPEC §5)."""

import numpy as np
import pytest
import torch

import naive
from synthetic import synthetic_model
from treenet_fast.reference import bottleneck
from treenet_fast.reference.arithmetic import Model
from treenet_fast.reference.bottleneck import Parameters


@pytest.fixture(scope="module")
def tensors() -> naive.Tensors:
    return synthetic_model(0)


@pytest.fixture(scope="module")
def model(tensors: naive.Tensors) -> Model:
    return {name: torch.tensor(array) for name, array in tensors.items()}


def random_s16(*shape: int, reach: int = 32768) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape) + reach)
    return torch.randint(-reach, reach, shape, generator=generator).to(torch.int16)


def naive_layer(
    tensors: naive.Tensors, name: str, a: naive.Activation, last: bool, stride: int = 1
) -> naive.Activation:
    accumulators = naive.convolution(tensors, name, a, 0, stride)
    return (naive.requantise if last else naive.requantise_leaky)(tensors, name, accumulators, naive.S16)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 5)])
def test_hyper_analysis(tensors: naive.Tensors, model: Model, height: int, width: int) -> None:
    latent = random_s16(32, height, width)
    expected = latent.tolist()
    for layer, stride in enumerate((1, 1, 2, 1, 2)):
        expected = naive_layer(tensors, f"bottleneck.3.hyper_analysis.{layer}", expected, layer == 4, stride)
    result = bottleneck.hyper_analysis(model, 3, latent)
    assert result.shape == (32, -(-height // 4), -(-width // 4))
    assert result.tolist() == expected


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 3)])
def test_hyper_synthesis(tensors: naive.Tensors, model: Model, height: int, width: int) -> None:
    hyper_latent = random_s16(32, 1, 1, reach=40)
    expected = hyper_latent.tolist()
    for layer in range(5):
        expected = naive_layer(tensors, f"bottleneck.1.hyper_synthesis.{layer}", expected, layer == 4)
        if layer in (1, 3):
            expected = naive.shuffle(expected)
    cropped = [[row[:width] for row in plane[:height]] for plane in expected]
    assert bottleneck.hyper_synthesis(model, 1, hyper_latent, height, width).tolist() == cropped


def test_anchors() -> None:
    expected = [[(i + j) % 2 == 0 for j in range(3)] for i in range(4)]
    assert bottleneck.anchors((4, 3), torch.device("cpu")).tolist() == expected


def test_context_is_zero_at_anchors_and_sees_anchors_only(tensors: naive.Tensors, model: Model) -> None:
    decoded = random_s16(32, 4, 5)
    result = bottleneck.context(model, 2, decoded)
    anchors = bottleneck.anchors((4, 5), decoded.device)
    assert not result[:, anchors].any()
    name = "bottleneck.2.context"
    full = naive.requantise(tensors, name, naive.convolution(tensors, name, decoded.tolist(), 0), naive.S16)
    assert torch.equal(result[:, ~anchors], torch.tensor(full, dtype=torch.int16)[:, ~anchors])
    others_changed = torch.where(anchors, decoded, random_s16(32, 4, 5, reach=99))
    assert torch.equal(bottleneck.context(model, 2, others_changed), result)
    anchors_changed = torch.where(anchors, random_s16(32, 4, 5, reach=99), decoded)
    assert not torch.equal(bottleneck.context(model, 2, anchors_changed), result)


def test_entropy_parameters(tensors: naive.Tensors, model: Model) -> None:
    psi, context = random_s16(64, 3, 2), random_s16(64, 3, 2, reach=9000)
    a = psi.tolist() + context.tolist()
    name = "bottleneck.0.entropy_parameters"
    for layer in range(2):
        a = naive_layer(tensors, f"{name}.{layer}", a, last=False)
    values = naive.dequantise(tensors, f"{name}.2", naive.convolution(tensors, f"{name}.2", a, 0))
    rounded = naive.map_channels(lambda _, value: naive.rne(value), values)
    mean = naive.map_channels(lambda _, value: naive.clamp(value, -32768, 32767), rounded[:32])
    scale = naive.map_channels(lambda _, value: naive.clamp(value, 0, 32767), rounded[32:])
    thresholds = tensors["entropy.threshold"].tolist()
    index = naive.map_channels(lambda _, value: sum(threshold <= value for threshold in thresholds), scale)
    result = bottleneck.entropy_parameters(model, 0, psi, context)
    assert result.mean.tolist() == mean
    assert result.scale.tolist() == scale
    assert result.index.tolist() == index
    assert len(np.unique(result.index)) > 10


def test_anchor_parameters_are_those_of_a_zero_context(model: Model) -> None:
    psi, context = random_s16(64, 4, 4), random_s16(64, 4, 4)
    anchors = bottleneck.anchors((4, 4), psi.device)
    first = bottleneck.anchor_parameters(model, 0, psi)
    second = bottleneck.entropy_parameters(model, 0, psi, context.masked_fill(anchors, 0))
    for name in ("mean", "scale", "index"):
        assert torch.equal(getattr(first, name)[:, anchors], getattr(second, name)[:, anchors])
    assert not torch.equal(first.mean, second.mean)


def test_symbols_and_decoded_latent(model: Model) -> None:
    extremes = [-32768, -32767, -97, -96, -33, -32, -31, 0, 31, 32, 33, 95, 96, 32766, 32767]
    pairs = torch.tensor([(y, m) for y in extremes for m in extremes], dtype=torch.int16)
    latent, mean = pairs[:, 0], pairs[:, 1]
    skip = int(model["entropy.skip"])
    for index in (0, skip - 1, skip, 63):
        parameters = Parameters(mean, torch.zeros_like(mean), torch.full(mean.shape, index, dtype=torch.uint8))
        symbols = bottleneck.symbols(model, latent, parameters)
        expected = [(y - m + 32) // 64 if index >= skip else 0 for y, m in pairs.tolist()]
        assert symbols.tolist() == expected
        decoded = [max(-32768, min(32767, 64 * s + m)) for s, (_, m) in zip(expected, pairs.tolist(), strict=True)]
        assert bottleneck.decoded_latent(symbols, parameters).tolist() == decoded
