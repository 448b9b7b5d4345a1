"""Measurements of one codec, and the curve that they make."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from treenet_fast import image_files
from treenet_fast.errors import InvalidArgumentError
from treenet_fast.evaluation import scores
from treenet_fast.evaluation.bd_rate import RateDistortion
from treenet_fast.evaluation.codecs import ImageCodec
from treenet_fast.evaluation.metrics import Pixels
from treenet_fast.evaluation.scores import MS_SSIM, PSNR, Metric

SUFFIXES = (".bmp", ".png", ".ppm", ".tif", ".tiff")
"""Files that hold an image without loss."""

BASIC = (PSNR, MS_SSIM)
"""What every measurement has."""


@dataclass(frozen=True)
class Row:
    """One image at one quality.

    Attributes:
        image: name of the file.
        quality: as the codec counts it.
        bytes: size of the compressed file (see `codecs.Coded`).
        bpp: bits per pixel.
        values: by column: the metrics (see `scores.METRICS`), and seconds of encoding and decoding where a codec has
            files.
    """

    image: str
    quality: int
    bytes: float
    bpp: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Point:
    """Means over the images at one quality: of bits per pixel, and of the other columns (see `Row`)."""

    quality: int
    bpp: float
    values: Mapping[str, float]


def images_in(folder: Path) -> list[Path]:
    """The lossless images of a folder, by name.

    Raises:
        InvalidArgumentError: there are none.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not paths:
        raise InvalidArgumentError(f"{folder} has no images ({', '.join(SUFFIXES)}): name a folder that has some")
    return paths


def check(path: Path, chosen: Sequence[Metric] = BASIC) -> None:
    """Reads an image to see whether it can be measured, before a long run finds out.

    Raises:
        UnsupportedImageError: it cannot be read.
        InvalidArgumentError: it is too small for one of the metrics.
    """
    height, width, _ = image_files.read(path).shape
    try:
        scores.check_size(width, height, chosen)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{path}: {error}") from error


def measure(
    codec: ImageCodec,
    name: str,
    image: Pixels,
    quality: int,
    chosen: Sequence[Metric] = BASIC,
    file: Path | None = None,
) -> Row:
    """Codes one image at one quality.

    Args:
        codec: by which.
        name: of the image.
        image: u8 `[H, W, 3]`.
        quality: one of the codec's.
        chosen: the metrics to compute.
        file: where the compressed file stays, if it shall.

    Raises:
        InvalidArgumentError: the image is too small for a metric.
        MissingLibraryError: a metric's library is not installed.
        MissingWeightsError: a metric's weights are not on this machine.
    """
    coded = codec.code(image, quality, file)
    height, width, _ = image.shape
    values = {metric.name: round(metric.load()(image, coded.pixels), metric.decimals + 2) for metric in chosen}
    values |= {column: round(seconds, 5) for column, seconds in coded.seconds.items()}
    return Row(name, quality, round(coded.bytes, 1), round(8 * coded.bytes / (height * width), 5), values)


def means(rows: Sequence[Row]) -> list[Point]:
    """The mean of each quality's rows, by quality."""
    ordered = sorted(rows, key=lambda row: row.quality)
    points = []
    for quality, grouped in itertools.groupby(ordered, key=lambda row: row.quality):
        group = list(grouped)
        values = {column: fmean(row.values[column] for row in group) for column in group[0].values}
        points.append(Point(quality, fmean(row.bpp for row in group), values))
    return points


def curve(points: Sequence[Point], metric: Metric) -> RateDistortion:
    """Mean rate, and the quality that follows from the mean of a metric."""
    return [(point.bpp, metric.quality(point.values[metric.name])) for point in points]


def at_rate(points: RateDistortion, bpp: float) -> float | None:
    """The quality at a rate, linear in log rate between neighbouring points; None outside the curve."""
    for (rate, quality), (next_rate, next_quality) in itertools.pairwise(sorted(points)):
        if rate <= bpp <= next_rate:
            share = math.log(bpp / rate) / math.log(next_rate / rate)
            return quality + share * (next_quality - quality)
    return None
