"""tests/cuda_resources.py on logs as ptxas writes them."""

import shutil

import pytest

import cuda_resources

pytestmark = pytest.mark.skipif(shutil.which("c++filt") is None, reason="names of kernels are read by c++filt")

FUSION = "_ZN7treenet4cuda41_GLOBAL__N__1ae97fc0_9_fusion_cu_dcb9486c13fusion_kernelILb0ELb1EEEvNS0_16FusionParametersE"
UP = (
    "_ZN7treenet4cuda47_GLOBAL__N__a5eb3203_14_residual_up_cu_cc5ca718"
    "18residual_up_kernelILNS0_6UpKindE2EEEvNS0_20ResidualUpParametersE"
)


def report(symbol, architecture, registers=64, stack=0, stores=0, loads=0, shared=""):
    return (
        "[7/19] Building CUDA object csrc/cuda/kernels.cu.o\n"
        "ptxas info    : 0 bytes gmem\n"
        f"ptxas info    : Compiling entry function '{symbol}' for '{architecture}'\n"
        f"ptxas info    : Function properties for {symbol}\n"
        f"    {stack} bytes stack frame, {stores} bytes spill stores, {loads} bytes spill loads\n"
        f"ptxas info    : Used {registers} registers, used 1 barriers{shared}\n"
        "ptxas info    : Compile time = 68.517 ms\n"
    )


def test_kernels_are_read():
    log = report(UP, "sm_90", 128, 64, 112, 140) + report(FUSION, "sm_80", 80, shared=", 512 bytes smem")
    fusion, up = cuda_resources.kernels_in(log)
    assert (fusion.name, fusion.architecture) == ("fusion_kernel<false, true>", "sm_80")
    assert (fusion.registers, fusion.shared, fusion.in_registers) == (80, 512, True)
    assert (up.name, up.architecture) == ("residual_up_kernel<UpKind 2>", "sm_90")
    assert (up.registers, up.shared, up.stack, up.stores, up.loads) == (128, 0, 64, 112, 140)
    table = cuda_resources.table([fusion, up])
    assert " ".join(table.splitlines()[2].split()) == "sm_90 residual_up_kernel<UpKind 2> 128 0 64 112 140"


def test_functions_that_a_kernel_calls_count():
    stack = "    8 bytes stack frame, 0 bytes spill stores, 4 bytes spill loads\n"
    log = report(UP, "sm_80") + "ptxas info    : Function properties for helper\n" + stack
    (kernel,) = cuda_resources.kernels_in(log)
    assert (kernel.stack, kernel.loads, kernel.in_registers) == (8, 4, False)


@pytest.mark.parametrize(
    ("log", "allowed", "problem"),
    [
        ("", {}, "tells of no kernels"),
        (
            report(UP, "sm_80", 128, 64, 8, 8),
            {},
            "UpKind 2> on sm_80 does not fit its 128 registers: 64 bytes of stack",
        ),
        (report(UP, "sm_80", 128, 0, 0, 4), {}, "4 loaded by spills"),
        (report(UP, "sm_80", 128, 64, 8, 8), {("residual_up_kernel<UpKind 2>", "sm_80"): 56}, "(56 allowed)"),
        (report(UP, "sm_80"), {("residual_up_kernel<UpKind 2>", "sm_80"): 56}, "take it out of ALLOWED"),
        (report(UP, "sm_80"), {("no_kernel", "sm_80"): 8}, "no_kernel on sm_80, which is no kernel"),
    ],
)
def test_problems(log, allowed, problem):
    (found,) = cuda_resources.problems(cuda_resources.kernels_in(log), allowed)
    assert problem in found


def test_no_problem():
    log = report(UP, "sm_80", 128, 64, 8, 8) + report(FUSION, "sm_80")
    allowed = {("residual_up_kernel<UpKind 2>", "sm_80"): 64, ("residual_up_kernel<UpKind 2>", "sm_120"): 64}
    assert cuda_resources.problems(cuda_resources.kernels_in(log), allowed) == []


def test_command(tmp_path, capsys):
    log = tmp_path / "build.log"
    log.write_text(report(FUSION, "sm_80"))
    assert cuda_resources.main([str(log)]) == 0
    assert "fusion_kernel<false, true>" in capsys.readouterr().out
    log.write_text(report(UP, "sm_61", stack=8))
    assert cuda_resources.main([str(log)]) == 1
    assert "error: residual_up_kernel<UpKind 2> on sm_61" in capsys.readouterr().err
