"""Time and memory a pixel, over image sizes and threads.

    python benchmarks/scaling.py [--large]

Each task of each case has a process of its own, whose peak of memory (VmHWM of Linux) is that task's: what it rises
above what there was before, which for compressing is the image and for decompressing the stream. The pixels that
decompressing returns are within it. The processes of all cases are there at once, and their calls take turns: what is
compared is of the same minute of a machine that others share. As some processes are slower than others for as long as
they live, by where their memory lies, all of it is done with several, and memory is the largest one's. The first call
of each, which finds its memory, is kept apart. It needs 3 GB of memory, and for `--large`, which adds 100 megapixels,
10 GB.

What two cores give at most is measured, too: two processes, each with a loop that shares nothing and needs no memory,
beside one of them alone.
"""

import argparse
import hashlib
import multiprocessing
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from pictures import picture, size_of

import treenet_fast

QUALITY = 50
THREADS = (1, 2)
PROCESSES, TURNS = 3, 3
CALLS = {"Kodak": 10, "1080p": 5, "12 MP": 3, "100 MP": 1}
"""Of each process in a turn."""
LARGE = "100 MP"
LOOP = "loop"
"""The task of the loop's rows, of which a call takes about as long as compressing 12 megapixels."""
LOOP_CALLS, LOOP_LENGTH = 3, 3_500_000


def memory(status: str, field: str) -> int:
    """Bytes of a field of /proc/self/status.

    >>> memory("VmHWM:\\t    2048 kB\\nVmRSS:\\t      16 kB\\n", "VmRSS")
    16384
    """
    found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise ValueError(f"/proc/self/status has no {field}: memory is measured on Linux")
    return 1024 * int(found[1])


def serve(connection: Connection, task: str, path: Path, threads: int) -> None:
    """Runs a task as often as it is told each time, and at last, told zero, says what memory that took.

    `path` is of an image as NumPy saves it, or of a stream.
    """
    codec = treenet_fast.Codec(threads=threads, max_pixels=None)
    codec.decompress(codec.compress(np.zeros((16, 16, 3), np.uint8), QUALITY), "numpy")
    if task == "compress":
        work = partial(codec.compress, np.load(path), QUALITY)
    else:
        work = partial(codec.decompress, path.read_bytes(), "numpy")
    status = Path("/proc/self/status")
    memory(status.read_text(), "VmHWM")
    before = memory(status.read_text(), "VmRSS")
    answer(connection, work)
    peak = memory(status.read_text(), "VmHWM")
    connection.send({"isa": codec.isa, "bytes": peak - before, "peak": peak})


def serve_loop(connection: Connection) -> None:
    """A loop that needs registers alone, as often as it is told each time, until it is told zero."""
    answer(connection, lambda: hashlib.pbkdf2_hmac("sha256", b"treenet", b"fast", LOOP_LENGTH))
    connection.send({})


def answer(connection: Connection, work: Callable[[], object]) -> None:
    """Says how many seconds each call took, until none is asked for."""
    connection.send("ready")
    while calls := connection.recv():
        seconds = []
        for _ in range(calls):
            begin = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - begin)
        connection.send(seconds)


class EndedError(Exception):
    """A process ended before it was told to."""


class Case:
    """What serves a connection in a process of its own."""

    def __init__(self, name: str, target: Callable[..., None], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = name
        self.connection, other = context.Pipe()
        self.process = context.Process(target=target, args=(other, *arguments), daemon=True)
        self.process.start()
        other.close()

    @contextmanager
    def alive(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as error:
            self.process.join()
            raise EndedError(f"the process of {self.name} ended with exit status {self.process.exitcode}") from error

    def begin(self, calls: int) -> None:
        with self.alive():
            self.connection.send(calls)

    def wait(self) -> Any:
        """Until it is ready, or has done what it was asked for."""
        with self.alive():
            return self.connection.recv()

    def ask(self, calls: int) -> Any:
        self.begin(calls)
        return self.wait()

    def end(self) -> dict[str, Any]:
        """What memory it took."""
        found: dict[str, Any] = self.ask(0)
        self.process.join()
        return found


def take_turns(rows: list[dict[str, Any]], files: list[Path], loops: list[dict[str, Any]], quick: bool) -> None:
    """Adds what processes of all cases, and of the loop, measure."""
    cases = []
    for row, file in zip(rows, files, strict=True):
        name = f"{row['size']}, {row['task']}, {row['threads']} threads"
        cases.append(Case(name, serve, row["task"], file, row["threads"]))
    loop_cases = [Case("a loop", serve_loop) for _ in range(max(THREADS))]
    for case in (*cases, *loop_cases):
        case.wait()
    for row, case in zip(rows, cases, strict=True):
        row["first"] += case.ask(1)
    for _ in range(1 if quick else TURNS):
        for row, case in zip(rows, cases, strict=True):
            row["turns"].append(statistics.median(case.ask(1 if quick else CALLS[row["size"]])))
        for row in loops:
            row["turns"].append(loop_seconds(loop_cases[: row["threads"]], 1 if quick else LOOP_CALLS))
    for case in loop_cases:
        case.end()
    for row, case in zip(rows, cases, strict=True):
        found = case.end()
        row["isa"] = found["isa"]
        for key in ("bytes", "peak"):
            row[key] = max(row.get(key, 0), found[key])


def loop_seconds(cases: list[Case], calls: int) -> float:
    """Seconds a loop if these run theirs at once: as long as the slowest takes, by their number."""
    for case in cases:
        case.begin(calls)
    medians: list[float] = [statistics.median(case.wait()) for case in cases]
    return max(medians) / len(cases)


def measure(path: Path | None, large: bool = False, quick: bool = False) -> list[dict[str, Any]]:
    """A result for each size, task and number of threads: `seconds` is the median of the turns. At last the loop's."""
    rows: list[dict[str, Any]] = []
    files = []
    with tempfile.TemporaryDirectory() as folder:
        for size in (name for name in CALLS if large or name != LARGE):
            width, height = size_of(size, quick)
            image_file, stream_file = (Path(folder) / f"{size}{suffix}" for suffix in (".npy", ".tnf"))
            image = picture(path, width, height)
            np.save(image_file, image)
            stream_file.write_bytes(treenet_fast.Codec(max_pixels=None).compress(image, QUALITY))
            del image
            for task, file in (("compress", image_file), ("decompress", stream_file)):
                for threads in THREADS:
                    row = {"size": size, "width": width, "height": height, "task": task, "threads": threads}
                    rows.append({**row, "first": [], "turns": []})
                    files.append(file)
        loops: list[dict[str, Any]] = [{"task": LOOP, "threads": threads, "turns": []} for threads in THREADS]
        rounds = 1 if quick else PROCESSES
        for i in range(rounds):
            print(f"scaling: processes {i + 1} of {rounds} take turns", flush=True)
            take_turns(rows, files, loops, quick)
    return [{**row, "seconds": statistics.median(row["turns"])} for row in (*rows, *loops)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, help="a photograph; without it the example, enlarged")
    parser.add_argument("--large", action="store_true", help="100 megapixels, too, which needs 10 GB of memory")
    parser.add_argument("--quick", action="store_true", help="small images, once: to see that all works")
    arguments = parser.parse_args()
    for row in measure(arguments.image, arguments.large, arguments.quick):
        if row["task"] == LOOP:
            print(f"{row['threads']} loops at once: {row['seconds']:.2f} s a loop")
            continue
        print(
            f"{row['size']}, {row['task']}, {row['threads']} threads: "
            f"{1e9 * row['seconds'] / (row['width'] * row['height']):.0f} ns and "
            f"{row['bytes'] / (row['width'] * row['height']):.1f} bytes a pixel"
        )


if __name__ == "__main__":
    main()
