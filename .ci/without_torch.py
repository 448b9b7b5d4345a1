"""Checks an installed package with its two dependencies alone, torch not among them.

Arrays go in and out, and there is a clear word to who asks for tensors, or for what other libraries compute. The CUDA
backend is in it, and says what it lacks where there is no GPU.
"""

import argparse
import importlib.util

import numpy as np

import treenet_fast
from treenet_fast import _native
from treenet_fast.evaluation import command, metrics, record
from treenet_fast.evaluation.bd_rate import bd_rate

if importlib.util.find_spec("torch"):
    raise SystemExit("torch is installed here: this is the wrong environment for this check")

image = np.linspace(0, 255, 45 * 70 * 3).astype(np.uint8).reshape(45, 70, 3)
stream = treenet_fast.compress(image, 90)
decoded = treenet_fast.decompress(stream)
assert isinstance(decoded, np.ndarray)
assert np.array_equal(decoded, treenet_fast.decompress(stream, "numpy"))
assert abs(decoded.astype(int) - image).mean() < 10
try:
    treenet_fast.decompress(stream, "torch")
except treenet_fast.InvalidArgumentError as error:
    assert "needs torch" in str(error)
else:
    raise SystemExit("output='torch' gave something without torch")

devices, reason = _native.cuda_devices()
assert devices or reason
assert "no CUDA backend" not in reason

assert not record.Record(["image.png"]).entries
command.add_arguments(argparse.ArgumentParser())  # so `treenet-fast eval --help` works
assert metrics.psnr(image, decoded) > 20
curve = [(0.1, 25.0), (0.2, 28.0), (0.3, 29.5), (0.4, 30.5)]
try:
    bd_rate(curve, curve)
except treenet_fast.MissingLibraryError as error:
    assert "pip install bjontegaard" in str(error)
else:
    raise SystemExit("bjontegaard is installed here: this is the wrong environment for this check")
print(f"{len(stream)} bytes; {treenet_fast.backend_info()}; CUDA: {devices or reason}")
