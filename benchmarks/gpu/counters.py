"""What the hardware counts in each kernel: its share of the int8 peak and of memory bandwidth, by Nsight Compute."""

import csv
import re
import subprocess
from dataclasses import dataclass

import treenet_fast
from gpu import tools
from gpu.blocks import LAUNCHES, kernel_name
from gpu.device import GRAPHS, Device
from gpu.images import photographs
from gpu.paths import MODEL, QUALITY
from gpu.session import Scale, Session

SECONDS = "gpu__time_duration.sum"
BYTES = "dram__bytes.sum"
BANDWIDTH = "dram__bytes.sum.pct_of_peak_sustained_elapsed"
INT8 = (
    "sm__ops_path_tensor_src_int8.sum.pct_of_peak_sustained_elapsed",
    "sm__inst_executed_pipe_tensor_op_imma.sum.pct_of_peak_sustained_elapsed",
    "sm__inst_executed_pipe_tensor.sum.pct_of_peak_sustained_elapsed",
)
"""Of the tensor cores: operations on 8 bits, instructions on integers, all instructions. The first that a device has is
used."""
OURS = frozenset(name for names in LAUNCHES.values() for name in names)
"""Kernels by their bare names: how much of the rest of a name is printed differs between versions of ncu."""
QUERY_SECONDS = 60
NOT_ALLOWED = "ERR_NVGPUCTRPERM"
UNITS = {"nsecond": 1e-9, "ns": 1e-9, "usecond": 1e-6, "us": 1e-6, "msecond": 1e-3, "ms": 1e-3, "second": 1.0, "s": 1.0}
UNITS |= {"byte": 1.0, "Kbyte": 1e3, "Mbyte": 1e6, "Gbyte": 1e9, "%": 0.01}


@dataclass(frozen=True)
class Counted:
    """All launches of a kernel in a call of compress and one of decompress.

    Attributes:
        moved: bytes from and to the device's memory; None where there is no such counter, as in the shares.
        int8, bandwidth: shares of what the device can do at most, means over the time.
        by: the counter that `int8` is by.
    """

    kernel: str
    launches: int
    seconds: float
    moved: float | None
    int8: float | None
    bandwidth: float | None
    by: str | None


def count(session: Session, program: str | None, rows: list[Counted]) -> None:
    """Adds a row for each kernel of the codec; none where the counters cannot be read, which the session then notes."""
    if program is None:
        session.skip("hardware counters", "Nsight Compute (ncu) was not found; it comes with the CUDA toolkit")
        return
    limit = min(session.scale.counters_seconds, session.left())
    command = [program, "--csv", "--print-units", "base", "--kernel-name-base", "demangled"]
    command += ["--clock-control", "none", "--cache-control", "none", "--metrics", ",".join(available(program))]
    done = tools.run(command, session.device, "--counted-calls", {GRAPHS: "0"}, limit)
    if done is None:
        session.skip("hardware counters", f"ncu took more than {limit:.0f} s")
        return
    status, output = done
    found = parsed(output)
    rows += found
    if found and status == 0:
        return
    if NOT_ALLOWED in output:
        session.skip("hardware counters", f"this user may not read them ({NOT_ALLOWED})")
    else:
        lines = [line for line in output.splitlines() if line.strip()]
        what = f"counters of {len(found)} kernels"
        session.skip("hardware counters", f"ncu ended with {status} and {what}: {lines[-1] if lines else ''}")


def available(program: str) -> list[str]:
    """The metrics to ask for; of the tensor cores' the first that the device has, as ncu refuses unknown ones."""
    known = subprocess.run([program, "--query-metrics"], capture_output=True, text=True, timeout=QUERY_SECONDS).stdout
    names = {line.split(" ")[0] for line in known.splitlines()}
    return [SECONDS, BYTES, BANDWIDTH, *[name for name in INT8 if name.partition(".")[0] in names][:1]]


def parsed(output: str) -> list[Counted]:
    """The kernels in ncu's output, which has a line of CSV for each metric of each launch, among lines of others."""
    lines = output.splitlines()
    header = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), len(lines))
    launches: dict[str, dict[str, float]] = {}
    names: dict[str, str] = {}
    for row in csv.DictReader(line for line in lines[header:] if line.startswith('"')):
        value = row["Metric Value"].replace(",", "")
        name = kernel_name(row["Kernel Name"])
        if name.partition("<")[0] in OURS and re.fullmatch(r"[\d.]+(e[-+]?\d+)?", value):
            names[row["ID"]] = name
            unit = UNITS[row["Metric Unit"]]
            launches.setdefault(row["ID"], {})[row["Metric Name"]] = float(value) * unit
    return [
        _counted(kernel, [launches[i] for i in launches if names[i] == kernel])
        for kernel in dict.fromkeys(names.values())
    ]


def _counted(kernel: str, launches: list[dict[str, float]]) -> Counted:
    seconds = sum(launch[SECONDS] for launch in launches)
    by = next((name for name in INT8 if name in launches[0]), None)

    def share(metric: str | None) -> float | None:
        if any(metric not in launch for launch in launches):
            return None
        return sum(launch[metric] * launch[SECONDS] for launch in launches) / seconds

    moved = sum(launch[BYTES] for launch in launches) if all(BYTES in launch for launch in launches) else None
    return Counted(kernel, len(launches), seconds, moved, share(by), share(BANDWIDTH), by)


def counted_calls(device: Device, scale: Scale) -> None:
    """What ncu sees: a call of compress and one of decompress, of the first size and batch of the stages."""
    size, batch = scale.blocks[0]
    images = photographs(*scale.sizes[size], batch)
    streams = treenet_fast.Codec(MODEL).compress(images, QUALITY)
    codec = device.codec(MODEL)
    codec.compress(images.to(device.torch), QUALITY)
    device.decompress(codec, streams)
    device.synchronise()
