"""Measuring many images with many codecs: in processes, each image and codec a job of its own.

A process keeps to one CPU, so that the times are those of one core whatever the codec, and processes do not disturb
each other more than they must.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path

from treenet_fast import image_files
from treenet_fast.errors import BackendError, TreeNetError
from treenet_fast.evaluation import catalogue
from treenet_fast.evaluation.codecs import FileCodec, ImageCodec
from treenet_fast.evaluation.curve import Row, measure
from treenet_fast.evaluation.scores import METRICS


@dataclass(frozen=True)
class Job:
    """One image with one codec.

    Attributes:
        choice: of the codec (see `catalogue.make`).
        device: where networks run.
        image: the file.
        qualities: at which it is measured.
        metrics: names of `scores.METRICS`.
        files: the folder that compressed files are kept in.
    """

    choice: str
    device: str | None
    image: Path
    qualities: tuple[int, ...]
    metrics: tuple[str, ...]
    files: Path


@dataclass(frozen=True)
class Outcome:
    """What a job gave: rows, of which some lack if there was a problem."""

    rows: list[Row]
    problem: str | None = None


def usable_cpus() -> list[int]:
    """The CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def run(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Outcome]]:
    """Does the jobs, and gives each with its outcome as it is done.

    Raises:
        BackendError: a process died.
    """
    context = get_context("spawn")  # a fork would take the threads of torch and of the codec along
    cpus: Queue[int] = context.Queue()
    usable = usable_cpus()
    for i in range(processes):
        cpus.put(usable[i % len(usable)])
    with ProcessPoolExecutor(processes, context, _begin, (cpus,)) as executor:
        futures = {executor.submit(work, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise BackendError(
                "a process died, for lack of memory perhaps: run again with fewer --jobs, which goes on from here"
            ) from error
        finally:
            executor.shutdown(cancel_futures=True)


def _begin(cpus: Queue[int]) -> None:
    """Settles a process on one CPU. What makes threads of its own by the number of CPUs then makes one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to deal with
    os.environ["OMP_NUM_THREADS"] = "1"
    cpu = cpus.get()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})


def work(job: Job) -> Outcome:
    """Does a job in this process."""
    rows: list[Row] = []
    try:
        codec = _codec(job.choice, job.device)
        image = image_files.read(job.image)
        chosen = [METRICS[name] for name in job.metrics]
        if (job.choice, image.shape) not in _warm:
            codec.code(image, job.qualities[0])
            _warm.add((job.choice, image.shape))
        for quality in job.qualities:
            file = None
            if isinstance(codec, FileCodec):
                file = catalogue.file_of(job.files, codec, quality, job.image.name)
                file.parent.mkdir(parents=True, exist_ok=True)
            rows.append(measure(codec, job.image.name, image, quality, chosen, file))
    except TreeNetError as error:
        return Outcome(rows, f"{job.choice}: {job.image}: {error}")
    except Exception as error:  # encoders raise almost anything
        return Outcome(rows, f"{job.choice}: {job.image}: {type(error).__name__}: {error}")
    return Outcome(rows)


@functools.cache
def _codec(choice: str, device: str | None) -> ImageCodec:
    return catalogue.make(choice, device, threads=1)


_warm: set[tuple[str, tuple[int, ...]]] = set()
"""The codecs that have coded an image of that shape in this process: the first one pays for memory and start-up."""
