"""The reference's entropy coder (SPEC §7)."""

import struct
import zlib

import numpy as np
import pytest

from synthetic import synthetic_model
from treenet_fast.errors import CorruptStreamError
from treenet_fast.reference import leb128, rans
from treenet_fast.reference.entropy_tables import Table, entropy_tables, hyper_table_indices, make_table
from treenet_fast.reference.rans import SegmentDecoder, Stage, encode_segment
from treenet_fast.reference.segments import segments

HALVES = make_table(-1, 1, [32768, 32768])
"""The value -1 and the escape, both of probability 1/2."""


@pytest.fixture(scope="module")
def tables() -> list[Table]:
    return entropy_tables(synthetic_model(0))


def draw(tables: list[Table], count: int, seed: int, escapes: float = 0.02) -> Stage:
    """Symbols of random tables, most within them."""
    random = np.random.default_rng(seed)
    indices = random.integers(0, len(tables), count).tolist()
    inside = random.random(count)
    symbols = [tables[i].offset + int(u * tables[i].count) for i, u in zip(indices, inside, strict=True)]
    for i in np.flatnonzero(random.random(count) < escapes).tolist():
        symbols[i] = int(random.integers(-32768, 32768))
    return Stage(symbols, indices)


def decode(tables: list[Table], data: bytes, stages: list[Stage]) -> list[list[int]]:
    decoder = SegmentDecoder(tables, data)
    symbols = [decoder.decode_stage(stage.tables) for stage in stages]
    decoder.finish()
    return symbols


def test_tables_of_a_model(tables: list[Table]) -> None:
    tensors = synthetic_model(0)
    assert len(tables) == 192
    for i, table in enumerate(tables):
        kind, row = ("gaussian", i) if i < 64 else ("prior", i - 64)
        assert table.offset == tensors[f"entropy.{kind}.offset"][row]
        assert table.count == tensors[f"entropy.{kind}.count"][row]
        assert len(table.frequency) == len(table.cumulative) == table.count + 1
        assert table.cumulative[0] == 0
        assert table.cumulative[-1] + table.frequency[-1] == 65536


def test_hyper_table_indices() -> None:
    expected = [64 + 32 * b + c for b in range(4) for _ in range(2 * 3) for c in range(32)]
    assert hyper_table_indices(2, 3) == expected


def test_a_segment_by_hand() -> None:
    """Two symbols of probability 1/2, the second one an escape: 0x1DC41 -> 0x3DC41 -> 0x75C41."""
    data = encode_segment([HALVES], [Stage([-1, 1], [0, 0])])
    # The CRC-32 of FF FF 01 00 is 58C2DC41. 1 is one above the first value above the table, 0: number 2 * 1.
    assert data == struct.pack("<BI", 0, 0x75C41) + bytes([2])
    assert decode([HALVES], data, [Stage([-1, 1], [0, 0])]) == [[-1, 1]]


def test_words_by_hand() -> None:
    """Where the state would reach 2^32, a word is due."""
    data = encode_segment([HALVES], [Stage([-1] * 17, [0] * 17)])
    # The CRC-32 of 34 bytes FF is 5D0F5CC7. 2^16 doubled 15 times is 2^31, not below 32768 << 16: the lower half, still
    # the checksum's, goes out as a word, and 2^15 is left to be doubled twice.
    assert data == struct.pack("<BIH", 0, 1 << 17, 0x5CC7)


def test_check_states() -> None:
    assert rans.symbols_crc([0x3231, 0x3433, 0x3635, 0x3837]) == zlib.crc32(b"12345678")
    assert rans.symbols_crc([-2, -32768], rans.symbols_crc([1])) == zlib.crc32(b"\x01\x00\xfe\xff\x00\x80")
    assert rans.check_states(0xAAAA5555, 1) == [0x15555]
    assert rans.check_states(0xAAAA5555, 4) == [0x15555, 0x1AAAA, 0x15555, 0x1AAAA]


@pytest.mark.parametrize("lanes_log2", range(6))
def test_every_lane_checks_its_half_of_the_checksum(lanes_log2: int) -> None:
    lanes = 1 << lanes_log2
    table = make_table(0, 1, [65536 - 32, 32])
    states = [
        (x // table.frequency[0] << 16) + x % table.frequency[0]
        for x in rans.check_states(rans.symbols_crc([0] * lanes), lanes)
    ]
    stage = Stage([0] * lanes, [0] * lanes)
    assert decode([table], struct.pack(f"<B{lanes}I", lanes_log2, *states), [stage]) == [stage.symbols]
    for lane in range(lanes):
        states[lane] ^= 1
        with pytest.raises(CorruptStreamError, match="checksum"):
            decode([table], struct.pack(f"<B{lanes}I", lanes_log2, *states), [stage])
        states[lane] ^= 1


@pytest.mark.parametrize(
    ("count", "log2"),
    [(0, 0), (32767, 0), (32768, 1), (65536, 2), (131071, 2), (524287, 4), (1 << 19, 5)],
)
def test_lanes(count: int, log2: int) -> None:
    assert rans.lanes_log2(count) == log2


@pytest.mark.parametrize("count", [0, 1, 7, 128, 259, 512, 1024, 2051, 20000])
def test_round_trip(tables: list[Table], count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every number of lanes; stages that do not fill all lanes."""
    monkeypatch.setattr(rans, "SYMBOLS_PER_LANE", 64)  # so that few symbols have many lanes
    stages = [draw(tables, n, n) for n in (count // 5, count // 2, count - count // 5 - count // 2)]
    data = encode_segment(tables, stages)
    assert data[0] == rans.lanes_log2(count)
    assert decode(tables, data, stages) == [list(stage.symbols) for stage in stages]


def test_stages_start_at_the_first_lane(tables: list[Table], monkeypatch: pytest.MonkeyPatch) -> None:
    """Moving a symbol across the border of two stages changes the lanes, so the bytes."""
    monkeypatch.setattr(rans, "SYMBOLS_PER_LANE", 4096)
    whole = draw(tables, 8193, 5)
    cut = [Stage(whole.symbols[:4001], whole.tables[:4001]), Stage(whole.symbols[4001:], whole.tables[4001:])]
    assert encode_segment(tables, [whole]) != encode_segment(tables, cut)


def test_size_is_near_the_information(tables: list[Table]) -> None:
    stage = draw(tables, 4000, 8, escapes=0)
    bits = 0.0
    for symbol, index in zip(stage.symbols, stage.tables, strict=True):
        bits += 16 - np.log2(tables[index].frequency[symbol - tables[index].offset])
    header = 1 + 4 * 2
    assert bits / 8 - 8 < len(encode_segment(tables, [stage])) - header < bits / 8 * 1.001 + 2


@pytest.mark.parametrize("symbol", [-32768, -129, -65, -2, 0, 63, 64, 8191, 8192, 32767])
def test_escapes(symbol: int) -> None:
    stage = Stage([symbol], [0])
    assert rans.escaped_symbol(rans.escape_number(symbol, HALVES), HALVES) == symbol
    data = encode_segment([HALVES], [stage])
    number = 2 * symbol if symbol >= 0 else 2 * (-2 - symbol) + 1
    assert data[:4:-1] == leb128.leb128(number)
    assert decode([HALVES], data, [stage]) == [[symbol]]


def segment(state: int, tail: bytes) -> bytes:
    return struct.pack("<BI", 0, state) + tail


ESCAPE_STATE = 0x28000
"""Decodes to an escape of HALVES."""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x06" + bytes(400),
        struct.pack("<BI", 1, 1 << 16),  # a state is missing
        segment(0xFFFF, b""),  # a state below 2^16
        segment(0x10000, b""),  # wants a word
        segment(0x10000, b"\x00"),
        segment(0x30000, b""),  # ends in another state
        segment(ESCAPE_STATE, b""),  # no escape byte
        segment(ESCAPE_STATE, b"\x80"),  # the escape byte goes on
        segment(ESCAPE_STATE, b"\x00\x80"),  # redundant zero
        segment(ESCAPE_STATE, b"\x00\x80\x80\x80"),  # too long
        segment(ESCAPE_STATE, leb128.leb128(2 * 32768)[::-1]),  # 32768
        segment(ESCAPE_STATE, leb128.leb128(2 * 32767 + 1)[::-1]),  # -32769
        segment(ESCAPE_STATE, b"\x00\x00"),  # a byte too many
    ],
)
def test_damaged_segments(data: bytes) -> None:
    with pytest.raises(CorruptStreamError):
        decode([HALVES], data, [Stage([0], [0])])


def test_cut_segments(tables: list[Table]) -> None:
    """Without escapes every cut shows; with them a number may be cut down to another one, and checksums tell."""
    stages = [draw(tables, 60, 1, escapes=0), draw(tables, 50, 2, escapes=0)]
    data = encode_segment(tables, stages)
    for length in range(len(data)):
        with pytest.raises(CorruptStreamError):
            decode(tables, data[:length], stages)


def test_leb128_by_hand() -> None:
    assert leb128.leb128(0) == b"\x00"
    assert leb128.leb128(127) == b"\x7f"
    assert leb128.leb128(128) == b"\x80\x01"
    assert leb128.leb128(624485) == b"\xe5\x8e\x26"


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (32, 48), (33, 1), (513, 1), (512, 4), (68, 120), (130, 1000), (9, 4096)]
)
def test_segments(height: int, width: int) -> None:
    parts = segments(height, width)
    hyper_height, hyper_width = -(-height // 4), -(-width // 4)
    rows = max(1, 128 // hyper_width)
    assert len(parts) == -(-hyper_height // rows)
    assert [i for part in parts for i in range(hyper_height)[part.hyper_rows]] == list(range(hyper_height))
    assert [i for part in parts for i in range(height)[part.rows]] == list(range(height))
    for part in parts[:-1]:
        assert len(range(hyper_height)[part.hyper_rows]) == rows
        assert len(range(height)[part.rows]) == 4 * rows
