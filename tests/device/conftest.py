"""Codecs on GPUs. Where there is none, the same engine runs with a native codec of the CPU and tensors of the CPU."""

import pytest
import torch

from devices import GPUS
from treenet_fast import Codec, _device, _native


@pytest.fixture
def pretend(monkeypatch):
    """Makes GPUs of the CPU, the last of them torch's current one."""

    def of_the_cpu(names=("GPU 0",)):
        def on_the_cpu(model, index, threads):
            assert index < len(names)
            return _device.DeviceEngine(_native.Codec(model, "scalar", threads), torch.device("cpu"), lambda: 0)

        monkeypatch.setattr(_device, "cuda_devices", lambda: (tuple(names), ""))
        monkeypatch.setattr(_device, "on_cuda", on_the_cpu)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: len(names) - 1)

    return of_the_cpu


@pytest.fixture(params=["pretended", "cuda"] if GPUS else ["pretended"])
def codec(request, pretend):
    if request.param == "pretended":
        pretend()
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
