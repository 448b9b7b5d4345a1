"""Each step of the reference's arithmetic against exact rational arithmetic (SPEC §1, §2)."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

import naive
from synthetic import synthetic_model
from treenet_fast.reference import analysis, arithmetic, fusion, synthesis


@pytest.fixture(scope="module")
def tensors() -> naive.Tensors:
    return synthetic_model(0)


@pytest.fixture(scope="module")
def model(tensors: naive.Tensors) -> arithmetic.Model:
    return {name: torch.tensor(array) for name, array in tensors.items()}


def activation(*shape: int, dtype: torch.dtype = torch.uint8, seed: int = 0) -> torch.Tensor:
    low, high = arithmetic.LIMITS[dtype]
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high + 1, shape, generator=generator).to(dtype)


def fractions(values: torch.Tensor) -> list[Any]:
    """Nested lists of the exact values of a float tensor ``[c, h, w]``."""
    return [[[Fraction(value) for value in row] for row in plane] for plane in values.tolist()]


@pytest.mark.parametrize(
    ("integer", "expected"),
    [
        (2**24 + 1, 2**24),
        (2**24 + 3, 2**24 + 4),
        (-(2**24) - 1, -(2**24)),
        (2**31 - 1, 2**31),
        (2**30 + 65, 2**30 + 128),
    ],
)
def test_to_float_rounds_once_to_even(integer: int, expected: int) -> None:
    assert arithmetic.to_float(torch.tensor([integer], dtype=torch.int32)).item() == expected
    assert naive.f32(integer) == expected


def test_float_operations_are_correctly_rounded() -> None:
    """PyTorch's vectorised operations, over many exponents: against NumPy's, and some of them against exact ones."""
    random = np.random.default_rng(0)
    size = 1 << 18
    a = (random.uniform(1, 2, size) * 2.0 ** random.integers(-30, 40, size)).astype(np.float32)
    b = (random.uniform(1, 2, size) * 2.0 ** random.integers(-10, 31, size)).astype(np.float32)
    whole = np.rint(b.clip(1)).astype(np.float32)
    integers = random.integers(-(2**31) + 1, 2**31, size).astype(np.int32)
    x, y, n, i = (torch.from_numpy(values) for values in (a, b, whole, integers))
    pairs = [
        (x * y, a * b, [Fraction(float(p)) * Fraction(float(q)) for p, q in zip(a[:500], b, strict=False)]),
        (x / y, a / b, [Fraction(float(p)) / Fraction(float(q)) for p, q in zip(a[:500], b, strict=False)]),
        (x - y, a - b, [Fraction(float(p)) - Fraction(float(q)) for p, q in zip(a[:500], b, strict=False)]),
        (arithmetic.square_root(n), np.sqrt(whole), [naive.f32_sqrt(Fraction(float(p))) for p in whole[:500]]),
        (arithmetic.to_float(i), integers.astype(np.float32), integers[:500].tolist()),
    ]
    for torchs, numpys, exact in pairs:
        assert np.array_equal(torchs.numpy(), numpys)
        assert [Fraction(value) for value in torchs[:500].tolist()] == [naive.f32(value) for value in exact]
    halves = torch.from_numpy(integers[:4096].astype(np.float32) / 2**20 // 1 / 2)
    assert halves.round().tolist() == [round(value) for value in halves.tolist()]


def test_round_and_clamp() -> None:
    values = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 2.0**67, -(2.0**67), 127.4, 127.5])
    assert arithmetic.round_and_clamp(values, 0, 255, 128).tolist() == [128, 130, 130, 128, 126, 255, 0, 255, 255]
    assert arithmetic.round_and_clamp(values, -32768, 32767).tolist() == [0, 2, 2, 0, -2, 32767, -32768, 127, 128]


def test_leak_is_the_specified_float() -> None:
    assert arithmetic._LEAK.view(torch.int32).item() == 0x3C23D70A


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4)])
@pytest.mark.parametrize("name", ["analysis.level1.0.conv1", "analysis.level1.0.skip", "bottleneck.0.context"])
def test_convolution(
    tensors: naive.Tensors, model: arithmetic.Model, name: str, size: tuple[int, int], stride: int
) -> None:
    a = activation(32, *size)
    expected = naive.convolution(tensors, name, a.tolist(), 77, stride)
    assert arithmetic.convolution(model, name, a, 77, stride).tolist() == expected


def test_convolution_in_bands(model: arithmetic.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    a = activation(32, 23, 9, dtype=torch.int16)
    for stride in (1, 2):
        whole = arithmetic.convolution(model, "bottleneck.0.context", a, stride=stride)
        with monkeypatch.context() as patch:
            patch.setattr(arithmetic, "_BAND_VALUES", 3 * 9 * 32 * 25)
            assert torch.equal(arithmetic.convolution(model, "bottleneck.0.context", a, stride=stride), whole)


def test_convolution_at_the_limits_of_s32() -> None:
    """The largest sums that SPEC §9 admits are exact, in whatever order they are added."""
    values = torch.full((48, 3, 3), -32768, dtype=torch.int32)
    weight = torch.full((2, 48, 3, 3), -128, dtype=torch.int8)
    weight[1] = 127
    bias = torch.tensor([2**31 - 1 - 48 * 9 * 128 * 32768, 5], dtype=torch.int32)
    assert arithmetic.accumulate(values, weight, bias)[:, 1, 1].tolist() == [2**31 - 1, 5 - 48 * 9 * 127 * 32768]


def test_requantise(tensors: naive.Tensors, model: arithmetic.Model) -> None:
    name = "bottleneck.1.hyper_synthesis.2"
    sums = activation(48, 4, 5, dtype=torch.int16, seed=1).to(torch.int32) * 40000
    sums[:, 0, 0] = 0
    for dtype, limits in ((torch.uint8, naive.U8), (torch.int16, naive.S16)):
        expected = naive.requantise(tensors, name, sums.tolist(), limits)
        assert arithmetic.requantise(model, name, sums, dtype).tolist() == expected
        z = 31 if dtype == torch.uint8 else 0
        expected = naive.requantise_leaky(tensors, name, sums.tolist(), limits, z)
        assert arithmetic.requantise_leaky(model, name, sums, dtype, z).tolist() == expected


def test_shuffle() -> None:
    planes = torch.arange(8 * 2 * 3).reshape(8, 2, 3)
    assert arithmetic.shuffle(planes).tolist() == naive.shuffle(planes.tolist())


@pytest.mark.parametrize("inverse", [False, True])
def test_gdn(tensors: naive.Tensors, model: arithmetic.Model, inverse: bool) -> None:
    sums = activation(32, 3, 4, dtype=torch.int16, seed=2).to(torch.int32) * 9
    sums[:, 0, 0] = 0
    name, function = (
        ("synthesis.level1.0.igdn", arithmetic.inverse_gdn) if inverse else ("analysis.level1.0.gdn", arithmetic.gdn)
    )
    assert fractions(function(model, name, sums)) == naive.gdn(tensors, name, sums.tolist(), inverse)


@pytest.mark.parametrize(
    ("name", "channels", "zero_point", "source"),
    [
        ("analysis.level0.0", 3, 128, torch.uint8),
        ("analysis.level2.3", 32, 0, torch.int16),
        ("analysis.level3.5", 32, 0, torch.int16),
    ],
)
def test_residual_down(
    tensors: naive.Tensors, model: arithmetic.Model, name: str, channels: int, zero_point: int, source: torch.dtype
) -> None:
    a = activation(channels, 3, 4, dtype=source)
    expected = naive.residual_down(tensors, name, a.tolist(), zero_point)
    result = analysis.residual_down(model, name, a, zero_point)
    assert result.dtype == torch.int16
    assert result.tolist() == expected


@pytest.mark.parametrize(
    ("name", "zero_point", "source", "dtype", "zero_point_out"),
    [
        ("synthesis.level0.2", 0, torch.int16, torch.int16, 0),
        ("synthesis.level2.1", 0, torch.int16, torch.uint8, 77),
        ("synthesis.level3.0", 9, torch.uint8, torch.int16, 0),
    ],
)
def test_residual_up(
    tensors: naive.Tensors,
    model: arithmetic.Model,
    name: str,
    zero_point: int,
    source: torch.dtype,
    dtype: torch.dtype,
    zero_point_out: int,
) -> None:
    a = activation(32, 2, 1, dtype=source)
    expected = naive.residual_up(tensors, name, a.tolist(), zero_point, arithmetic.LIMITS[dtype], zero_point_out)
    result = synthesis.residual_up(model, name, a, zero_point, dtype, zero_point_out)
    assert result.dtype == dtype
    assert result.tolist() == expected


@pytest.mark.parametrize(
    ("name", "zero_point", "dtype"),
    [
        ("analysis.fusion.2", 0, torch.int16),
        ("synthesis.fusion0.2", 0, torch.int16),
        ("synthesis.fusion2.0", 140, torch.uint8),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_fusion(
    tensors: naive.Tensors,
    model: arithmetic.Model,
    name: str,
    zero_point: int,
    dtype: torch.dtype,
    size: tuple[int, int],
) -> None:
    x, y = activation(32, *size, dtype=dtype, seed=3), activation(32, *size, dtype=dtype, seed=4)
    bits = 6 if dtype == torch.uint8 else 0
    expected = naive.fuse(tensors, name, x.tolist(), y.tolist(), zero_point, bits)
    result = fusion.fuse(model, name, x, y, zero_point)
    assert result.dtype == dtype
    assert result.tolist() == expected


def test_mean_rounds_towards_the_nearest_and_sums_are_wide(tensors: naive.Tensors, model: arithmetic.Model) -> None:
    """More than 2^31 in a sum, of either sign, and a mean that is no integer."""
    p = torch.full((32, 260, 260), 65535, dtype=torch.int32)
    p[::2] = -65535
    p[:, 0, 0] = 1
    everywhere = fusion.attention(model, "analysis.fusion.0.first", p, 0)
    n = 260 * 260
    mean = [(2 * int(plane.sum(dtype=torch.int64)) + n) // (2 * n) for plane in p]
    assert abs(int(p[0].sum(dtype=torch.int64))) > 2**31
    # The same attention on one position that is this mean, but for the branch that sees positions.
    one = torch.tensor(mean, dtype=torch.int32)[:, None, None]
    one_everywhere = fusion.attention(model, "analysis.fusion.0.first", one, 0)
    assert mean == one.flatten().tolist()
    assert torch.equal(everywhere[:, 5, 5], one_everywhere[:, 0, 0])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (16, 32), (17, 5)])
def test_extend(height: int, width: int) -> None:
    image = activation(3, height, width)
    extended = analysis.extend(image)
    rows = np.minimum(np.arange(-(-height // 16) * 16), height - 1)
    columns = np.minimum(np.arange(-(-width // 16) * 16), width - 1)
    assert np.array_equal(extended.numpy(), image.numpy()[:, rows][:, :, columns])
