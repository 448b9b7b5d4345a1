"""Checks an installed package where torch is not installed: arrays in and out, a clear word to who asks for tensors."""

import importlib.util

import numpy as np

import treenet_fast

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
print(f"{len(stream)} bytes; {treenet_fast.backend_info()}")
