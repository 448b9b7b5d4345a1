"""The reference's public calls, which take and give what those of ``treenet_fast`` do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

import torch
from torch import Tensor

from treenet_fast import _arguments, models
from treenet_fast.errors import InvalidArgumentError
from treenet_fast.images import MAX_SIDE, ImageLike, Output, normalise, restore
from treenet_fast.models import ModelLike

from .codec import Codec

Device = str | torch.device

NO_LIMIT = MAX_SIDE**2
"""More pixels than a stream can say (SPEC §8)."""

_codecs: dict[tuple[bytes, torch.device], Codec] = {}


def codec(model: ModelLike | None = None, device: Device = "cpu") -> Codec:
    """The codec of a model, see ``treenet_fast.models.resolve``; made once for each device.

    Raises:
        ModelFileError: the file cannot be read or breaks a rule of SPEC §9.
    """
    model = models.resolve(model)
    key = model.hash, torch.device(device)
    if key not in _codecs:
        _codecs[key] = Codec.of(model, key[1])
    return _codecs[key]


def compress(
    image: ImageLike | Sequence[ImageLike],
    quality: SupportsIndex = 50,
    *,
    model: ModelLike | None = None,
    device: Device = "cpu",
) -> Any:
    """The stream of an image, or a list of streams of a batch or a list.

    Args:
        image: as :func:`treenet_fast.images.normalise` takes it.
        quality: 1..100.
        model: the name of one in the package, a path, a loaded model, or None for the default.
        device: where PyTorch computes; the bytes do not depend on it.

    Raises:
        UnsupportedImageError, ImageTooLargeError, InvalidArgumentError, ModelFileError
    """
    quality = _arguments.quality(quality)
    images, many = normalise(image)
    coder = codec(model, device)
    streams = [coder.encode(one.pixels, quality, one.grey) for one in images]
    return streams if many else streams[0]


def decompress(
    data: bytes | Sequence[bytes],
    output: Output | None = None,
    *,
    model: ModelLike | None = None,
    device: Device = "cpu",
    max_pixels: int = NO_LIMIT,
) -> Any:
    """The image of a stream, or a list of images of a list of streams.

    Args:
        data: what :func:`compress` or ``treenet_fast.compress`` gave.
        output: the kind of image, as :func:`treenet_fast.images.restore` takes it.
        model: as for :func:`compress`; it has to be the one that the stream was made with.
        device: where PyTorch computes; the pixels do not depend on it.
        max_pixels: streams of larger images are refused before anything is allocated.

    Raises:
        StreamError, ImageTooLargeError, InvalidArgumentError, ModelFileError
    """
    coder = codec(model, device)
    if isinstance(data, (list, tuple)):
        return [restore(coder.decode(_arguments.stream(one), max_pixels), output) for one in data]
    return restore(coder.decode(_arguments.stream(data), max_pixels), output)


def trace_encode(
    image: ImageLike, quality: SupportsIndex = 50, *, model: ModelLike | None = None, device: Device = "cpu"
) -> dict[str, Tensor]:
    """Every intermediate tensor ``[h, w, c]`` of the encoder for one image, by its name in SPEC.md."""
    images, _ = normalise(image)
    if len(images) != 1:
        raise InvalidArgumentError(f"a trace is of one image, not of {len(images)}")
    return codec(model, device).trace_encode(images[0].pixels, _arguments.quality(quality))


def trace_decode(
    data: bytes, *, model: ModelLike | None = None, device: Device = "cpu", max_pixels: int = NO_LIMIT
) -> dict[str, Tensor]:
    """Every intermediate tensor ``[h, w, c]`` of the decoder for one stream, by its name in SPEC.md."""
    return codec(model, device).trace_decode(_arguments.stream(data), max_pixels)
