"""The whole way from pixels to bytes and back, beside the float network's; and images a second."""

import gc
import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from eager import Eager
from torch import Tensor

from gpu.device import Work
from gpu.images import photographs
from gpu.session import Session, summary
from gpu.stages import stages
from treenet_fast.errors import TreeNetError
from treenet_fast.model import TreeNet, load_checkpoint

ROOT = Path(__file__).parents[2]
MODEL = "mse"
QUALITY = 50
CODEC = "treenet_fast"
CALLS = 12
"""Of each thread, as images a second are counted."""
WARM_CALLS = 3
"""Before that: a thread's calls use several spaces of memory in turn, and the first use of each makes it."""

PRECISIONS = {
    "float32": (torch.float32, torch.contiguous_format),
    "float16 channels_last": (torch.float16, torch.channels_last),
}
FASTEST = "float16 channels_last"

Row = dict[str, Any]


def network(session: Session, precision: str) -> TreeNet:
    """The network behind the model, as PyTorch runs it in a precision."""
    dtype, layout = PRECISIONS[precision]
    model = load_checkpoint(ROOT / "weights" / f"{MODEL}.safetensors")
    return model.to(session.device.torch, dtype, memory_format=layout)


class Paths:
    """Compressing and decompressing batches of photographs that are on the device already."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.device = session.device
        self.codec = session.device.codec(MODEL)

    def run(self, rows: list[Row]) -> None:
        """Adds a row for each task, size, batch and side; the codec's first, as the time is limited."""
        cases = list(itertools.product(self.session.scale.sizes.items(), self.session.scale.batches))
        for side in (CODEC, *PRECISIONS):
            for (size, (height, width)), batch in cases:
                if self.session.late():
                    self.session.skip(f"{side}, {size}, batch {batch}", "no time was left")
                    continue
                images = photographs(height, width, batch).to(self.device.torch)
                at = {"size": size, "height": height, "width": width, "batch": batch}
                try:
                    if side == CODEC:
                        self._codec(rows, images, at)
                    else:
                        self._float(rows, side, images, at)
                except TreeNetError as error:
                    self.session.skip(f"{side}, {size}, batch {batch}", summary(error))
                self.device.release()
                self.session.keep()

    def compiled(self, rows: list[Row]) -> None:
        """Adds rows of the whole network compiled, as far as the time goes."""
        slowest = self.session.scale.compile_seconds
        for size, batch in self.session.scale.compiled:
            what = f"torch.compile of the whole network, {size}, batch {batch}"
            if self.session.left() < slowest:
                self.session.skip(what, f"it may take {slowest:.0f} s, and less time was left")
                continue
            begin = time.monotonic()
            height, width = self.session.scale.sizes[size]
            images = photographs(height, width, batch).to(self.device.torch)
            at = {"size": size, "height": height, "width": width, "batch": batch}
            self._float(rows, FASTEST, images, at, self.session.scale.compile_options[0])
            slowest = max(slowest, time.monotonic() - begin)
            self.session.keep()

    def _codec(self, rows: list[Row], images: Tensor, at: Row) -> None:
        for task, work in self._works(images).items():
            row = self._row(task, CODEC, work, at)
            blocks = [stage.cost for stage in stages(at["height"], at["width"]) if stage.task == task]
            row["floor"] = sum(cost.floor(at["batch"], self.session.limits) for cost in blocks)
            rows.append(row)

    def _works(self, images: Tensor) -> dict[str, Work]:
        """What the codec is timed on, by task."""
        streams = self.codec.compress(images, QUALITY)
        return {
            "compress": lambda: self.codec.compress(images, QUALITY),
            "decompress": lambda: self.device.decompress(self.codec, streams),
        }

    def _float(self, rows: list[Row], precision: str, images: Tensor, at: Row, options: Row | None = None) -> None:
        dtype, layout = PRECISIONS[precision]
        side = precision if options is None else f"{precision}, compiled"
        try:
            pixels = (images / 255).to(dtype).contiguous(memory_format=layout)
            eager = Eager(network(self.session, precision), pixels, QUALITY)
            works: dict[str, Work] = {"compress": eager.compress, "decompress": eager.decompress}
            if options is not None:
                torch._dynamo.reset()
                works = {task: torch.compile(work, dynamic=False, **options) for task, work in works.items()}
            for task, work in works.items():
                rows.append(self._row(task, side, work, at))
        except Exception as error:  # too little memory, or one of the many ways in which a compiler fails
            self.session.skip(f"{side}, {at['size']}, batch {at['batch']}", summary(error))
        finally:
            gc.collect()
            self.device.release()

    def _row(self, task: str, side: str, work: Work, at: Row) -> Row:
        timing = self.device.measure(work, self.session.scale.seconds)
        row = {"task": task, **at, "side": side, **asdict(timing)}
        print(f"{task}, {at['size']}, batch {at['batch']}, {side}: {1000 * timing.median:.2f} ms", flush=True)
        return row

    def throughput(self, rows: list[Row]) -> None:
        """Adds images a second of several threads on one codec, each on a stream and with batches of its own."""
        batch = self.session.scale.batches[-1]
        for size in self.session.scale.throughput:
            images = photographs(*self.session.scale.sizes[size], batch).to(self.device.torch)
            for (task, work), threads in itertools.product(self._works(images).items(), self.session.scale.threads):
                if self.session.late():
                    self.session.skip(f"images a second, {task}, {size}, {threads} threads", "no time was left")
                    continue
                self._calls(work, threads, WARM_CALLS)
                rate = threads * CALLS * batch / self._calls(work, threads, CALLS)
                rows.append({"task": task, "size": size, "batch": batch, "threads": threads, "images_a_second": rate})
                print(f"{task}, {size}, batch {batch}, {threads} threads: {rate:.0f} images a second", flush=True)
            self.session.keep()

    def _calls(self, work: Work, threads: int, calls: int) -> float:
        """Seconds that so many threads take for so many calls each."""

        def thread(_: int) -> None:
            with self.device.stream():
                for _ in range(calls):
                    work()

        self.device.synchronise()
        begin = time.monotonic()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(thread, range(threads)))
        self.device.synchronise()
        return time.monotonic() - begin
