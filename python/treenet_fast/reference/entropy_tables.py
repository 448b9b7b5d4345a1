"""The frequency tables of the entropy coder (SPEC §7.1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

GAUSSIAN_TABLES = 64
PRIOR_CHANNELS = 32


@dataclass(frozen=True, slots=True)
class Table:
    """Values ``offset .. offset + count - 1`` and, at place ``count``, the escape. Of plain Python integers."""

    offset: int
    count: int
    frequency: list[int]
    """``count + 1`` frequencies, at least 32 each, of sum 65536."""
    cumulative: list[int]
    """The sums of the frequencies before each of them."""


def make_table(offset: int, count: int, frequency: list[int]) -> Table:
    """A table from the frequencies of its values and of its escape."""
    sums = np.cumsum([0, *frequency]).tolist()
    return Table(offset, count, frequency, sums[:-1])


def entropy_tables(tensors: Mapping[str, NDArray[Any]]) -> list[Table]:
    """The 192 tables of a model: those of the scale indices, then those of the channels of ``Z_0..Z_3``."""
    tables = []
    for kind in ("gaussian", "prior"):
        offsets, counts = tensors[f"entropy.{kind}.offset"].tolist(), tensors[f"entropy.{kind}.count"].tolist()
        rows = tensors[f"entropy.{kind}.frequency"].tolist()
        tables += [make_table(o, c, row[: c + 1]) for o, c, row in zip(offsets, counts, rows, strict=True)]
    return tables


def hyper_table_indices(rows: int, columns: int) -> list[int]:
    """The tables of a first stage (SPEC §7.2) of ``rows x columns`` positions, in order of coding."""
    tables = []
    for b in range(4):
        first = GAUSSIAN_TABLES + PRIOR_CHANNELS * b
        tables += list(range(first, first + PRIOR_CHANNELS)) * (rows * columns)
    return tables
