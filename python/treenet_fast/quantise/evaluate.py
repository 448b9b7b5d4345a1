"""What quantisation costs: the integer model against the float model, image by image.

`python -m treenet_fast.quantise.evaluate CHECKPOINT MODEL IMAGE... [--quality Q ...]` prints a table. The float model
rounds its latents and skips the symbols that the integer model skips, and its bits are its own estimate; the integer
model's are the information content of its symbols.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from treenet_fast import image_files, model_file
from treenet_fast.errors import TreeNetError
from treenet_fast.evaluation import float_network
from treenet_fast.evaluation.metrics import Pixels, psnr
from treenet_fast.model import TreeNet
from treenet_fast.model_file import IntegerModel
from treenet_fast.model_layout import LATENTS
from treenet_fast.reference.api import codec
from treenet_fast.reference.rate import information_content
from treenet_fast.reference.synthesis import synthesis
from treenet_fast.reference.trace import Trace

QUALITIES = (1, 25, 50, 75, 100)


@dataclass(frozen=True)
class Result:
    """Rate and distortion of one image; `psnr` in dB."""

    bits_per_pixel: float
    psnr: float


def evaluate_float(model: TreeNet, image: Pixels, quality: int) -> Result:
    """The float model on an RGB image `[H, W, 3]`."""
    coded = float_network.code(model, image, quality)
    return _result(8 * coded.bytes, coded.pixels, image)


def evaluate_integer(model: IntegerModel, image: Pixels, quality: int) -> Result:
    """The integer model on an RGB image `[H, W, 3]`, without writing a stream."""
    coder = codec(model)
    with torch.inference_mode():
        trace = coder.trace_encode(image, quality)
        latents = [trace[f"Yhat.{b}"].permute(2, 0, 1) for b in range(LATENTS)]
        extended = synthesis(coder.model, latents, quality, Trace())
    pixels = extended.permute(1, 2, 0).numpy()[: image.shape[0], : image.shape[1]]
    return _result(information_content(trace, model), pixels.astype(np.uint8), image)


def _result(bits: float, pixels: Pixels, image: Pixels) -> Result:
    return Result(bits / (image.shape[0] * image.shape[1]), psnr(image, pixels))


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m treenet_fast.quantise.evaluate", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--quality", type=int, nargs="+", default=QUALITIES)
    options = parser.parse_args(arguments)
    try:
        network, integers = float_network.load(options.checkpoint), model_file.load(options.model)
        print("quality  image                 float bpp    PSNR   integer bpp    PSNR   bits %  PSNR dB")
        for quality in options.quality:
            for path in options.images:
                image = image_files.read(path)
                a, b = evaluate_float(network, image, quality), evaluate_integer(integers, image, quality)
                change = f"{100 * (b.bits_per_pixel / a.bits_per_pixel - 1):+7.2f}  {b.psnr - a.psnr:+7.3f}"
                print(
                    f"{quality:7}  {path.name:20}  {a.bits_per_pixel:9.4f}  {a.psnr:6.3f}"
                    f"  {b.bits_per_pixel:12.4f}  {b.psnr:6.3f}  {change}",
                    flush=True,
                )
    except (TreeNetError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
