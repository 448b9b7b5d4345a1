"""Speed of the whole codec beside the float model in eager PyTorch.

    pytest benchmarks/bench_codec.py [--image PHOTOGRAPH]

Both sides run on two threads. The eager side runs the networks alone, without entropy coding, in each of PyTorch's two
memory formats, on random weights (which do not change its speed). Without `--image` the example photograph is enlarged
to 768 x 512, the size of a Kodak image.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from eager import Eager
from PIL import Image

import treenet_fast
from treenet_fast.model import TreeNet

EXAMPLE = Path(__file__).parents[1] / "examples" / "chelsea.png"
SIZE = (768, 512)
QUALITY = 50
THREADS = 2
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@pytest.fixture(scope="module")
def image(request):
    path = request.config.getoption("--image")
    with Image.open(path or EXAMPLE) as photograph:
        rgb = photograph.convert("RGB")
    return np.asarray(rgb if path else rgb.resize(SIZE, Image.Resampling.LANCZOS))


@pytest.fixture(params=treenet_fast.backend_info().available_isas)
def codec(request):
    return treenet_fast.Codec(isa=request.param, threads=THREADS)


@pytest.fixture(params=FORMATS)
def eager(request, image):
    torch.set_num_threads(THREADS)
    layout = FORMATS[request.param]
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255
    model = TreeNet().eval().to(memory_format=layout)
    return Eager(model, pixels.contiguous(memory_format=layout), QUALITY)


@pytest.mark.benchmark(group="compress")
def test_compress(benchmark, codec, image):
    data = benchmark(codec.compress, image, QUALITY)
    benchmark.extra_info.update(isa=codec.isa, bytes=len(data), threads=THREADS)


@pytest.mark.benchmark(group="decompress")
def test_decompress(benchmark, codec, image):
    data = codec.compress(image, QUALITY)
    pixels = benchmark(codec.decompress, data, "numpy")
    assert pixels.shape == image.shape
    benchmark.extra_info.update(isa=codec.isa, bytes=len(data), threads=THREADS)


@pytest.mark.benchmark(group="compress")
def test_compress_eager(benchmark, eager):
    benchmark(eager.compress)
    benchmark.extra_info.update(threads=torch.get_num_threads())


@pytest.mark.benchmark(group="decompress")
def test_decompress_eager(benchmark, eager, image):
    pixels = benchmark(eager.decompress)
    assert pixels.shape == (1, 3, *image.shape[:2])
    benchmark.extra_info.update(threads=torch.get_num_threads())
