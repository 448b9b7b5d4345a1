"""The public API: `compress`, `decompress`, `Codec`, `info`, `backend_info`."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from treenet_fast import _arguments, _native, model_file, models
from treenet_fast._version import __version__
from treenet_fast.errors import BackendError, WrongModelError
from treenet_fast.images import MAX_SIDE, ImageLike, Output, RgbImage, check_output, check_pixels, normalise, restore
from treenet_fast.models import ModelLike

ISAS = ("scalar", "avx2", "avx512vnni")
"""The instruction sets that there is code for, slowest first."""

ISA_VARIABLE = "TREENET_FAST_ISA"
"""The environment variable that forces one of them; unset or empty: the fastest that the machine has."""

DEFAULT_MAX_PIXELS = 178_956_970
"""Images beyond it are refused: the size at which Pillow takes a file for a decompression bomb."""

_MAX_THREADS = 256
_MAX_DEFAULT_THREADS = 16  # beyond it an ordinary photograph has too little work for each

Data: TypeAlias = bytes | bytearray | memoryview


class Codec:
    """A model made ready to compress and decompress; many threads may use one codec at once.

    Args:
        model: "mse" or "ms-ssim", which are in the package, a model file, or one that `treenet_fast.model_file.load`
            has read; None for "ms-ssim". It compresses; streams of the package's models are decompressed by any codec.
        threads: how many threads share the work on an image, 1..256; None for one a usable CPU, up to 16. The bytes
            and the pixels do not depend on it.
        max_pixels: images and streams with more pixels raise `ImageTooLargeError`; None for no limit.
        isa: "scalar", "avx2" or "avx512vnni"; None for what TREENET_FAST_ISA says, or else the fastest of the machine.
            The bytes and the pixels do not depend on it either.

    Raises:
        ModelFileError: the model file cannot be read or is not sound.
        BackendError: the instruction set is unknown, or the machine lacks it.
        InvalidArgumentError: `threads` or `max_pixels` is out of range, or `model` is neither a path nor a model.
    """

    def __init__(
        self,
        model: ModelLike | None = None,
        *,
        threads: int | None = None,
        max_pixels: int | None = DEFAULT_MAX_PIXELS,
        isa: str | None = None,
    ) -> None:
        self._max_pixels = (
            MAX_SIDE**2 if max_pixels is None else _arguments.integer("max_pixels", max_pixels, 1, MAX_SIDE**2)
        )
        threads = _choose_threads(threads)
        isa = _choose_isa(isa)
        self._model = models.resolve(model)
        self._native = _native_codec(self._model, isa, threads)
        self._others: dict[str, _native.Codec] = {}  # of models in the package, by the id in a stream

    @property
    def isa(self) -> str:
        """The instruction set that runs."""
        return self._native.isa

    @property
    def threads(self) -> int:
        """The number of threads that share the work on an image."""
        return self._native.threads

    @property
    def model(self) -> model_file.IntegerModel:
        """The model that compresses."""
        return self._model

    def __repr__(self) -> str:
        return f"Codec(model={self.model.name!r}, threads={self.threads}, isa={self.isa!r})"

    def compress(self, image: ImageLike | Sequence[ImageLike], quality: int = 50) -> Any:
        """Compresses an image, or each image of a batch or a list.

        Args:
            image: a torch tensor CHW or NCHW, a numpy array HWC or NHWC, a PIL image, or a list of images; uint8, or
                floats in 0..1; RGB or grey; from 1x1. `treenet_fast.images.normalise` has the details.
            quality: 1 (smallest) to 100 (best).

        Returns:
            A .tnf stream (SPEC §8), as bytes; for a batch or a list, a list of them.

        Raises:
            UnsupportedImageError: the image cannot be coded as it is; the message says what to do.
            ImageTooLargeError: it has more than `max_pixels` pixels, or a side beyond 65535.
            InvalidArgumentError: `quality` is no integer in 1..100.
        """
        quality = _arguments.quality(quality)
        images, many = normalise(image)
        streams = [self._encode(one, quality) for one in images]
        return streams if many else streams[0]

    def decompress(self, data: Data | Sequence[Data], output: Output | None = None) -> Any:
        """Decompresses a stream, or each of a list.

        Args:
            data: a .tnf stream, or a list or tuple of them.
            output: "torch": a u8 tensor `[3, H, W]` (grey: `[1, H, W]`); "numpy": a u8 array `[H, W, 3]` (grey:
                `[H, W]`); "pil": an image of mode RGB (grey: L); None: "torch" where torch is installed, else "numpy".

        Returns:
            The image, or a list of images for a list of streams.

        Raises:
            StreamError: the stream is empty, foreign, of a newer version, truncated, damaged, or made with a model
                that is neither this codec's nor in the package: each has its class under it.
            ImageTooLargeError: it has more than `max_pixels` pixels.
            InvalidArgumentError: `data` is not bytes, or `output` none of those above.
        """
        output = check_output(output)  # before the work
        if isinstance(data, (list, tuple)):
            return [self._decode(one, output) for one in data]
        return self._decode(data, output)

    def _encode(self, image: RgbImage, quality: int) -> bytes:
        height, width, _ = image.pixels.shape
        check_pixels(width, height, self._max_pixels)
        return self._native.encode(image.pixels, quality, image.grey)

    def _decode(self, data: Any, output: Output) -> ImageLike:
        stream = _arguments.stream(data)
        try:
            pixels = self._native.decode(stream, self._max_pixels)
        except WrongModelError:
            other = self._other(_native.info(stream, MAX_SIDE**2)["model_id"])
            if other is None:
                raise
            pixels = other.decode(stream, self._max_pixels)
        return restore(pixels, output)

    def _other(self, model_id: str) -> _native.Codec | None:
        """A codec of the model in the package that a stream names, or None; made when it is first needed."""
        if model_id not in self._others:
            model = models.with_id(model_id)
            if model is None:
                return None
            self._others.setdefault(model_id, _native_codec(model, self.isa, self.threads))
        return self._others[model_id]


def _native_codec(model: model_file.IntegerModel, isa: str, threads: int) -> _native.Codec:
    return _native.Codec(_native.Model(dict(model.tensors), model.hash), isa, threads)


@dataclass(frozen=True)
class StreamInfo:
    """What the header of a stream says.

    Attributes:
        width, height: size in pixels.
        quality: 1..100, as given to `compress`.
        grey: whether it decodes to one channel.
        version: of the format.
        model_id: the first 8 hexadecimal digits of the hash of the model that decodes it.
        bytes: size of the whole stream.
        header_bytes: size of its header.
        segments: number of parts that decode independently.
    """

    width: int
    height: int
    quality: int
    grey: bool
    version: int
    model_id: str
    bytes: int
    header_bytes: int
    segments: int

    @property
    def bits_per_pixel(self) -> float:
        """Size of the stream in bits, by the number of pixels."""
        return 8 * self.bytes / (self.width * self.height)


@dataclass(frozen=True)
class BackendInfo:
    """What runs on this machine.

    Attributes:
        version: of the package.
        isa: the instruction set that a new `Codec` uses, TREENET_FAST_ISA considered.
        available_isas: those that the machine has, slowest first.
        threads: the number of threads that a new `Codec` uses.
    """

    version: str
    isa: str
    available_isas: tuple[str, ...]
    threads: int


def compress(
    image: ImageLike | Sequence[ImageLike],
    quality: int = 50,
    *,
    model: ModelLike | None = None,
    threads: int | None = None,
) -> Any:
    """Compresses an image, a batch or a list: `Codec(model, threads=threads).compress(image, quality)`.

    Codecs of the package's own models are kept and used again. With a model of your own, make a `Codec` once instead.
    """
    return _codec(model, threads).compress(image, quality)


def decompress(
    data: Data | Sequence[Data],
    output: Output | None = None,
    *,
    model: ModelLike | None = None,
    threads: int | None = None,
) -> Any:
    """Decompresses a stream or a list: `Codec(model, threads=threads).decompress(data, output)`; see `compress`."""
    return _codec(model, threads).decompress(data, output)


def info(data: Data) -> StreamInfo:
    """Reads and checks the header and the checksum of a stream, of any size, without decoding it or needing its model.

    Raises:
        StreamError: as `Codec.decompress`, except for what only the model or decoding can show.
        InvalidArgumentError: `data` is not bytes.
    """
    return StreamInfo(**_native.info(_arguments.stream(data), MAX_SIDE**2))


def backend_info() -> BackendInfo:
    """Says which code runs on this machine.

    Raises:
        BackendError: TREENET_FAST_ISA names an instruction set that is unknown or that the machine lacks.
    """
    return BackendInfo(__version__, _choose_isa(None), tuple(_native.cpu_isas()), _usable_threads())


_codecs: dict[tuple[str, str, int], Codec] = {}
_codecs_lock = threading.Lock()


def _renew_codecs_lock() -> None:
    global _codecs_lock
    _codecs_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    # The thread that held the lock as the process forked is not there to give it back.
    os.register_at_fork(after_in_child=_renew_codecs_lock)


def _codec(model: ModelLike | None, threads: int | None) -> Codec:
    """A codec for one call; of a model in the package there is one for each instruction set and number of threads."""
    name = models.DEFAULT if model is None else model
    if not isinstance(name, str) or name not in models.names():
        return Codec(model, threads=threads)
    name, isa, threads = key = (name, _choose_isa(None), _choose_threads(threads))
    with _codecs_lock:
        codec = _codecs.get(key)
    if codec is None:
        codec = Codec(name, threads=threads, isa=isa)  # takes long, so without the lock; of several the first is kept
        with _codecs_lock:
            codec = _codecs.setdefault(key, codec)
    return codec


def _choose_isa(isa: str | None) -> str:
    available = _native.cpu_isas()
    source = "isa"
    if isa is None:
        isa, source = os.environ.get(ISA_VARIABLE, ""), ISA_VARIABLE
        if not isa:
            return available[-1]
    if isa not in available:
        problem = "this machine lacks it" if isa in ISAS else "there is no such instruction set"
        raise BackendError(f"{source} is {isa!r}, but {problem}: use one of {', '.join(available)}, or leave it unset")
    return isa


def _choose_threads(threads: int | None) -> int:
    return _usable_threads() if threads is None else _arguments.integer("threads", threads, 1, _MAX_THREADS)


def _usable_threads() -> int:
    # A process may be confined to a few of the machine's CPUs; not every system can tell.
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cpus, _MAX_DEFAULT_THREADS)
