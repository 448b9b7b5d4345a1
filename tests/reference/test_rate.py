"""The information content that streams are measured against."""

import itertools
import math

import numpy as np
import pytest
import torch

from synthetic import synthetic_image, synthetic_integer_model
from treenet_fast import models, reference
from treenet_fast.model_file import IntegerModel
from treenet_fast.reference.rate import coded_bits, gaussian_bits, symbol_bits


@pytest.mark.parametrize(
    ("deviation", "symbol"), [*itertools.product([0.5, 3.0, 100.0], [-7, -1, 0, 1, 2]), (0.11, 0), (0.11, -1)]
)
def test_gaussian_bits_near_the_mean(deviation: float, symbol: int) -> None:
    low, high = ((symbol + side) / (deviation * math.sqrt(2)) for side in (-0.5, 0.5))
    # A difference of complements keeps its precision in a tail.
    probability = (math.erfc(low) - math.erfc(high)) / 2 if low > 0 else (math.erfc(-high) - math.erfc(-low)) / 2
    bits = gaussian_bits(torch.tensor([symbol]), torch.tensor([256 * deviation])).item()
    assert bits == pytest.approx(-math.log2(probability), rel=1e-9)


def test_gaussian_bits_far_from_the_mean() -> None:
    """About the exponent of the density at the near edge: finite where the probability itself underflows."""
    bits = gaussian_bits(torch.tensor([-1000, 1000]), torch.tensor([256, 256]))
    assert bits[0] == bits[1]
    assert bits[0].item() == pytest.approx(999.5**2 / 2 / math.log(2), rel=1e-4)


def test_gaussian_bits_have_a_smallest_deviation() -> None:
    symbols = torch.tensor([0, 1])
    assert torch.equal(gaussian_bits(symbols, torch.tensor([0, 0])), gaussian_bits(symbols, torch.tensor([5, 5])))


def trace_of(model: IntegerModel, z: int) -> dict[str, torch.Tensor]:
    """One position, all latents skipped, all hyper-latents ``z``."""
    trace = {f"Z.{b}": torch.full((1, 1, 32), z, dtype=torch.int16) for b in range(4)}
    for name in ("S", "index", "scale"):
        trace |= {f"{name}.{b}": torch.zeros(1, 1, 32, dtype=torch.int16) for b in range(4)}
    return trace


def test_hyper_latents_cost_their_frequency() -> None:
    model = synthetic_integer_model(0)
    offset, count = (model.tensors[f"entropy.prior.{name}"] for name in ("offset", "count"))
    frequency = model.tensors["entropy.prior.frequency"].astype(np.float64) / 65536
    z = 3
    expected = 0.0
    for i in range(128):
        k = z - int(offset[i])
        if 0 <= k < count[i]:
            expected -= math.log2(frequency[i, k])
        else:  # all of these escapes fit a byte
            expected += 8 - math.log2(frequency[i, count[i]])
            assert 0 <= k - count[i] < 64 or 0 < -k <= 64
    assert reference.information_content(trace_of(model, z), model) == pytest.approx(expected)


def test_symbols_cost_their_tables_frequency() -> None:
    """At both ends of a table, and beyond them by 1, and by as much as an escape of two bytes has."""
    model = synthetic_integer_model(0)
    index = 40
    offset, count = (int(model.tensors[f"entropy.gaussian.{name}"][index]) for name in ("offset", "count"))
    frequency = model.tensors["entropy.gaussian.frequency"][index]
    first, last, escape = (16 - math.log2(frequency[k]) for k in (0, count - 1, count))
    end = offset + count
    symbols = torch.tensor([[offset, end - 1, offset - 1], [end, offset - 65, end + 64]])
    bits = symbol_bits(symbols, torch.tensor(index), model)
    assert bits == pytest.approx(np.array([[first, last, escape + 8], [escape + 8, escape + 16, escape + 16]]))


def test_skipped_symbols_cost_nothing() -> None:
    model = synthetic_integer_model(0)
    skip = int(model.tensors["entropy.skip"][0])
    assert skip > 0
    trace = trace_of(model, 3)
    trace["index.2"][0, 0, 5:7] = torch.tensor([skip - 1, skip])
    bits = coded_bits(trace, model)
    table = model.tensors["entropy.gaussian.frequency"][skip], model.tensors["entropy.gaussian.offset"][skip]
    cost = 16 - math.log2(table[0][-table[1]])  # of a zero
    for b, latent in enumerate(bits):
        expected = np.zeros((1, 1, 32))
        expected[0, 0, 6] = cost if b == 2 else 0
        assert latent.latent == pytest.approx(expected)
    assert sum(float(latent.hyper_latent.sum()) for latent in bits) == pytest.approx(
        reference.information_content(trace_of(model, 3), model)
    )


def test_streams_of_the_shipped_model_are_near_their_information_content() -> None:
    model = models.load()
    image = synthetic_image(256, 384)
    size, ideal = 0, 0.0
    for quality in (5, 50, 95):
        size += len(reference.compress(image, quality, model=model))
        ideal += reference.information_content(reference.trace_encode(image, quality, model=model), model) / 8
    assert ideal < size < 1.01 * ideal + 3 * 40
