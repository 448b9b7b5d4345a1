"""The codec's entropy coder by itself: integers and the tables of their probabilities to bytes, and back.

Every symbol names its own table, so neighbours may have different distributions at no cost. Values outside a table
are fine, at the price of an escape. The bytes are one segment of SPEC §7.3 with a single stage; tables and the number
of symbols are not in them.

>>> import numpy as np
>>> from treenet_fast import rans
>>> narrow, wide = [0.05, 0.9, 0.04], [0.2, 0.2, 0.2, 0.2, 0.19]  # what is left of 1 is for values outside
>>> tables = rans.Tables.from_probabilities([narrow, wide], offset=[-1, -2])
>>> symbols = np.array([0, 0, -1, 2, 0, 7], dtype=np.int16)
>>> indices = np.array([0, 0, 0, 1, 1, 1], dtype=np.uint8)  # three symbols with each table; 7 is in neither
>>> data = rans.encode(symbols, indices, tables)
>>> len(data)
8
>>> rans.decode(data, indices, tables).tolist()
[0, 0, -1, 2, 0, 7]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from treenet_fast import _arguments, _native
from treenet_fast._isa import choose_isa
from treenet_fast.errors import InvalidArgumentError
from treenet_fast.frequencies import integer_frequencies
from treenet_fast.model_layout import TABLE_WIDTH

__all__ = ["Tables", "decode", "encode"]

_SUM_TOLERANCE = 1e-6

_Integer = TypeVar("_Integer", bound=np.integer[Any])


class Tables:
    """Up to 256 tables of frequencies, checked and made ready for coding; many threads may share one.

    Args:
        frequency: integers [tables, 256]. In row i, the frequencies of `count[i]` values, then that of the escape, then
            zeros; each at least 32, the sum 65536 (SPEC §7.1).
        offset: integers [tables], the smallest value of each table; all values are in -32768..32767.
        count: integers [tables], the number of values, 1..255.

    Raises:
        InvalidArgumentError: the arrays break one of these rules; the message names the table.
    """

    def __init__(self, frequency: ArrayLike, offset: ArrayLike, count: ArrayLike) -> None:
        self._native = _native.EntropyTables(
            _integers("frequency", frequency, np.uint16),
            _integers("offset", offset, np.int32),
            _integers("count", count, np.int32),
        )

    @classmethod
    def from_probabilities(cls, probabilities: Sequence[ArrayLike], offset: ArrayLike) -> Tables:
        """Tables from floating-point probabilities.

        Args:
            probabilities: for each table, float [1..255], the probabilities of `offset[i]`, `offset[i] + 1` and so on.
                What their sum leaves of 1 is for values outside the table.
            offset: integers [tables], the smallest value of each table.

        Raises:
            InvalidArgumentError: a sum above 1 (by more than 1e-6), negative or infinite numbers, too many of them,
                or offsets that do not match.
        """
        frequency = np.zeros((len(probabilities), TABLE_WIDTH), dtype=np.uint16)
        count = np.zeros(len(probabilities), dtype=np.int32)
        for i, values in enumerate(probabilities):
            p = np.asarray(values, dtype=np.float64)
            rest = 1 - float(p.sum())
            if rest < -_SUM_TOLERANCE:
                raise InvalidArgumentError(f"the probabilities of table {i} add up to {1 - rest:.6f}, more than 1")
            row = integer_frequencies(np.append(p, max(rest, 0.0)))
            frequency[i, : row.size] = row
            count[i] = row.size - 1
        return cls(frequency, offset, count)

    def __len__(self) -> int:
        return len(self._native)


def encode(symbols: ArrayLike, indices: ArrayLike, tables: Tables, *, isa: str | None = None) -> bytes:
    """Codes integers, each with its table.

    Args:
        symbols: integers in -32768..32767, of any shape; coded in C order.
        indices: integers of the same shape, the index of each symbol's table.
        tables: the tables; the decoder needs the same.
        isa: the instruction set to run on, as for `treenet_fast.Codec`. It changes no byte.

    Raises:
        InvalidArgumentError: the shapes differ, a symbol does not fit 16 bits, or there is no such table.
        BackendError: the machine lacks the instruction set.
    """
    values, index = _integers("symbols", symbols, np.int16), _integers("indices", indices, np.uint8)
    if values.shape != index.shape:
        raise InvalidArgumentError(
            f"symbols have shape {list(values.shape)}, indices {list(index.shape)}; give one index for each symbol"
        )
    return _native.rans_encode(values, index, tables._native, choose_isa(isa, for_symbols=True))


def decode(
    data: bytes | bytearray | memoryview, indices: ArrayLike, tables: Tables, *, isa: str | None = None
) -> NDArray[np.int16]:
    """Decodes what `encode` made, given the same indices and tables.

    Args:
        data: all the bytes that `encode` gave.
        indices: as for `encode`.
        tables: as for `encode`.
        isa: as for `encode`.

    Returns:
        i16 of the shape of `indices`.

    Raises:
        CorruptStreamError: the bytes are damaged, or were coded with other tables or another number of symbols. The
            checksum of the symbols lets one such case in 2^32 go unseen; in 2^16 where there are fewer than 32768.
        InvalidArgumentError: `data` is not bytes, or there is no such table.
        BackendError: the machine lacks the instruction set.
    """
    index = _integers("indices", indices, np.uint8)
    return _native.rans_decode(_arguments.stream(data), index, tables._native, choose_isa(isa, for_symbols=True))


def _integers(name: str, array: ArrayLike, dtype: type[_Integer]) -> NDArray[_Integer]:
    """The array in C order as `dtype`, if it holds integers that fit."""
    given = np.asarray(array)
    if given.size == 0:
        return np.zeros(given.shape, dtype=dtype)
    if given.dtype.kind not in "iu":
        raise InvalidArgumentError(f"{name} has dtype {given.dtype}; give integers")
    limits = np.iinfo(dtype)
    if given.dtype != dtype and (given.min() < limits.min or given.max() > limits.max):
        raise InvalidArgumentError(
            f"{name} has values from {given.min()} to {given.max()}, outside {limits.min}..{limits.max}"
        )
    return np.ascontiguousarray(given, dtype=dtype).reshape(given.shape)
