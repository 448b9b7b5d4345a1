"""Lower bounds that a gradient can leave again."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _LowerBound(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp_min(bound)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        (gradient,) = gradients
        # A step goes against the gradient: below the bound, only a negative gradient lifts x.
        return gradient * ((x >= ctx.bound) | (gradient < 0)), None


def lower_bound(x: Tensor, bound: float) -> Tensor:
    """`max(x, bound)`, whose gradient also passes where it would lift an `x` below the bound."""
    result: Tensor = _LowerBound.apply(x, bound)  # type: ignore[no-untyped-call]
    return result
