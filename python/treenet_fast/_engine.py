"""What runs a model for `Codec`: batches to streams and back, in the memory that a native codec works on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol, TypeVar

from treenet_fast import _native
from treenet_fast._stream import Stream
from treenet_fast.images import MAX_SIDE, ImageLike, Output, Picture, host_pixels, restore, restore_planes

NO_LIMIT = MAX_SIDE**2
"""More pixels than a stream can say (SPEC §8): for calls whose sizes have been checked."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """One model on one device. Any number of threads may use an engine at once."""

    @property
    def native(self) -> _native.Codec:
        """The codec that does the work."""

    @property
    def device(self) -> str:
        """Where it works: "cpu", or "cuda:0", "cuda:1", ..."""

    def encode(self, pictures: Sequence[Picture], quality: int) -> list[bytes]:
        """The streams of images of any sizes, in their order.

        Raises:
            UnsupportedImageError: floats that are NaN or outside 0..1; a tensor whose values cannot be had.
            DeviceMemoryError: the device lacks memory.
            BackendError: it fails, or the process was forked after the engine was made.
        """

    def decode(self, streams: Sequence[Stream], output: Output) -> list[ImageLike]:
        """The images of streams of any sizes, in their order, as `treenet_fast.images.restore` gives them.

        Raises:
            StreamError: a stream is damaged, or of another model.
            DeviceMemoryError, BackendError: as of `encode`.
        """


class CpuEngine:
    """An engine that works on the host's memory, on one image after the other."""

    device = "cpu"

    def __init__(self, native: _native.Codec) -> None:
        self.native = native

    def encode(self, pictures: Sequence[Picture], quality: int) -> list[bytes]:
        images = [host_pixels(picture) for picture in pictures]  # all of them, so that a bad one costs no work
        return [
            self.native.encode(pixels, quality, picture.grey) for pixels, picture in zip(images, pictures, strict=True)
        ]

    def decode(self, streams: Sequence[Stream], output: Output) -> list[ImageLike]:
        if output == "torch":
            return [restore_planes(self.native.decode(stream.data, NO_LIMIT, planar=True)) for stream in streams]
        return [restore(self.native.decode(stream.data, NO_LIMIT), output) for stream in streams]


def in_groups(
    items: Sequence[Item],
    key: Callable[[Item], Hashable],
    work: Callable[[list[Item]], Sequence[Result]],
    most: int | None = None,
) -> list[Result]:
    """The results of all items in their order, from work on items of one key at a time, and on at most `most`.

    >>> in_groups([1, 2, 3, 4], lambda number: number % 2, lambda group: [f"{number} of {group}" for number in group])
    ['1 of [1, 3]', '2 of [2, 4]', '3 of [1, 3]', '4 of [2, 4]']
    """
    groups: dict[Hashable, list[int]] = {}
    for i, item in enumerate(items):
        groups.setdefault(key(item), []).append(i)
    results: dict[int, Result] = {}
    for group in groups.values():
        step = most or len(group)
        for first in range(0, len(group), step):
            part = group[first : first + step]
            results.update(zip(part, work([items[i] for i in part]), strict=True))
    return [results[i] for i in range(len(items))]
