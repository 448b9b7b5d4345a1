"""Parameters and multiply-accumulates of a TreeNet, module by module, counted as the paper counts them.

A multiply-accumulate (MAC) is one weight or bias of a convolution applied at one position, taps that the checkerboard
masks included; it is given per pixel of the image. GDN has parameters but is not counted in MACs. Entropy parameters
count once a position, although anchors are computed before the others. Prior and gains count in neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from treenet_fast.model.bottleneck import CheckerboardConvolution
from treenet_fast.model.treenet import TreeNet

#: The paper's names of the modules, and how the names of their parts begin.
MODULES = {
    "g_a": ("analysis.",),
    "g_s": ("synthesis.",),
    **{
        name: tuple(f"bottleneck.{b}.{part}" for b in range(4))
        for name, part in (
            ("h_a", "hyper_analysis"),
            ("h_s", "hyper_synthesis"),
            ("h_ep", "entropy_parameters"),
            ("context", "context"),
        )
    },
}

# The side of the image to count on: a multiple of 64, on which no layer computes more than its share.
_SIDE = 64


@dataclass(frozen=True)
class Complexity:
    """Parameters, and multiply-accumulates per pixel of the image."""

    parameters: int
    macs_per_pixel: float


def complexity(model: TreeNet) -> dict[str, Complexity]:
    """The complexity of each of the paper's modules (`MODULES`), the bottlenecks' over all four of them."""
    macs = _macs_per_pixel(model)
    return {
        module: Complexity(
            parameters=sum(p.numel() for name, p in model.named_parameters() if _counts(name, prefixes)),
            macs_per_pixel=sum(count for name, count in macs.items() if _counts(name, prefixes)),
        )
        for module, prefixes in MODULES.items()
    }


def _counts(name: str, prefixes: tuple[str, ...]) -> bool:
    return name.startswith(prefixes)


def _convolutions(model: TreeNet) -> list[tuple[str, nn.Module]]:
    return [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d | CheckerboardConvolution)]


def _macs_per_pixel(model: TreeNet) -> dict[str, float]:
    macs: dict[str, float] = {}

    def count(name: str) -> Any:
        def hook(layer: Any, _: tuple[Tensor, ...], output: Tensor) -> None:
            macs[name] = output[0, 0].numel() * (layer.weight.numel() + layer.bias.numel()) / _SIDE**2

        return hook

    handles = [layer.register_forward_hook(count(name)) for name, layer in _convolutions(model)]
    try:
        with torch.inference_mode():
            model(torch.zeros(1, 3, _SIDE, _SIDE, device=model.gain.log_encode.device), 50.0, rounding="round")
    finally:
        for handle in handles:
            handle.remove()
    return macs
