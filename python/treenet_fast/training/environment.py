"""Where a run takes place: its processes and device, and the signals that end it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType

import torch
import torch.distributed as dist

from treenet_fast.training.options import Options, TrainingError

# The first process evaluates and writes while the others wait.
_PATIENCE = timedelta(hours=2)


def local_rank() -> int | None:
    """The number of this process on its machine where `torchrun` started it, else None."""
    rank = os.environ.get("LOCAL_RANK")
    return None if rank is None else int(rank)


@dataclass(frozen=True)
class Processes:
    """The processes that train together: the number of this one, and how many there are."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that evaluates and writes."""
        return self.rank == 0

    def any(self, here: bool) -> bool:
        """Whether something is so in any process; all of them have to ask."""
        if self.count == 1:
            return here
        flag = torch.tensor(int(here))  # on the CPU: no GPU has to be waited for
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The mean of `values` over all processes."""
        if self.count == 1:
            return values
        values = values.clone()
        dist.all_reduce(values)
        return values / self.count

    def gather(self, value: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        """The values of all processes."""
        gathered: list[dict[str, torch.Tensor]] = [value] * self.count
        if self.count > 1:
            dist.all_gather_object(gathered, value)
        return gathered


@contextlib.contextmanager
def processes(device: torch.device) -> Iterator[Processes]:
    """Joins the processes that `torchrun` started."""
    if local_rank() is None:
        yield Processes()
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def choose_device(options: Options) -> torch.device:
    """The device of this process.

    Raises:
        TrainingError: there is no such device.
    """
    available = torch.cuda.is_available()
    name = options.device or ("cuda" if available else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise TrainingError(f"{name!r} is no device: {error}") from error
    if device.type not in ("cpu", "cuda"):
        raise TrainingError(f"training runs on 'cpu' or 'cuda', not on {name!r}")
    if device.type == "cpu":
        return device
    if not available:
        raise TrainingError(f"device {name!r}: no GPU that this PyTorch can use")
    rank = local_rank()
    if rank is not None and device.index is not None:
        raise TrainingError(f"device {name!r}: under torchrun each process has its own GPU; say 'cuda'")
    index = (rank or 0) if device.index is None else device.index
    if index >= torch.cuda.device_count():
        raise TrainingError(f"GPU {index} was asked for, and there are {torch.cuda.device_count()}")
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


@contextlib.contextmanager
def settings(options: Options) -> Iterator[None]:
    """PyTorch's settings for a run; those of before are restored.

    TensorFloat-32 is off: SOAP divides by what is small among what is large, a quantised network has integers of 16
    bits, and a float network's transforms have bfloat16 to be fast in.
    """
    threads = torch.get_num_threads()
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        matmul.allow_tf32, cudnn.allow_tf32 = before


@contextlib.contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """An event that Ctrl-C or the end of a job (SIGTERM) sets, where they would have ended the process at once.

    A run ends between two steps: amid one, its state belongs to neither.
    """
    stop = threading.Event()

    def request(signal_number: int, frame: FrameType | None) -> None:
        stop.set()

    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's alone
        yield stop
        return
    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
