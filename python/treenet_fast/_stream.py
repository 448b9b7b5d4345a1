"""Streams whose header has been read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from treenet_fast import _arguments, _native


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
class Stream:
    """A stream whose header and checksum are sound; whether its payload is, decoding shows."""

    data: bytes
    info: StreamInfo


def read(data: Any, max_pixels: int) -> Stream:
    """Checks the header and the checksum of a stream.

    Args:
        data: bytes, a bytearray or a memoryview.

    Raises:
        StreamError: there is something wrong with them.
        ImageTooLargeError: it has more than `max_pixels` pixels.
        InvalidArgumentError: `data` is not bytes.
    """
    stream = _arguments.stream(data)
    return Stream(stream, StreamInfo(**_native.info(stream, max_pixels)))
