import dataclasses
import inspect
import multiprocessing
import os
import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import treenet_fast
from synthetic import synthetic_image, synthetic_integer_model
from treenet_fast import Codec, _api, _cpus, _isa, errors, model_file, models


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def test_bytes_do_not_depend_on_the_kind_of_image(thumbnail, thumbnail_stream):
    tensor = torch.from_numpy(thumbnail).permute(2, 0, 1)
    kinds = [tensor, tensor.float() / 255, thumbnail / 255, Image.fromarray(thumbnail)]
    for kind in kinds:
        assert treenet_fast.compress(kind) == thumbnail_stream


@pytest.mark.parametrize("grey", [False, True])
def test_bytes_do_not_depend_on_how_an_image_lies(thumbnail, grey):
    """It is read in place: by channels, by columns, reversed, as part of more, and from memory that is only read."""
    image = thumbnail[:, :, 1:2] if grey else thumbnail
    dense = np.ascontiguousarray(image)
    stream = treenet_fast.compress(dense)
    wide = np.zeros((2 * dense.shape[0], 3 * dense.shape[1], 4), np.uint8)
    inside = wide[::2, 1::3, : dense.shape[2]]
    inside[:] = dense
    frozen = dense.copy()
    frozen.flags.writeable = False
    arrays = [image, np.flip(dense, (0, 1, 2)).copy()[::-1, ::-1, ::-1], inside, np.asfortranarray(dense), frozen]
    tensors = [torch.from_numpy(array).permute(2, 0, 1) for array in (dense, inside)]
    tensors += [tensor.contiguous() for tensor in tensors]
    for kind in [*arrays, *tensors]:
        before = kind.copy() if isinstance(kind, np.ndarray) else kind.clone()
        assert treenet_fast.compress(kind) == stream
        assert (kind == before).all()


def test_outputs(thumbnail_stream):
    array = treenet_fast.decompress(thumbnail_stream, "numpy")
    assert array.dtype == np.uint8
    assert array.shape == (37, 50, 3)
    for output in (None, "torch"):
        tensor = treenet_fast.decompress(thumbnail_stream, output)
        assert torch.equal(tensor, torch.from_numpy(array).permute(2, 0, 1))
        assert tensor.is_contiguous()
    image = treenet_fast.decompress(thumbnail_stream, "pil")
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), array)


def test_decoded_pixels_belong_to_the_caller(thumbnail_stream):
    first = treenet_fast.decompress(thumbnail_stream, "numpy")
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(treenet_fast.decompress(thumbnail_stream, "numpy"), kept)


@pytest.mark.parametrize("buffer", [bytearray, memoryview])
def test_other_buffers(thumbnail_stream, buffer):
    expected = treenet_fast.decompress(thumbnail_stream)
    assert torch.equal(treenet_fast.decompress(buffer(thumbnail_stream)), expected)
    assert treenet_fast.info(buffer(thumbnail_stream)) == treenet_fast.info(thumbnail_stream)


def test_grey_stays_grey(thumbnail):
    grey = thumbnail[:, :, 1]
    stream = treenet_fast.compress(grey, 80)
    assert treenet_fast.info(stream).grey
    decoded = treenet_fast.decompress(stream, "numpy")
    assert decoded.shape == grey.shape
    np.testing.assert_array_equal(treenet_fast.decompress(stream).numpy(), decoded[None])
    assert treenet_fast.decompress(stream, "pil").mode == "L"
    # SPEC §3: the mean, rounded, of the three channels that the same image gives as RGB.
    rgb = treenet_fast.decompress(treenet_fast.compress(np.stack([grey] * 3, axis=-1), 80), "numpy").astype(int)
    np.testing.assert_array_equal(decoded, (2 * rgb.sum(axis=2) + 3) // 6)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (40, 1), (7, 5), (15, 16), (17, 33), (63, 65)])
def test_sizes(height, width):
    stream = treenet_fast.compress(synthetic_image(height, width))
    assert treenet_fast.decompress(stream, "numpy").shape == (height, width, 3)


def test_batches_and_lists_are_their_images_one_by_one(thumbnail):
    images = [thumbnail, 255 - thumbnail, thumbnail[::-1]]
    streams = [treenet_fast.compress(image, 30) for image in images]
    tensors = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    for batch in (images, tuple(images), np.stack(images), tensors):
        assert treenet_fast.compress(batch, 30) == streams
    decoded = treenet_fast.decompress(streams)
    assert isinstance(decoded, list)
    assert torch.equal(torch.stack(decoded), torch.stack([treenet_fast.decompress(stream) for stream in streams]))
    assert treenet_fast.compress([]) == treenet_fast.decompress([]) == []
    assert treenet_fast.compress([thumbnail[:9], thumbnail]) == [
        treenet_fast.compress(thumbnail[:9]),
        treenet_fast.compress(thumbnail),
    ]


def test_quality_buys_fidelity_with_bytes(photograph):
    qualities = [1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    codec = Codec()
    streams = [codec.compress(photograph, quality) for quality in qualities]
    sizes = [len(stream) for stream in streams]
    assert sizes == sorted(set(sizes))
    fidelity = [psnr(photograph, codec.decompress(stream, "numpy")) for stream in streams]
    assert fidelity[0] > 22
    assert fidelity[-1] > fidelity[5] > fidelity[0] + 1


@pytest.mark.parametrize("quality", [0, 101, -1, 50.0, "50", True, None, np.float32(50), [50]])
def test_bad_quality(thumbnail, quality):
    with pytest.raises(errors.InvalidArgumentError, match=r"quality is .* from 1 to 100"):
        treenet_fast.compress(thumbnail, quality)


def test_integers_of_numpy_are_integers(thumbnail, thumbnail_stream):
    assert Codec(threads=np.int64(1)).compress(thumbnail, np.uint8(50)) == thumbnail_stream


@pytest.mark.parametrize("arguments", [{"threads": 0}, {"threads": 257}, {"threads": 1.5}, {"max_pixels": 0}])
def test_bad_codec_arguments(arguments):
    with pytest.raises(errors.InvalidArgumentError, match=next(iter(arguments))):
        Codec(**arguments)


@pytest.mark.parametrize("data", ["stream", 5, None, np.zeros(4, np.uint8)])
def test_data_that_is_not_bytes(data):
    with pytest.raises(errors.InvalidArgumentError, match="a stream is bytes"):
        treenet_fast.decompress(data)
    with pytest.raises(errors.InvalidArgumentError, match="a stream is bytes"):
        treenet_fast.info(data)


def test_pixel_limit(thumbnail, thumbnail_stream):
    enough = Codec(max_pixels=37 * 50)
    assert enough.compress(thumbnail) == thumbnail_stream
    assert enough.decompress(thumbnail_stream, "numpy").shape == (37, 50, 3)
    short = Codec(max_pixels=37 * 50 - 1)
    with pytest.raises(errors.ImageTooLargeError, match="limit of 1849"):
        short.compress(thumbnail)
    with pytest.raises(errors.ImageTooLargeError, match="limit of 1849"):
        short.decompress(thumbnail_stream)


def test_no_pixel_limit(thumbnail, thumbnail_stream):
    assert Codec(max_pixels=None).compress(thumbnail) == thumbnail_stream


def test_info(thumbnail_stream):
    info = treenet_fast.info(thumbnail_stream)
    model = Codec().model
    assert dataclasses.asdict(info) == {
        "width": 50,
        "height": 37,
        "quality": 50,
        "grey": False,
        "version": 1,
        "model_id": model.hash.hex()[:8],
        "bytes": len(thumbnail_stream),
        "header_bytes": 17,  # SPEC §8: 13, and 1, 1 and 2 for width, height and the payload's length
        "segments": 1,
    }
    assert info.bits_per_pixel == 8 * len(thumbnail_stream) / (37 * 50)


def test_header_of_an_ordinary_image_is_small(photograph):
    assert treenet_fast.info(treenet_fast.compress(photograph)).header_bytes <= 24


def test_models(tmp_path, thumbnail, thumbnail_stream):
    other = synthetic_integer_model()
    path = tmp_path / "other.safetensors"
    model_file.save(path, other.tensors, {"name": "other"})
    codec = Codec(path)
    assert codec.model.name == "other"
    stream = codec.compress(thumbnail)
    assert treenet_fast.info(stream).model_id == other.hash.hex()[:8]
    assert stream == Codec(other).compress(thumbnail) == treenet_fast.compress(thumbnail, model=str(path))
    assert torch.equal(codec.decompress(stream), treenet_fast.decompress(stream, model=other))
    assert Codec(models.path()).compress(thumbnail) == thumbnail_stream


@pytest.mark.parametrize("name", models.names())
def test_models_of_the_package(name, thumbnail):
    codec = Codec(name, threads=1)
    assert codec.model is models.load(name)
    stream = codec.compress(thumbnail)
    assert stream == treenet_fast.compress(thumbnail, model=name)
    # Whoever has the package can read it without knowing which model made it, from any codec.
    expected = codec.decompress(stream)
    assert torch.equal(treenet_fast.decompress(stream), expected)
    assert torch.equal(Codec(synthetic_integer_model(), threads=1).decompress(stream), expected)


def test_name_of_no_model():
    with pytest.raises(errors.ModelFileError, match=r"no-such-model.*in the package are .*mse"):
        Codec("no-such-model")


def test_missing_model_file(tmp_path):
    with pytest.raises(errors.ModelFileError, match=r"absent\.safetensors"):
        Codec(tmp_path / "absent.safetensors")


def test_isa_by_argument():
    for isa in treenet_fast.backend_info().available_isas:
        assert Codec(isa=isa).isa == isa
    with pytest.raises(errors.BackendError, match=r"isa is 'neon', .* use one of scalar"):
        Codec(isa="neon")


def test_isa_by_environment(monkeypatch, thumbnail, thumbnail_stream):
    for isa in treenet_fast.backend_info().available_isas:
        monkeypatch.setenv("TREENET_FAST_ISA", isa)
        assert treenet_fast.backend_info().isa == Codec().isa == isa
        assert _api._codec(None, None).isa == isa
        assert treenet_fast.compress(thumbnail) == thumbnail_stream
    monkeypatch.setenv("TREENET_FAST_ISA", "sse9")
    for call in (Codec, treenet_fast.backend_info, lambda: treenet_fast.compress(thumbnail)):
        with pytest.raises(errors.BackendError, match=r"TREENET_FAST_ISA is 'sse9', .* use one of scalar"):
            call()
    monkeypatch.setenv("TREENET_FAST_ISA", "")
    assert treenet_fast.backend_info().isa == treenet_fast.backend_info().available_isas[-1]


def test_isa_that_the_machine_lacks(monkeypatch):
    monkeypatch.setattr(_api._native, "cpu_isas", lambda: ["scalar"])
    monkeypatch.setenv("TREENET_FAST_ISA", "avx2")
    with pytest.raises(errors.BackendError, match="this machine or its system lacks it: use one of scalar"):
        Codec()


TILES = """
import ctypes

import treenet_fast
from treenet_fast import _isa

def permitted():
    features = ctypes.c_uint64()
    assert ctypes.CDLL(None).syscall(158, 0x1022, ctypes.byref(features)) == 0  # arch_prctl(ARCH_GET_XCOMP_PERM)
    return bool(features.value >> 18 & 1)

treenet_fast.Codec(isa="avx512vnni")
assert _isa.choose_isa(None, for_symbols=True) == "amx"
assert not permitted()
assert treenet_fast.Codec().isa == "amx"
assert permitted()
"""


@pytest.mark.skipif("amx" not in treenet_fast.backend_info().available_isas, reason="the processor has no AMX")
def test_registers_are_asked_for_only_when_they_are_used(monkeypatch):
    monkeypatch.delenv("TREENET_FAST_ISA", raising=False)
    subprocess.run([sys.executable, "-c", TILES], check=True)


def test_backend_info():
    info = treenet_fast.backend_info()
    assert info.version == treenet_fast.__version__
    assert info.available_isas[0] == "scalar"
    assert set(info.available_isas) <= set(_isa.ISAS)
    assert info.threads == min(_cpus.usable(), 16) == Codec().threads


def test_one_codec_in_many_threads():
    images = [synthetic_image(20 + 9 * i, 90 - 7 * i, seed=i) for i in range(8)]
    codec = Codec(threads=2)
    streams = codec.compress(images)
    pixels = codec.decompress(streams, "numpy")

    def round_trip(i):
        stream = codec.compress(images[i % 8])
        return stream, codec.decompress(stream, "numpy")

    with ThreadPoolExecutor(8) as pool:
        for i, (stream, decoded) in enumerate(pool.map(round_trip, range(32))):
            assert stream == streams[i % 8]
            np.testing.assert_array_equal(decoded, pixels[i % 8])


def test_first_calls_in_many_threads_share_a_codec(monkeypatch, thumbnail, thumbnail_stream):
    monkeypatch.setattr(_api, "_codecs", {})
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: treenet_fast.compress(thumbnail), range(16))) == {thumbnail_stream}
    assert len(_api._codecs) == 1


def _compress_in_child(connection, codecs, image):
    streams = treenet_fast.compress(image), codecs[0].compress(image)
    codecs.clear()  # the threads that it would wait for are not here
    connection.send(streams)


def test_codecs_survive_a_fork(thumbnail, thumbnail_stream):
    """Data loaders fork: a child has the parent's codecs but not their threads."""
    codecs = [Codec(threads=2)]
    assert codecs[0].compress(thumbnail) == thumbnail_stream
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_compress_in_child, args=(sender, codecs, thumbnail))
    child.start()
    try:
        assert receiver.poll(60)
        assert receiver.recv() == (thumbnail_stream, thumbnail_stream)
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
        child.join()


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_large_images_are_their_callers_own(photograph):
    """Beyond 32 MB they lie in memory that the codec had, and has again only when they go."""
    height, width, _ = photograph.shape
    image = np.tile(photograph, (3341 // height + 1, 3400 // width + 1, 1))[:3341, :3400]
    assert image.nbytes > 32 * 2**20
    codec = Codec(threads=2)
    stream = codec.compress(image, 20)
    first = codec.decompress(stream, "numpy")
    assert first.flags.writeable
    expected = first.copy()
    first[:] = 7
    second = codec.decompress(stream, "numpy")
    tensor = codec.decompress(stream, "torch")
    assert (first == 7).all()
    codec.release()
    before = resident()
    del codec, first
    assert resident() < before - 32 * 2**20
    np.testing.assert_array_equal(second, expected)
    np.testing.assert_array_equal(tensor.permute(1, 2, 0).numpy(), expected)


def test_large_images_are_encoded_by_bands_to_the_same_symbols(photograph):
    """Their traces are of the whole, which is computed level by level."""
    height, width, _ = photograph.shape
    image = np.tile(photograph, (2070 // height + 1, 2100 // width + 1, 1))[:2070, :2100]
    native = Codec(threads=3)._engine.native
    whole = native.trace_encode(image, 40)
    decoded = native.trace_decode(native.encode(image, 40, False), image.size)
    for b in range(4):
        for name in (f"S.{b}", f"Z.{b}", f"Yhat.{b}"):
            np.testing.assert_array_equal(decoded[name], whole[name], name)


def test_released_memory_goes_back_to_the_system():
    codec = Codec(threads=1)
    image = np.full((1536, 1536, 3), 100, np.uint8)
    stream = codec.compress(image)
    codec.decompress(stream, "numpy")  # its largest buffers are beyond what malloc keeps for itself
    kept = resident()
    codec.release()
    assert resident() < kept - 48 * 2**20
    assert codec.compress(image) == stream


def test_torch_is_not_imported_for_arrays():
    program = """
import sys
import numpy as np
import treenet_fast
image = np.full((5, 7, 3), 100, np.uint8)
decoded = treenet_fast.decompress(treenet_fast.compress(image), "numpy")
assert decoded.shape == image.shape
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_error_is_a_treenet_error():
    classes = [item for _, item in inspect.getmembers(errors, inspect.isclass)]
    assert len(classes) > 10
    for item in classes:
        assert issubclass(item, errors.TreeNetError)
        assert issubclass(item, ValueError)


def test_threads_are_checked_whether_or_not_a_codec_is_kept(monkeypatch, thumbnail):
    monkeypatch.setattr(_api, "_codecs", {})
    for _ in range(2):
        for threads in (True, 1.0, [1], 0, 257):
            with pytest.raises(errors.InvalidArgumentError, match="threads is"):
                treenet_fast.compress(thumbnail, threads=threads)
        assert _api._codec(None, 1) is _api._codec(None, np.int64(1))
    assert _api._codec(None, None) is _api._codec(None, treenet_fast.backend_info().threads)


def test_a_fork_while_the_lock_is_held(thumbnail, thumbnail_stream):
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(treenet_fast.compress(thumbnail)))
    with _api._codecs_lock:
        child.start()
    try:
        assert receiver.poll(60)
        assert receiver.recv() == thumbnail_stream
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
        child.join()


def test_codecs_are_built_without_the_lock(monkeypatch, thumbnail):
    held = []

    class Watched(Codec):
        def __init__(self, *arguments, **options):
            held.append(_api._codecs_lock.locked())
            super().__init__(*arguments, **options)

    monkeypatch.setattr(_api, "_codecs", {})
    monkeypatch.setattr(_api, "Codec", Watched)
    treenet_fast.compress(thumbnail)
    treenet_fast.compress(thumbnail)
    assert held == [False]


@pytest.mark.parametrize("output", ["jpeg", "", 1, ["numpy"]])
def test_output_is_checked_before_decoding(output):
    with pytest.raises(errors.InvalidArgumentError, match="output is"):
        treenet_fast.decompress(b"no stream", output=output)
    with pytest.raises(errors.InvalidArgumentError, match="output is"):
        treenet_fast.decompress([], output=output)


@pytest.mark.parametrize("model", [123, b"model.safetensors", 1.5, ["a"]])
def test_model_that_is_no_path(model):
    with pytest.raises(errors.InvalidArgumentError, match="model is of type"):
        Codec(model)


def test_model_of_another_mapping(thumbnail, thumbnail_stream):
    model = Codec().model
    proxy = dataclasses.replace(model, tensors=types.MappingProxyType(dict(model.tensors)))
    assert Codec(proxy).compress(thumbnail) == thumbnail_stream
