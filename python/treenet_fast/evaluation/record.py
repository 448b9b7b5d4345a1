"""Measurements of several codecs on one set of images, kept in a JSON file that is worth a commit."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from treenet_fast._output import write_whole
from treenet_fast.errors import InvalidArgumentError, RecordError
from treenet_fast.evaluation.codecs import ImageCodec, Kind
from treenet_fast.evaluation.curve import Point, Row, means

_FIXED = ("image", "quality", "bytes", "bpp")


@dataclass
class Entry:
    """One codec: its name, kind and parameters (see `codecs.ImageCodec`), the qualities to measure, and its rows."""

    codec: str
    kind: Kind
    parameters: dict[str, str]
    qualities: list[int]
    rows: list[Row] = field(default_factory=list)

    def points(self) -> list[Point]:
        """The means over the images, by quality."""
        return means(self.rows)


@dataclass
class Record:
    """Codecs on one set of images.

    Attributes:
        images: names of the files.
        entries: by the codec's name.
        settings: what else the rows depend on, as JSON has it.
        run: what they do not depend on, of the last run that added to the record: when it was, what it compared with
            what, and what it left out.
    """

    images: list[str]
    entries: dict[str, Entry] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Record:
        """Reads what `save` wrote.

        Raises:
            RecordError: it is damaged, or something else.
        """
        content = read_json(path)
        try:
            columns = content["columns"]
            entries = {}
            for entry in content["codecs"]:
                rows = [_row(dict(zip(columns, row, strict=True))) for row in entry.pop("rows")]
                entries[entry["codec"]] = Entry(**entry, rows=rows)
            record = cls(content["images"], entries, content.get("settings", {}), content.get("run", {}))
            record._check()
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise RecordError(f"{path}: is no record of an evaluation, or is damaged: {reason}") from error
        return record

    def _check(self) -> None:
        """Raises `ValueError` for what would not be a record, though it is made of the same parts."""
        if not (_all(self.images, str) and isinstance(self.settings, dict) and isinstance(self.run, dict)):
            raise ValueError("images, settings or run are of another type")
        named = [self.run.get(key) for key in ("date", "anchor", "published")]
        if not _all([x for x in named if x is not None], str) or not _all(self.run.get("left out", []), str):
            raise ValueError("what the run was is of another type")
        for name, entry in self.entries.items():
            parameters = entry.parameters
            texts = [name, *parameters, *parameters.values()]
            if not _all(texts, str) or entry.kind not in get_args(Kind) or not _all(entry.qualities, int):
                raise ValueError(f"what {name!r} is: its kind, parameters or qualities")
            expected = {(image, quality) for image in self.images for quality in entry.qualities}
            places = {(row.image, row.quality) for row in entry.rows}
            if len(places) != len(entry.rows) or not places <= expected:
                raise ValueError(f"rows of {name!r} are there twice, or are of no image or quality that it has")
            for row in entry.rows:
                numbers = [row.bytes, row.bpp, *row.values.values()]
                if not _all(numbers, int, float) or any(map(math.isnan, numbers)) or min(row.bytes, row.bpp) <= 0:
                    raise ValueError(f"{name!r} has a row with what is no number, or no rate")
                if row.values.keys() != entry.rows[0].values.keys():
                    raise ValueError(f"rows of {name!r} have different columns")

    @property
    def columns(self) -> list[str]:
        """Of all rows' values, in the order in which they were first there."""
        rows = (row for entry in self.entries.values() for row in entry.rows)
        return list(dict.fromkeys(column for row in rows for column in row.values))

    def save(self, path: Path) -> None:
        """Writes the record, a line for each row; a file of that name is replaced, whole or not at all."""
        columns = self.columns
        codecs = [
            {
                **vars(entry),
                "rows": [[*(getattr(row, c) for c in _FIXED), *map(row.values.get, columns)] for row in entry.rows],
            }
            for entry in self.entries.values()
        ]
        content: dict[str, Any] = {"images": self.images}
        if self.settings:
            content["settings"] = self.settings
        if self.run:
            content["run"] = self.run
        content |= {"columns": [*_FIXED, *columns], "codecs": codecs}
        write_whole(path, _lines(content) + "\n")

    def missing(self, codec: ImageCodec) -> dict[str, list[int]]:
        """The qualities that a codec has not been measured at, by image; its entry is made if it has none.

        Raises:
            InvalidArgumentError: there are rows of it with other parameters or qualities.
        """
        found = Entry(codec.name, codec.kind, dict(codec.parameters), list(codec.qualities))
        entry = self.entries.setdefault(codec.name, found)
        for what, old, new in (
            ("parameters", entry.parameters, found.parameters),
            ("qualities", entry.qualities, found.qualities),
        ):
            if old != new:
                raise InvalidArgumentError(f"there are results of {codec.name} with other {what}, {old} and not {new}")
        done = {(row.image, row.quality) for row in entry.rows}
        missing = {image: [q for q in entry.qualities if (image, q) not in done] for image in self.images}
        return {image: qualities for image, qualities in missing.items() if qualities}

    def add(self, codec: str, rows: Sequence[Row]) -> None:
        """Puts rows where they belong: by quality, then image, whatever the order in which they come."""
        entry = self.entries[codec]
        entry.rows = sorted([*entry.rows, *rows], key=lambda row: (row.quality, self.images.index(row.image)))

    def complete(self) -> list[Entry]:
        """The codecs that all images were measured with at all qualities: others' means are not of the same images."""
        size = len(self.images)
        return [entry for entry in self.entries.values() if 0 < len(entry.rows) == len(entry.qualities) * size]


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        RecordError: it is damaged, or something else.
    """
    content = path.read_bytes()
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path}: is no JSON, or is damaged: {error}") from error


def _row(cells: dict[str, Any]) -> Row:
    fixed = {column: cells.pop(column) for column in _FIXED}
    return Row(**fixed, values={column: x for column, x in cells.items() if x is not None})


def _all(values: Any, *types: type) -> bool:
    """Whether it is a list of values of these types; True and False are no integers here."""
    return isinstance(values, list) and all(isinstance(x, types) and not isinstance(x, bool) for x in values)


def _lines(value: Any, depth: int = 0) -> str:
    """JSON with innermost lists and objects on one line each."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    if not any(isinstance(child, (dict, list, tuple)) for child in children):
        return json.dumps(value, ensure_ascii=False)
    indent = " " * (depth + 1)
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {_lines(child, depth + 1)}" for key, child in value.items()]
        opening, closing = "{}"
    else:
        parts = [_lines(child, depth + 1) for child in value]
        opening, closing = "[]"
    return f"{opening}\n{indent}" + f",\n{indent}".join(parts) + f"\n{' ' * depth}{closing}"
