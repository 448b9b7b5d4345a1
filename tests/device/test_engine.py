"""What a codec on a device does with images and streams, in batches, and with the device's memory."""

import numpy as np
import pytest
import torch
from PIL import Image

import treenet_fast
from devices import GPUS, GREY, OTHER, RGB, SMALL, chw
from synthetic import synthetic_integer_model
from treenet_fast import Codec, _device, _native, errors, models

MAX_PIXELS = 10_000


def test_lists_are_coded_in_batches_and_keep_their_order(codec, cpu, batches):
    mixed = [chw(RGB), SMALL, chw(RGB)[:1], Image.fromarray(OTHER), chw(SMALL).float() / 255, GREY, (chw(OTHER) / 255)]
    mixed = [image.to(codec.device) if isinstance(image, torch.Tensor) else image for image in mixed]
    streams = codec.compress(mixed, 30)
    assert batches == [3, 2, 2]
    assert streams == [cpu.compress(image, 30) for image in mixed]
    assert codec.compress(tuple(mixed[::-1]), 30) == streams[::-1]
    batches.clear()
    decoded = codec.decompress(streams)
    assert batches == [5, 2]  # grey and not together
    assert [image.shape[0] for image in decoded] == [3, 3, 1, 3, 3, 1, 3]
    for image, stream in zip(decoded, streams, strict=True):
        assert torch.equal(image.cpu(), cpu.decompress(stream))
    assert codec.compress([]) == codec.decompress([]) == []


def test_long_lists(codec, cpu, batches, monkeypatch):
    monkeypatch.setattr(_device, "_BATCH", 2)
    sizes = [RGB, SMALL, OTHER, RGB, SMALL[::-1], OTHER, RGB]
    streams = codec.compress(sizes)
    assert batches == [2, 2, 1, 2]
    assert streams == cpu.compress(sizes)
    for image, stream in zip(codec.decompress(streams, "numpy"), streams, strict=True):
        np.testing.assert_array_equal(image, cpu.decompress(stream, "numpy"))


def test_qualities_of_a_list(codec, cpu):
    streams = [cpu.compress(RGB, quality) for quality in (1, 50, 100)]
    decoded = codec.decompress(streams)
    assert torch.equal(torch.stack(decoded).cpu(), torch.stack(cpu.decompress(streams)))


@pytest.mark.parametrize("image", [RGB, GREY], ids=["RGB", "grey"])
def test_outputs(image, codec, cpu):
    stream = cpu.compress(image)
    expected = cpu.decompress(stream, "numpy")
    for output in (None, "torch"):
        tensor = codec.decompress(stream, output)
        assert tensor.device == torch.device(codec.device)
        assert tensor.dtype == torch.uint8
        assert tensor.is_contiguous()
        assert torch.equal(tensor.cpu(), cpu.decompress(stream))
    array = codec.decompress(stream, "numpy")
    assert array.dtype == np.uint8
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, expected)
    pil = codec.decompress(stream, "pil")
    assert pil.mode == ("RGB" if image.ndim == 3 else "L")
    np.testing.assert_array_equal(np.asarray(pil), expected)
    array[:] = 0  # it is the caller's
    np.testing.assert_array_equal(codec.decompress(stream, "numpy"), expected)


def test_traces(codec):
    """Those of the codec's own memory are those of the host's arrays; the decoder's come with its pixels."""
    native, expected = codec._engine.native, Codec(threads=2)._engine.native
    image = torch.from_numpy(RGB).to(codec.device).flip(0).transpose(0, 1).contiguous()
    turned = np.ascontiguousarray(RGB[::-1].transpose(1, 0, 2))
    place = _device._place(image)
    found, wanted = _native.trace_encode_at(native, place, 50, 37, 60, 0), expected.trace_encode(turned, 60)
    assert {"analysis.level3.7", "Y.0", "Z.1", "psi.2", "index.3", "S.0"} <= found.keys() <= wanted.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(values, wanted[name])
    stream = expected.encode(turned, 60, False)
    room = torch.zeros_like(image)
    found = _native.trace_decode_at(native, stream, _device._place(room), MAX_PIXELS, 0)
    wanted = expected.trace_decode(stream, MAX_PIXELS)
    assert {"Z.0", "mean.1", "Yhat.2", "synthesis.level0.3", "synthesis.fusion2.0"} <= found.keys() <= wanted.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(values, wanted[name])
    np.testing.assert_array_equal(room.cpu().numpy(), wanted["pixels"])


@pytest.mark.skipif(not GPUS, reason="there is no GPU")
def test_arrays_are_not_for_a_gpus_native_codec():
    codec = Codec(threads=1, device="cuda")
    native, stream = codec._engine.native, codec.compress(RGB)
    for call in (
        lambda: native.encode(RGB, 50, False),
        lambda: native.decode(stream, MAX_PIXELS),
        lambda: native.trace_encode(RGB, 50),
        lambda: native.trace_decode(stream, MAX_PIXELS),
    ):
        with pytest.raises(errors.InvalidArgumentError, match="backend 'cuda' takes no arrays"):
            call()
    assert codec.compress(RGB) == stream


def test_streams_of_other_models(codec, cpu, batches):
    name = next(name for name in models.names() if name != models.DEFAULT)
    of_name = Codec(name, threads=1)
    streams = [cpu.compress(RGB), of_name.compress(OTHER), cpu.compress(OTHER), of_name.compress(SMALL)]
    decoded = codec.decompress(streams)
    assert batches == [2, 1, 1]
    for image, stream in zip(decoded, streams, strict=True):
        assert image.device == torch.device(codec.device)
        assert torch.equal(image.cpu(), cpu.decompress(stream))
    foreign = Codec(synthetic_integer_model(), threads=1).compress(SMALL)
    for call in (codec, cpu):
        with pytest.raises(
            errors.WrongModelError, match=f"{treenet_fast.info(foreign).model_id}.*{streams[0][8:12].hex()}"
        ):
            call.decompress([streams[0], foreign])


def test_model_of_ones_own(codec, cpu):
    model = synthetic_integer_model()
    own, expected = Codec(model, threads=2, device="cuda"), Codec(model, threads=2)
    streams = own.compress([RGB, SMALL])
    assert streams == expected.compress([RGB, SMALL])
    assert torch.equal(own.decompress(streams[0]).cpu(), expected.decompress(streams[0]))
    assert torch.equal(own.decompress(cpu.compress(RGB)).cpu(), cpu.decompress(cpu.compress(RGB)))


def test_limits_come_before_work(codec, batches, monkeypatch):
    monkeypatch.setattr(codec, "_max_pixels", 20 * 33)
    streams = codec.compress([SMALL, SMALL])
    stream = Codec(threads=1).compress(RGB)
    batches.clear()
    for name in ("_pixels", "_room"):
        monkeypatch.setattr(_device.DeviceEngine, name, lambda *_: pytest.fail("it has begun"))
    with pytest.raises(errors.ImageTooLargeError, match="limit of 660"):
        codec.compress([SMALL, chw(RGB)])
    with pytest.raises(errors.ImageTooLargeError, match="limit of 660"):
        codec.decompress([*streams, stream])
    with pytest.raises(errors.TruncatedStreamError):
        codec.decompress([*streams, streams[0][:-1]])
    assert batches == []


@pytest.mark.parametrize("position", [20, -1])
def test_damage(position, codec, cpu):
    stream = bytearray(cpu.compress(RGB))
    stream[position] ^= 1
    with pytest.raises(errors.CorruptStreamError):
        codec.decompress(bytes(stream))
    assert codec.compress(RGB) == cpu.compress(RGB)


def test_other_arguments(codec):
    with pytest.raises(errors.InvalidArgumentError, match="quality is 0"):
        codec.compress(RGB, 0)
    with pytest.raises(errors.InvalidArgumentError, match="output is 'jpeg'"):
        codec.decompress(b"no stream", output="jpeg")
    with pytest.raises(errors.InvalidArgumentError, match="a stream is bytes"):
        codec.decompress([None])


class Memory:
    """Lacks for the next calls of torch's, or of the native code's."""

    def __init__(self, monkeypatch):
        self.lacks = 0
        self.log = []
        self._watch(monkeypatch, _device.DeviceEngine, ("_pixels", "_room"), torch.cuda.OutOfMemoryError("torch's"))
        self._watch(monkeypatch, _native, ("encode_at", "decode_at"), errors.DeviceMemoryError("ours"))
        self._watch(monkeypatch, _native, ("release",))
        self._watch(monkeypatch, torch.cuda, ("empty_cache",))

    def _watch(self, monkeypatch, place, names, error=None):
        for name in names:
            real = getattr(place, name)

            def call(*arguments, name=name, real=real):
                self.log.append(name)
                if error and self.lacks and self.lacking == name:
                    self.lacks -= 1
                    raise error
                return real(*arguments)

            monkeypatch.setattr(place, name, call)


@pytest.mark.parametrize("where", ["torch's", "ours"])
def test_lack_of_memory(where, codec, cpu, monkeypatch):
    stream = cpu.compress(RGB)
    memory = Memory(monkeypatch)
    calls = {
        ("_pixels", "encode_at"): lambda: codec.compress([RGB, SMALL])[0] == stream,
        ("_room", "decode_at"): lambda: np.array_equal(
            codec.decompress(stream, "numpy"), cpu.decompress(stream, "numpy")
        ),
    }
    for names, call in calls.items():
        memory.lacking = names[where == "ours"]
        memory.lacks = 1  # and then there is enough
        memory.log.clear()
        assert call()
        begun = memory.log.index(memory.lacking) + 1
        assert memory.log[begun : begun + 3] == ["release", "empty_cache", names[0]]
        memory.lacks = 2
        with pytest.raises(errors.DeviceMemoryError, match=f"{codec.device} has too little memory: .*{where}"):
            call()
        assert memory.lacks == 0
        assert call()


def test_release(codec, cpu):
    stream = codec.compress(RGB)
    codec.release()
    assert codec.compress(RGB) == stream == cpu.compress(RGB)


def test_release_is_of_all_models(monkeypatch):
    codec = Codec(threads=1)
    own = Codec(next(name for name in models.names() if name != models.DEFAULT), threads=1)
    codec.decompress(own.compress(SMALL))
    released = []
    monkeypatch.setattr(_native, "release", released.append)
    codec.release()
    assert released == [codec._engine.native, *(engine.native for engine in codec._others.values())]
    assert len(released) == 2
