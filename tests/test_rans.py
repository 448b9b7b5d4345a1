import doctest
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from treenet_fast import _native, rans
from treenet_fast.errors import BackendError, CorruptStreamError, InvalidArgumentError, TreeNetError
from treenet_fast.frequencies import integer_frequencies
from treenet_fast.reference import entropy_tables as reference_tables
from treenet_fast.reference import rans as reference_rans


def table_arrays(rows, offset):
    """`rows` are the frequencies of each table, the escape's last."""
    frequency = np.zeros((len(rows), 256), np.uint16)
    for padded, row in zip(frequency, rows, strict=True):
        padded[: len(row)] = row
    return frequency, np.array(offset), np.array([len(row) - 1 for row in rows])


EVEN = ([[32768, 32768]], [0])  # 0 and the escape, one bit each
ROWS = [
    [32768, 32768],
    [32, 65536 - 128, 64, 32],
    [256] * 256,
    [65536 - 32, 32],
    [20000, 20000, 25536],
    [32] * 255 + [57376],
]
OFFSETS = [0, -1, -127, -32768, 32766, -100]


@pytest.fixture(scope="module")
def tables():
    return rans.Tables(*table_arrays(ROWS, OFFSETS))


def random_symbols(seed, size):
    """Mostly inside their tables, some far outside."""
    rng = np.random.default_rng(seed)
    indices = rng.integers(len(ROWS), size=size)
    counts = np.array([len(row) - 1 for row in ROWS])
    symbols = np.array(OFFSETS)[indices] + rng.integers(counts[indices])
    outside = rng.random(size) < 0.02
    symbols[outside] = rng.integers(-32768, 32768, size=outside.sum())
    return symbols.astype(np.int16), indices.astype(np.uint8)


def test_the_example_of_the_module_runs():
    results = doctest.testmod(rans)
    assert results.attempted >= 8
    assert results.failed == 0


@pytest.mark.parametrize(
    ("symbols", "golden"),
    [
        ([], "00 00000100"),
        ([0], "00 ff120200"),
        ([0, 5, -300], "00 910e0f00 04d7 08"),  # -300 has the number 599, 5 the number 8; both backwards at the end
        ([0] * 16, "00 00000100 ad55"),  # sixteen bits, one word
        ([1, 2, 3], "00 4ee90f00 04 02 00"),
    ],
)
def test_pinned_bytes(symbols, golden):
    tables = rans.Tables(*table_arrays(*EVEN))
    indices = [0] * len(symbols)
    assert rans.encode(symbols, indices, tables).hex() == golden.replace(" ", "")
    assert rans.decode(bytes.fromhex(golden), indices, tables).tolist() == symbols


@pytest.mark.parametrize("size", [0, 1, 33, 1023, 4500, 32767, 32768, 131079])
def test_same_bytes_as_the_reference_both_ways(tables, size):
    symbols, indices = random_symbols(size, size)
    plain = [reference_tables.make_table(offset, len(row) - 1, row) for offset, row in zip(OFFSETS, ROWS, strict=True)]
    stage = reference_rans.Stage(symbols.tolist(), indices.tolist())
    data = reference_rans.encode_segment(plain, [stage])

    assert rans.encode(symbols, indices, tables) == data
    np.testing.assert_array_equal(rans.decode(data, indices, tables), symbols)

    decoder = reference_rans.SegmentDecoder(plain, data)
    assert decoder.decode_stage(stage.tables) == stage.symbols
    decoder.finish()


@pytest.mark.parametrize("isa", _native.cpu_isas())
def test_every_instruction_set_and_number_of_lanes(tables, isa, monkeypatch):
    for lanes in (1, 2, 4, 8, 16, 32):
        symbols, indices = random_symbols(lanes, 16384 * lanes + 21)
        data = rans.encode(symbols, indices, tables, isa="scalar")
        assert data[0] == lanes.bit_length() - 1
        assert rans.encode(symbols, indices, tables, isa=isa) == data
        np.testing.assert_array_equal(rans.decode(data, indices, tables, isa=isa), symbols)
    monkeypatch.setenv("TREENET_FAST_ISA", isa)
    assert rans.encode(symbols, indices, tables) == data


def test_an_instruction_set_that_is_not_there(tables, monkeypatch):
    with pytest.raises(BackendError, match="isa is 'sse9'"):
        rans.encode([0], [0], tables, isa="sse9")
    monkeypatch.setenv("TREENET_FAST_ISA", "sse9")
    with pytest.raises(BackendError, match="TREENET_FAST_ISA is 'sse9'"):
        rans.decode(b"", [], tables)


def test_any_shape_integer_type_and_layout(tables):
    symbols, indices = (array[:60].reshape(3, 4, 5) for array in random_symbols(1, 60))
    data = rans.encode(symbols, indices, tables)
    decoded = rans.decode(memoryview(bytearray(data)), indices.astype(np.int64), tables)
    assert decoded.dtype == np.int16
    assert decoded.shape == (3, 4, 5)
    np.testing.assert_array_equal(decoded, symbols)
    assert rans.encode(np.asfortranarray(symbols.astype(np.int64)), indices.tolist(), tables) == data
    assert rans.encode(np.repeat(symbols, 2, axis=2)[..., ::2], indices, tables) == data
    one = rans.encode(np.int16(7), np.uint8(2), tables)
    assert rans.decode(one, np.uint8(2), tables) == 7


def test_every_symbol_with_every_table(tables):
    symbols = np.tile(np.arange(-32768, 32768), len(ROWS))
    indices = np.repeat(np.arange(len(ROWS)), 65536)
    np.testing.assert_array_equal(rans.decode(rans.encode(symbols, indices, tables), indices, tables), symbols)


def test_size_is_near_the_information_content():
    scale = np.geomspace(0.3, 20, 16)
    values = np.arange(-100, 101)
    weights = np.exp(-np.abs(values) / scale[:, None])
    p = weights / weights.sum(axis=1, keepdims=True)
    tables = rans.Tables.from_probabilities(list(p), [-100] * 16)
    rng = np.random.default_rng(2)
    indices = rng.integers(16, size=100_000)
    below = (rng.random(100_000)[:, None] > p.cumsum(axis=1)[indices]).sum(axis=1)
    symbols = np.minimum(below, 200) - 100
    frequencies = np.array([integer_frequencies(np.append(row, 0)) for row in p])
    bits = -np.log2(frequencies[indices, symbols + 100] / 65536).sum()
    size = len(rans.encode(symbols, indices, tables))
    states = 1 + 4 * 32
    assert bits / 8 - 1 < size < bits / 8 * 1.001 + states


def test_many_threads_share_tables(tables):
    cases = [random_symbols(seed, 130_000 + 1000 * seed) for seed in range(16)]
    expected = [rans.encode(*case, tables) for case in cases]

    def there_and_back(case):
        data = rans.encode(*case, tables)
        np.testing.assert_array_equal(rans.decode(data, case[1], tables), case[0])
        return data

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(there_and_back, cases)) == expected


@pytest.mark.parametrize(
    ("frequency", "offset", "count", "message"),
    [
        ([[32768, 32767] + [0] * 254], [0], [1], "entropy table 0 has frequencies that add up to 65535"),
        ([[65505, 31] + [0] * 254], [0], [1], "entropy table 0 has frequency 31 at 1"),
        ([[32768, 32736, 32] + [0] * 253], [0], [1], "add up to 65504"),
        ([[32768, 32768] + [0] * 254], [0], [0], "has 0 values"),
        ([[256] * 256], [0], [256], "has 256 values"),
        ([[256] * 256], [32514], [255], "beyond 16 bits"),
        ([[32768, 32768] + [0] * 253 + [1]], [0], [1], "after its escape"),
        ([[32768, 32768]], [0], [1], "other shapes"),
        ([[32768, 32768] + [0] * 254], [0, 0], [1], "do not match"),
        (np.zeros((0, 256), int), [], [], "there are 0 entropy tables"),
        ([[65536, 0] + [0] * 254], [0], [1], "outside 0..65535"),
        ([[0.5, 0.5] + [0] * 254], [0], [1], "give integers"),
    ],
)
def test_unsound_tables_are_refused(frequency, offset, count, message):
    with pytest.raises(InvalidArgumentError, match=message):
        rans.Tables(frequency, offset, count)


@pytest.mark.parametrize(
    ("symbols", "indices", "message"),
    [
        ([0, 0], [0], "give one index for each symbol"),
        ([[0], [0]], [0, 0], "give one index for each symbol"),
        ([0], [6], "no entropy table 6"),
        ([0], [-1], "outside 0..255"),
        ([0], [256], "outside 0..255"),
        ([32768], [0], "outside -32768..32767"),
        ([0.0], [0], "dtype float64; give integers"),
        ([True], [0], "dtype bool; give integers"),
    ],
)
def test_unsound_arguments_of_encode_are_refused(tables, symbols, indices, message):
    with pytest.raises(InvalidArgumentError, match=message):
        rans.encode(symbols, indices, tables)


def test_unsound_arguments_of_decode_are_refused(tables):
    data = rans.encode([0], [0], tables)
    with pytest.raises(InvalidArgumentError, match="no entropy table 6"):
        rans.decode(data, [6], tables)
    with pytest.raises(InvalidArgumentError, match="give integers"):
        rans.decode(data, [0.5], tables)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "no bytes"),
        ("06 00000100", "number of lanes"),
        ("01 00000100", "shorter than its coder states"),
        ("00 ffff0000", "starts with an impossible coder state"),
        ("00 00000100", "words run out"),
        ("00 ff120200 00", "left over"),
        ("00 fe120200", "do not match their checksum"),
        ("00 00800200", "escapes run out"),
        ("00 00800200 00 80", "no valid form"),
        ("00 00800200 7f ff ff", "beyond 16 bits"),
    ],
)
def test_damage_is_named(data, message):
    with pytest.raises(CorruptStreamError, match=message):
        rans.decode(bytes.fromhex(data), [0], rans.Tables(*table_arrays(*EVEN)))


def test_what_was_not_coded_so_is_refused(tables):
    symbols, indices = random_symbols(3, 5000)
    data = rans.encode(symbols, indices, tables)
    for wrong in (indices[:-1], np.append(indices, 0), (indices + 1) % len(ROWS)):
        with pytest.raises(TreeNetError):
            rans.decode(data, wrong, tables)


def test_frequencies_are_in_proportion_but_for_the_minimum():
    np.testing.assert_array_equal(integer_frequencies([1, 1]), [32768, 32768])
    np.testing.assert_array_equal(integer_frequencies([3, 1, 0]), [49128, 16376, 32])
    np.testing.assert_array_equal(integer_frequencies([1, 1, 1]), [21846, 21845, 21845])
    np.testing.assert_array_equal(integer_frequencies([0, 1e-300, 0]), [32, 65472, 32])


def test_frequencies_cost_next_to_nothing_more_than_any_others():
    rng = np.random.default_rng(4)
    for _ in range(200):
        p = rng.random(rng.integers(2, 257)) ** rng.integers(1, 30)
        frequencies = integer_frequencies(p).astype(np.int64)
        assert frequencies.sum() == 65536
        assert frequencies.min() >= 32
        # At the least cost, no unit moved from one place to another would gain; here, hardly.
        slope = p / p.sum() / frequencies
        movable = frequencies > 32
        assert slope.max() <= slope[movable].min() * 1.04


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ([1.0], "1 to 255 values and its escape"),
        ([0.1] * 257, "1 to 255 values and its escape"),
        ([[0.5, 0.5]], "1 to 255 values and its escape"),
        ([0.0, 0.0], "not all zero"),
        ([0.5, -0.1], "not negative"),
        ([0.5, float("nan")], "finite"),
        ([0.5, float("inf")], "finite"),
    ],
)
def test_unsound_probabilities_are_refused(probabilities, message):
    with pytest.raises(InvalidArgumentError, match=message):
        integer_frequencies(probabilities)


def test_tables_from_probabilities():
    tables = rans.Tables.from_probabilities([[0.25, 0.5], [1.0]], [-1, 4])
    assert len(tables) == 2
    symbols, indices = [-1, 0, 0, 9, 4, 4], [0, 0, 0, 0, 1, 1]
    # The same coder from frequencies: what is left of 1 is the escape's, and never less than 32.
    same = rans.Tables(*table_arrays([[16384, 32768, 16384], [65504, 32]], [-1, 4]))
    assert rans.encode(symbols, indices, tables) == rans.encode(symbols, indices, same)
    with pytest.raises(InvalidArgumentError, match=r"table 1 add up to 1\.100000"):
        rans.Tables.from_probabilities([[1.0], [0.5, 0.6]], [0, 0])
    with pytest.raises(InvalidArgumentError, match="do not match"):
        rans.Tables.from_probabilities([[0.5]], [0, 0])


@pytest.mark.parametrize("data", ["text", 5, [1, 2, 3], None])
def test_data_that_is_not_bytes(data, tables):
    with pytest.raises(InvalidArgumentError, match="a stream is bytes, not"):
        rans.decode(data, [0, 0], tables)
