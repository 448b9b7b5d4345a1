"""The float network as a codec without files: what an integer model is held against."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import torch

from treenet_fast.errors import InvalidArgumentError
from treenet_fast.evaluation.codecs import MODEL_QUALITIES, Coded, ImageCodec
from treenet_fast.evaluation.metrics import Pixels
from treenet_fast.evaluation.names import float_name, treenet_name
from treenet_fast.model import TreeNet, load_checkpoint
from treenet_fast.quantise.entropy import SCALE_UNITS, coded_from
from treenet_fast.quantise.settings import Settings

SKIP_BELOW = coded_from(Settings().skip_below) / SCALE_UNITS
"""Symbols with a smaller scale are skipped, as the integer models do: skipping is the format's, not quantisation's."""


def load(checkpoint: str | os.PathLike[str]) -> TreeNet:
    """The float network of a checkpoint, with the skipping of the integer models.

    Raises:
        ModelFileError: the file cannot be read or holds no TreeNet.
    """
    return load_checkpoint(checkpoint, SKIP_BELOW)


def code(network: TreeNet, image: Pixels, quality: int) -> Coded:
    """The float network on an image, u8 `[H, W, 3]`, with rounded latents.

    The rate is an estimate, the information of the latents under the network's own probabilities; pixels are clamped
    and rounded to 8 bits.
    """
    device = next(network.parameters()).device
    x = torch.tensor(image, device=device).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        output = network(x, float(quality), rounding="round")
    pixels = (output.reconstruction[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
    return Coded(float(output.bits()[0]) / 8, pixels.cpu().numpy())


class FloatCodec(ImageCodec):
    """The float network of a checkpoint. It belongs to the integer model that has the checkpoint's name.

    Raises:
        ModelFileError: the file cannot be read or holds no TreeNet.
    """

    kind = "float"

    def __init__(self, checkpoint: Path, qualities: tuple[int, ...] = MODEL_QUALITIES) -> None:
        self._network = load(checkpoint)
        self.name = float_name(treenet_name(checkpoint.stem))
        self.qualities = qualities
        self.parameters = {
            "torch": torch.__version__,
            "skipped below a scale of": str(SKIP_BELOW),
            "checkpoint SHA-256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        }

    def code(self, image: Pixels, quality: int, file: Path | None = None) -> Coded:
        if file is not None:
            raise InvalidArgumentError(f"{self.name} has no files: its rate is an estimate")
        return code(self._network, image, quality)
