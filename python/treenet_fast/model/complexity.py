"""Parameters and work of a TreeNet, module by module, counted by PyTorch's own counter while the network runs.

A multiply-accumulate (MAC) is one weight or bias of a convolution applied at one position, taps that the checkerboard
masks included. An operation is one value that an element-wise step gives, or that a mean takes. Both are given per
pixel of the image. Entropy parameters count once a position, although a codec computes those of the anchors first.
Probabilities are not counted: a codec reads them from tables.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from treenet_fast.model.blocks import Fusion
from treenet_fast.model.bottleneck import CheckerboardConvolution
from treenet_fast.model.normalisation import GDN
from treenet_fast.model.treenet import TreeNet
from treenet_fast.model_layout import LATENTS

#: The paper's names of the modules, and the names of their parts.
MODULES = {
    "g_a": ("analysis",),
    "g_s": ("synthesis",),
    **{
        name: tuple(f"bottleneck.{b}.{part}" for b in range(LATENTS))
        for name, part in (
            ("h_a", "hyper_analysis"),
            ("h_s", "hyper_synthesis"),
            ("h_ep", "entropy_parameters"),
            ("context", "context"),
        )
    },
}

# Encoder and decoder both need the probabilities of the symbols.
_PROBABILITIES = ("h_s", "h_ep", "context")
ENCODER = ("g_a", "h_a", *_PROBABILITIES)
DECODER = ("g_s", *_PROBABILITIES)

# The side of the image to count on: a multiple of 64, on which no layer computes more than its share.
_SIDE = 64

_ELEMENT_WISE = ("add", "sub", "mul", "relu", "leaky_relu", "sigmoid", "sqrt", "rsqrt")


@dataclass(frozen=True)
class Complexity:
    """Parameters, and work per pixel of the image."""

    parameters: int = 0
    macs_per_pixel: float = 0.0
    operations_per_pixel: float = 0.0


def complexity(model: TreeNet) -> dict[str, Complexity]:
    """The paper's modules (`MODULES`), the bottlenecks' over all four of them, counted as the paper counts.

    That is with all parameters, but of the work that of the convolutions alone, GDN not among them.
    """
    work = _Work(model)
    return {
        module: Complexity(
            parameters=_parameters(model, parts),
            macs_per_pixel=work.macs(_within(model, parts, nn.Conv2d, CheckerboardConvolution)),
        )
        for module, parts in MODULES.items()
    }


def left_out(model: TreeNet) -> dict[str, Complexity]:
    """What the paper does not count, without parameters that `complexity` counts."""
    work = _Work(model)
    result = {}
    for module, parts in MODULES.items():
        norms, fusions = _within(model, parts, GDN), _within(model, parts, Fusion)
        in_norms, in_fusions = work.operations(norms), work.operations(fusions)
        if norms:
            result[f"GDN of {module}"] = Complexity(0, work.macs(norms), in_norms)
        if fusions:
            result[f"fusions of {module}, but for their convolutions"] = Complexity(0, 0.0, in_fusions)
        if others := work.operations(parts) - in_norms - in_fusions:
            result[f"activations and sums of {module}"] = Complexity(0, 0.0, others)
    bottlenecks = [f"bottleneck.{b}" for b in range(LATENTS)]
    outermost = work.operations([""]) - work.operations(["analysis", "synthesis", *bottlenecks])
    result["gains, and the image's centring"] = Complexity(_parameters(model, ["gain"]), 0.0, outermost)
    priors = [f"{bottleneck}.prior" for bottleneck in bottlenecks]
    result["priors of the hyper-latents"] = Complexity(_parameters(model, priors))
    return result


def _parameters(model: TreeNet, parts: Iterable[str]) -> int:
    return sum(p.numel() for part in parts for p in model.get_submodule(part).parameters())


def _within(model: TreeNet, parts: Iterable[str], *kinds: type[nn.Module]) -> list[str]:
    """The names of all modules of some kinds in parts of the model."""
    prefixes = tuple(parts)
    return [name for name, m in model.named_modules() if name.startswith(prefixes) and isinstance(m, kinds)]


class _Work:
    """What each module of a model did in one run on an image."""

    def __init__(self, model: TreeNet) -> None:
        self._model = model
        aten = torch.ops.aten
        self._element_wise = [getattr(aten, name) for name in _ELEMENT_WISE]
        counter = FlopCounterMode(
            display=False, custom_mapping={**dict.fromkeys(self._element_wise, _given), aten.mean: _taken}
        )
        image = torch.zeros(1, 3, _SIDE, _SIDE, device=model.gain.log_encode.device)
        with torch.no_grad(), counter:
            model(image, 50.0, rounding="noise")  # other kinds of rounding compute the entropy parameters twice
        self._counts = counter.get_flop_counts()
        self._convolution, self._mean = aten.convolution, aten.mean

    def macs(self, names: Iterable[str]) -> float:
        """Of modules that are one convolution each.

        PyTorch counts two operations for each weight at each position, and none for a bias.
        """
        total = 0
        for name in names:
            sizes = [p.numel() for p in self._model.get_submodule(name).parameters()]
            positions = self._of(name)[self._convolution] // (2 * max(sizes))
            total += positions * sum(sizes)
        return total / _SIDE**2

    def operations(self, names: Iterable[str]) -> float:
        """Of modules and all within them."""
        kinds = (*self._element_wise, self._mean)
        return sum(self._of(name).get(kind, 0) for name in names for kind in kinds) / _SIDE**2

    def _of(self, name: str) -> dict[Any, int]:
        root = type(self._model).__name__
        return self._counts[f"{root}.{name}" if name else root]


def _given(*_: Any, out_shape: Any, **__: Any) -> int:
    """The values of a result that belongs to the image, whose batch is one; weights that are masked do not."""
    return math.prod(out_shape) if len(out_shape) == 4 and out_shape[0] == 1 else 0


def _taken(values: Any, *_: Any, **__: Any) -> int:
    return math.prod(values)
