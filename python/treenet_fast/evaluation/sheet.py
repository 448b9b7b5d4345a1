"""The same crops of several images, from the original and from each codec at the quality nearest to one rate.

`tiles` makes them, `drawn` draws them as one picture, and `save` and `load` keep them as pictures of their own, for a
page that arranges them as it has room.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from treenet_fast import image_files
from treenet_fast._output import write_whole
from treenet_fast.errors import RecordError
from treenet_fast.evaluation.codecs import FileCodec
from treenet_fast.evaluation.curve import Row
from treenet_fast.evaluation.metrics import Pixels
from treenet_fast.evaluation.record import Record, read_json
from treenet_fast.evaluation.scores import Metric

SIDE = 224
"""Width and height of a crop: pixels of the image are pixels of the sheet."""
IMAGES = 4
"""How many images are shown."""

_LINES = "tiles.json"
_GAP, _LINE, _FONT = 8, 15, 12
_INK, _PAPER = (30, 30, 30), (255, 255, 255)


@dataclass(frozen=True)
class Tile:
    """A crop and the lines under it."""

    pixels: Pixels
    lines: list[str]


def tiles(
    record: Record, codecs: Sequence[FileCodec], images: Sequence[Path], metrics: Sequence[Metric], bpp: float
) -> list[list[Tile]]:
    """A row for each of a few images, evenly spread over all: the middle of the original and of what was decoded.

    Args:
        record: the measurements, complete for the codecs.
        codecs: a column for each.
        images: the files of the record's images.
        metrics: of the whole image, to be shown.
        bpp: the rate; each codec is shown at the quality whose file is nearest to it.
    """
    count = min(IMAGES, len(images))
    shown = [images[(2 * i + 1) * len(images) // (2 * count)] for i in range(count)]
    return [_row(record, codecs, path, metrics, bpp) for path in shown]


def save(rows: Sequence[Sequence[Tile]], bpp: float, folder: Path) -> None:
    """Writes the crops as ROW-COLUMN.png, and the lines under them and the rate as `tiles.json`."""
    folder.mkdir(exist_ok=True)
    for y, row in enumerate(rows):
        for x, tile in enumerate(row):
            Image.fromarray(np.ascontiguousarray(tile.pixels)).save(_file(folder, y, x))
    content = {"bpp": bpp, "rows": [[tile.lines for tile in row] for row in rows]}
    write_whole(folder / _LINES, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def load(folder: Path) -> tuple[list[list[Tile]], float]:
    """The tiles that `save` wrote, and their rate.

    Raises:
        RecordError: what the folder has is damaged, or something else.
        UnsupportedImageError: a crop cannot be read.
    """
    file = folder / _LINES
    content = read_json(file)
    try:
        bpp, rows = float(content["bpp"]), content["rows"]
        if not all(rows):
            raise TypeError("a row without crops")
        for lines in (lines for row in rows for lines in row):
            if not lines or not all(isinstance(line, str) for line in lines):
                raise TypeError("a crop without lines of text")
    except (ValueError, TypeError, LookupError) as error:
        raise RecordError(f"{file}: is no list of crops, or is damaged: {error}") from error
    return [
        [Tile(image_files.read(_file(folder, y, x)), lines) for x, lines in enumerate(row)]
        for y, row in enumerate(rows)
    ], bpp


def _file(folder: Path, row: int, column: int) -> Path:
    return folder / f"{row + 1}-{column + 1}.png"


def nearest(codec: FileCodec, image: Pixels, rows: Sequence[Row], bpp: float) -> int:
    """The quality whose rate is nearest: sought between the neighbouring ones of those measured, `rows`."""
    height, width, _ = image.shape
    rates = {row.quality: row.bpp for row in rows}
    below = max((quality for quality, rate in rates.items() if rate <= bpp), default=None)
    above = min((quality for quality, rate in rates.items() if rate > bpp), default=None)
    while below is not None and above is not None and above - below > 1:
        middle = (below + above) // 2
        rates[middle] = 8 * len(codec.encode(image, middle)) / (height * width)
        below, above = (middle, above) if rates[middle] <= bpp else (below, middle)
    return min(rates, key=lambda quality: abs(rates[quality] - bpp))


def _row(record: Record, codecs: Sequence[FileCodec], path: Path, metrics: Sequence[Metric], bpp: float) -> list[Tile]:
    image = image_files.read(path)
    height, width, _ = image.shape
    row = [Tile(_middle(image), ["original", path.name, f"{width}x{height}, the middle"])]
    for codec in codecs:
        rows = [row for row in record.entries[codec.name].rows if row.image == path.name]
        coded = codec.code(image, nearest(codec, image, rows, bpp))
        rate = f"{8 * coded.bytes / (height * width):.3f} bpp, {coded.bytes} bytes"
        row.append(Tile(_middle(coded.pixels), [codec.name, rate, *_scores(image, coded.pixels, metrics)]))
    return row


def _scores(image: Pixels, decoded: Pixels, metrics: Sequence[Metric]) -> list[str]:
    """The whole image's scores, two on a line."""
    texts = [f"{metric.title} {metric.load()(image, decoded):.{metric.decimals}f}" for metric in metrics]
    return [", ".join(texts[i : i + 2]) for i in range(0, len(texts), 2)]


def _middle(image: Pixels) -> Pixels:
    top, left = (max(0, side - SIDE) // 2 for side in image.shape[:2])
    return image[top : top + SIDE, left : left + SIDE]


def drawn(rows: Sequence[Sequence[Tile]]) -> Image.Image:
    """One picture of all, the lines under each."""
    columns = max(map(len, rows))
    text = _LINE * max(len(tile.lines) for row in rows for tile in row)
    step_x, step_y = SIDE + _GAP, SIDE + text + 2 * _GAP
    result = Image.new("RGB", (columns * step_x + _GAP, len(rows) * step_y + _GAP), _PAPER)
    draw, font = ImageDraw.Draw(result), ImageFont.load_default(size=_FONT)
    for y, row in enumerate(rows):
        for x, tile in enumerate(row):
            corner = (_GAP + x * step_x, _GAP + y * step_y)
            result.paste(Image.fromarray(np.ascontiguousarray(tile.pixels)), corner)
            for i, line in enumerate(tile.lines):
                draw.text((corner[0], corner[1] + SIDE + 4 + i * _LINE), line, _INK, font)
    return result
