"""A codec on a device that threads and streams of torch share, and what a process that is forked is told."""

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from devices import GPUS, RGB, SMALL, WHY_NONE, chw
from synthetic import synthetic_image
from treenet_fast import Codec, _device, _native, errors


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
