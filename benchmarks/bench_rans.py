"""Speed of the entropy coder by itself, with another table at every symbol, on every instruction set and beside others.

    pytest benchmarks/bench_rans.py [--image PHOTOGRAPH] [--quick]

CompressAI's coder has the same tables, and takes lists. Only that part of it is loaded, so that `pip install --no-deps
compressai` is enough: the package itself wants an older NumPy. constriction makes tables of its own, of the same
normal distributions, since it has no call that takes another table for every symbol. `extra_info` has the side, the
lanes and the bits a symbol.

`test_file` takes the symbols that a file of a picture of Kodak's size has, with the model's tables, for the share that
they have in all of compressing and of decompressing.
"""

import time
from functools import partial
from importlib import machinery, util
from pathlib import Path

import numpy as np
import pytest
from pictures import picture, size_of

import treenet_fast
from treenet_fast import _native, models, rans
from treenet_fast.frequencies import integer_frequencies

SCALES = np.geomspace(0.11, 64, 64)
"""Standard deviations of the tables: the range that the codec's latents have."""

LARGEST = 127
LANES = (1, 2, 4, 8, 16, 32)
SYMBOLS_PER_LANE = 16384  # SPEC §7.3: so many for each lane, and there is not yet another
QUALITY = 50


class Ours:
    def __init__(self, rows, offsets, isa):
        self.tables = rans.Tables.from_probabilities(rows, offsets)
        self.isa = isa

    def encode(self, symbols, indices):
        return rans.encode(symbols, indices, self.tables, isa=self.isa)

    def decode(self, data, indices):
        return rans.decode(data, indices, self.tables, isa=self.isa)

    def arguments(self, symbols, indices):
        return symbols, indices


def compressai_coder():
    package = util.find_spec("compressai")
    if package is None:
        pytest.skip("compressai is not installed")
    (library,) = Path(package.origin).parent.glob("ans.*")
    spec = util.spec_from_file_location("ans", library, loader=machinery.ExtensionFileLoader("ans", str(library)))
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class CompressAI:
    def __init__(self, rows, offsets):
        ans = compressai_coder()
        self.encoder, self.decoder = ans.RansEncoder(), ans.RansDecoder()
        frequencies = [integer_frequencies(np.append(row, 1 - row.sum())) for row in rows]
        sums = [[0, *np.cumsum(row, dtype=np.int64).tolist()] for row in frequencies]
        longest = max(map(len, sums))
        self.tables = [row + [0] * (longest - len(row)) for row in sums], [len(row) for row in sums], offsets

    def encode(self, symbols, indices):
        return self.encoder.encode_with_indexes(symbols, indices, *self.tables)

    def decode(self, data, indices):
        return self.decoder.decode_with_indexes(data, indices, *self.tables)

    def arguments(self, symbols, indices):
        return symbols.tolist(), indices.tolist()


class Constriction:
    def __init__(self, rows, offsets):
        self.stream = pytest.importorskip("constriction").stream
        self.model = self.stream.model.QuantizedGaussian(-LARGEST, LARGEST)

    def encode(self, symbols, indices):
        coder = self.stream.stack.AnsCoder()
        coder.encode_reverse(symbols, self.model, np.zeros(symbols.size), SCALES[indices])
        return coder.get_compressed().tobytes()

    def decode(self, data, indices):
        coder = self.stream.stack.AnsCoder(np.frombuffer(data, np.uint32))
        return coder.decode(self.model, np.zeros(indices.size), SCALES[indices])

    def arguments(self, symbols, indices):
        return np.clip(symbols, -LARGEST, LARGEST).astype(np.int32), indices


CODERS = {isa: lambda rows, offsets, isa=isa: Ours(rows, offsets, isa) for isa in _native.cpu_isas()}
CODERS |= {"compressai": CompressAI, "constriction": Constriction}


@pytest.fixture(scope="module", params=CODERS)
def side(request):
    return request.param


@pytest.fixture(scope="module")
def coder(side):
    rows, offsets = [], []
    for scale in SCALES:
        half = min(LARGEST, int(np.ceil(4 * scale)))
        weights = np.exp(-0.5 * (np.arange(-half, half + 1) / scale) ** 2)
        rows.append(0.9999 * weights / weights.sum())
        offsets.append(-half)
    return CODERS[side](rows, offsets)


@pytest.fixture(params=LANES, ids=lambda lanes: f"{lanes}-lanes")
def lanes(request):
    return request.param


@pytest.fixture
def case(lanes, coder):
    """Symbols and indices as the coder takes them, and their bytes."""
    rng = np.random.default_rng(0)
    indices = rng.integers(64, size=SYMBOLS_PER_LANE * lanes).astype(np.uint8)
    symbols = np.rint(rng.standard_normal(indices.size) * SCALES[indices]).astype(np.int16)
    symbols, indices = coder.arguments(symbols, indices)
    return symbols, indices, coder.encode(symbols, indices)


def record(benchmark, lanes, side, case):
    symbols, _, data = case
    if side in _native.cpu_isas():
        assert 1 << data[0] == lanes
    bits = 8 * len(data) / len(symbols)
    benchmark.extra_info.update(side=side, lanes=lanes, symbols=len(symbols), bits_per_symbol=bits)


@pytest.mark.benchmark(group="rans encode")
def test_encode(benchmark, lanes, side, coder, case):
    symbols, indices, data = case
    assert benchmark(coder.encode, symbols, indices) == data
    record(benchmark, lanes, side, case)


@pytest.mark.benchmark(group="rans decode")
def test_decode(benchmark, lanes, side, coder, case):
    symbols, indices, data = case
    np.testing.assert_array_equal(benchmark(coder.decode, data, indices), symbols)
    record(benchmark, lanes, side, case)


def symbols_of(image, isa):
    """All symbols that the file of an image has, their tables' indices, and the tables."""
    model = models.load(models.DEFAULT)
    tensors = model.tensors
    codec = _native.Codec(_native.Model(dict(tensors), model.hash), isa, 1)
    trace = codec.trace_encode(np.ascontiguousarray(image), QUALITY)
    symbols, indices = [], []
    for b in range(4):
        symbols.append(trace[f"Z.{b}"])
        indices.append(np.broadcast_to(64 + 32 * b + np.arange(32), symbols[-1].shape))
    for b in range(4):
        coded = trace[f"index.{b}"] >= tensors["entropy.skip"]
        symbols.append(trace[f"S.{b}"][coded])
        indices.append(trace[f"index.{b}"][coded])
    parts = [
        np.concatenate([tensors[f"entropy.{kind}.{part}"] for kind in ("gaussian", "prior")])
        for part in ("frequency", "offset", "count")
    ]
    flat = (np.concatenate([part.ravel() for part in arrays]) for arrays in (symbols, indices))
    return *flat, rans.Tables(*parts)


@pytest.fixture(scope="module")
def photograph(request):
    return picture(request.config.getoption("--image"), *size_of("Kodak", request.config.getoption("--quick")))


@pytest.mark.parametrize("isa", _native.cpu_isas())
@pytest.mark.parametrize("task", ["compress", "decompress"])
@pytest.mark.benchmark(group="rans of a file")
def test_file(benchmark, photograph, task, isa):
    """Timed in turn with the whole task, on one thread."""
    symbols, indices, tables = symbols_of(photograph, isa)
    data = rans.encode(symbols, indices, tables, isa=isa)
    codec = treenet_fast.Codec(isa=isa, threads=1)
    file = codec.compress(photograph, QUALITY)
    if task == "compress":
        coding, whole = partial(rans.encode, symbols, indices), partial(codec.compress, photograph, QUALITY)
    else:
        coding, whole = partial(rans.decode, data, indices), partial(codec.decompress, file, "numpy")
    seconds = []

    def setup():
        begin = time.perf_counter()
        whole()
        seconds.append(time.perf_counter() - begin)

    rounds = 1 if isa == "scalar" else 9
    benchmark.pedantic(coding, (tables,), {"isa": isa}, setup=setup, rounds=rounds, warmup_rounds=1)
    benchmark.extra_info.update(side=isa, part_of=task, symbols=symbols.size, whole=min(seconds))
