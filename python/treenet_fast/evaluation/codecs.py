"""The codecs that are compared, each through real files: this one, JPEG, WebP, AVIF, HEIC and JPEG XL.

The peers run with the defaults that their users get, which is 4:2:0 chroma but for JPEG XL, except for what costs a
little time and no compatibility: JPEG's own Huffman tables and WebP's best method. Only the quality varies; their
qualities are chosen to span 0.05 to 0.6 bits per pixel on Kodak, as far as the formats reach down.

Codecs take arrays and bytes of the host and give the same, so that where one runs on a GPU its work is done when it
returns, and a clock needs no further synchronisation.
"""

from __future__ import annotations

import io
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from PIL import Image, features
from PIL import __version__ as pillow_version

import treenet_fast
from treenet_fast.errors import MissingLibraryError
from treenet_fast.evaluation.libraries import library
from treenet_fast.evaluation.metrics import Pixels
from treenet_fast.evaluation.names import treenet_name
from treenet_fast.model_file import IntegerModel

Kind = Literal["model", "float", "peer"]

MODEL_QUALITIES = (1, 12, 23, 34, 45, 56, 67, 78, 89, 100)
"""Ten qualities over the whole range of a model."""


@dataclass(frozen=True)
class Coded:
    """An image that went through a codec.

    Attributes:
        bytes: size of the file; of an estimate, its bits by 8, which need not be whole.
        pixels: u8 `[H, W, 3]`, as decoded.
        seconds: by column, how long encoding and decoding took, without the disk; empty where there is no file.
    """

    bytes: float
    pixels: Pixels
    seconds: Mapping[str, float] = field(default_factory=dict)


class ImageCodec(ABC):
    """Something that codes images at several qualities.

    Attributes:
        name: unique among the codecs that are compared.
        kind: "model": an integer model of this package; "float": a float network, whose rate is an estimate without a
            file; "peer": another codec.
        quality_range: the lowest and the highest there is.
        qualities: those to measure, ascending.
        parameters: what the outcome depends on besides image and quality: settings, versions, hashes.
    """

    name: str
    kind: Kind
    quality_range: tuple[int, int] = (1, 100)
    qualities: tuple[int, ...]
    parameters: Mapping[str, str]

    @abstractmethod
    def code(self, image: Pixels, quality: int, file: Path | None = None) -> Coded:
        """Encodes and decodes an image, u8 `[H, W, 3]`; by way of `file`, which stays, if there is one."""


class FileCodec(ImageCodec):
    """A codec with files.

    Attributes:
        suffix: of its files.
    """

    suffix: str

    @abstractmethod
    def encode(self, image: Pixels, quality: int) -> bytes:
        """The whole file of an image, u8 `[H, W, 3]`."""

    @abstractmethod
    def decode(self, data: bytes) -> Pixels:
        """The image of a file."""

    def code(self, image: Pixels, quality: int, file: Path | None = None) -> Coded:
        start = time.perf_counter()
        data = self.encode(image, quality)
        encoding = time.perf_counter() - start
        size = len(data)
        if file is not None:
            file.write_bytes(data)
            size, data = os.path.getsize(file), file.read_bytes()
        start = time.perf_counter()
        pixels = self.decode(data)
        return Coded(size, pixels, {"encoding_time": encoding, "decoding_time": time.perf_counter() - start})


class TreeNetCodec(FileCodec):
    """This package's codec.

    Args:
        model: an integer model.
        threads, device: as for `treenet_fast.Codec`; but for the time, the outcome does not depend on them.
    """

    kind = "model"
    suffix = ".tnf"

    def __init__(
        self,
        model: IntegerModel,
        qualities: tuple[int, ...] = MODEL_QUALITIES,
        threads: int | None = None,
        device: str | None = None,
    ) -> None:
        self._codec = treenet_fast.Codec(model, threads=threads, device=device)
        self.name = treenet_name(model.name)
        self.qualities = qualities
        self.parameters = {"treenet_fast": treenet_fast.__version__, "model hash": model.hash.hex()}

    def encode(self, image: Pixels, quality: int) -> bytes:
        data: bytes = self._codec.compress(image, quality)
        return data

    def decode(self, data: bytes) -> Pixels:
        pixels: Pixels = self._codec.decompress(data, "numpy")
        return pixels


class PillowCodec(FileCodec):
    """A format of Pillow.

    Attributes:
        format: Pillow's name for it.
        feature: Pillow's name for the library behind it, in `PIL.features`.
        options: of saving, besides the quality.
    """

    kind = "peer"
    format: ClassVar[str]
    feature: ClassVar[str]
    options: ClassVar[Mapping[str, int]] = {}

    def __init__(self) -> None:
        if not features.check(self.feature):
            raise MissingLibraryError(f"this Pillow ({pillow_version}) has no {self.name}: pip install 'Pillow>=11.3'")
        self.parameters = {
            "Pillow": pillow_version,
            self.feature: str(features.version(self.feature)),
            **{name: str(value) for name, value in self.options.items()},
        }

    def encode(self, image: Pixels, quality: int) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, self.format, quality=quality, **self.options)
        return buffer.getvalue()

    def decode(self, data: bytes) -> Pixels:
        with Image.open(io.BytesIO(data), formats=[self.format]) as image:
            return np.asarray(image.convert("RGB"))


class Jpeg(PillowCodec):
    """Baseline JPEG by libjpeg-turbo, 4:2:0, with Huffman tables made for the image."""

    name, format, feature, suffix = "JPEG", "JPEG", "libjpeg_turbo", ".jpg"
    options: ClassVar = {"optimize": True}
    qualities = (2, 4, 6, 8, 10, 12, 16, 20, 26, 32)


class WebP(PillowCodec):
    """Lossy WebP by libwebp, by its best and slowest method."""

    name, format, feature, suffix = "WebP", "WEBP", "webp", ".webp"
    quality_range = (0, 100)
    options: ClassVar = {"method": 6}
    qualities = (0, 1, 3, 5, 8, 12, 18, 26, 34, 42)


class Avif(PillowCodec):
    """AVIF by libavif, 4:2:0, speed 6, with one thread, as the files depend on the number of threads."""

    name, format, feature, suffix = "AVIF", "AVIF", "avif", ".avif"
    options: ClassVar = {"max_threads": 1}
    qualities = (1, 8, 14, 20, 25, 30, 40, 50)


class Heic(PillowCodec):
    """HEIC by libheif and x265, 4:2:0, libheif's preset (slow)."""

    name, format, suffix = "HEIC", "HEIF", ".heic"
    qualities = (4, 8, 12, 16, 20, 25, 31, 37)

    def __init__(self) -> None:
        pillow_heif = library("pillow_heif")
        pillow_heif.register_heif_opener()
        versions = pillow_heif.libheif_info()
        self.parameters = {
            "pillow-heif": pillow_heif.__version__,
            "libheif": versions["libheif"],
            "encoder": versions["HEIF"],
        }


class JpegXl(PillowCodec):
    """JPEG XL by libjxl, effort 7."""

    name, format, suffix = "JPEG XL", "JXL", ".jxl"
    qualities = (1, 6, 12, 18, 24, 32, 48, 60)

    def __init__(self) -> None:
        library("pillow_jxl")  # which registers the format
        self.parameters = {"pillow-jxl-plugin": version("pillow-jxl-plugin")}


PEERS: tuple[type[PillowCodec], ...] = (Jpeg, WebP, Avif, Heic, JpegXl)
