"""Measurements of one codec, and the curve that they make."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from treenet_fast import image_files
from treenet_fast.errors import InvalidArgumentError
from treenet_fast.evaluation import metrics
from treenet_fast.evaluation.bd_rate import RateDistortion
from treenet_fast.evaluation.codecs import ImageCodec

SUFFIXES = (".bmp", ".png", ".ppm", ".tif", ".tiff")
"""Files that hold an image without loss."""


@dataclass(frozen=True)
class Row:
    """One image at one quality.

    Attributes:
        image: name of the file.
        quality: as the codec counts it.
        bytes: size of the compressed file (see `codecs.Coded`).
        bpp: bits per pixel.
        psnr: in dB.
        ms_ssim: 0..1.
    """

    image: str
    quality: int
    bytes: float
    bpp: float
    psnr: float
    ms_ssim: float


@dataclass(frozen=True)
class Point:
    """Means over the images at one quality: of bits per pixel, of PSNR in dB, of MS-SSIM."""

    quality: int
    bpp: float
    psnr: float
    ms_ssim: float

    @property
    def ms_ssim_db(self) -> float:
        """The mean MS-SSIM in dB."""
        return metrics.decibels(self.ms_ssim)


def images_in(folder: Path) -> list[Path]:
    """The lossless images of a folder, by name.

    Raises:
        InvalidArgumentError: there are none.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not paths:
        raise InvalidArgumentError(f"{folder} has no images ({', '.join(SUFFIXES)}): name a folder that has some")
    return paths


def check(paths: Sequence[Path]) -> None:
    """Reads images to see whether all of them can be measured, before a long run finds out.

    Raises:
        UnsupportedImageError: one cannot be read.
        InvalidArgumentError: one is too small for MS-SSIM.
    """
    for path in paths:
        height, width, _ = image_files.read(path).shape
        try:
            metrics.check_ms_ssim_size(width, height)
        except InvalidArgumentError as error:
            raise InvalidArgumentError(f"{path}: {error}") from error


def measure(codec: ImageCodec, path: Path, quality: int) -> Row:
    """Codes one image at one quality.

    Raises:
        UnsupportedImageError: the image cannot be read.
        InvalidArgumentError: the image is too small for MS-SSIM.
        MissingLibraryError: MS-SSIM's library is not installed.
    """
    image = image_files.read(path)
    coded = codec.code(image, quality)
    height, width, _ = image.shape
    return Row(
        path.name,
        quality,
        bytes=round(coded.bytes, 1),
        bpp=round(8 * coded.bytes / (height * width), 5),
        psnr=round(metrics.psnr(image, coded.pixels), 4),
        ms_ssim=round(metrics.ms_ssim(image, coded.pixels), 6),
    )


def means(rows: Sequence[Row]) -> list[Point]:
    """The mean of each quality's rows, by quality."""
    ordered = sorted(rows, key=lambda row: row.quality)
    points = []
    for quality, group in itertools.groupby(ordered, key=lambda row: row.quality):
        columns = zip(*((row.bpp, row.psnr, row.ms_ssim) for row in group), strict=True)
        points.append(Point(quality, *map(fmean, columns)))
    return points


def psnr_curve(points: Sequence[Point]) -> RateDistortion:
    """Mean rate and mean PSNR."""
    return [(point.bpp, point.psnr) for point in points]


def ms_ssim_curve(points: Sequence[Point]) -> RateDistortion:
    """Mean rate, and mean MS-SSIM in dB."""
    return [(point.bpp, point.ms_ssim_db) for point in points]


def at_rate(curve: RateDistortion, bpp: float) -> float | None:
    """The quality in dB at a rate, linear in log rate between neighbouring points; None outside the curve."""
    for (rate, quality), (next_rate, next_quality) in itertools.pairwise(sorted(curve)):
        if rate <= bpp <= next_rate:
            share = math.log(bpp / rate) / math.log(next_rate / rate)
            return quality + share * (next_quality - quality)
    return None
