"""The stages of the codec on a device: their launches, their parts of the float network, and what each must do."""

import math
from collections.abc import Callable

from torch import Tensor

from gpu.bottlenecks import bottlenecks
from gpu.stage import Cost, FloatBlock, Stage, model_bytes, weights_of
from treenet_fast.model import TreeNet
from treenet_fast.model_layout import CHANNELS, LATENTS, SYNTHESIS_U8_LEVEL

LEVELS = 4


def stages(height: int, width: int) -> list[Stage]:
    """The stages of images of a size, by task and kind, those of one kind in the order in which they run."""
    height, width = (16 * math.ceil(side / 16) for side in (height, width))  # SPEC §3
    latent = height // 16, width // 16
    return [
        *_analysis(height, width),
        *bottlenecks("compress", *latent),
        *bottlenecks("decompress", *latent),
        *_synthesis(*latent),
    ]


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
            (2 if level else 1) * weights_of(name, "conv1", "skip") + 2 * weights_of(name, "conv2", "gdn.gamma")
            for name in names
        )
        result.append(
            Stage(
                f"analysis.level{level}",
                "compress",
                r"\bresidual_down_kernel",
                (size,) * inputs,
                _level("analysis", level, lambda i: i // 2),
                Cost(bytes_in + bytes_out, sum(map(model_bytes, names)), 2 * products),
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
            coarse * (2 if s16_in else 1) * weights_of(name, "conv1", "skip")
            + fine * (weights_of(name, "conv2") + 2 * weights_of(name, "igdn.gamma"))
            for name in names
        )
        bytes_out = nodes * fine * CHANNELS * (2 if s16_out else 1)
        run = _level("synthesis", level, lambda i: i)
        last = level == LEVELS - 1
        if last:  # the output convolution is part of its kernel
            products += fine * weights_of("synthesis", "output")
            bytes_out = 3 * fine
            run = _last_level
        bytes_in = nodes * coarse * CHANNELS * (2 if s16_in else 1)
        cost = Cost(bytes_in + bytes_out, sum(map(model_bytes, names)), 2 * products)
        name = f"synthesis.level{level}" + (" and output" if last else "")
        result.append(Stage(name, "decompress", r"\bresidual_up_kernel", (size,) * nodes, run, cost))
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
    local1, local2 = weights_of(parts[0], "first.local1"), weights_of(parts[0], "first.local2")
    # Of two attentions; the first one's input is the sum of two activations.
    products = len(parts) * positions * (3 * planes * local1 + 2 * local2)
    moved = (nodes + len(pairs)) * positions * CHANNELS * planes

    def run(model: TreeNet, inputs: list[Tensor]) -> list[Tensor]:
        modules = model.get_submodule(name)
        return [fuse(inputs[i], inputs[j]) for fuse, (i, j) in zip(modules, pairs, strict=True)]

    cost = Cost(moved, sum(map(model_bytes, parts)), 2 * products)
    return Stage(name, task, r"\bfusion_kernel", ((CHANNELS, height, width),) * nodes, run, cost)


def _level(tree: str, level: int, source: Callable[[int], int]) -> FloatBlock:
    def run(model: TreeNet, inputs: list[Tensor]) -> list[Tensor]:
        nodes = model.get_submodule(f"{tree}.level{level}")
        return [node(inputs[source(i)]) for i, node in enumerate(nodes)]

    return run


def _last_level(model: TreeNet, inputs: list[Tensor]) -> list[Tensor]:
    (node,) = model.synthesis.level3
    return [model.synthesis.output(node(inputs[0]))]
