"""The command `treenet-fast export`."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

from treenet_fast import image_files, model_file
from treenet_fast.errors import InvalidArgumentError
from treenet_fast.evaluation.codecs import ImageCodec, TreeNetCodec
from treenet_fast.evaluation.curve import BASIC, check, images_in, means, measure
from treenet_fast.evaluation.float_network import FloatCodec
from treenet_fast.model import load_checkpoint
from treenet_fast.model_file import IntegerModel
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
    quantised = is_quantised(options.checkpoint)
    _check_out(options.out, options.checkpoint)
    images = images_in(options.evaluate) if options.evaluate is not None else []
    for image in images:
        check(image)
    if not quantised:
        if options.calibrate is None:
            raise InvalidArgumentError(f"{options.checkpoint} has no number formats: name photographs with --calibrate")
        crops = calibration_crops(options.calibrate, options.crops, options.size)
        tensors = quantise(load_checkpoint(options.checkpoint), crops)
    elif options.calibrate is not None:
        raise InvalidArgumentError(f"{options.checkpoint} has number formats already: leave out --calibrate")
    else:
        tensors = load_quantised(options.checkpoint).tensors()
    metadata = {"name": options.name or options.out.stem}
    model = model_file.make(tensors, metadata)
    if images:
        metadata["evaluation"] = _evaluation(model, options.checkpoint, images)
    # Once, at the end: a run that fails leaves a file of that name as it was.
    model_file.save(options.out, tensors, metadata)
    print(f"{options.out}: {options.out.stat().st_size} bytes, hash {model.hash.hex()}")
    return 0


def _check_out(out: Path, checkpoint: Path) -> None:
    """Refuses what could not be written, or would replace the input."""
    if out.exists() and out.samefile(checkpoint):
        raise InvalidArgumentError(f"{out}: is the input; name another output")
    if out.is_dir():
        raise InvalidArgumentError(f"{out}: is a folder; name a file in it")
    if not out.parent.is_dir():
        raise InvalidArgumentError(f"{out.parent}: no such folder; make it first")


def _evaluation(model: IntegerModel, checkpoint: Path, images: Sequence[Path]) -> str:
    """The curves of the model and of the float network behind it, and what they were measured on, as JSON."""
    network = FloatCodec(checkpoint)
    content = {
        "images": [path.name for path in images],
        **network.parameters,
        "integer": _curve(TreeNetCodec(model), images),
        "float": _curve(network, images),
    }
    return json.dumps(content, allow_nan=False)


def _curve(codec: ImageCodec, images: Sequence[Path]) -> list[dict[str, float | None]]:
    """Means over the images: bits a pixel (of real files, or the float network's estimate), PSNR in dB, MS-SSIM.

    A PSNR is None where an image came back without any error; JSON has no infinity.
    """
    rows = [measure(codec, path.name, image_files.read(path), q) for q in codec.qualities for path in images]
    return [
        {"quality": point.quality, "bpp": point.bpp, **{m.name: _finite(point.values[m.name]) for m in BASIC}}
        for point in means(rows)
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
