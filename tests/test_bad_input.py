"""Streams that are not what they should be. The command line's side of it is in test_cli.py."""

import random
import time
import zlib

import numpy as np
import pytest

import treenet_fast
from synthetic import synthetic_image, synthetic_integer_model
from treenet_fast import Codec, errors, reference

STREAM_CRC = slice(4, 8)
QUALITY = 12
WIDTH, HEIGHT = 13, 14  # where they take one byte each
SIDES_MAX_BYTES = bytes([0xFF, 0xFF, 0x03])  # 65535 in LEB128


@pytest.fixture(scope="module")
def codec():
    return Codec(threads=1)


@pytest.fixture(scope="module")
def stream(codec):
    """Of 24x20 pixels: each side takes one byte of the header."""
    return codec.compress(synthetic_image(20, 24))


def sealed(stream):
    """The stream with its own checksum put right: what an attacker, or an encoder with a bug, would send."""
    stream = bytearray(stream)
    stream[STREAM_CRC] = zlib.crc32(stream[8:]).to_bytes(4, "little")
    return bytes(stream)


def with_bytes(stream, where, content):
    changed = bytearray(stream)
    changed[where] = content
    return bytes(changed)


def leb128(number):
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def build(codec, width, height, payload, quality=50):
    """A stream of any size and payload whose checksums of bytes and model are right."""
    header = b"TNF\x01" + bytes(4) + codec.model.hash[:4] + bytes([quality])
    return sealed(header + leb128(width) + leb128(height) + leb128(len(payload)) + payload)


def refused(codec, data, error, match=None):
    """Both decoding and `info` raise exactly this class."""
    for call in (codec.decompress, treenet_fast.info):
        with pytest.raises(errors.TreeNetError, match=match) as caught:
            call(data)
        assert caught.type is error


def test_the_helpers_build_what_the_encoder_builds(codec, stream):
    header = treenet_fast.info(stream).header_bytes
    assert build(codec, 24, 20, stream[header:]) == stream


def test_empty(codec):
    refused(codec, b"", errors.EmptyStreamError, "empty")


@pytest.mark.parametrize(
    "data",
    [b"\x89PNG\r\n\x1a\n" + bytes(100), b"\xff\xd8\xff\xe0" + bytes(100), b"hello", b"\0", b"TNG\x01" + bytes(50)],
)
def test_foreign(codec, data):
    refused(codec, data, errors.NotATreeNetStreamError, "not a TreeNet stream")


@pytest.mark.parametrize("version", [2, 3, 255])
def test_newer_version(codec, stream, version):
    refused(codec, with_bytes(stream, 3, version), errors.NewerVersionError, f"version {version}.* upgrade")
    refused(codec, b"TNF" + bytes([version]), errors.NewerVersionError)


def test_version_that_never_was(codec, stream):
    refused(codec, with_bytes(stream, 3, 0), errors.CorruptStreamError, "no version 0")


def test_truncated_at_every_length(codec, stream):
    for length in range(1, len(stream)):
        refused(codec, stream[:length], errors.TruncatedStreamError, "truncated")


def test_trailing_bytes(codec, stream):
    refused(codec, stream + b"\0", errors.CorruptStreamError, "1 bytes follow")
    refused(codec, stream + stream, errors.CorruptStreamError, "follow")


def test_every_bit_flipped(codec, stream):
    length_field = range(HEIGHT + 1, treenet_fast.info(stream).header_bytes)
    for position in range(len(stream)):
        for bit in range(8):
            flipped = with_bytes(stream, position, stream[position] ^ 1 << bit)
            if position < 3:
                refused(codec, flipped, errors.NotATreeNetStreamError)
            elif position == 3:
                refused(codec, flipped, errors.CorruptStreamError if bit == 0 else errors.NewerVersionError)
            elif position in length_field or (position in (WIDTH, HEIGHT) and bit == 7):
                with pytest.raises((errors.CorruptStreamError, errors.TruncatedStreamError)):
                    codec.decompress(flipped)
            else:
                refused(codec, flipped, errors.CorruptStreamError, "damaged")


def test_wrong_model(codec):
    other = Codec(synthetic_integer_model(), threads=1)
    foreign = other.compress(synthetic_image(20, 24))
    with pytest.raises(errors.WrongModelError, match=f"{other.model.hash.hex()[:8]}.*{codec.model.hash.hex()[:8]}"):
        codec.decompress(foreign)
    assert treenet_fast.info(foreign).model_id == other.model.hash.hex()[:8]  # needs no model


@pytest.mark.parametrize("quality", [0, 101, 127, 128, 229, 255])
def test_quality_out_of_range(codec, stream, quality):
    refused(codec, sealed(with_bytes(stream, QUALITY, quality)), errors.CorruptStreamError, "quality")


@pytest.mark.parametrize("side", [WIDTH, HEIGHT])
def test_side_of_zero(codec, stream, side):
    refused(codec, sealed(with_bytes(stream, side, 0)), errors.CorruptStreamError, "outside 1..65535")


def test_side_beyond_the_format(codec):
    refused(codec, build(codec, 65536, 1, bytes(10)), errors.CorruptStreamError, "outside 1..65535")


def test_number_with_a_redundant_byte(codec, stream):
    refused(codec, sealed(stream[:WIDTH] + b"\x98\x00" + stream[HEIGHT:]), errors.CorruptStreamError, "width")


def test_oversized(codec):
    """A header of a few bytes that announces gigabytes of pixels is refused at once."""
    start = time.perf_counter()
    bomb = build(codec, 65535, 65535, bytes(10))
    assert bomb[WIDTH : WIDTH + 6] == 2 * SIDES_MAX_BYTES
    with pytest.raises(errors.ImageTooLargeError, match="178956970"):
        codec.decompress(bomb)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(("width", "height"), [(13000, 13000), (65535, 2730), (2730, 65535), (1, 65535)])
@pytest.mark.parametrize("size", [0, 1, 10, 1000])
def test_large_size_with_little_payload(codec, width, height, size):
    """Within the limit, but the payload cannot hold it."""
    with pytest.raises(errors.CorruptStreamError):
        codec.decompress(build(codec, width, height, bytes(size)))


def test_symbols_checksum(codec, stream, monkeypatch):
    def compress():
        return reference.compress(synthetic_image(20, 24), model=codec.model)

    assert compress() == stream
    monkeypatch.setattr(reference.rans, "symbols_crc", lambda symbols, crc=0: 0x12345678)
    with pytest.raises(errors.CorruptStreamError, match=r"symbols do not match their checksum .* disagree"):
        codec.decompress(compress())


def test_other_quality_than_it_was_made_with(codec, stream):
    """The gain of the decoder would be another: nothing in the symbols shows it, so the checksum of the header must."""
    refused(codec, with_bytes(stream, QUALITY, 51), errors.CorruptStreamError, "checksum")


@pytest.mark.parametrize("isa", treenet_fast.backend_info().available_isas)
def test_damaged_payload_with_a_right_checksum(isa):
    """The stream's checksum holds, the entropy coder's checks and the symbols' checksum have to find it."""
    codec = Codec(threads=2, isa=isa)
    stream = codec.compress(synthetic_image(90, 130))
    start = treenet_fast.info(stream).header_bytes
    generator = random.Random(7)
    for _ in range(200):
        damaged = bytearray(stream)
        for _ in range(generator.choice([1, 1, 2, 10])):
            damaged[generator.randrange(start, len(stream))] ^= generator.randrange(1, 256)
        with pytest.raises(errors.CorruptStreamError):
            codec.decompress(sealed(damaged))


@pytest.mark.parametrize("isa", treenet_fast.backend_info().available_isas)
def test_noise_as_payload(isa):
    codec = Codec(threads=2, isa=isa)
    generator = random.Random(8)
    for _ in range(200):
        payload = generator.randbytes(generator.randrange(400))
        lanes = bytes([generator.randrange(6)])
        width, height = generator.randrange(1, 200), generator.randrange(1, 200)
        with pytest.raises(errors.CorruptStreamError):
            codec.decompress(build(codec, width, height, lanes + payload, generator.randrange(1, 101)))


def test_a_codec_works_on_after_errors(codec, stream):
    expected = Codec(threads=1).decompress(stream, "numpy")
    for data in (b"", stream[:-1], sealed(with_bytes(stream, -1, stream[-1] ^ 1))):
        with pytest.raises(errors.StreamError):
            codec.decompress(data)
    np.testing.assert_array_equal(codec.decompress(stream, "numpy"), expected)


def test_one_bad_stream_in_a_list(codec, stream):
    with pytest.raises(errors.TruncatedStreamError):
        codec.decompress([stream, stream[:-1]])
