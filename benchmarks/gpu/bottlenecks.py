"""The stages of the four bottlenecks (SPEC §5), and of their symbols."""

import math

import torch
from torch import Tensor

from gpu.stage import Cost, Stage, model_bytes, weights_of
from treenet_fast.model import TreeNet
from treenet_fast.model.bottleneck import HyperAnalysis, anchors
from treenet_fast.model_layout import CHANNELS, LATENTS

PSI = 2 * CHANNELS
CONTEXT_TAPS = 12
"""Of 25, those that a non-anchor has (SPEC §5)."""
PLANES = 2
"""An s16 operand is two of 8 bits."""

Size = tuple[int, int]


def bottlenecks(task: str, height: int, width: int) -> list[Stage]:
    """The stages of a task for latents of a size."""
    analysis = [_hyper_analysis(height, width)] if task == "compress" else []
    return [
        *analysis,
        _hyper_synthesis(task, height, width),
        _anchors(task, height, width),
        _others(task, height, width),
        _symbols(task, height, width),
    ]


def _hyper_size(height: int, width: int) -> Size:
    return math.ceil(height / 4), math.ceil(width / 4)


def _hyper_analysis(height: int, width: int) -> Stage:
    size, products = (height, width), 0
    for k, stride in enumerate(HyperAnalysis.STRIDES):
        size = math.ceil(size[0] / stride), math.ceil(size[1] / stride)
        products += math.prod(size) * _layer(f"hyper_analysis.{k}")

    def run(model: TreeNet, inputs: list[Tensor]) -> list[Tensor]:
        return [b.hyper_analysis(y) for b, y in zip(model.bottleneck, inputs, strict=True)]

    moved = LATENTS * CHANNELS * 2 * (height * width + math.prod(size))
    cost = Cost(moved, _bytes("hyper_analysis"), 2 * PLANES * products)
    return Stage("hyper analysis", "compress", r"\bhyper_kernel", ((CHANNELS, height, width),) * LATENTS, run, cost)


def _hyper_synthesis(task: str, height: int, width: int) -> Stage:
    hyper_height, hyper_width = _hyper_size(height, width)
    positions = hyper_height * hyper_width
    products = positions * sum(scale * _layer(f"hyper_synthesis.{k}") for k, scale in enumerate((1, 1, 4, 4, 16)))

    def run(model: TreeNet, inputs: list[Tensor]) -> list[Tensor]:
        return [b.hyper_synthesis(z) for b, z in zip(model.bottleneck, inputs, strict=True)]

    moved = LATENTS * 2 * (CHANNELS * positions + PSI * height * width)
    cost = Cost(moved, _bytes("hyper_synthesis"), 2 * PLANES * products)
    inputs = ((CHANNELS, hyper_height, hyper_width),) * LATENTS
    return Stage("hyper synthesis", task, r"\bhyper_kernel", inputs, run, cost)


def _anchors(task: str, height: int, width: int) -> Stage:
    """Their parameters, of psi alone: the mean, or in the encoder from the latent its symbol and decoded latent."""
    products = _layers_behind(PSI)

    def run(model: TreeNet, inputs: list[Tensor]) -> list[Tensor]:
        pairs = zip(model.bottleneck, inputs, strict=True)
        return [b.entropy_parameters(torch.cat((psi, torch.zeros_like(psi)), dim=1)) for b, psi in pairs]

    at = math.ceil(height * width / 2)
    cost = _of_positions(at, 6 if task == "compress" else 2, products, _bytes("entropy_parameters"))
    return Stage("parameters of anchors", task, r"\bparameters_kernel", ((PSI, height, width),) * LATENTS, run, cost)


def _others(task: str, height: int, width: int) -> Stage:
    """The context, of the anchors' decoded latents, and their parameters: as of anchors, but for decoded latents."""
    products = _layers_behind(2 * PSI) + LATENTS * CONTEXT_TAPS * CHANNELS * PSI

    def run(model: TreeNet, inputs: list[Tensor]) -> list[Tensor]:
        found = []
        for b, psi, y in zip(model.bottleneck, inputs[:LATENTS], inputs[LATENTS:], strict=True):
            anchor = anchors(y)
            context = b.context(y * anchor) * (1 - anchor)
            found.append(b.entropy_parameters(torch.cat((psi, context), dim=1)))
        return found

    at = height * width // 2
    cost = _of_positions(at, 6 if task == "compress" else 4, products, _bytes("context", "entropy_parameters"))
    inputs = ((PSI, height, width),) * LATENTS + ((CHANNELS, height, width),) * LATENTS
    return Stage("context and parameters of the others", task, r"\bparameters_kernel", inputs, run, cost)


def _of_positions(positions: int, bytes_each: int, products: int, weights: int) -> Cost:
    """At positions of one parity; of each channel there are psi twice and the index, and `bytes_each` more."""
    moved = LATENTS * CHANNELS * positions * (2 * 2 + 1 + bytes_each)
    return Cost(moved, weights, 2 * PLANES * positions * products)


def _symbols(task: str, height: int, width: int) -> Stage:
    """Every index read once, and the hyper-latents' symbols to the host or from it; in the decoder also the means, to
    decoded latents. How many latents have symbols the image decides: none is the least."""
    hyper = math.prod(_hyper_size(height, width))
    moved = LATENTS * CHANNELS * (4 * hyper + height * width * (1 if task == "compress" else 5))
    kernels = r"\b(hyper_symbols|count|scan|gather|copy|scatter)_kernel"
    return Stage("symbols", task, kernels, (), None, Cost(moved, 0, 0))


def _layers_behind(inputs: int) -> int:
    """Products of the entropy parameters at a position, of so many inputs that are not zero."""
    _, *behind = (_layer(f"entropy_parameters.{k}") for k in range(3))
    return _layer("entropy_parameters.0") * inputs // (2 * PSI) + sum(behind)


def _layer(name: str) -> int:
    """Weights of a layer of all bottlenecks."""
    return sum(weights_of(f"bottleneck.{b}", name) for b in range(LATENTS))


def _bytes(*parts: str) -> int:
    return sum(model_bytes(f"bottleneck.{b}.{part}") for b in range(LATENTS) for part in parts)
