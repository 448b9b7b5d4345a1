"""The public API: `compress`, `decompress`, `Codec`, `info`, `backend_info`."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from treenet_fast import _arguments, _cpus, _device, _native, _stream, model_file, models
from treenet_fast._device import Device
from treenet_fast._engine import NO_LIMIT, CpuEngine, Engine, in_groups
from treenet_fast._isa import choose_isa
from treenet_fast._stream import Stream, StreamInfo
from treenet_fast._version import __version__
from treenet_fast.errors import BackendError, InvalidArgumentError
from treenet_fast.images import ImageLike, Output, check_output, check_pixels, pictures
from treenet_fast.models import ModelLike

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
        threads: how many threads share the work on an image, 1..256; None for one a usable CPU, up to 16: those of the
            affinity mask, or fewer where a quota (cgroups, as containers have them) allows fewer at a time. The bytes
            and the pixels do not depend on it.
        max_pixels: images and streams with more pixels raise `ImageTooLargeError`; None for no limit.
        isa: "scalar", "avx2", "avx512vnni" or "amx"; None for what TREENET_FAST_ISA says, or else the fastest of the
            machine. The bytes and the pixels do not depend on it either. A GPU has none.
        device: None or "cpu" for the CPU; "cuda", "cuda:1" or a `torch.device` for a GPU, "cuda" for torch's current
            one. Nor do the bytes and the pixels depend on it. On a GPU `threads` share what is left to the CPU, the
            coding of symbols, and pixels are read and written in torch's current stream of that GPU.

    Raises:
        ModelFileError: the model file cannot be read or is not sound.
        BackendError: the instruction set is unknown, or the machine lacks it; the device cannot be used, and the
            message says what is missing.
        InvalidArgumentError: `threads` or `max_pixels` is out of range, `model` is neither a path nor a model,
            `device` is none of the above, or there is an `isa` for a GPU.
    """

    def __init__(
        self,
        model: ModelLike | None = None,
        *,
        threads: int | None = None,
        max_pixels: int | None = DEFAULT_MAX_PIXELS,
        isa: str | None = None,
        device: Device | None = None,
    ) -> None:
        self._max_pixels = NO_LIMIT if max_pixels is None else _arguments.integer("max_pixels", max_pixels, 1, NO_LIMIT)
        self._threads = _choose_threads(threads)
        self._gpu = _device.choose(device)
        if self._gpu is None:
            self._isa = choose_isa(isa)
        elif isa is not None:
            raise InvalidArgumentError(
                f"isa is {isa!r}, but device is {str(device)!r}, which has none: leave isa unset"
            )
        self._model = models.resolve(model)
        self._engine = self._new_engine(self._model)
        self._others: dict[str, Engine] = {}  # of models in the package, by the id in a stream

    @property
    def isa(self) -> str:
        """The instruction set that runs; of a codec on a GPU, "cuda"."""
        return self._engine.native.isa

    @property
    def device(self) -> str:
        """Where it runs: "cpu", or "cuda:0", "cuda:1", ..."""
        return self._engine.device

    @property
    def threads(self) -> int:
        """The number of threads that share the work of the CPU."""
        return self._engine.native.threads

    @property
    def model(self) -> model_file.IntegerModel:
        """The model that compresses."""
        return self._model

    def __repr__(self) -> str:
        return f"Codec(model={self.model.name!r}, threads={self.threads}, device={self.device!r}, isa={self.isa!r})"

    def compress(self, image: ImageLike | Sequence[ImageLike], quality: int = 50) -> Any:
        """Compresses an image, or each image of a batch or a list.

        On a GPU, images of equal size go through together, and tensors that lie on it are read there: of uint8 in any
        strides without a copy. All other images are copied to it.

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
            DeviceMemoryError: the GPU lacks memory.
            BackendError: it fails, or the process was forked after the codec was made.
        """
        quality = _arguments.quality(quality)
        images, many = pictures(image)
        for one in images:
            check_pixels(one.width, one.height, self._max_pixels)
        streams = self._engine.encode(images, quality)
        return streams if many else streams[0]

    def decompress(self, data: Data | Sequence[Data], output: Output | None = None) -> Any:
        """Decompresses a stream, or each of a list.

        Args:
            data: a .tnf stream, or a list or tuple of them.
            output: "torch": a u8 tensor `[3, H, W]` (grey: `[1, H, W]`) on the codec's device; "numpy": a u8 array
                `[H, W, 3]` (grey: `[H, W]`); "pil": an image of mode RGB (grey: L); None: "torch" where torch is
                installed, else "numpy".

        Returns:
            The image, or a list of images for a list of streams. Tensors on a GPU are ready for what follows in its
            stream, as those of torch's own functions are. On the CPU the memory of an image of 32 MB or more is the
            codec's again when the image goes.

        Raises:
            StreamError: the stream is empty, foreign, of a newer version, truncated, damaged, or made with a model
                that is neither this codec's nor in the package: each has its class under it.
            ImageTooLargeError: it has more than `max_pixels` pixels.
            InvalidArgumentError: `data` is not bytes, or `output` none of those above.
            DeviceMemoryError: the GPU lacks memory.
            BackendError: it fails, or the process was forked after the codec was made.
        """
        output = check_output(output)  # before the work, as are all headers
        many = isinstance(data, (list, tuple))
        streams = [_stream.read(one, self._max_pixels) for one in (data if many else [data])]

        def decode(of_one_model: list[Stream]) -> list[ImageLike]:
            return self._engine_of(of_one_model[0].info.model_id).decode(of_one_model, output)

        images = in_groups(streams, lambda stream: stream.info.model_id, decode)
        return images if many else images[0]

    def release(self) -> None:
        """Frees the memory that the codec keeps so that its next calls need not allocate it.

        On the CPU that is up to 512 MB a model and, on Linux, what larger images, or several at once, have needed
        beyond that, as long as the system does not lack memory; on a GPU all codecs together keep up to a sixteenth of
        its memory. The codec can be used as before, and what calls in other threads use stays theirs, as do images that
        it returned.

        Raises:
            BackendError: on a GPU, the process was forked after the codec was made.
        """
        for engine in (self._engine, *self._others.values()):
            _native.release(engine.native)

    def _engine_of(self, model_id: str) -> Engine:
        """The engine of the model in the package that a stream names, made when it is first needed.

        For this codec's own model, and for one that is not in the package, which it refuses, the codec's own.
        """
        if self._model.hash.hex().startswith(model_id):
            return self._engine
        if model_id not in self._others:
            model = models.with_id(model_id)
            if model is None:
                return self._engine
            self._others.setdefault(model_id, self._new_engine(model))
        return self._others[model_id]

    def _new_engine(self, model: model_file.IntegerModel) -> Engine:
        native = _native.Model(dict(model.tensors), model.hash)
        if self._gpu is None:
            return CpuEngine(_native.Codec(native, self._isa, self._threads))
        return _device.on_cuda(native, self._gpu, self._threads)


@dataclass(frozen=True)
class BackendInfo:
    """What runs on this machine.

    Attributes:
        version: of the package.
        isa: the instruction set that a new `Codec` uses, TREENET_FAST_ISA considered.
        available_isas: those that the machine has, slowest first.
        threads: the number of threads that a new `Codec` uses.
        devices: the names of the GPUs that a `Codec` can use, "cuda:0" first; () if there is none.
        cuda: why there is none, or "".
    """

    version: str
    isa: str
    available_isas: tuple[str, ...]
    threads: int
    devices: tuple[str, ...]
    cuda: str


def compress(
    image: ImageLike | Sequence[ImageLike],
    quality: int = 50,
    *,
    model: ModelLike | None = None,
    threads: int | None = None,
) -> Any:
    """Compresses an image, a batch or a list: `Codec(model, threads=threads).compress(image, quality)`.

    A tensor on a GPU, or a list whose first image is one, is compressed there if that GPU can be used, and otherwise on
    the CPU: the bytes are the same. `backend_info().cuda` says why it cannot be.

    Codecs of the package's own models are kept and used again. With a model of your own, make a `Codec` once instead.
    """
    return _codec_for(image, model, threads).compress(image, quality)


def decompress(
    data: Data | Sequence[Data],
    output: Output | None = None,
    *,
    model: ModelLike | None = None,
    threads: int | None = None,
    device: Device | None = None,
) -> Any:
    """Decompresses a stream or a list: `Codec(model, threads=threads, device=device).decompress(data, output)`.

    Codecs are kept as by `compress`.
    """
    return _codec(model, threads, device).decompress(data, output)


def info(data: Data) -> StreamInfo:
    """Reads and checks the header and the checksum of a stream, of any size, without decoding it or needing its model.

    Raises:
        StreamError: as `Codec.decompress`, except for what only the model or decoding can show.
        InvalidArgumentError: `data` is not bytes.
    """
    return _stream.read(data, NO_LIMIT).info


def backend_info() -> BackendInfo:
    """Says which code runs on this machine.

    Raises:
        BackendError: TREENET_FAST_ISA names an instruction set that is unknown or that the machine lacks.
    """
    devices, cuda = _device.cuda_devices()
    return BackendInfo(__version__, choose_isa(None), tuple(_native.cpu_isas()), _default_threads(), devices, cuda)


_codecs: dict[tuple[str, str | None, int | None, int], Codec] = {}
_codecs_lock = threading.Lock()


def _renew_codecs_lock() -> None:
    global _codecs_lock
    _codecs_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    # The thread that held the lock as the process forked is not there to give it back.
    os.register_at_fork(after_in_child=_renew_codecs_lock)


def _codec_for(image: Any, model: ModelLike | None, threads: int | None) -> Codec:
    """A codec for one call, where the image is if that can be."""
    gpu = _device.of_image(image)
    if gpu is not None:
        try:
            return _codec(model, threads, gpu)
        except BackendError:  # as it is documented
            pass
    return _codec(model, threads)


def _codec(model: ModelLike | None, threads: int | None, device: Device | None = None) -> Codec:
    """A codec for one call; of a model in the package there is one for each device or instruction set, and threads."""
    name = models.DEFAULT if model is None else model
    if not isinstance(name, str) or name not in models.names():
        return Codec(model, threads=threads, device=device)
    gpu = _device.choose(device)
    isa = choose_isa(None) if gpu is None else None
    name, isa, gpu, threads = key = (name, isa, gpu, _choose_threads(threads))
    with _codecs_lock:
        codec = _codecs.get(key)
    if codec is None:
        # Takes long, so without the lock; of several the first is kept.
        codec = Codec(name, threads=threads, isa=isa, device=None if gpu is None else f"cuda:{gpu}")
        with _codecs_lock:
            codec = _codecs.setdefault(key, codec)
    return codec


def _choose_threads(threads: int | None) -> int:
    return _default_threads() if threads is None else _arguments.integer("threads", threads, 1, _MAX_THREADS)


def _default_threads() -> int:
    return min(_cpus.usable(), _MAX_DEFAULT_THREADS)
