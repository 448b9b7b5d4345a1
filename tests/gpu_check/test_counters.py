"""The hardware's counters, as Nsight Compute prints them."""

import pytest

NCU = """\
==PROF== Connected to process 4242 (/usr/bin/python3.12)
==PROF== Profiling "vectorized_elementwise_kernel" - 0: 0%....50%....100% - 2 passes
==PROF== Disconnected from process 4242
"ID","Process ID","Process Name","Host Name","Kernel Name","Context","Stream","Block Size","Grid Size","Device","CC",\
"Section Name","Metric Name","Metric Unit","Metric Value"
"""
NCU_LINE = '"{id}","4242","python3.12","127.0.0.1","{kernel}","1","7","(192, 1, 1)","(96, 4, 16)","0","9.0",{section},'
NCU_LINE += '"{metric}","{unit}","{value}"\n'


def ncu_output(launches):
    lines = ""
    for i, (kernel, metrics) in enumerate(launches):
        for metric, (unit, value) in metrics.items():
            section = '"Command line profiler metrics"'
            lines += NCU_LINE.format(id=i, kernel=kernel, section=section, metric=metric, unit=unit, value=value)
    return NCU + lines


def test_counters(benchmark_script):
    counters = benchmark_script("gpu.counters")
    up = "void treenet::cuda::<unnamed>::residual_up_kernel<1, false>(treenet::cuda::ResidualUpParameters)"
    scan = "void unnamed>::scan_kernel(SymbolParameters)"  # as ncu 2025.3 cuts it

    def metrics(seconds, moved, bandwidth, int8):
        return {
            counters.SECONDS: ("nsecond", seconds),
            counters.BYTES: ("byte", moved),
            counters.BANDWIDTH: ("%", bandwidth),
            counters.INT8[1]: ("%", int8),
        }

    output = ncu_output(
        [
            ("void at::native::vectorized_elementwise_kernel<4, F>(int, F)", metrics("5", "6", "7", "8")),
            (up, metrics("1,000", "3,000,000", "10", "50.5")),
            (scan, metrics("250", "1,024", "1", "n/a")),
            (up, metrics("3,000", "5,000,000", "30", "10.5")),
        ]
    )
    first, second = counters.parsed(output + "a last line of the program\n")
    assert (first.kernel, first.launches, first.by) == ("residual_up_kernel<1, false>", 2, counters.INT8[1])
    assert first.seconds == pytest.approx(4e-6)
    assert first.moved == 8_000_000
    assert first.bandwidth == pytest.approx(0.25)
    assert first.int8 == pytest.approx(0.205)
    assert (second.kernel, second.int8, second.moved) == ("scan_kernel", None, 1024)
    assert counters.parsed("==PROF== no counters") == []


@pytest.mark.parametrize(
    ("output", "status", "why"),
    [
        ("==ERROR== ERR_NVGPUCTRPERM - The user does not have permission", 1, "this user may not read them"),
        ("==ERROR== something else", 9, "ended with 9 and counters of 0 kernels: ==ERROR== something else"),
        (NCU, 0, "ended with 0 and counters of 0 kernels"),
    ],
)
def test_counters_that_cannot_be_read(benchmark_script, session, fake_program, output, status, why):
    counters, rows = benchmark_script("gpu.counters"), []
    counters.count(session, fake_program("ncu", output, status), rows)
    ((_, what, reason),) = [entry for entry in session.not_run if entry[1] == "hardware counters"]
    assert (rows, what) == ([], "hardware counters")
    assert why in reason


def test_ncu_is_asked_for_what_it_knows(benchmark_script, session, fake_program):
    counters, rows = benchmark_script("gpu.counters"), []
    kernel = "treenet::cuda::<unnamed>::scan_kernel(P)"
    known = ncu_output([(kernel, {counters.SECONDS: ("ns", "10"), counters.BYTES: ("byte", "20")})])
    known += "sm__inst_executed_pipe_tensor_op_imma   Counter   inst   # of instructions"
    program = fake_program("ncu", known)
    assert counters.available(program)[-1] == counters.INT8[1]
    counters.count(session, program, rows)
    assert [(row.kernel, row.seconds, row.moved, row.bandwidth) for row in rows] == [("scan_kernel", 1e-8, 20, None)]
    assert not any(what == "hardware counters" for _, what, _ in session.not_run)
    counters.count(session, fake_program("ncu", known, status=1), rows)
    assert len(rows) == 2
    assert "ended with 1 and counters of 1 kernels" in session.not_run[-1][2]


def test_the_counted_calls(script):
    assert script.main(["--dry-run", "--counted-calls"]) == 0
