"""The container: header, checksums, and the payload's split into segments (SPEC §8)."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from treenet_fast.errors import (
    CorruptStreamError,
    EmptyStreamError,
    ImageTooLargeError,
    NewerVersionError,
    NotATreeNetStreamError,
    TruncatedStreamError,
    WrongModelError,
)
from treenet_fast.images import MAX_SIDE

from .leb128 import leb128, read_leb128

MAGIC = b"TNF"
VERSION = 1
_GREY = 128
_SIDE_BYTES = 3
_MAX_PAYLOAD = (1 << 28) - 1
_FIXED = struct.Struct("<4xI4sB")
_CHECKED_FROM = 8


@dataclass(frozen=True)
class Header:
    """What a stream says of itself."""

    model_id: bytes
    """The first four bytes of the model's hash."""
    quality: int
    grey: bool
    width: int
    height: int


class _Reader:
    """Reads numbers from bytes that may end too early."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position

    def byte(self) -> int:
        if self.position >= len(self.data):
            raise TruncatedStreamError("the stream ends within its header: fetch or copy the whole file again")
        self.position += 1
        return self.data[self.position - 1]

    def number(self, most_bytes: int = 4) -> int:
        return read_leb128(self.byte, most_bytes, lambda reason: _damaged(f"{reason} in the header"))


def _damaged(reason: str) -> CorruptStreamError:
    return CorruptStreamError(f"{reason}: the stream is damaged, fetch or copy the file again")


def write_stream(header: Header, segments: Sequence[bytes]) -> bytes:
    """A whole stream: header and payload."""
    payload = b"".join([*(leb128(len(segment)) for segment in segments[:-1]), *segments])
    if len(payload) > _MAX_PAYLOAD:
        raise ImageTooLargeError(
            f"the image needs {len(payload)} bytes, more than a stream can hold: cut it into parts"
        )
    fields = b"".join(
        [
            header.model_id,
            bytes([header.quality | (_GREY if header.grey else 0)]),
            leb128(header.width),
            leb128(header.height),
            leb128(len(payload)),
        ]
    )
    return MAGIC + bytes([VERSION]) + struct.pack("<I", zlib.crc32(fields + payload)) + fields + payload


def read_stream(data: bytes, max_pixels: int) -> tuple[Header, bytes]:
    """The header and the payload, after all checks of SPEC §8 but those of the model and the symbols, in its order.

    Raises:
        EmptyStreamError, NotATreeNetStreamError, NewerVersionError, TruncatedStreamError, CorruptStreamError
        ImageTooLargeError: more pixels than ``max_pixels``.
    """
    if not data:
        raise EmptyStreamError("the stream is empty: fetch or copy the file again")
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise NotATreeNetStreamError("these bytes do not start with 'TNF': they are no TreeNet stream")
    reader = _Reader(data, len(MAGIC))
    version = reader.byte()
    if version > VERSION:
        raise NewerVersionError(f"the stream has version {version}, this release reads {VERSION}: update treenet_fast")
    if version != VERSION:
        raise _damaged(f"there is no version {version}")
    if len(data) < _FIXED.size:
        raise TruncatedStreamError("the stream ends within its header: fetch or copy the whole file again")
    stream_crc, model_id, quality = _FIXED.unpack_from(data)
    reader.position = _FIXED.size
    width, height, length = reader.number(_SIDE_BYTES), reader.number(_SIDE_BYTES), reader.number()
    grey, quality = bool(quality & _GREY), quality & ~_GREY
    if not 1 <= quality <= 100:
        raise _damaged(f"quality {quality} is not in 1..100")
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise _damaged(f"the size {width}x{height} is not in 1..{MAX_SIDE}")
    payload = data[reader.position :]
    if len(payload) < length:
        raise TruncatedStreamError(
            f"the stream has {len(payload)} of {length} bytes after its header: fetch or copy the whole file again"
        )
    if len(payload) > length:
        raise _damaged(f"there are {len(payload) - length} bytes after the end of the stream")
    if zlib.crc32(data[_CHECKED_FROM:]) != stream_crc:
        raise _damaged("the checksum of the stream is wrong")
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"the image has {width}x{height} pixels, beyond the limit of {max_pixels}: raise max_pixels if you trust it"
        )
    return Header(model_id, quality, grey, width, height), payload


def check_model(header: Header, model_hash: bytes) -> None:
    """Raises :class:`WrongModelError` unless the stream was made with the model of this hash."""
    if header.model_id != model_hash[:4]:
        raise WrongModelError(
            f"the stream was made with model {header.model_id.hex()}, not with {model_hash[:4].hex()}: "
            "pass the model that it was made with"
        )


def split_payload(payload: bytes, count: int) -> list[bytes]:
    """The ``count`` segments of a payload. Raises :class:`CorruptStreamError` if their lengths do not fit it."""
    reader = _Reader(payload, 0)
    try:
        lengths = [reader.number() for _ in range(count - 1)]
    except TruncatedStreamError as error:
        raise _damaged("the payload ends within its segments' lengths") from error
    segments = []
    position = reader.position
    for length in lengths:
        segments.append(payload[position : position + length])
        position += length
    if position > len(payload):
        raise _damaged("the segments are longer than the payload")
    return [*segments, payload[position:]]
