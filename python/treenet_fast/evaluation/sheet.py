"""The same crops of several images, from the original and from each codec at the quality nearest to one rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from treenet_fast import image_files
from treenet_fast.evaluation.codecs import FileCodec
from treenet_fast.evaluation.curve import Row
from treenet_fast.evaluation.metrics import Pixels
from treenet_fast.evaluation.record import Record
from treenet_fast.evaluation.scores import Metric

SIDE = 224
"""Width and height of a crop: pixels of the image are pixels of the sheet."""
IMAGES = 4
"""How many images are shown."""

_GAP, _LINE = 8, 13
_INK, _PAPER = (30, 30, 30), (255, 255, 255)


@dataclass(frozen=True)
class Tile:
    """A crop and the lines under it."""

    pixels: Pixels
    lines: list[str]


def sheet(
    record: Record, codecs: Sequence[FileCodec], images: Sequence[Path], metrics: Sequence[Metric], bpp: float
) -> Image.Image:
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
    return _drawn([_tiles(record, codecs, path, metrics, bpp) for path in shown])


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


def _tiles(
    record: Record, codecs: Sequence[FileCodec], path: Path, metrics: Sequence[Metric], bpp: float
) -> list[Tile]:
    image = image_files.read(path)
    height, width, _ = image.shape
    tiles = [Tile(_middle(image), ["original", path.name, f"{width}x{height}, the middle"])]
    for codec in codecs:
        rows = [row for row in record.entries[codec.name].rows if row.image == path.name]
        coded = codec.code(image, nearest(codec, image, rows, bpp))
        rate = f"{8 * coded.bytes / (height * width):.3f} bpp, {coded.bytes} bytes"
        tiles.append(Tile(_middle(coded.pixels), [codec.name, rate, *_scores(image, coded.pixels, metrics)]))
    return tiles


def _scores(image: Pixels, decoded: Pixels, metrics: Sequence[Metric]) -> list[str]:
    """The whole image's scores, two on a line."""
    texts = [f"{metric.title} {metric.load()(image, decoded):.{metric.decimals}f}" for metric in metrics]
    return [", ".join(texts[i : i + 2]) for i in range(0, len(texts), 2)]


def _middle(image: Pixels) -> Pixels:
    top, left = (max(0, side - SIDE) // 2 for side in image.shape[:2])
    return image[top : top + SIDE, left : left + SIDE]


def _drawn(rows: Sequence[Sequence[Tile]]) -> Image.Image:
    columns = len(rows[0])
    text = _LINE * max(len(tile.lines) for row in rows for tile in row)
    step_x, step_y = SIDE + _GAP, SIDE + text + 2 * _GAP
    result = Image.new("RGB", (columns * step_x + _GAP, len(rows) * step_y + _GAP), _PAPER)
    draw, font = ImageDraw.Draw(result), ImageFont.load_default(size=11)
    for y, row in enumerate(rows):
        for x, tile in enumerate(row):
            corner = (_GAP + x * step_x, _GAP + y * step_y)
            result.paste(Image.fromarray(np.ascontiguousarray(tile.pixels)), corner)
            for i, line in enumerate(tile.lines):
                draw.text((corner[0], corner[1] + SIDE + 4 + i * _LINE), line, _INK, font)
    return result
