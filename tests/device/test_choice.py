"""Which device an argument means, what is said of those that there are, and whose engine a call takes."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import treenet_fast
from devices import GPUS, GREY, RGB, SMALL, chw
from treenet_fast import Codec, _api, _device, _native, errors, models
from treenet_fast.cli import main


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


def test_choice_of_gpu(pretend):
    pretend(("GPU 0", "GPU 1", "GPU 2"))
    chosen = {"cuda": 2, "cuda:1": 1, torch.device("cuda"): 2, torch.device("cuda", 0): 0, "cpu": None, None: None}
    for device, index in chosen.items():
        assert _device.choose(device) == index
    for device in ("cuda:3", torch.device("cuda", 9), "cuda:999999999"):
        with pytest.raises(errors.BackendError, match=r"device is 'cuda:\d+', but there are 3: use one up to cuda:2"):
            Codec(device=device)
    info = treenet_fast.backend_info()
    assert (info.devices, info.cuda) == (("GPU 0", "GPU 1", "GPU 2"), "")


def test_instruction_sets_are_the_cpus(pretend, monkeypatch):
    pretend()
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


def test_codecs_are_kept_for_each_device(pretend, monkeypatch):
    monkeypatch.setattr(_api, "_codecs", {})
    pretend(("GPU 0", "GPU 1"))
    second = _api._codec(None, 1, "cuda:1")
    assert second is _api._codec(None, 1, "cuda") is _api._codec(models.DEFAULT, 1, torch.device("cuda", 1))
    assert second is not _api._codec(None, 1, "cuda:0")
    assert _api._codec(None, 1) is _api._codec(None, 1, "cpu")
    assert _api._codec(None, 1)._gpu is None
    assert len(_api._codecs) == 3


def test_decompress_on_a_device(pretend, monkeypatch, cpu):
    monkeypatch.setattr(_api, "_codecs", {})
    pretend()
    stream = cpu.compress(RGB)
    assert torch.equal(treenet_fast.decompress(stream, device="cuda", threads=1), cpu.decompress(stream))
    assert [codec._gpu for codec in _api._codecs.values()] == [0]


@pytest.mark.parametrize("model", [None, models.path()], ids=["of the package", "of one's own"])
def test_compress_goes_where_the_tensor_is(model, pretend, monkeypatch, cpu, batches):
    monkeypatch.setattr(_api, "_codecs", {})
    monkeypatch.setattr(_device, "of_image", lambda image: torch.device("cuda", 0))
    expected = cpu.compress(chw(RGB))
    assert treenet_fast.compress(chw(RGB), model=model, threads=1) == expected
    assert batches == ([1] if GPUS else [])
    batches.clear()
    pretend()
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


def test_command(tmp_path, pretend, capsys, batches):
    Image.fromarray(RGB).save(tmp_path / "photo.png")
    source, stream, target = (str(tmp_path / name) for name in ("photo.png", "photo.tnf", "back.png"))
    assert main(["compress", source, stream, "--device", "cpu"]) == 0
    assert batches == []
    pretend()
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
