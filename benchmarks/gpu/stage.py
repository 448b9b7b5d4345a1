"""A stage of the codec on a device, and the least that it can do."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from treenet_fast.model import TreeNet
from treenet_fast.model_layout import tensor_spec

PEAKS = {
    "H200 NVL": 1671e12,
    "H200": 1979e12,
    "H100 NVL": 1671e12,
    "H100 PCIe": 1513e12,
    "H100": 1979e12,
    "A100": 624e12,
    "A30": 330e12,
    "L40S": 733e12,
    "L4": 242e12,
    "RTX 4090": 660.6e12,
    "RTX 3090": 284e12,
}
"""8-bit integer operations a second of the tensor cores, without sparsity, by the vendor's data sheets. A device is the
first whose words are in its name."""


@dataclass(frozen=True)
class Limits:
    """What a device can do in a second; without a data sheet `operations` is None."""

    bytes: float
    operations: float | None


@dataclass(frozen=True)
class Cost:
    """The least that a stage can do: what it has to read and write once, and its products of 8-bit operands.

    Attributes:
        moved: bytes of inputs and outputs, an image.
        weights: bytes.
        operations: multiplications and additions, an image; a 16-bit operand counts as two of 8 bits.
    """

    moved: int
    weights: int
    operations: int

    def floor(self, images: int, limits: Limits) -> float:
        """The least seconds for a batch."""
        calculating = images * self.operations / limits.operations if limits.operations else 0.0
        return max((images * self.moved + self.weights) / limits.bytes, calculating)


FloatBlock = Callable[[TreeNet, list[Tensor]], list[Tensor]]
"""From the float network and inputs."""


@dataclass(frozen=True)
class Stage:
    """All nodes of a level, the fusions after them, a part of the four bottlenecks, or what moves their symbols.

    Attributes:
        task: "compress" or "decompress".
        kernel: a regular expression for the names of its kernels. Launches of one kind share themselves evenly among
            the stages of that kind, in order.
        inputs: sizes of the float block's inputs, `[channels, height, width]`.
        run: what the float network has for it, if anything.
    """

    name: str
    task: str
    kernel: str
    inputs: tuple[tuple[int, int, int], ...]
    run: FloatBlock | None
    cost: Cost


def peak_of(device: str) -> float | None:
    """Operations a second of the device of that name, or None where no data sheet is at hand."""
    return next((peak for name, peak in PEAKS.items() if re.search(rf"\b{name}\b", device)), None)


def weights_of(block: str, *parts: str) -> int:
    """How many weights the parts of a block have."""
    spec = tensor_spec()
    names = [f"{block}.{part}" if f"{block}.{part}" in spec else f"{block}.{part}.weight" for part in parts]
    return sum(math.prod(spec[name][1]) for name in names)


def model_bytes(block: str) -> int:
    return sum(
        dtype.itemsize * math.prod(shape)
        for name, (dtype, shape) in tensor_spec().items()
        if name.startswith(f"{block}.")
    )
