"""The fused blocks of the networks: which launches they are, which part of the float network, and what each must do."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from treenet_fast.model import TreeNet
from treenet_fast.model_layout import (
    CHANNELS,
    LATENTS,
    SYNTHESIS_U8_LEVEL,
    tensor_spec,
)

LEVELS = 4

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


@dataclass(frozen=True)
class Stage:
    """All nodes of a level, or the fusions after them.

    Attributes:
        task: "compress" or "decompress".
        kernel: what the names of its kernels have in them. Launches of one kind share themselves evenly among the
            stages of that kind, in order.
        inputs: sizes of the float block's inputs, `[channels, height, width]`.
        run: the float block, from its network and inputs.
    """

    name: str
    task: str
    kernel: str
    inputs: tuple[tuple[int, int, int], ...]
    run: Callable[[TreeNet, list[Tensor]], list[Tensor]]
    cost: Cost


def stages(height: int, width: int) -> list[Stage]:
    """The stages of images of a size, in the order in which they run."""
    height, width = (16 * math.ceil(side / 16) for side in (height, width))  # SPEC §3
    return [*_analysis(height, width), *_synthesis(height // 16, width // 16)]


def peak_of(device: str) -> float | None:
    """Operations a second of the device of that name, or None where no data sheet is at hand."""
    return next((peak for name, peak in PEAKS.items() if re.search(rf"\b{name}\b", device)), None)


def _analysis(height: int, width: int) -> list[Stage]:
    result = []
    inputs, channels, bytes_in = 1, 3, 3 * height * width
    for level in range(LEVELS):
        size = (channels, height, width)
        height, width = height // 2, width // 2
        nodes, positions = 2**level, height * width
        bytes_out = nodes * positions * CHANNELS * 2
        names = [f"analysis.level{level}.{i}" for i in range(nodes)]
        products = positions * sum(
            (2 if level else 1) * _weights(name, "conv1", "skip") + 2 * _weights(name, "conv2", "gdn.gamma")
            for name in names
        )
        result.append(
            Stage(
                f"analysis.level{level}",
                "compress",
                "residual_down",
                (size,) * inputs,
                _level("analysis", level, lambda i: i // 2),
                Cost(bytes_in + bytes_out, sum(map(_model_bytes, names)), 2 * products),
            )
        )
        inputs, channels, bytes_in = nodes, CHANNELS, bytes_out
    pairs = [(2 * b, 2 * b + 1) for b in range(LATENTS)]
    result.append(_fusion("analysis.fusion", "compress", pairs, 2 * LATENTS, height, width, s16=True))
    return result


def _synthesis(height: int, width: int) -> list[Stage]:
    result = []
    s16_in = True
    for level in range(LEVELS):
        size, nodes, s16_out = (CHANNELS, height, width), LATENTS - level, level != SYNTHESIS_U8_LEVEL
        names = [f"synthesis.level{level}.{i}" for i in range(nodes)]
        coarse, fine = height * width, 4 * height * width
        products = sum(
            coarse * (2 if s16_in else 1) * _weights(name, "conv1", "skip")
            + fine * (_weights(name, "conv2") + 2 * _weights(name, "igdn.gamma"))
            for name in names
        )
        bytes_out = nodes * fine * CHANNELS * (2 if s16_out else 1)
        run = _level("synthesis", level, lambda i: i)
        last = level == LEVELS - 1
        if last:  # the output convolution is part of its kernel
            products += fine * _weights("synthesis", "output")
            bytes_out = 3 * fine
            run = _last_level
        bytes_in = nodes * coarse * CHANNELS * (2 if s16_in else 1)
        cost = Cost(bytes_in + bytes_out, sum(map(_model_bytes, names)), 2 * products)
        name = f"synthesis.level{level}" + (" and output" if last else "")
        result.append(Stage(name, "decompress", "residual_up", (size,) * nodes, run, cost))
        height, width, s16_in = 2 * height, 2 * width, s16_out
        if not last:
            pairs = [(i, i + 1) for i in range(nodes - 1)]
            result.append(_fusion(f"synthesis.fusion{level}", "decompress", pairs, nodes, height, width, s16_out))
    return result


def _fusion(
    name: str, task: str, pairs: list[tuple[int, int]], nodes: int, height: int, width: int, s16: bool
) -> Stage:
    parts = [f"{name}.{i}" for i in range(len(pairs))]
    positions, planes = height * width, 2 if s16 else 1
    local1, local2 = _weights(parts[0], "first.local1"), _weights(parts[0], "first.local2")
    # Of two attentions; the first one's input is the sum of two activations.
    products = len(parts) * positions * (3 * planes * local1 + 2 * local2)
    moved = (nodes + len(pairs)) * positions * CHANNELS * planes

    def run(model: TreeNet, inputs: list[Tensor]) -> list[Tensor]:
        modules = model.get_submodule(name)
        return [fuse(inputs[i], inputs[j]) for fuse, (i, j) in zip(modules, pairs, strict=True)]

    cost = Cost(moved, sum(map(_model_bytes, parts)), 2 * products)
    return Stage(name, task, "fusion", ((CHANNELS, height, width),) * nodes, run, cost)


def _level(tree: str, level: int, source: Callable[[int], int]) -> Callable[[TreeNet, list[Tensor]], list[Tensor]]:
    def run(model: TreeNet, inputs: list[Tensor]) -> list[Tensor]:
        nodes = model.get_submodule(f"{tree}.level{level}")
        return [node(inputs[source(i)]) for i, node in enumerate(nodes)]

    return run


def _last_level(model: TreeNet, inputs: list[Tensor]) -> list[Tensor]:
    (node,) = model.synthesis.level3
    return [model.synthesis.output(node(inputs[0]))]


def _weights(block: str, *parts: str) -> int:
    """How many weights the parts of a block have."""
    spec = tensor_spec()
    names = [f"{block}.{part}" if f"{block}.{part}" in spec else f"{block}.{part}.weight" for part in parts]
    return sum(math.prod(spec[name][1]) for name in names)


def _model_bytes(block: str) -> int:
    return sum(
        dtype.itemsize * math.prod(shape)
        for name, (dtype, shape) in tensor_spec().items()
        if name.startswith(f"{block}.")
    )
