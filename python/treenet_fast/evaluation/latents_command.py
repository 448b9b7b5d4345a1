"""The command `treenet-fast latents`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from treenet_fast import _arguments, image_files, models
from treenet_fast._output import write_whole
from treenet_fast.errors import InvalidArgumentError, RecordError
from treenet_fast.evaluation.latent_figures import propagation_figure, rate_figure
from treenet_fast.evaluation.latents import LatentStudy, rate_map, study
from treenet_fast.evaluation.libraries import library
from treenet_fast.evaluation.metrics import psnr
from treenet_fast.evaluation.record import read_json
from treenet_fast.evaluation.table import Table
from treenet_fast.evaluation.text_table import text_table
from treenet_fast.images import check_pixels
from treenet_fast.model_layout import LATENTS

MAX_PIXELS = 1 << 22
"""Larger images are refused by default: the reference is made to be read, and takes GB of memory and minutes."""


SUMMARY = "study.json"
"""The file that says what the others are of."""


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
    found = summary(result, options)
    write(result, folder)
    write_whole(folder / SUMMARY, json.dumps(asdict(found), indent=1, ensure_ascii=False) + "\n")
    print(f"{options.image} at quality {options.quality} -> {folder}\n\n{text_table(*table(found))}")
    return 0


@dataclass(frozen=True)
class Summary:
    """What was studied.

    Attributes:
        image, width, height: of the photograph.
        quality, model: that it was coded with.
        psnr: of the accumulative images, in dB.
        bits: what each part of the file costs, by name.
    """

    image: str
    width: int
    height: int
    quality: int
    model: str
    psnr: list[float]
    bits: dict[str, float]

    @classmethod
    def load(cls, path: Path) -> Summary:
        """The summary in a folder of the command's.

        Raises:
            RecordError: it is damaged, or something else.
        """
        content = read_json(path)
        try:
            found = cls(**content)
            sizes = found.width, found.height, found.quality, *found.psnr, *found.bits.values()
            if (
                not all(isinstance(x, (int, float)) and x > 0 for x in sizes)
                or len(found.psnr) != LATENTS
                or "file" not in found.bits
            ):
                raise ValueError("what should be numbers above zero is not, or is missing")
        except (ValueError, TypeError, AttributeError) as error:
            raise RecordError(f"{path}: is no summary of a study, or is damaged: {error}") from error
        return found


def summary(result: LatentStudy, options: argparse.Namespace) -> Summary:
    """Each latent and its hyper-latent, what the file has besides, and the file."""
    bits: dict[str, float] = {}
    for b, cost in enumerate(result.bits):
        bits |= {f"y{b + 1}": float(cost.latent.sum()), f"z{b + 1}": float(cost.hyper_latent.sum())}
    file = 8 * len(result.stream)
    bits |= {"header, coder": file - sum(bits.values()), "file": file}
    height, width, _ = result.image.shape
    model = models.resolve(options.model).name
    psnrs = [psnr(result.image, pixels) for pixels in result.accumulative]
    return Summary(options.image.name, width, height, options.quality, model, psnrs, bits)


def write(result: LatentStudy, folder: Path) -> None:
    """Eight images, two figures, and `bits.npy`: f64 `[4, h, w]`, the bits at each position of each latent."""
    for name in ("selective", "accumulative"):
        for b, pixels in enumerate(getattr(result, name)):
            Image.fromarray(pixels).save(folder / f"{name}-{b + 1}.png")
    for name, figure in (("propagation", propagation_figure(result)), ("rates", rate_figure(result))):
        figure.savefig(folder / f"{name}.png", dpi=100, bbox_inches="tight", pad_inches=0.05)
    np.save(folder / "bits.npy", np.stack([rate_map(bits) for bits in result.bits]))


def table(found: Summary) -> Table:
    """What each part of the file costs."""
    pixels, file = found.width * found.height, found.bits["file"]
    rows = [
        [name, f"{bits / 8:.0f}", f"{bits / pixels:.4f}", f"{100 * bits / file:.1f} %"]
        for name, bits in found.bits.items()
    ]
    return Table(["", "bytes", "bits per pixel", "share"], rows)
