"""Holds the implementations against each other: bytes, every tensor that two of them share, and pixels (SPEC.md).

The reference runs once; each native path is compared with it. What differs first is named.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from treenet_fast import _native, reference
from treenet_fast.model_file import IntegerModel
from treenet_fast.reference.rate import information_content

NO_LIMIT = 1 << 40


@dataclass(frozen=True)
class Path:
    """A native path: an instruction set on a number of threads; whether all its tensors are compared too."""

    isa: str
    threads: int
    traced: bool = True


@dataclass(frozen=True)
class Result:
    """What all implementations agreed on, and what the symbols carry in information.

    Attributes:
        stream: the bytes.
        pixels: u8 `[H, W, 3]`.
        information: bits of the coded symbols under the model's probabilities in float precision.
        stream_sha256, latents_sha256, pixels_sha256: of the bytes; of the decoded latents, s16 little-endian
            `[4, h, w, 32]`; of the pixels.
    """

    stream: bytes
    pixels: np.ndarray
    information: float
    stream_sha256: str
    latents_sha256: str
    pixels_sha256: str


class Comparison:
    """An integer model on the reference and on native paths."""

    def __init__(self, model: IntegerModel, paths: Iterable[Path]) -> None:
        self.model = model
        self.reference = reference.api.codec(model)
        native = _native.Model(model.tensors, model.hash)
        self.codecs = {path: _native.Codec(native, path.isa, path.threads) for path in paths}
        for path, codec in self.codecs.items():
            assert (codec.isa, codec.threads) == (path.isa, path.threads)

    def run(self, image: np.ndarray, quality: int) -> Result:
        """Encodes and decodes u8 `[H, W, 3]` everywhere.

        Raises:
            AssertionError: two implementations differ.
        """
        height, width = image.shape[:2]
        encoder = self.reference.trace_encode(image, quality)
        stream = self.reference.write(encoder, height, width, quality, False)
        decoder = self.reference.trace_decode(stream, NO_LIMIT)
        for b in range(4):
            assert torch.equal(encoder[f"Yhat.{b}"], decoder[f"Yhat.{b}"]), (
                "the decoder's latents are not the encoder's"
            )
        pixels = decoder["pixels"].numpy()
        for path, codec in self.codecs.items():
            assert codec.encode(image, quality, False) == stream, f"{path}: other bytes"
            if path.traced:
                same_tensors(path, codec.trace_encode(image, quality), encoder)
                same_tensors(path, codec.trace_decode(stream, NO_LIMIT), decoder)
            # A trace keeps the last features; without one they stay inside the fused kernel.
            assert np.array_equal(codec.decode(stream, NO_LIMIT), pixels), f"{path}: other pixels"
        latents = np.stack([decoder[f"Yhat.{b}"].numpy() for b in range(4)])
        return Result(
            stream,
            pixels,
            information_content(decoder, self.model),
            hashlib.sha256(stream).hexdigest(),
            hashlib.sha256(latents.astype("<i2").tobytes()).hexdigest(),
            hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest(),
        )


def same_tensors(path: Path, native: dict[str, np.ndarray], expected: dict[str, torch.Tensor]) -> None:
    """Every tensor of the native trace is the reference's; the reference's has none besides but the raw scales."""
    assert native.keys() == {name for name in expected if not name.startswith("scale.")}
    for name, values in native.items():
        other = expected[name].numpy()
        assert values.dtype == other.dtype, f"{path}: {name} is {values.dtype}, not {other.dtype}"
        assert np.array_equal(values, other), f"{path}: {name} differs"
