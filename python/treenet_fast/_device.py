"""Codecs on GPUs: which device an argument means, and the engine that works in a device's memory.

Images in that memory are torch's tensors. torch is imported only where there is a GPU to use.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from treenet_fast import _native
from treenet_fast._engine import NO_LIMIT, Item, Result, in_groups
from treenet_fast._stream import Stream, StreamInfo
from treenet_fast.errors import BackendError, DeviceMemoryError, InvalidArgumentError
from treenet_fast.images import ImageLike, Output, Picture, on_device, restore, to_u8

if TYPE_CHECKING:
    import torch

Device: TypeAlias = "str | torch.device"

_NAME = re.compile(r"(cpu|cuda)(?::([0-9]{1,9}))?")
# Images of a long list that are copied to the device, or from it, at once: its memory need not hold them all.
_BATCH = 32


@cache  # in this process: in one that is forked they may be of no use
def cuda_devices() -> tuple[tuple[str, ...], str]:
    """The names of the GPUs that codecs can use, by their number; and where there is none, why."""
    names, why = _native.cuda_devices()
    if not names:
        return (), why
    try:
        import torch
    except ModuleNotFoundError:
        return (), "images in a GPU's memory are tensors of torch, which is not installed: pip install torch"
    if not torch.cuda.is_available():
        return (), f"torch {torch.__version__} cannot use CUDA: install a build of it that can"
    return tuple(names[: torch.cuda.device_count()]), ""


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=cuda_devices.cache_clear)


def choose(device: Device | None) -> int | None:
    """The number of the GPU that an argument means, or None for the CPU.

    Raises:
        InvalidArgumentError: it is no device of the CPU's or CUDA's.
        BackendError: it cannot be used; the message says what is missing.
    """
    if device is None:
        return None
    name = _NAME.fullmatch(str(device)) if isinstance(device, str) or _is_of_torch(device, "device") else None
    if name is None:
        raise InvalidArgumentError(f"device is {device!r}: use 'cpu', 'cuda', 'cuda:0' and so on, or a torch.device")
    if name[1] == "cpu":
        return None
    names, why = cuda_devices()
    if not names:
        raise BackendError(f"device is {str(device)!r}, but no CUDA device can be used: {why}")
    if name[2] is None:
        return _asked_of_cuda(lambda cuda: cuda.current_device())
    index = int(name[2])
    if index >= len(names):
        raise BackendError(
            f"device is {str(device)!r}, but there are {len(names)}: use one up to cuda:{len(names) - 1}"
        )
    return index


def of_image(image: Any) -> torch.device | None:
    """The GPU that a tensor lies on, or the first image of a list; None for all else."""
    if isinstance(image, (list, tuple)):
        image = image[0] if image else None
    return image.device if _is_of_torch(image, "Tensor") and image.is_cuda else None


def _is_of_torch(value: object, kind: str) -> bool:
    """Whether a value is of a class of torch; it can only be where torch is loaded already."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, getattr(torch, kind))


def on_cuda(model: _native.Model, index: int, threads: int) -> DeviceEngine:
    """The engine of a model on a GPU that `choose` gave.

    Raises:
        BackendError: the GPU is too old, or something fails on it.
    """
    import torch

    device = torch.device("cuda", index)
    native = _native.codec_on_cuda(model, index, threads)
    return DeviceEngine(native, device, lambda: _asked_of_cuda(lambda cuda: cuda.current_stream(device).cuda_stream))


def _asked_of_cuda(question: Callable[[Any], int]) -> int:
    """The answer of `torch.cuda`, which has none in a process that was forked after CUDA was used.

    Raises:
        BackendError: it has none.
    """
    import torch

    try:
        return question(torch.cuda)
    except RuntimeError as error:
        raise BackendError(f"CUDA cannot be used: {error}") from error


class DeviceEngine:
    """An engine that works on the memory of a torch device, in batches of images of one size.

    It uses torch's memory in one stream, torch's current one of the device: images are read after what the caller has
    put there, and pixels can be used by what the caller puts there next. So torch, which hands memory on in the order
    of the stream that it was taken in, may have that of a tensor back as soon as the engine lets go of it, and nothing
    needs `record_stream`. Nor does the device have to be the current one: torch and the native codec are both told
    which it is.

    Args:
        native: works on the memory of `device`.
        current_stream: gives the stream, as the number that the native code takes.
    """

    def __init__(self, native: _native.Codec, device: torch.device, current_stream: Callable[[], int]) -> None:
        self.native = native
        self._device = device
        self._current_stream = current_stream
        self._process = os.getpid()

    @property
    def device(self) -> str:
        """Its name."""
        return str(self._device)

    def encode(self, pictures: Sequence[Picture], quality: int) -> list[bytes]:
        def of_one_size(batch: list[Picture]) -> list[bytes]:
            pixels = self._pixels(batch)
            first = batch[0]
            places = [_place(image) for image in pixels]
            return _native.encode_at(self.native, places, first.height, first.width, quality, first.grey, stream)

        stream = self._stream()
        return in_groups(
            pictures, lambda one: (one.height, one.width, one.grey), self._with_memory(of_one_size), _BATCH
        )

    def decode(self, streams: Sequence[Stream], output: Output) -> list[ImageLike]:
        def of_one_size(batch: list[Stream]) -> list[ImageLike]:
            pixels = [self._room(one.info, output) for one in batch]
            places = [_place(image) for image in pixels]
            _native.decode_at(self.native, [one.data for one in batch], places, NO_LIMIT, stream)
            return [_given(image, output) for image in pixels]

        stream = self._stream()
        return in_groups(streams, lambda one: (one.info.height, one.info.width), self._with_memory(of_one_size), _BATCH)

    def _stream(self) -> int:
        """The stream for a call.

        Raises:
            BackendError: this is another process than that of the engine.
        """
        if os.getpid() != self._process:
            raise BackendError(
                "the codec was made before this process was forked, and a process that is forked after CUDA was used "
                "cannot use it: start processes by 'spawn' instead, as multiprocessing.get_context('spawn') does"
            )
        return self._current_stream()

    def _pixels(self, pictures: list[Picture]) -> list[torch.Tensor]:
        """u8 `[H, W, 1 or 3]` on the device: the caller's own tensors where they are that."""
        import torch

        tensors: list[torch.Tensor] = []
        for picture in pictures:
            array = picture.array
            if isinstance(array, np.ndarray):
                (pixels,) = to_u8([array])  # here: numpy has strides and floats that torch has not
                tensors.append(torch.tensor(np.ascontiguousarray(pixels), device=self._device))
            else:
                tensors.append(on_device(array, self._device))
        return to_u8(tensors)

    def _room(self, info: StreamInfo, output: Output) -> torch.Tensor:
        """u8 `[H, W, 1 or 3]` to be written, in the order of bytes that `output` has."""
        import torch

        size, channels = (info.height, info.width), 1 if info.grey else 3
        shape = (channels, *size) if output == "torch" else (*size, channels)
        room = torch.empty(shape, dtype=torch.uint8, device=self._device)
        return room.permute(1, 2, 0) if output == "torch" else room

    def _with_memory(self, work: Callable[[list[Item]], list[Result]]) -> Callable[[list[Item]], list[Result]]:
        """Work that is done again where memory lacks, once torch and the codec have given back what they only keep."""
        import torch

        lack = (torch.cuda.OutOfMemoryError, DeviceMemoryError)

        def attempt(items: list[Item]) -> list[Result]:
            try:
                return work(items)
            except lack:
                pass  # and with the error goes its traceback, which holds on to tensors
            _native.release(self.native)
            torch.cuda.empty_cache()
            try:
                return work(items)
            except lack as error:
                problem = f"{self.device} has too little memory: pass fewer or smaller images at once ({error})"
                raise DeviceMemoryError(problem) from error

        return attempt


def _place(image: torch.Tensor) -> _native.Place:
    """Where u8 `[H, W, 1 or 3]` lies; the one channel of a grey image is read as all three."""
    row, column, channel = image.stride()
    return _native.Place(image.data_ptr(), row, column, channel if image.shape[2] == 3 else 0)


def _given(image: torch.Tensor, output: Output) -> ImageLike:
    """What `restore` makes of the pixels of u8 `[H, W, 1 or 3]`; a tensor stays on its device."""
    if output == "torch":
        return image.permute(2, 0, 1)
    pixels = image.cpu().numpy()
    return restore(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels, output)
