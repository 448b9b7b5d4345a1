"""The reference's container (SPEC §8)."""

import struct
import zlib

import pytest

from treenet_fast.errors import (
    CorruptStreamError,
    EmptyStreamError,
    ImageTooLargeError,
    NewerVersionError,
    NotATreeNetStreamError,
    TreeNetError,
    TruncatedStreamError,
    WrongModelError,
)
from treenet_fast.reference import container
from treenet_fast.reference.container import Header, read_stream, split_payload, write_stream
from treenet_fast.reference.leb128 import leb128

HEADER = Header(model_id=b"\xaa\xbb\xcc\xdd", quality=37, grey=True, width=768, height=5)
SEGMENTS = [b"first", b"", b"x" * 200, b"last"]
STREAM = write_stream(HEADER, SEGMENTS)
LIMIT = 1 << 24


def sealed(fields: bytes) -> bytes:
    """A stream of these fields with a right checksum."""
    return b"TNF\x01" + struct.pack("<I", zlib.crc32(fields)) + fields


def fields(
    quality: int = 1, width: bytes = b"\x01", height: bytes = b"\x01", length: bytes = b"\x03", payload: bytes = b"abc"
) -> bytes:
    return bytes(4) + bytes([quality]) + width + height + length + payload


def test_layout_by_hand() -> None:
    payload = b"\x05\x00\xc8\x01" + b"".join(SEGMENTS)
    checked = bytes([0xAA, 0xBB, 0xCC, 0xDD, 128 + 37, 0x80, 0x06, 5, 0xD5, 0x01]) + payload
    assert len(payload) == 0xD5
    assert sealed(checked) == STREAM


def test_round_trip() -> None:
    header, payload = read_stream(STREAM, LIMIT)
    assert header == HEADER
    assert split_payload(payload, 4) == SEGMENTS


def test_header_of_an_ordinary_image_is_small() -> None:
    empty = write_stream(Header(bytes(4), 50, False, 65535, 65535), [bytes(1 << 21)])
    assert len(empty) - (1 << 21) <= 23
    assert len(write_stream(Header(bytes(4), 50, False, 4000, 3000), [bytes(1 << 20)])) - (1 << 20) <= 20


def test_the_fields_may_be_at_their_limits() -> None:
    header, payload = read_stream(sealed(fields(228, b"\xff\xff\x03", b"\xff\xff\x03")), 65535**2)
    assert (header.quality, header.grey, header.width, header.height) == (100, True, 65535, 65535)
    assert payload == b"abc"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", EmptyStreamError),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), NotATreeNetStreamError),
        (b"X", NotATreeNetStreamError),
        (b"TNG\x01" + bytes(50), NotATreeNetStreamError),
        (b"TNF\x02", NewerVersionError),
        (b"TNF\xff" + bytes(50), NewerVersionError),
        (b"TNF\x00" + bytes(50), CorruptStreamError),
        (sealed(fields(quality=0)), CorruptStreamError),
        (sealed(fields(quality=101)), CorruptStreamError),
        (sealed(fields(quality=128)), CorruptStreamError),
        (sealed(fields(width=b"\x00")), CorruptStreamError),
        (sealed(fields(height=b"\x00")), CorruptStreamError),
        (sealed(fields(width=b"\x80\x80\x04")), CorruptStreamError),  # 65536
        (sealed(fields(height=b"\x80\x80\x04")), CorruptStreamError),
        (sealed(fields(width=b"\x81\x00")), CorruptStreamError),  # redundant zero byte
        (sealed(fields(width=b"\x81\x80\x80\x00")), CorruptStreamError),  # too long
        (sealed(fields(length=b"\x83\x80\x80\x80\x00")), CorruptStreamError),
        (sealed(fields(length=b"\x04")), TruncatedStreamError),
        (sealed(fields(length=b"\xff\xff\xff\x7f")), TruncatedStreamError),
        (sealed(fields(length=b"\x02")), CorruptStreamError),
        (STREAM + b"\x00", CorruptStreamError),
        (STREAM[:-1] + b"!", CorruptStreamError),
    ],
)
def test_bad_streams(data: bytes, error: type[TreeNetError]) -> None:
    with pytest.raises(error):
        read_stream(data, LIMIT)


def test_every_cut_is_truncated() -> None:
    for length in range(1, len(STREAM)):
        with pytest.raises(TruncatedStreamError):
            read_stream(STREAM[:length], LIMIT)


def test_every_flipped_bit_is_noticed() -> None:
    for position in range(8 * len(STREAM)):
        flipped = bytearray(STREAM)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(TreeNetError):
            read_stream(bytes(flipped), LIMIT)


def test_pixel_limit() -> None:
    read_stream(STREAM, 768 * 5)
    with pytest.raises(ImageTooLargeError, match="768x5"):
        read_stream(STREAM, 768 * 5 - 1)


def test_checks_come_in_order() -> None:
    """A wrong checksum comes before the pixel limit, a length before the checksum, a range before the length."""
    with pytest.raises(CorruptStreamError):
        read_stream(STREAM[:-1] + b"!", 1)
    with pytest.raises(TruncatedStreamError):
        read_stream(STREAM[:-2], 1)
    with pytest.raises(CorruptStreamError):
        read_stream(sealed(fields(quality=0, length=b"\x09")), 1)


def test_model() -> None:
    container.check_model(HEADER, b"\xaa\xbb\xcc\xdd" + bytes(28))
    with pytest.raises(WrongModelError, match="aabbccdd"):
        container.check_model(HEADER, b"\xaa\xbb\xcc\xde" + bytes(28))


@pytest.mark.parametrize("payload", [b"", b"\x80", b"\x03ab", b"\x80\x00", b"\x80\x80\x80\x80\x01"])
def test_bad_segment_lengths(payload: bytes) -> None:
    with pytest.raises(CorruptStreamError):
        split_payload(payload, 2)


def test_payload_too_long_for_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "_MAX_PAYLOAD", 20)
    write_stream(HEADER, [bytes(20)])
    with pytest.raises(ImageTooLargeError):
        write_stream(HEADER, [bytes(21)])


def test_leb128_of_the_longest_payload() -> None:
    assert len(leb128(container._MAX_PAYLOAD)) == 4
    assert len(leb128(container._MAX_PAYLOAD + 1)) == 5
