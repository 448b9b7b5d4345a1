"""A run of the checks: on what, how large, how much time is left, and what could not be done."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gpu.device import Device
from gpu.stage import Limits, peak_of

Size = tuple[int, int]
"""Height, width."""


@dataclass(frozen=True)
class Scale:
    """How much is done.

    Attributes:
        sizes: of the benchmarks, by name.
        batches: of the benchmarks.
        compiled: sizes and batches for which the whole float network is compiled, which takes long; in this order.
        blocks: sizes and batches at which the stages are timed, the first one in float32 too.
        compiled_blocks: that at which they are compiled.
        qualities: of the images that are compared.
        images: how many of them at most.
        odd_sizes: other sizes that are compared, the larger ones last.
        odd_batches: (height, width, count) of batches that are compared.
        reference_sizes: that are compared with the PyTorch reference.
        throughput: names of the sizes for which images a second are counted.
        busy: products of matrices that keep a stream busy.
        seconds: of a measurement.
        block_seconds: of one of a stage.
        threads: numbers of threads that share a codec.
        compile_seconds: how long compiling the network is taken to last, before it has been done.
        compile_options: of torch.compile for the whole network and for a block.
        sanitizer_seconds: the longest that a tool of compute-sanitizer may take.
        counters_seconds: the longest that Nsight Compute may.
    """

    sizes: dict[str, Size]
    batches: tuple[int, ...]
    compiled: tuple[tuple[str, int], ...]
    blocks: tuple[tuple[str, int], ...]
    compiled_blocks: tuple[str, int]
    qualities: tuple[int, ...]
    images: int
    odd_sizes: tuple[Size, ...]
    odd_batches: tuple[tuple[int, int, int], ...]
    reference_sizes: tuple[Size, ...]
    throughput: tuple[str, ...]
    busy: int
    seconds: float
    block_seconds: float
    threads: tuple[int, ...]
    compile_seconds: float
    compile_options: tuple[dict[str, object], dict[str, object]]
    sanitizer_seconds: float
    counters_seconds: float


FULL = Scale(
    sizes={"Kodak": (512, 768), "1080p": (1080, 1920), "4K": (2160, 3840)},
    batches=(1, 16),
    compiled=(("Kodak", 1), ("Kodak", 16), ("1080p", 1), ("4K", 1)),
    blocks=(("Kodak", 16), ("Kodak", 1), ("1080p", 1), ("1080p", 16)),
    compiled_blocks=("Kodak", 16),
    qualities=(1, 25, 50, 75, 100),
    images=24,
    odd_sizes=(
        (1, 1), (1, 40), (40, 1), (7, 5), (15, 16), (16, 16), (17, 33), (63, 65), (1000, 1), (1, 1000),
        (257, 129), (300, 451), (1080, 1920), (1030, 2050),
    ),
    # Of the wide one a block of any hyper layer computes all outputs, not a group of them (csrc/cuda/hyper.cu).
    odd_batches=((37, 50, 40), (1, 1, 3), (16, 4200, 24), (512, 768, 16)),
    reference_sizes=((37, 50), (63, 65), (257, 129)),
    throughput=("Kodak", "1080p"),
    busy=100,
    seconds=0.5,
    block_seconds=0.1,
    threads=(1, 2, 4, 8),
    compile_seconds=60,
    compile_options=({"mode": "reduce-overhead"}, {}),
    sanitizer_seconds=60,
    counters_seconds=90,
)  # fmt: skip

TINY = Scale(
    sizes={"Kodak": (32, 48)},
    batches=(2,),
    compiled=(("Kodak", 2),),
    blocks=(("Kodak", 2),),
    compiled_blocks=("Kodak", 2),
    qualities=(1, 60),
    images=2,
    odd_sizes=((1, 1), (7, 5), (17, 33)),
    odd_batches=((9, 20, 3),),
    reference_sizes=((7, 5),),
    throughput=("Kodak",),
    busy=1,
    seconds=0,
    block_seconds=0,
    threads=(1, 2),
    compile_seconds=0,
    compile_options=({"backend": "eager"}, {"backend": "eager"}),
    sanitizer_seconds=60,
    counters_seconds=90,
)
"""For a dry run."""


@dataclass
class Session:
    """A run.

    Attributes:
        folder: of images to compare; None for photographs made here.
        minutes: after which nothing more is begun.
        limits: of the device.
        section: that is being done.
        not_run: (section, what, why).
        keep: writes what has been found so far.
    """

    device: Device
    scale: Scale
    folder: Path | None
    minutes: float
    limits: Limits
    section: str | None = None
    not_run: list[tuple[str | None, str, str]] = field(default_factory=list)
    keep: Callable[[], None] = lambda: None
    begin: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls, device: Device, scale: Scale, folder: Path | None, minutes: float) -> "Session":
        """Measures the device's bandwidth, and looks up its peak."""
        limits = Limits(device.bandwidth(), peak_of(device.describe()["name"]))
        session = cls(device, scale, folder, minutes, limits)
        if limits.operations is None:
            session.skip("floors by arithmetic", "no data sheet of this device is at hand")
        return session

    def skip(self, what: str, why: str) -> None:
        self.not_run.append((self.section, what, why))
        print(f"not run: {what}: {why}", flush=True)

    def left(self) -> float:
        """Seconds."""
        return 60 * self.minutes - (time.monotonic() - self.begin)

    def late(self) -> bool:
        return self.left() <= 0


def summary(error: Exception) -> str:
    """Its kind and the first line of its message."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
