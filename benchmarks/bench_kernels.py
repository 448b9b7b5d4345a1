"""Each kernel of the CPU by itself, on every instruction set, beside what the same core can multiply.

    pytest benchmarks/bench_kernels.py

It needs a module that is no part of the package (`BUILD` says how to build it). A kernel has the data of an image of
768 x 512, of one node where a level has several, and one thread. Between any two runs a short burst of multiplications
is timed; a share of the peak is the best run's, of the best burst: others share the machine, and only the best of many
short times is the kernel's own.
"""

import time

import pytest

import treenet_fast

BUILD = (
    "cmake -S . -B build/benchmarks -DTREENET_BENCHMARKS=ON -DTREENET_PYTHON=OFF -DTREENET_CUDA=OFF "
    "-Dpybind11_DIR=$(python -m pybind11 --cmakedir) && cmake --build build/benchmarks"
)
_kernels = pytest.importorskip("_kernels", reason=f"the kernels' module is not built: {BUILD}")

SIZE = (512, 768)
QUICK = (64, 128)
SECONDS = 0.5  # for a kernel, if it is not slow


def rounds(seconds: float, least: int) -> int:
    """How often to run what takes `seconds`."""
    return min(100, max(least, int(SECONDS / seconds)))


@pytest.mark.parametrize("isa", treenet_fast.backend_info().available_isas)
@pytest.mark.parametrize("name", _kernels.names())
@pytest.mark.benchmark(group="kernels")
def test_kernel(benchmark, request, name, isa):
    quick = request.config.getoption("--quick")
    case = _kernels.Case(isa, name, *(QUICK if quick else SIZE))
    begin = time.perf_counter()
    case.run()
    first = time.perf_counter() - begin
    least = 1 if quick or isa == "scalar" else 3
    bursts = []
    benchmark.pedantic(case.run, setup=lambda: bursts.append(_kernels.peak(isa)), rounds=rounds(first, least))
    peak = None if bursts[0] is None else max(bursts)
    best = benchmark.stats.stats.min
    benchmark.extra_info.update(
        kernel=name,
        isa=isa,
        count=case.count,
        macs=case.macs,
        products=case.products,
        peak=peak,
        share=None if peak is None else case.products / best / peak,
    )
