"""Each kernel of the CPU by itself, on every instruction set, beside what the same core can multiply.

    pytest benchmarks/bench_kernels.py

It needs a module that is no part of the package (`BUILD` says how to build it). A kernel has one thread and the data of
an image of 768 x 512: of one node where a level has several, or of two nodes that read the same input. Between any two
runs a short burst of multiplications is timed. Shares of that peak are of the best run and the best burst of all:
others share the machine, and only the best of many short times is the kernel's own.
"""

import time
from operator import attrgetter

import pytest
from pictures import picture

import treenet_fast

BUILD = (
    "cmake -S . -B build/benchmarks -DTREENET_BENCHMARKS=ON -DTREENET_PYTHON=OFF -DTREENET_CUDA=OFF "
    "-Dpybind11_DIR=$(python -m pybind11 --cmakedir) && cmake --build build/benchmarks"
)
_kernels = pytest.importorskip("_kernels", reason=f"the kernels' module is not built: {BUILD}")

ISAS = treenet_fast.backend_info().available_isas
TASKS = {
    "compress": lambda name: not name.startswith(("convolution", "synthesis")),
    "decompress": lambda name: not name.startswith(("convolution", "analysis", "hyper_analysis")),
}
"""Which kernels are part of each."""
MACS, PRODUCTS = attrgetter("macs"), attrgetter("products")
QUALITY = 50
SIZE = (512, 768)
QUICK = (64, 128)
SECONDS = 0.5  # for a kernel, if it is not slow


def rounds(seconds: float, least: int) -> int:
    """How often to run what takes `seconds`."""
    return min(100, max(least, int(SECONDS / seconds)))


@pytest.fixture
def timed(benchmark, request):
    """Times a function in turn with bursts of multiplications; `Case` says what its work is."""

    def run(function, name, isa, macs, products, count=1):
        begin = time.perf_counter()
        function()
        first = time.perf_counter() - begin
        least = 1 if isa == "scalar" or request.config.getoption("--quick") else 3
        bursts = []
        benchmark.pedantic(function, setup=lambda: bursts.append(_kernels.peak(isa)), rounds=rounds(first, least))
        peak = None if isa == "scalar" else max(bursts)
        benchmark.extra_info.update(kernel=name, isa=isa, count=count, macs=macs, products=products, peak=peak)

    return run


@pytest.fixture
def size(request):
    return QUICK if request.config.getoption("--quick") else SIZE


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", _kernels.names())
@pytest.mark.benchmark(group="kernels")
def test_kernel(timed, size, name, isa):
    case = _kernels.Case(isa, name, *size)
    timed(case.run, name, isa, case.macs, case.products, case.count)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.benchmark(group="kernels")
def test_whole(timed, request, size, task, isa):
    """All of a task, entropy coding included, for the work of its kernels."""
    height, width = size
    image = picture(request.config.getoption("--image"), width, height)
    codec = treenet_fast.Codec(isa=isa, threads=1)
    data = codec.compress(image, QUALITY)
    cases = [_kernels.Case(isa, name, height, width) for name in _kernels.names() if TASKS[task](name)]
    macs, products = (sum(case.count * amount(case) for case in cases) for amount in (MACS, PRODUCTS))
    work = {"compress": lambda: codec.compress(image, QUALITY), "decompress": lambda: codec.decompress(data, "numpy")}
    timed(work[task], f"all of {task}", isa, macs, products)
