"""A record as others read it: a TSV file of its rows, and CompressAI's JSON of its curves."""

from __future__ import annotations

import json
from pathlib import Path

from treenet_fast._output import write_whole
from treenet_fast.evaluation.catalogue import slug
from treenet_fast.evaluation.record import Entry, Record
from treenet_fast.evaluation.scores import METRICS


def write_tsv(record: Record, path: Path) -> None:
    """One line for each codec, image and quality; what a codec lacks is empty."""
    columns = record.columns
    lines = [["codec", "image", "quality", "bytes", "bpp", *columns]]
    for entry in record.entries.values():
        for row in entry.rows:
            values = (row.values.get(column, "") for column in columns)
            lines.append([entry.codec, row.image, *map(str, (row.quality, row.bytes, row.bpp, *values))])
    write_whole(path, "".join("\t".join(map(_cell, line)) + "\n" for line in lines))


def write_compressai(record: Record, folder: Path) -> None:
    """A file for each codec that is complete, as CompressAI's evaluation writes them and its plots read them."""
    folder.mkdir(exist_ok=True)
    for entry in record.complete():
        content = compressai(entry, len(record.images))
        write_whole(folder / f"{slug(entry.codec)}.json", json.dumps(content, indent=2) + "\n")


def compressai(entry: Entry, images: int) -> dict[str, object]:
    """Name, description, and lists of means over the images by quality; seconds for the times."""
    points = entry.points()
    results: dict[str, list[float]] = {"quality": [p.quality for p in points], "bpp": [p.bpp for p in points]}
    for column in points[0].values:
        name = METRICS[column].compressai if column in METRICS else column
        results[name] = [point.values[column] for point in points]
    parameters = ", ".join(f"{name} {value}" for name, value in entry.parameters.items())
    return {"name": entry.codec, "description": f"Means over {images} images; {parameters}", "results": results}


def _cell(text: str) -> str:
    """Names of files can hold what would break a line or a cell."""
    return text.encode("unicode_escape").decode() if any(c in text for c in "\t\r\n") else text
