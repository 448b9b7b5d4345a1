"""Codecs on GPUs. Where there is none, the same engine runs with a native codec of the CPU and tensors of the CPU."""

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from torch._subclasses import FakeTensorMode

import treenet_fast
from synthetic import synthetic_image, synthetic_integer_model
from treenet_fast import Codec, _api, _device, _native, errors, images, models
from treenet_fast.cli import main

GPUS, WHY_NONE = _device.cuda_devices()


def pretend(monkeypatch, names=("GPU 0",)):
    """Makes GPUs of the CPU, the last of them torch's current one."""

    def on_the_cpu(model, index, threads):
        assert index < len(names)
        return _device.DeviceEngine(_native.Codec(model, "scalar", threads), torch.device("cpu"), lambda: 0)

    monkeypatch.setattr(_device, "cuda_devices", lambda: (tuple(names), ""))
    monkeypatch.setattr(_device, "on_cuda", on_the_cpu)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: len(names) - 1)


@pytest.fixture(params=["pretended", "cuda"] if GPUS else ["pretended"])
def codec(request, monkeypatch):
    if request.param == "pretended":
        pretend(monkeypatch)
    return Codec(threads=2, device="cuda")


@pytest.fixture
def batches(monkeypatch):
    """How many images each native batch has, in the order of the batches."""
    counts = []
    for name in ("encode_at", "decode_at"):
        call = getattr(_native, name)

        def counted(codec, items, *arguments, call=call):
            counts.append(len(items))
            return call(codec, items, *arguments)

        monkeypatch.setattr(_native, name, counted)
    return counts


@pytest.fixture(scope="module")
def cpu():
    return Codec(threads=2)


RGB = synthetic_image(37, 50)
OTHER = synthetic_image(37, 50, seed=1)
SMALL = synthetic_image(20, 33, seed=2)
GREY = RGB[:, :, 1]
MAX_PIXELS = 10_000


def chw(array):
    return torch.from_numpy(array.copy()).permute(2, 0, 1).contiguous()


TENSORS = {
    "CHW": chw(RGB),
    "CHW, channels last": torch.from_numpy(RGB).permute(2, 0, 1),
    "turned": chw(RGB).transpose(1, 2),
    "turned, channels last": torch.from_numpy(RGB).permute(2, 1, 0),
    "flipped": chw(RGB).flip(1, 2),
    "every second row, every third column": chw(RGB)[:, ::2, 1::3],
    "a part": chw(RGB)[:, 3:30, 5:],
    "of an image with alpha": torch.cat([chw(RGB), chw(RGB)[:1]])[:3],
    "one row for all": chw(RGB)[:, :1].expand(3, 37, 50),
    "1x1": chw(RGB)[:, :1, :1],
    "float32": chw(RGB).float() / 255,
    "float32, channels last and strided": (torch.from_numpy(RGB).float() / 255).permute(2, 0, 1)[:, ::2],
    "float64 that needs a gradient": (chw(RGB).double() / 255).requires_grad_(),
    "float16": (chw(RGB) / 255).half(),
    "bfloat16": (chw(RGB) / 255).bfloat16(),
    "grey 1HW": chw(RGB)[:1],
    "grey HW": chw(RGB)[0],
    "grey HW, turned and strided": chw(RGB)[1].T[::2],
    "grey float16": (chw(RGB)[0] / 255).half(),
    "batch": torch.stack([chw(RGB), chw(OTHER), chw(RGB)]),
    "batch of one": chw(RGB)[None],
    "batch, channels last and strided": torch.from_numpy(np.stack([RGB, OTHER])).permute(0, 3, 1, 2)[:, :, 1:, ::2],
    "batch of floats": torch.stack([chw(RGB), chw(OTHER)]) / 255,
    "grey batch": torch.stack([chw(RGB), chw(OTHER)])[:, :1],
    "batch of none": torch.zeros(0, 3, 4, 4),
}


@pytest.mark.parametrize("case", TENSORS)
def test_tensors(case, codec, cpu):
    image = TENSORS[case]
    expected = cpu.compress(image, 60)
    assert codec.compress(image.to(codec.device), 60) == expected
    assert codec.compress(image, 60) == expected


OTHERS = {
    "numpy HWC": RGB,
    "numpy HW": GREY,
    "numpy HW1": GREY[:, :, None],
    "numpy, flipped": RGB[::-1, ::-2],
    "numpy, read-only": np.frombuffer(RGB.tobytes(), np.uint8).reshape(RGB.shape),
    "numpy float16": (RGB / 255).astype(np.float16),
    "numpy longdouble": RGB / np.longdouble(255),
    "numpy, of the other byte order": (RGB / 255).astype(">f4"),
    "numpy NHWC": np.stack([RGB, OTHER]),
    "PIL RGB": Image.fromarray(RGB),
    "PIL L": Image.fromarray(GREY),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", OTHERS)
def test_images_of_the_host(case, codec, cpu):
    assert codec.compress(OTHERS[case]) == cpu.compress(OTHERS[case])


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


def test_bytes_that_lie_on_the_device_are_read_where_they_lie(codec, monkeypatch):
    image = torch.stack([chw(RGB), chw(OTHER)]).to(codec.device)
    grey = image[0, 2].T
    floats = image[0] / 255
    places = []
    place = _native.Place

    def recorded(*arguments):
        places.append(arguments)
        return place(*arguments)

    monkeypatch.setattr(_native, "Place", recorded)
    codec.compress(image[:, :, 1:, ::2])
    codec.compress(grey)
    row, plane = 50, 37 * 50
    assert places == [
        (image.data_ptr() + row, row, 2, plane),
        (image.data_ptr() + 3 * plane + row, row, 2, plane),
        (image.data_ptr() + 2 * plane, 1, row, 0),
    ]
    kept = image.clone(), floats.clone()
    codec.compress([*image, floats])
    assert torch.equal(image, kept[0])
    assert torch.equal(floats, kept[1])


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


def float_image(value):
    image = torch.zeros(3, 4, 4)
    image[0, 2, 1] = value
    return image


REFUSED = {
    "NaN": float_image(torch.nan),
    "infinite": float_image(torch.inf),
    "negative": float_image(-1e-3),
    "beyond 1, float16": float_image(1.001).half(),
    "floats in 0..255": torch.full((3, 4, 4), 200.0, dtype=torch.bfloat16),
    "in a list": [chw(SMALL), float_image(2)],
    "numpy": np.full((4, 4), 1.5),
    "alpha": torch.zeros(4, 40, 50, dtype=torch.uint8),
    "HWC": torch.zeros(40, 50, 3, dtype=torch.uint8),
    "five dimensions": torch.zeros(1, 1, 3, 4, 4),
    "16 bit": torch.zeros(3, 4, 4, dtype=torch.int16),
    "bool": torch.zeros(4, 4, dtype=torch.bool),
    "no columns": torch.zeros(3, 4, 0),
    "a side beyond 65535": torch.zeros(3, 1, 65536),
    "float8": torch.zeros(3, 4, 4).to(torch.float8_e4m3fn),
    "sparse": torch.zeros(3, 4, 4).to_sparse(),
    "meta": torch.zeros(3, 4, 4, device="meta"),
    "that only stands for others": FakeTensorMode().from_tensor(torch.zeros(3, 4, 4)),
    "a path": "photo.png",
    "a batch in a list": [torch.zeros(2, 3, 4, 4)],
}


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
@pytest.mark.parametrize("case", REFUSED)
def test_refused_images(case, codec, cpu):
    """With the words of a codec on the CPU."""
    image = REFUSED[case]
    with pytest.raises(errors.TreeNetError) as expected:
        cpu.compress(image)
    with pytest.raises(expected.type) as found:
        codec.compress(image)
    assert str(found.value) == str(expected.value)


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


def in_forked_child(call):
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(call()))
    child.start()
    try:
        assert receiver.poll(60)
        result = receiver.recv()
        child.join(60)
        assert child.exitcode == 0
        return result
    finally:
        child.kill()
        child.join()


def test_a_forked_process_is_told_so(codec, monkeypatch):
    stream = codec.compress(SMALL)
    monkeypatch.setattr(codec._engine, "_current_stream", lambda: pytest.fail("it has begun"))

    def errors_of_calls():
        found = []
        for call in (lambda: codec.compress(SMALL), lambda: codec.decompress(stream)):
            with pytest.raises(errors.BackendError) as error:
                call()
            found.append(str(error.value))
        return found

    for message in in_forked_child(errors_of_calls):
        assert message.startswith("the codec was made before this process was forked")
        assert "'spawn'" in message


def test_a_forked_process_looks_for_gpus_itself(monkeypatch):
    monkeypatch.setattr(_native, "cuda_devices", lambda: ([], f"none for process {os.getpid()}"))
    _device.cuda_devices.cache_clear()
    try:
        assert _device.cuda_devices() == ((), f"none for process {os.getpid()}")
        names, why = in_forked_child(_device.cuda_devices)
    finally:
        _device.cuda_devices.cache_clear()
    assert names == ()
    assert why not in ("", f"none for process {os.getpid()}")


def test_one_codec_in_many_threads(codec, cpu):
    many = [synthetic_image(20 + 9 * (i % 4), 90 - 7 * i, seed=i) for i in range(8)]
    streams = cpu.compress(many)

    def round_trip(i):
        image = chw(many[i % 8]).to(codec.device)
        return codec.compress(image), codec.decompress(streams[i % 8], "numpy")

    with ThreadPoolExecutor(8) as pool:
        for i, (stream, decoded) in enumerate(pool.map(round_trip, range(24))):
            assert stream == streams[i % 8]
            np.testing.assert_array_equal(decoded, cpu.decompress(streams[i % 8], "numpy"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_every_float_of_16_bits(dtype):
    """One rule makes bytes of arrays' floats and of tensors'."""
    values = torch.arange(int(torch.ones(1, dtype=dtype).view(torch.int16)) + 1, dtype=torch.int16).view(dtype)
    (found,) = images.to_u8([values[:, None, None]])
    (expected,) = images.to_u8([values.float().numpy()[:, None, None]])
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), expected)
    np.testing.assert_array_equal(expected, np.rint(values.float().numpy()[:, None, None] * np.float32(255)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_floats_about_every_tie(dtype):
    values = torch.from_numpy((np.arange(511) / 510).astype(np.float64)).to(dtype)
    values = torch.stack([values, torch.nextafter(values, values * 0), torch.nextafter(values, values * 0 + 1)])
    (found,) = images.to_u8([values[:, :, None]])
    (expected,) = images.to_u8([values.numpy()[:, :, None]])
    np.testing.assert_array_equal(found.numpy(), expected)
    (ties,) = images.to_u8([torch.tensor([[[0.5], [1.5], [2.5], [126.5]]], dtype=torch.float64) / 255])
    assert ties.flatten().tolist() == [0, 2, 2, 126]


def test_tensors_of_many_types_at_once():
    floats = [TENSORS[name].detach().permute(1, 2, 0) for name in TENSORS if name.startswith(("float", "bfloat"))]
    found = images.to_u8([*floats, torch.from_numpy(RGB)])
    for values, expected in zip(found, floats, strict=False):
        np.testing.assert_array_equal(values.numpy(), images.rgb_image(images.Picture(expected)).pixels)
    np.testing.assert_array_equal(found[-1].numpy(), RGB)


@pytest.mark.parametrize(
    "device", ["gpu", "CUDA", "", "cuda:", "cuda:x", "cuda:-1", "cuda0", "mps", 0, torch.device("mps")]
)
def test_unknown_devices(device):
    with pytest.raises(errors.InvalidArgumentError, match=r"device is .*: use 'cpu', 'cuda'"):
        Codec(device=device)
    with pytest.raises(errors.InvalidArgumentError, match="device is"):
        treenet_fast.decompress(b"", device=device)


@pytest.mark.parametrize("device", [None, "cpu", torch.device("cpu"), "cpu:0"])
def test_cpu(device):
    codec = Codec(threads=1, isa="scalar", device=device)
    assert (codec.device, codec.isa) == ("cpu", "scalar")
    assert repr(codec) == f"Codec(model='{models.DEFAULT}', threads=1, device='cpu', isa='scalar')"


DEVICES = ["cuda", "cuda:0", torch.device("cuda"), torch.device("cuda", 0)]


@pytest.mark.parametrize("device", DEVICES)
def test_no_gpu(device, monkeypatch):
    monkeypatch.setattr(_device, "cuda_devices", lambda: ((), "the reason"))
    for call in (lambda: Codec(device=device), lambda: treenet_fast.decompress(b"", device=device)):
        with pytest.raises(errors.BackendError, match=r"device is 'cuda.*no CUDA device can be used: the reason"):
            call()
    assert treenet_fast.backend_info().devices == ()
    assert treenet_fast.backend_info().cuda == "the reason"


def test_why_there_is_no_gpu(monkeypatch):
    look = _device.cuda_devices.__wrapped__  # anew each time
    monkeypatch.setattr(_native, "cuda_devices", lambda: ([], "no driver"))
    assert look() == ((), "no driver")
    monkeypatch.setattr(_native, "cuda_devices", lambda: (["GPU 0", "GPU 1"], ""))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    names, why = look()
    assert names == ()
    assert why.startswith(f"torch {torch.__version__} cannot use CUDA")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert look() == (("GPU 0", "GPU 1"), "")


def test_this_machine():
    info = treenet_fast.backend_info()
    names, why = _native.cuda_devices()
    assert bool(info.devices) != bool(info.cuda)
    if not names:
        assert (info.devices, info.cuda) == ((), why)


def test_choice_of_gpu(monkeypatch):
    pretend(monkeypatch, ("GPU 0", "GPU 1", "GPU 2"))
    chosen = {"cuda": 2, "cuda:1": 1, torch.device("cuda"): 2, torch.device("cuda", 0): 0, "cpu": None, None: None}
    for device, index in chosen.items():
        assert _device.choose(device) == index
    for device in ("cuda:3", torch.device("cuda", 9), "cuda:999999999"):
        with pytest.raises(errors.BackendError, match=r"device is 'cuda:\d+', but there are 3: use one up to cuda:2"):
            Codec(device=device)
    info = treenet_fast.backend_info()
    assert (info.devices, info.cuda) == (("GPU 0", "GPU 1", "GPU 2"), "")


def test_instruction_sets_are_the_cpus(monkeypatch):
    pretend(monkeypatch)
    with pytest.raises(errors.InvalidArgumentError, match="isa is 'scalar', but device is 'cuda'"):
        Codec(isa="scalar", device="cuda")
    monkeypatch.setenv("TREENET_FAST_ISA", "sse9")
    assert Codec(device="cuda", threads=1).compress(SMALL)


def test_engine_of_a_gpu(monkeypatch):
    """What is asked of the native code and of torch for it."""
    asked = []

    def on_cuda(model, device, threads):
        asked.append((device, threads))
        return _native.Codec(model, "scalar", threads)

    class CurrentStream:
        cuda_stream = 77

        def __init__(self, device):
            asked.append(device)

    def encode_at(codec, images, height, width, quality, grey, stream):
        asked.append((height, width, quality, grey, stream))
        return [b"a stream"]

    monkeypatch.setattr(_device, "cuda_devices", lambda: (("GPU 0", "GPU 1"), ""))
    monkeypatch.setattr(_native, "codec_on_cuda", on_cuda)
    monkeypatch.setattr(_native, "encode_at", encode_at)
    monkeypatch.setattr(torch.cuda, "current_stream", CurrentStream)
    monkeypatch.setattr(_device.DeviceEngine, "_pixels", lambda self, pictures: [torch.from_numpy(GREY[:, :, None])])
    codec = Codec(device="cuda:1", threads=3)
    assert (codec.device, codec.threads) == ("cuda:1", 3)
    assert codec.compress(GREY, 40) == b"a stream"
    assert asked == [(1, 3), torch.device("cuda", 1), (37, 50, 40, True, 77)]


def test_codecs_are_kept_for_each_device(monkeypatch):
    monkeypatch.setattr(_api, "_codecs", {})
    pretend(monkeypatch, ("GPU 0", "GPU 1"))
    second = _api._codec(None, 1, "cuda:1")
    assert second is _api._codec(None, 1, "cuda") is _api._codec(models.DEFAULT, 1, torch.device("cuda", 1))
    assert second is not _api._codec(None, 1, "cuda:0")
    assert _api._codec(None, 1) is _api._codec(None, 1, "cpu")
    assert _api._codec(None, 1)._gpu is None
    assert len(_api._codecs) == 3


def test_decompress_on_a_device(monkeypatch, cpu):
    monkeypatch.setattr(_api, "_codecs", {})
    pretend(monkeypatch)
    stream = cpu.compress(RGB)
    assert torch.equal(treenet_fast.decompress(stream, device="cuda", threads=1), cpu.decompress(stream))
    assert [codec._gpu for codec in _api._codecs.values()] == [0]


@pytest.mark.parametrize("model", [None, models.path()], ids=["of the package", "of one's own"])
def test_compress_goes_where_the_tensor_is(model, monkeypatch, cpu, batches):
    monkeypatch.setattr(_api, "_codecs", {})
    monkeypatch.setattr(_device, "of_image", lambda image: torch.device("cuda", 0))
    expected = cpu.compress(chw(RGB))
    assert treenet_fast.compress(chw(RGB), model=model, threads=1) == expected
    assert batches == ([1] if GPUS else [])
    batches.clear()
    pretend(monkeypatch)
    assert treenet_fast.compress(chw(RGB), model=model, threads=1) == expected
    assert batches == [1]

    def too_old(model, index, threads):
        raise errors.BackendError("too old")

    monkeypatch.setattr(_api, "_codecs", {})
    monkeypatch.setattr(_device, "on_cuda", too_old)
    assert treenet_fast.compress(chw(RGB), model=model, threads=1) == expected
    assert batches == [1]


def test_where_images_are():
    class OnGpu(torch.Tensor):
        is_cuda = True
        device = torch.device("cuda", 1)

    there, here = chw(RGB).as_subclass(OnGpu), chw(RGB)
    for image in (there, [there, here], (there,)):
        assert _device.of_image(image) == torch.device("cuda", 1)
    for image in (here, [here, there], [], (), [[there]], RGB, [RGB], None, "photo.png"):
        assert _device.of_image(image) is None


@pytest.mark.skipif(not GPUS, reason=f"no GPU: {WHY_NONE}")
def test_streams_of_torch():
    """Work in another stream than the default one is done in that stream's order."""
    codec, cpu = Codec(threads=2, device="cuda"), Codec(threads=2)
    expected = cpu.compress(RGB)
    pixels = cpu.decompress(expected)
    with torch.cuda.stream(torch.cuda.Stream()):
        for _ in range(20):
            image = torch.zeros(3, 37, 50, dtype=torch.uint8, device="cuda")
            torch.cuda._sleep(1_000_000)
            image.copy_(chw(RGB))
            assert codec.compress(image) == expected
            decoded = codec.decompress(expected) ^ 255
            assert torch.equal(decoded.cpu() ^ 255, pixels)


def test_command(tmp_path, monkeypatch, capsys, batches):
    Image.fromarray(RGB).save(tmp_path / "photo.png")
    source, stream, target = (str(tmp_path / name) for name in ("photo.png", "photo.tnf", "back.png"))
    assert main(["compress", source, stream, "--device", "cpu"]) == 0
    assert batches == []
    pretend(monkeypatch)
    assert main(["compress", source, stream, "--device", "cuda"]) == 0
    assert main(["decompress", stream, target, "--device", "cuda:0"]) == 0
    assert batches == [1, 1]
    expected = treenet_fast.compress(RGB)
    assert (tmp_path / "photo.tnf").read_bytes() == expected
    np.testing.assert_array_equal(np.asarray(Image.open(target)), treenet_fast.decompress(expected, "numpy"))
    capsys.readouterr()
    for device, message in (("cuda:1", "use one up to cuda:0"), ("tpu", "device is 'tpu'")):
        assert main(["compress", source, stream, "--device", device]) == 1
        assert message in capsys.readouterr().err


def test_without_torch():
    """A GPU is refused, and all else works."""
    program = """
import sys
sys.modules["torch"] = None  # as where it is not installed
import numpy as np
import treenet_fast
from treenet_fast import _device, _native
image = np.full((5, 7, 3), 100, np.uint8)
assert treenet_fast.decompress(treenet_fast.compress([image]), "numpy", device="cpu")[0].shape == image.shape
_native.cuda_devices = lambda: (["GPU 0"], "")
try:
    treenet_fast.Codec(device="cuda")
except treenet_fast.BackendError as error:
    assert "torch, which is not installed" in str(error)
else:
    raise SystemExit("there is a codec")
assert "not installed" in treenet_fast.backend_info().cuda
"""
    subprocess.run([sys.executable, "-c", program], check=True)
