"""Measurements of several codecs on one set of images, kept in a JSON file that is worth a commit.

It is written again after every quality, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from treenet_fast.errors import InvalidArgumentError
from treenet_fast.evaluation.codecs import ImageCodec, Kind
from treenet_fast.evaluation.curve import Point, Row, means, measure

COLUMNS = tuple(column.name for column in dataclasses.fields(Row))


@dataclass
class Entry:
    """One codec: its name, kind and parameters (see `codecs.ImageCodec`), the qualities to measure, and its rows."""

    codec: str
    kind: Kind
    parameters: dict[str, str]
    qualities: list[int]
    rows: list[Row] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every quality is there."""
        return {row.quality for row in self.rows} == set(self.qualities)

    def points(self) -> list[Point]:
        """The means over the images, by quality."""
        return means(self.rows)


@dataclass
class Record:
    """Codecs on one set of images.

    Attributes:
        images: names of the files.
        entries: by the codec's name.
        extra: what else the file holds, as JSON has it: results that follow from the entries.
    """

    images: list[str]
    entries: dict[str, Entry] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Record:
        """Reads what `save` wrote."""
        content = json.loads(path.read_text())
        entries = {}
        for entry in content.pop("codecs"):
            rows = [Row(*row) for row in entry.pop("rows")]
            entries[entry["codec"]] = Entry(**entry, rows=rows)
        del content["columns"]
        return cls(content.pop("images"), entries, content)

    def save(self, path: Path) -> None:
        """Writes the record, a line for each row; a file of that name is replaced, whole or not at all."""
        codecs = [
            {**vars(entry), "rows": [dataclasses.astuple(row) for row in entry.rows]} for entry in self.entries.values()
        ]
        content = {"images": self.images, "columns": COLUMNS, "codecs": codecs, **self.extra}
        partial = path.with_name(path.name + ".partial")
        partial.write_text(_lines(content) + "\n")
        partial.replace(path)

    def evaluate(
        self, codec: ImageCodec, paths: Sequence[Path], save: Callable[[], None], progress: Callable[[], None]
    ) -> None:
        """Measures a codec on the record's images and puts its entry in the place of an older one.

        Rows of an older entry with the same parameters are kept, where their quality is still asked for.

        Args:
            codec: what to measure.
            paths: the files of `images`.
            save: called after each quality.
            progress: called after each image, and for those that were there already.

        Raises:
            InvalidArgumentError: `paths` are other images than the record's, or one is too small for MS-SSIM.
            MissingLibraryError: MS-SSIM's library is not installed.
        """
        if [path.name for path in paths] != self.images:
            raise InvalidArgumentError(
                f"the record is of {len(self.images)} other images ({self.images[0]}, ...): write to another file"
            )
        entry = Entry(codec.name, codec.kind, dict(codec.parameters), list(codec.qualities))
        old = self.entries.get(codec.name)
        if old and old.parameters == entry.parameters:
            entry.rows = [row for row in old.rows if row.quality in entry.qualities]
        self.entries[codec.name] = entry
        done = {row.quality for row in entry.rows}
        for quality in codec.qualities:
            rows = []
            for path in paths:
                if quality not in done:
                    rows.append(measure(codec, path, quality))
                progress()
            if rows:
                entry.rows = sorted(entry.rows + rows, key=lambda row: row.quality)
                save()


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
