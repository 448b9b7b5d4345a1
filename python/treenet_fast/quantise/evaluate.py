"""What quantisation costs: the integer model against the float model, image by image.

`python -m treenet_fast.quantise.evaluate CHECKPOINT MODEL IMAGE... [--quality Q ...]` prints a table. The float model
rounds its latents, and its bits are its own estimate; the integer model's are the information content of its symbols.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from treenet_fast import model_file
from treenet_fast.errors import TreeNetError
from treenet_fast.model import TreeNet, load_checkpoint
from treenet_fast.model_file import IntegerModel
from treenet_fast.model_layout import LATENTS
from treenet_fast.reference.api import codec
from treenet_fast.reference.rate import information_content
from treenet_fast.reference.synthesis import synthesis
from treenet_fast.reference.trace import Trace

QUALITIES = (1, 25, 50, 75, 100)


@dataclass(frozen=True)
class Result:
    """Rate and distortion of one image."""

    bits_per_pixel: float
    mean_squared_error: float

    @property
    def psnr(self) -> float:
        """In dB, for 8-bit pixels."""
        return 10 * math.log10(255**2 / max(self.mean_squared_error, 1e-10))


def evaluate_float(model: TreeNet, image: NDArray[np.uint8], quality: int) -> Result:
    """The float model on an RGB image `[H, W, 3]`."""
    x = torch.tensor(image).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        output = model(x, float(quality), rounding="round")
    pixels = (output.reconstruction[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    return _result(float(output.bits()[0]), pixels, image)


def evaluate_integer(model: IntegerModel, image: NDArray[np.uint8], quality: int) -> Result:
    """The integer model on an RGB image `[H, W, 3]`, without writing a stream."""
    coder = codec(model)
    with torch.inference_mode():
        trace = coder.trace_encode(image, quality)
        latents = [trace[f"Yhat.{b}"].permute(2, 0, 1) for b in range(LATENTS)]
        extended = synthesis(coder.model, latents, quality, Trace())
    pixels = extended.permute(1, 2, 0).numpy()[: image.shape[0], : image.shape[1]]
    return _result(information_content(trace, model), pixels, image)


def _result(bits: float, pixels: NDArray[np.generic], image: NDArray[np.uint8]) -> Result:
    error = np.square(pixels.astype(np.float64) - image).mean()
    return Result(bits / (image.shape[0] * image.shape[1]), float(error))


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m treenet_fast.quantise.evaluate", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--quality", type=int, nargs="+", default=QUALITIES)
    options = parser.parse_args(arguments)
    try:
        network, integers = load_checkpoint(options.checkpoint), model_file.load(options.model)
        print("quality  image                 float bpp    PSNR   integer bpp    PSNR   bits %  PSNR dB")
        for quality in options.quality:
            for path in options.images:
                with Image.open(path) as file:
                    image = np.array(file.convert("RGB"))
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
