"""Speed of the entropy coder by itself, with another table at every symbol.

    pytest benchmarks/bench_rans.py

`extra_info` has symbols a second (of the median run) and bits a symbol.
"""

import numpy as np
import pytest

from treenet_fast import rans

SCALES = np.geomspace(0.11, 64, 64)
"""Standard deviations of the tables: the range that the codec's latents have."""

SIZES = {"thumbnail": 2_000, "kodak": 200_000, "segment": 1_000_000}


@pytest.fixture(scope="module")
def tables():
    rows, offsets = [], []
    for scale in SCALES:
        half = min(127, int(np.ceil(4 * scale)))
        weights = np.exp(-0.5 * (np.arange(-half, half + 1) / scale) ** 2)
        rows.append(0.9999 * weights / weights.sum())
        offsets.append(-half)
    return rans.Tables.from_probabilities(rows, offsets)


@pytest.fixture(params=SIZES.values(), ids=SIZES.keys())
def coded(request, tables):
    rng = np.random.default_rng(0)
    indices = rng.integers(64, size=request.param).astype(np.uint8)
    symbols = np.rint(rng.standard_normal(indices.size) * SCALES[indices]).astype(np.int16)
    return symbols, indices, rans.encode(symbols, indices, tables)


def record(benchmark, symbols, data):
    benchmark.extra_info["symbols"] = symbols.size
    benchmark.extra_info["bits_per_symbol"] = 8 * len(data) / symbols.size
    benchmark.extra_info["symbols_per_second"] = symbols.size / benchmark.stats.stats.median


@pytest.mark.benchmark(group="rans encode")
def test_encode(benchmark, coded, tables):
    symbols, indices, data = coded
    assert benchmark(rans.encode, symbols, indices, tables) == data
    record(benchmark, symbols, data)


@pytest.mark.benchmark(group="rans decode")
def test_decode(benchmark, coded, tables):
    symbols, indices, data = coded
    np.testing.assert_array_equal(benchmark(rans.decode, data, indices, tables), symbols)
    record(benchmark, symbols, data)
