"""Where one run of an image first parts from another: their intermediate tensors side by side, in SPEC's order."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gpu.device import Device
from treenet_fast import reference
from treenet_fast.images import MAX_SIDE

NO_LIMIT = MAX_SIDE**2

ORDER = (
    *(f"analysis.level{level}" for level in range(4)),
    *("analysis.fusion", "Y", "Z", "psi", "mean", "scale", "index", "S", "Yhat", "X"),
    *(f"synthesis.{part}{level}" for level in range(4) for part in ("level", "fusion")),
    "pixels",
)
"""Of the names of tensors, without the number of a node or bottleneck."""

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Difference:
    """The first tensor that differs.

    Attributes:
        run: "compress" or "decompress".
        tensor: its name in SPEC.md.
        elements, differing: how many it has, and how many of them differ.
        index: of the first of these, (row, column, channel); empty where the shapes or types differ.
        found, expected: its values there, or the shapes and types.
    """

    run: str
    tensor: str
    elements: int
    differing: int
    index: tuple[int, ...]
    found: int | str
    expected: int | str

    def __str__(self) -> str:
        at = f"first at {list(self.index)}: " if self.index else ""
        what = f"{self.differing} of {self.elements} elements of {self.tensor} differ in {self.run}"
        return f"{what}, {at}{self.found}, not {self.expected}"


def first_difference(run: str, found: Tensors, expected: Tensors) -> Difference | None:
    """Of the tensors that both have; None if these are equal."""
    for name in sorted(found.keys() & expected.keys(), key=_place):
        ours, theirs = found[name], expected[name]
        if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
            kinds = [f"{values.dtype} {list(values.shape)}" for values in (ours, theirs)]
            return Difference(run, name, theirs.size, theirs.size, (), *kinds)
        if not np.array_equal(ours, theirs):
            places = np.argwhere(ours != theirs)
            index = tuple(map(int, places[0]))
            return Difference(run, name, ours.size, len(places), index, int(ours[index]), int(theirs[index]))
    return None


@dataclass(frozen=True)
class Run:
    """An image to a stream, and a stream back: their tensors in both."""

    stream: bytes
    encoder: Tensors
    decoder: Tensors

    def first_difference(self, expected: "Run") -> Difference | None:
        """From a run of the same image, and of the same stream back."""
        found = first_difference("compress", self.encoder, expected.encoder)
        return found or first_difference("decompress", self.decoder, expected.decoder)


def on_the_cpu(codec: Any, pixels: Tensor, quality: int) -> Run:
    """By a codec on the CPU, of u8 `[H, W, 1 or 3]`."""
    array = pixels.cpu().expand(-1, -1, 3).contiguous().numpy()
    native = codec._engine.native
    stream = native.encode(array, quality, pixels.shape[2] == 1)
    return Run(stream, native.trace_encode(array, quality), native.trace_decode(stream, NO_LIMIT))


def on_the_device(device: Device, codec: Any, pixels: Tensor, quality: int, stream: bytes) -> Run:
    """By a codec on the device, of an image there; `stream` goes back, whatever the image gives."""
    own = codec.compress(pixels.permute(2, 0, 1), quality)
    return Run(own, device.trace_compress(codec, pixels, quality), device.trace_decompress(codec, stream))


def by_reference(model: str, device: Any, pixels: Tensor, quality: int, stream: bytes | None = None) -> Run:
    """By PyTorch on a device, of u8 `[H, W, 3]`; back goes `stream`, or what the image gives."""
    codec = reference.api.codec(model, device)
    encoder = codec.trace_encode(pixels.cpu().numpy(), quality)
    own = codec.write(encoder, *pixels.shape[:2], quality, False)
    decoder = codec.trace_decode(stream or own, NO_LIMIT)
    return Run(own, *({name: values.cpu().numpy() for name, values in run.items()} for run in (encoder, decoder)))


def _place(name: str) -> tuple[int, str]:
    return ORDER.index(re.sub(r"\.\d+$", "", name)), name
