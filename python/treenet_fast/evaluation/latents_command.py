"""The command `treenet-fast latents`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from treenet_fast import _arguments, image_files, models
from treenet_fast.errors import InvalidArgumentError
from treenet_fast.evaluation.latent_figures import propagation_figure, rate_figure
from treenet_fast.evaluation.latents import LatentStudy, rate_map, study
from treenet_fast.evaluation.libraries import library
from treenet_fast.evaluation.text_table import text_table
from treenet_fast.images import check_pixels

MAX_PIXELS = 1 << 22
"""Larger images are refused by default: the reference is made to be read, and takes GB of memory and minutes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("image", metavar="IMAGE", type=Path, help="an image of 8-bit RGB or grey")
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, required=True, help="made if it is not there")
    parser.add_argument("--quality", metavar="Q", type=int, default=50, help="1 to 100 (default: %(default)s)")
    parser.add_argument("--model", metavar="MODEL", help=f"{' or '.join(models.names())}, or a model file")
    parser.add_argument(
        "--max-pixels",
        metavar="N",
        type=int,
        default=MAX_PIXELS,
        help="refuse larger images (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the images, the figures and the map of the bits; the exit status."""
    _arguments.quality(options.quality)
    library("matplotlib")  # missing, it is missed before the work
    check_pixels(*image_files.size(options.image), options.max_pixels)
    folder: Path = options.output
    if folder.exists() and not folder.is_dir():
        raise InvalidArgumentError(f"{folder}: is no folder; name a folder as output")
    result = study(image_files.read(options.image), options.quality, options.model)
    folder.mkdir(parents=True, exist_ok=True)
    write(result, folder)
    print(f"{options.image} at quality {options.quality} -> {folder}\n\n{table(result)}")
    return 0


def write(result: LatentStudy, folder: Path) -> None:
    """Eight images, two figures, and `bits.npy`: f64 `[4, h, w]`, the bits at each position of each latent."""
    for name in ("selective", "accumulative"):
        for b, pixels in enumerate(getattr(result, name)):
            Image.fromarray(pixels).save(folder / f"{name}-{b + 1}.png")
    for name, figure in (("propagation", propagation_figure(result)), ("rates", rate_figure(result))):
        figure.savefig(folder / f"{name}.png", dpi=100, bbox_inches="tight", pad_inches=0.05)
    np.save(folder / "bits.npy", np.stack([rate_map(bits) for bits in result.bits]))


def table(result: LatentStudy) -> str:
    """What each latent and its hyper-latent cost, and what the file has besides."""
    height, width, _ = result.image.shape
    file = 8 * len(result.stream)

    def row(name: str, bits: float) -> list[str]:
        return [name, f"{bits / 8:.0f}", f"{bits / (height * width):.4f}", f"{100 * bits / file:.1f} %"]

    rows = []
    for b, bits in enumerate(result.bits):
        rows += [row(f"y{b + 1}", bits.latent.sum()), row(f"z{b + 1}", bits.hyper_latent.sum())]
    rest = file - sum(bits.sum() for bits in result.bits)
    rows += [row("header, coder", rest), row("file", file)]
    return text_table(["", "bytes", "bits per pixel", "share"], rows)
