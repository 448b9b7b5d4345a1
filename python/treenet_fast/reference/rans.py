"""The interleaved rANS coder with escapes (SPEC §7.3), in plain Python."""

import struct
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from treenet_fast.errors import CorruptStreamError

from .entropy_tables import Table
from .leb128 import leb128, read_leb128

LOWEST_STATE = 1 << 16
SYMBOLS_PER_LANE = 16384
MOST_LANES_LOG2 = 5
MOST_ESCAPE_BYTES = 3


class Stage(NamedTuple):
    """The coded symbols of one stage, in order, and the index of each one's table."""

    symbols: Sequence[int]
    tables: Sequence[int]


def lanes_log2(symbol_count: int) -> int:
    """log2 of the number of lanes that an encoder uses for a segment of so many symbols."""
    log2 = 0
    while log2 < MOST_LANES_LOG2 and SYMBOLS_PER_LANE << (log2 + 1) <= symbol_count:
        log2 += 1
    return log2


def symbols_crc(symbols: Sequence[int], crc: int = 0) -> int:
    """Continues the CRC-32 of a segment's symbols."""
    return zlib.crc32(np.array(symbols, dtype="<i2").tobytes(), crc)


def check_states(crc: int, lanes: int) -> list[int]:
    """The states in which lanes are before their first symbol is encoded and after their last is decoded."""
    return [LOWEST_STATE + (crc >> 16 * (lane % 2) & 0xFFFF) for lane in range(lanes)]


def escape_number(symbol: int, table: Table) -> int:
    """The number of a symbol outside its table: odd below it, even above it."""
    if symbol < table.offset:
        return 2 * (table.offset - 1 - symbol) + 1
    return 2 * (symbol - table.offset - table.count)


def escaped_symbol(number: int, table: Table) -> int:
    """The inverse of :func:`escape_number`."""
    if number & 1:
        return table.offset - 1 - (number >> 1)
    return table.offset + table.count + (number >> 1)


def _places(stage: Stage, tables: Sequence[Table], escapes: bytearray) -> list[tuple[int, int]]:
    """Frequency and cumulative frequency of each symbol; escape numbers are appended to ``escapes``."""
    places = []
    for symbol, index in zip(stage.symbols, stage.tables, strict=True):
        table = tables[index]
        k = symbol - table.offset
        if not 0 <= k < table.count:
            escapes += leb128(escape_number(symbol, table))
            k = table.count
        places.append((table.frequency[k], table.cumulative[k]))
    return places


def encode_segment(tables: Sequence[Table], stages: Sequence[Stage]) -> bytes:
    """The bytes of one segment."""
    escapes = bytearray()
    places = [_places(stage, tables, escapes) for stage in stages]
    log2 = lanes_log2(sum(len(stage) for stage in places))
    lanes = 1 << log2
    crc = 0
    for symbols, _ in stages:
        crc = symbols_crc(symbols, crc)
    states = check_states(crc, lanes)
    words: list[int] = []  # last word first
    for stage in reversed(places):
        for i in range(len(stage) - 1, -1, -1):
            frequency, cumulative = stage[i]
            lane = i & (lanes - 1)
            x = states[lane]
            if x >= frequency << 16:
                words.append(x & 0xFFFF)
                x >>= 16
            states[lane] = ((x // frequency) << 16) + x % frequency + cumulative
    words.reverse()
    head = struct.pack(f"<B{lanes}I", log2, *states)
    return head + struct.pack(f"<{len(words)}H", *words) + bytes(reversed(escapes))


class SegmentDecoder:
    """Decodes one segment, stage by stage.

    Every method raises :class:`CorruptStreamError` for bytes that no encoder writes.
    """

    def __init__(self, tables: Sequence[Table], data: bytes) -> None:
        self._tables = tables
        self._data = data
        if not data or data[0] > MOST_LANES_LOG2:
            raise CorruptStreamError("a segment does not start with a number of lanes: the stream is damaged")
        self._lanes = 1 << data[0]
        self._position = 1 + 4 * self._lanes  # of the next word
        self._end = len(data)  # the escape bytes still to read end here
        if self._position > self._end:
            raise CorruptStreamError("a segment ends within its states: the stream is damaged")
        self._states = list(struct.unpack_from(f"<{self._lanes}I", data, 1))
        self._crc = 0
        if min(self._states) < LOWEST_STATE:
            raise CorruptStreamError("a segment has a state out of range: the stream is damaged")

    def decode_stage(self, table_indices: Sequence[int]) -> list[int]:
        """The symbols of the next stage, one for each table index."""
        data, states, mask = self._data, self._states, self._lanes - 1
        symbols = []
        for i, index in enumerate(table_indices):
            table = self._tables[index]
            x = states[i & mask]
            slot = x & 0xFFFF
            k = bisect_right(table.cumulative, slot) - 1
            x = table.frequency[k] * (x >> 16) + slot - table.cumulative[k]
            if x < LOWEST_STATE:
                position = self._position
                if position + 2 > self._end:
                    raise CorruptStreamError("a segment has too few bytes: the stream is damaged")
                x = x << 16 | data[position] | data[position + 1] << 8
                self._position = position + 2
            states[i & mask] = x
            symbols.append(table.offset + k if k < table.count else self._escape(table))
        self._crc = symbols_crc(symbols, self._crc)
        return symbols

    def finish(self) -> None:
        """Checks, after the last stage, that every byte was used and the symbols are those that were coded."""
        if self._position != self._end:
            raise CorruptStreamError("a segment has bytes left over: the stream is damaged")
        if self._states != check_states(self._crc, self._lanes):
            raise CorruptStreamError("the checksum of the decoded symbols is wrong: encoder and decoder disagree")

    def _escape(self, table: Table) -> int:
        number = read_leb128(self._escape_byte, MOST_ESCAPE_BYTES, self._fault)
        symbol = escaped_symbol(number, table)
        if not -32768 <= symbol <= 32767:
            raise self._fault("a value is beyond 16 bits")
        return symbol

    def _escape_byte(self) -> int:
        if self._end <= self._position:
            raise self._fault("a segment has too few bytes")
        self._end -= 1
        return self._data[self._end]

    @staticmethod
    def _fault(reason: str) -> CorruptStreamError:
        return CorruptStreamError(f"{reason}: the stream is damaged")
