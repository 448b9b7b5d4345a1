"""`python -m treenet_fast.quantise CHECKPOINT [IMAGES] OUT`: make an integer model file.

A checkpoint of a quantised network has its number formats already; a float one needs images to find them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from treenet_fast import model_file
from treenet_fast.errors import TreeNetError
from treenet_fast.model import load_checkpoint
from treenet_fast.quantise import load_quantised, quantise
from treenet_fast.quantise.images import calibration_crops


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m treenet_fast.quantise", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="a TreeNet, float or quantised (safetensors)")
    parser.add_argument(
        "images", type=Path, nargs="?", help="a folder of photographs to calibrate a float TreeNet with"
    )
    parser.add_argument("out", type=Path, help="the integer model file to write")
    parser.add_argument("--name", help="the model's name, for people (default: OUT without its suffix)")
    parser.add_argument("--crops", type=int, default=64, help="how many crops to calibrate with (default: %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="width and height of a crop (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        if options.images is None:
            tensors = load_quantised(options.checkpoint).tensors()
        else:
            crops = calibration_crops(options.images, options.crops, options.size)
            tensors = quantise(load_checkpoint(options.checkpoint), crops)
        model_file.save(options.out, tensors, {"name": options.name or options.out.stem})
    except (TreeNetError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.out}: {options.out.stat().st_size} bytes, hash {model_file.load(options.out).hash.hex()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
