"""Tables, whatever they are rendered as: `markdown.table`, `text_table` and `page.table` take their two parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Table(NamedTuple):
    """Cells for people; the first of a row says what the row is of."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
