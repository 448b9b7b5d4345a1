"""What the four latents hold: the images that some of them give alone, and where in the image their bits are.

All of it is the integer codec's own arithmetic, by the reference.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from treenet_fast import _arguments, models
from treenet_fast.evaluation.metrics import Pixels
from treenet_fast.images import normalise
from treenet_fast.model_layout import LATENTS
from treenet_fast.models import ModelLike
from treenet_fast.reference.api import codec
from treenet_fast.reference.codec import Codec
from treenet_fast.reference.rate import LatentBits, coded_bits
from treenet_fast.reference.synthesis import synthesis
from treenet_fast.reference.trace import Trace

POSITION_PIXELS = 256
"""Pixels of the extended image beneath one position of the latents (SPEC §3)."""

_HYPER = 4  # positions of the latents along a side of one position of the hyper-latents


@dataclass(frozen=True)
class LatentStudy:
    """One image at one quality.

    Attributes:
        image: u8 `[H, W, 3]`.
        stream: its file.
        selective: what the decoder makes of each latent alone, the others zero; u8 `[H, W, 3]`.
        accumulative: of the first latent, the first two, the first three, and all: the last is the decoded image.
        bits: what the symbols of each latent and of its hyper-latent cost.
    """

    image: Pixels
    stream: bytes
    selective: list[Pixels]
    accumulative: list[Pixels]
    bits: list[LatentBits]


def study(image: Pixels, quality: int, model: ModelLike | None = None) -> LatentStudy:
    """Studies the latents of an RGB image, u8 `[H, W, 3]`, at a quality in 1..100.

    Raises:
        UnsupportedImageError, ImageTooLargeError, InvalidArgumentError, ModelFileError
    """
    quality = _arguments.quality(quality)
    (image,) = (one.pixels for one in normalise([image])[0])
    integers = models.resolve(model)
    coder = codec(integers)
    height, width, _ = image.shape
    with torch.inference_mode():
        trace = coder.trace_encode(image, quality)
        stream = coder.write(trace, height, width, quality, grey=False)
        # The decoder's are the same (SPEC §5).
        decoded = [trace[f"Yhat.{b}"].permute(2, 0, 1) for b in range(LATENTS)]

        def propagated(kept: Collection[int]) -> Pixels:
            return propagate(coder, decoded, kept, quality)[:height, :width]

        selective = [propagated([b]) for b in range(LATENTS)]
        accumulative = [selective[0], *(propagated(range(count)) for count in range(2, LATENTS + 1))]
    return LatentStudy(image, stream, selective, accumulative, coded_bits(trace, integers))


def propagate(coder: Codec, latents: Sequence[Tensor], kept: Collection[int], quality: int) -> Pixels:
    """The extended image of some of four decoded latents, `[32, h, w]` s16 each; the others are taken for zero."""
    chosen = [latent if b in kept else torch.zeros_like(latent) for b, latent in enumerate(latents)]
    pixels: Pixels = synthesis(coder.model, chosen, quality, Trace()).permute(1, 2, 0).cpu().numpy()
    return pixels


def rate_map(bits: LatentBits) -> NDArray[np.float64]:
    """Bits at each position of a latent, summed over the channels: `[h, w]`, whose sum is that of all bits.

    Those of a hyper-latent's position are spread evenly over the positions of the latent beneath it.
    """
    latent, hyper_latent = bits.latent.sum(axis=2), bits.hyper_latent.sum(axis=2)
    # At the bottom and at the right fewer than four lie beneath.
    rows, columns = (
        np.minimum(_HYPER, size - _HYPER * np.arange(count))
        for size, count in zip(latent.shape, hyper_latent.shape, strict=True)
    )
    spread = hyper_latent / np.outer(rows, columns)
    total: NDArray[np.float64] = latent + spread.repeat(rows, axis=0).repeat(columns, axis=1)
    return total
