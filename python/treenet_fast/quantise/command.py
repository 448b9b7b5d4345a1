"""The command `treenet-fast export`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from treenet_fast import model_file
from treenet_fast.errors import InvalidArgumentError
from treenet_fast.evaluation.codecs import ImageCodec, TreeNetCodec
from treenet_fast.evaluation.curve import images_in, means, measure
from treenet_fast.evaluation.float_network import FloatCodec
from treenet_fast.model import load_checkpoint
from treenet_fast.quantise import is_quantised, load_quantised, quantise
from treenet_fast.quantise.images import calibration_crops


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="what train wrote")
    parser.add_argument("out", metavar="OUT", type=Path, help="the model file to write")
    parser.add_argument("--name", help="the model's name, for people (default: OUT without its suffix)")
    parser.add_argument(
        "--calibrate", metavar="FOLDER", type=Path, help="photographs, for a network that was not trained as quantised"
    )
    parser.add_argument("--crops", type=int, default=64, help="how many crops to calibrate with (default: %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="width and height of a crop (default: %(default)s)")
    parser.add_argument(
        "--evaluate",
        metavar="FOLDER",
        type=Path,
        help="measure the model, and the float network behind it, on the images in FOLDER, and keep that in the model",
    )


def run(options: argparse.Namespace) -> int:
    """Make the model file; the exit status."""
    if not is_quantised(options.checkpoint):
        if options.calibrate is None:
            raise InvalidArgumentError(f"{options.checkpoint} has no number formats: name photographs with --calibrate")
        crops = calibration_crops(options.calibrate, options.crops, options.size)
        tensors = quantise(load_checkpoint(options.checkpoint), crops)
    elif options.calibrate is not None:
        raise InvalidArgumentError(f"{options.checkpoint} has number formats already: leave out --calibrate")
    else:
        tensors = load_quantised(options.checkpoint).tensors()
    images = images_in(options.evaluate) if options.evaluate is not None else None
    metadata = {"name": options.name or options.out.stem}
    model_file.save(options.out, tensors, metadata)
    if images is not None:
        metadata["evaluation"] = json.dumps(
            {
                "images": len(images),
                "integer": _curve(TreeNetCodec(model_file.load(options.out)), images),
                "float": _curve(FloatCodec(options.checkpoint), images),
            }
        )
        model_file.save(options.out, tensors, metadata)
    print(f"{options.out}: {options.out.stat().st_size} bytes, hash {model_file.load(options.out).hash.hex()}")
    return 0


def _curve(codec: ImageCodec, images: Sequence[Path]) -> list[dict[str, float]]:
    """Means over the images: bits a pixel (of real files, or the float network's estimate), PSNR in dB, MS-SSIM."""
    rows = [measure(codec, path, quality) for quality in codec.qualities for path in images]
    return [vars(point) for point in means(rows)]
