"""Speed of the whole codec beside the float model in PyTorch and beside other codecs.

    pytest benchmarks/bench_codec.py [--image PHOTOGRAPH] [--quick] [-k Kodak]

The float model runs its networks alone, without entropy coding, on random weights (which do not change its speed): at
Kodak's size in both of PyTorch's memory formats and compiled, else in channels_last, which is the faster one. In that
one it also runs before each timed call of this codec, on as many threads, so that both meet the same moments of a
machine that others share: `extra_info` has its seconds as `eager`. At 12 megapixels that is done on two threads alone.
The other codecs make files of about this one's size, by the quality that gives such a file of the picture of Kodak's
size; they run on as many threads as their libraries choose, one for JPEG and WebP and all cores for HEIC and JPEG XL,
and AVIF on one.
"""

import time
from collections.abc import Callable

import pytest
import torch
from eager import Eager
from pictures import picture, size_of

import treenet_fast
from treenet_fast.evaluation.codecs import PEERS
from treenet_fast.model import TreeNet

QUALITY = 50
THREADS = (1, 2)
ISAS = treenet_fast.backend_info().available_isas
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
ROUNDS = {"Kodak": 5, "1080p": 2, "12 MP": 1}
"""Of each size. Before them each codec here has one call that is not timed, so that its buffers are there, and at
Kodak's size so does everything else."""

CODECS = [(size, isa) for size in ROUNDS for isa in ISAS if isa != "scalar" or size == "Kodak"]
EAGER = [("Kodak", side, threads) for side in FORMATS for threads in THREADS]
EAGER += [("1080p", "channels_last", threads) for threads in THREADS]
EAGER += [("Kodak", "compiled", max(THREADS)), ("12 MP", "channels_last", max(THREADS))]


@pytest.fixture(scope="module")
def image_of(request):
    """The picture of a size, by its name."""
    quick = request.config.getoption("--quick")
    path = request.config.getoption("--image")
    pictures = {name: picture(path, *size_of(name, quick)) for name in ROUNDS}
    return pictures.__getitem__


@pytest.fixture
def timed(benchmark, image_of, request):
    """Times a function on an image of a size, and gives what it returned last."""

    def run(function, size, before=None, **info):
        height, width, _ = image_of(size).shape
        rounds = 1 if request.config.getoption("--quick") else ROUNDS[size]
        seconds = []

        def setup():
            begin = time.perf_counter()
            before()
            seconds.append(time.perf_counter() - begin)
            time.sleep(0.01)  # PyTorch's threads stay awake for some milliseconds

        warmup = int(size == "Kodak")
        result = benchmark.pedantic(function, setup=before and setup, rounds=rounds, warmup_rounds=warmup)
        benchmark.extra_info.update(size=size, width=width, height=height, **info)
        if before is not None:
            benchmark.extra_info["eager"] = seconds[-rounds:]
        return result

    return run


@pytest.fixture
def eager(image_of):
    """Makes the float network's side: of a size, in a memory format, on so many threads."""
    before = torch.get_num_threads()

    def make(size, side, threads):
        torch.set_num_threads(threads)
        layout = FORMATS.get(side, torch.channels_last)
        pixels = torch.from_numpy(image_of(size)).permute(2, 0, 1)[None] / 255
        model = TreeNet().eval().to(memory_format=layout)
        return Eager(model, pixels.contiguous(memory_format=layout), QUALITY)

    yield make
    torch.set_num_threads(before)


@pytest.fixture
def eager_in_turn(eager, size, threads):
    """The float network that runs before each call, where one does."""
    return eager(size, "channels_last", threads) if size != "12 MP" or threads == max(THREADS) else None


@pytest.mark.benchmark(group="compress")
@pytest.mark.parametrize(("size", "isa"), CODECS)
@pytest.mark.parametrize("threads", THREADS)
def test_compress(timed, image_of, eager_in_turn, size, isa, threads):
    codec, image = treenet_fast.Codec(isa=isa, threads=threads), image_of(size)
    before = eager_in_turn and eager_in_turn.compress
    codec.compress(image, QUALITY)
    data = timed(lambda: codec.compress(image, QUALITY), size, before, side=isa, threads=threads)
    assert treenet_fast.info(data).width == image.shape[1]


@pytest.mark.benchmark(group="decompress")
@pytest.mark.parametrize(("size", "isa"), CODECS)
@pytest.mark.parametrize("threads", THREADS)
def test_decompress(benchmark, timed, image_of, eager_in_turn, size, isa, threads):
    codec, image = treenet_fast.Codec(isa=isa, threads=threads), image_of(size)
    data = treenet_fast.compress(image, QUALITY)
    codec.decompress(data, "numpy")
    before = eager_in_turn and eager_in_turn.decompress
    pixels = timed(lambda: codec.decompress(data, "numpy"), size, before, side=isa, threads=threads)
    assert pixels.shape == image.shape
    benchmark.extra_info["bytes"] = len(data)


def maybe_compiled(function, side):
    """`function`, compiled and run once where that is the side."""
    if side != "compiled":
        return function
    torch.compiler.reset()
    compiled = torch.compile(function, dynamic=False)
    compiled()
    return compiled


@pytest.mark.benchmark(group="compress")
@pytest.mark.parametrize(("size", "side", "threads"), EAGER)
def test_compress_eager(timed, eager, size, side, threads):
    timed(maybe_compiled(eager(size, side, threads).compress, side), size, side=side, threads=threads)


@pytest.mark.benchmark(group="decompress")
@pytest.mark.parametrize(("size", "side", "threads"), EAGER)
def test_decompress_eager(timed, image_of, eager, size, side, threads):
    decompress = maybe_compiled(eager(size, side, threads).decompress, side)
    pixels = timed(decompress, size, side=side, threads=threads)
    height, width, _ = image_of(size).shape
    assert pixels.shape == (1, 3, 16 * -(-height // 16), 16 * -(-width // 16))


def nearest_quality(bytes_at: Callable[[int], int], target: int, low: int, high: int) -> int:
    """The quality in low..high whose file, which grows with it, is nearest to `target` bytes.

    >>> nearest_quality(lambda quality: 100 + 10 * quality, 354, 0, 100)
    25
    """
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bytes_at(middle) <= target else (low, middle)
    return min(low, high, key=lambda quality: abs(bytes_at(quality) - target))


@pytest.fixture(scope="module")
def peer_of(image_of):
    """A peer by its class, and its quality for a file of this codec's size."""
    image = image_of("Kodak")
    target = len(treenet_fast.compress(image, QUALITY))
    found = {}

    def make(kind):
        if kind not in found:
            peer = kind()
            bounds = min(peer.qualities), max(peer.qualities)
            found[kind] = peer, nearest_quality(lambda quality: len(peer.encode(image, quality)), target, *bounds)
        return found[kind]

    return make


@pytest.fixture(scope="module")
def files():
    """The peers' files of the images, by peer and size: as they were timed, because some take long to make."""
    return {}


@pytest.mark.benchmark(group="compress")
@pytest.mark.parametrize("size", ROUNDS)
@pytest.mark.parametrize("kind", PEERS, ids=lambda kind: kind.name)
def test_compress_peer(benchmark, timed, image_of, peer_of, files, size, kind):
    (peer, quality), image = peer_of(kind), image_of(size)
    data = timed(lambda: peer.encode(image, quality), size, side=peer.name, threads=None)
    benchmark.extra_info["bytes"] = len(data)
    files[kind, size] = data


@pytest.mark.benchmark(group="decompress")
@pytest.mark.parametrize("size", ROUNDS)
@pytest.mark.parametrize("kind", PEERS, ids=lambda kind: kind.name)
def test_decompress_peer(benchmark, timed, image_of, peer_of, files, size, kind):
    (peer, quality), image = peer_of(kind), image_of(size)
    data = files.get((kind, size)) or peer.encode(image, quality)
    pixels = timed(lambda: peer.decode(data), size, side=peer.name, threads=None)
    assert pixels.shape == image.shape
    benchmark.extra_info["bytes"] = len(data)
