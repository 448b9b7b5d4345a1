"""The device under test, its clocks and its kernels' times; and the CPU in its place, to rehearse without one."""

import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile, record_function

import treenet_fast
from treenet_fast import _native
from treenet_fast._device import _place

Work = Callable[[], Any]

WARM_UP = 3  # a recorded graph is made in the second run
LEAST_RUNS, MOST_RUNS = 3, 100
TRACE_WARM_UP, TRACED = 2, 5
"""Calls of a profiler's session. CUPTI loses its first records, one more in each session of a process
(pytorch/pytorch issue 192021), so those of the warm-up are for the losing."""
MARKER = "spin_kernel"
"""What is in the name of the kernel between two calls in a trace."""
FASTEST_CLOCK = 3e9
"""Hz, beyond that of any GPU here."""
GRAPHS = "TREENET_FAST_CUDA_GRAPHS"


@dataclass(frozen=True)
class Timing:
    """Seconds of a number of runs."""

    median: float
    low: float
    high: float
    runs: int

    @classmethod
    def of(cls, seconds: list[float]) -> "Timing":
        return cls(statistics.median(seconds), min(seconds), max(seconds), len(seconds))


@dataclass(frozen=True)
class Activity:
    """Something that the device did: a kernel, or a copy."""

    name: str
    seconds: float


def in_calls(activities: list[Activity]) -> list[list[Activity]]:
    """What is behind each marker."""
    calls: list[list[Activity]] = []
    for activity in activities:
        if MARKER in activity.name:
            calls.append([])
        elif calls:
            calls[-1].append(activity)
    return calls


class Device:
    """A CUDA device."""

    dry_run = False
    _activities = ProfilerActivity.CUDA
    _categories = frozenset({"kernel", "gpu_memcpy", "gpu_memset"})  # of a trace

    def __init__(self) -> None:
        self.torch = torch.device("cuda", torch.cuda.current_device())

    def codec(self, model: str) -> Any:
        return treenet_fast.Codec(model, device="cuda")

    def decompress(self, codec: Any, data: Any) -> Any:
        """Tensors on the device."""
        return codec.decompress(data, "torch")

    def trace_compress(self, codec: Any, pixels: Tensor, quality: int) -> dict[str, Any]:
        """The intermediate tensors of u8 `[H, W, 1 or 3]` on the device."""
        height, width = pixels.shape[:2]
        place = _place(pixels)
        return _native.trace_encode_at(codec._engine.native, place, height, width, quality, self._stream_handle())

    def trace_decompress(self, codec: Any, stream: bytes) -> dict[str, Any]:
        """Those of a stream, and of one that is not grey the pixels."""
        info = treenet_fast.info(stream)
        shape = (info.height, info.width, 1 if info.grey else 3)
        room = torch.zeros(shape, dtype=torch.uint8, device=self.torch)
        native, number = codec._engine.native, self._stream_handle()
        tensors = _native.trace_decode_at(native, stream, _place(room), info.height * info.width, number)
        return tensors if info.grey else tensors | {"pixels": room.cpu().numpy()}

    def _stream_handle(self) -> int:
        return torch.cuda.current_stream().cuda_stream

    def stream(self) -> Any:
        """A context in which a stream of its own is current."""
        return torch.cuda.stream(torch.cuda.Stream())

    def synchronise(self) -> None:
        torch.cuda.synchronize()

    def release(self) -> None:
        """Gives back memory that PyTorch keeps for later."""
        torch.cuda.empty_cache()

    def timed(self, work: Work, runs: int, before: Work = lambda: None) -> list[float]:
        """Seconds of each run between two events in the current stream; the device is idle, or at work on `before`."""
        seconds = []
        for _ in range(runs):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            self.synchronise()
            before()
            begin.record()
            work()
            end.record()
            self.synchronise()
            seconds.append(begin.elapsed_time(end) / 1000)
        return seconds

    def measure(self, work: Work, seconds: float) -> Timing:
        """Warms up, and then runs `work` for about as long."""
        for _ in range(WARM_UP):
            work()
        self.synchronise()
        (once,) = self.timed(work, 1)
        runs = round(seconds / max(once, 1e-6))
        return Timing.of(self.timed(work, min(max(runs, LEAST_RUNS), MOST_RUNS)))

    def queued(self, work: Work, seconds: float) -> Timing:
        """As `measure`, of work that does not wait for the device: its launches are all there before it begins."""
        for _ in range(WARM_UP):
            work()
        self.synchronise()
        begin = time.perf_counter()
        work()
        launching = time.perf_counter() - begin
        self.synchronise()
        (once,) = self.timed(work, 1)
        runs = min(max(round(seconds / max(once, launching, 1e-6)), LEAST_RUNS), MOST_RUNS)
        return Timing.of(self.timed(work, runs, lambda: self._busy(2 * launching)))

    def _busy(self, seconds: float) -> None:
        """Keeps the current stream so for about as long."""
        torch.cuda._sleep(round(seconds * FASTEST_CLOCK))

    @contextmanager
    def one_by_one(self) -> Iterator[None]:
        """Codecs that are made in it, and used, launch each kernel by itself: CUPTI 13.0 may time kernels in graphs
        wrongly (pytorch/kineto issue 1165)."""
        before = os.environ.get(GRAPHS)
        os.environ[GRAPHS] = "0"
        try:
            yield
        finally:
            if before is None:
                del os.environ[GRAPHS]
            else:
                os.environ[GRAPHS] = before

    def trace(self, work: Work) -> list[Activity]:
        """What the device did in one of some equal calls, in the order in which it began, each with its median time.

        Raises:
            RuntimeError: the calls were not equal, nothing was seen, or times are missing.
        """
        work()
        calls = in_calls(self._profiled(work, TRACE_WARM_UP + TRACED))[-TRACED:]
        times: dict[tuple[str, int], list[float]] = {}  # of the k-th of a name, as streams may overtake each other
        for call in calls:
            count = Counter[str]()
            for activity in call:
                times.setdefault((activity.name, count[activity.name]), []).append(activity.seconds)
                count[activity.name] += 1
        if not times or any(len(found) != TRACED for found in times.values()):
            seen = ", ".join(str(len(call)) for call in calls)
            raise RuntimeError(f"the profiler saw {seen or 'no'} kernels and copies, not {TRACED} equal calls")
        if any(min(found) <= 0 for found in times.values()):
            raise RuntimeError("the profiler has no times of some kernels")
        count = Counter[str]()
        result = []
        for activity in calls[-1]:
            result.append(Activity(activity.name, statistics.median(times[activity.name, count[activity.name]])))
            count[activity.name] += 1
        return result

    def _profiled(self, work: Work, calls: int) -> list[Activity]:
        """All that the device did in these calls, in order, with a marker before each."""
        with profile(activities=[self._activities]) as profiler:
            for _ in range(calls):
                self.synchronise()
                self._mark()
                self.synchronise()
                work()
            self.synchronise()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "trace.json"
            profiler.export_chrome_trace(str(file))
            events = json.loads(file.read_text())["traceEvents"]
        seen = sorted((e for e in events if e.get("cat") in self._categories), key=lambda event: event["ts"])
        return [Activity(event["name"], event["dur"] / 1e6) for event in seen]

    def _mark(self) -> None:
        torch.cuda._sleep(1)  # whose kernel has the marker's name

    def bandwidth(self, size: int = 1 << 29) -> float:
        """Bytes a second that a copy within the device's memory reads and writes."""
        source = torch.empty(size, dtype=torch.uint8, device=self.torch)
        target = torch.empty_like(source)
        return 2 * size / self.measure(lambda: target.copy_(source), 0.2).median

    def describe(self) -> dict[str, Any]:
        """The device, and the software that it runs with."""
        properties = torch.cuda.get_device_properties(self.torch)
        return {
            "name": properties.name,
            "compute_capability": f"{properties.major}.{properties.minor}",
            "memory_bytes": properties.total_memory,
            "multiprocessors": properties.multi_processor_count,
            **_software(),
        }


class StandIn(Device):
    """The CPU in a device's place: the same steps, to see that all of them run. Its times mean nothing."""

    dry_run = True
    _activities = ProfilerActivity.CPU
    _categories = frozenset({"cpu_op", "user_annotation"})

    def __init__(self, launches: dict[str, list[str]]) -> None:
        """`launches`: names to show in a trace in place of the kernels of `compress` and of `decompress`."""
        self.torch = torch.device("cpu")
        self._launches = launches

    def codec(self, model: str) -> Any:
        return _Narrator(treenet_fast.Codec(model, threads=1), self._launches)

    def _stream_handle(self) -> int:
        return 0

    def stream(self) -> Any:
        return record_function("stream")

    def synchronise(self) -> None:
        pass

    def release(self) -> None:
        pass

    def timed(self, work: Work, runs: int, before: Work = lambda: None) -> list[float]:
        seconds = []
        for _ in range(runs):
            before()
            begin = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - begin)
        return seconds

    def _busy(self, seconds: float) -> None:
        pass

    def _mark(self) -> None:
        with record_function(MARKER):
            pass

    def measure(self, work: Work, seconds: float) -> Timing:
        return Timing.of(self.timed(work, 1))

    def bandwidth(self, size: int = 1 << 16) -> float:
        return super().bandwidth(size)

    def describe(self) -> dict[str, Any]:
        return {"name": "none: the CPU stands in", **_software()}


class _Narrator:
    """A CPU codec in whose traces there are the names of a device's kernels."""

    def __init__(self, codec: Any, launches: dict[str, list[str]]) -> None:
        self._codec = codec
        self._launches = launches

    def compress(self, *arguments: Any) -> Any:
        return self._narrate("compress", *arguments)

    def decompress(self, *arguments: Any) -> Any:
        return self._narrate("decompress", *arguments)

    def _narrate(self, task: str, *arguments: Any) -> Any:
        for name in self._launches[task]:
            with record_function(name):
                pass
        return getattr(self._codec, task)(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codec, name)


def _software() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_cuda": torch.version.cuda,
        "tf32_convolutions": torch.backends.cudnn.allow_tf32,
        "driver": _output(r"(.+)", "nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        "nvcc": _output(r"release ([\d.]+)", "nvcc", "--version"),
        "treenet_fast": treenet_fast.__version__,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*:\s*(.+)", cpuinfo.read_text()) if cpuinfo.exists() else []
    return names[0] if names else platform.processor()


def _output(pattern: str, *command: str) -> str | None:
    """What matches in a command's output; None without the command."""
    if shutil.which(command[0]) is None:
        return None
    found = re.search(pattern, subprocess.run(command, capture_output=True, text=True).stdout)
    return found[1] if found else None
