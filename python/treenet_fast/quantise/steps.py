"""The steps of SPEC §2 on float tensors that hold integers, with gradients.

Integers travel as float32 tensors `[N, channels, h, w]`, their zero point taken off. Rounding has the gradient of the
identity and a clamp its own, so that where a clamp cuts, only the scales that it depends on learn.

Sums are in float32: exact below 2^24, which u8 activations never exceed, and off by a unit in the last place of f32
beyond. Within `exact_sums` they are exact as SPEC demands, at a price. All else is the same either way: one float32
operation for each of SPEC's. (Formats with fewer bits than float32, such as TensorFloat-32 and bfloat16, do not hold
s16 activations: on a GPU they should be off.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from treenet_fast.model.blocks import LEAKY_SLOPE

K_MAX = 181  # of `k` in SPEC §2.4
LOGIT_UNITS = 16  # of `l` in SPEC §2.7
WEIGHT_UNITS = 256  # of `W` in SPEC §2.7
_LOGIT_MAX = 127

_exact: ContextVar[bool] = ContextVar("exact sums", default=False)


@contextmanager
def exact_sums() -> Iterator[None]:
    """Within this context, sums are computed in float64 and rounded to float32 once, as `float(acc)` of SPEC §1."""
    token = _exact.set(True)
    try:
        yield
    finally:
        _exact.reset(token)


def round_through(x: Tensor, low: float | None = None, high: float | None = None) -> Tensor:
    """`clamp(rne(x), low, high)` with the gradient of the identity, also where clamped."""
    result: Tensor = _RoundThrough.apply(x, low, high)  # type: ignore[no-untyped-call]
    return result


def floor_through(x: Tensor) -> Tensor:
    """`⌊x⌋` with the gradient of the identity."""
    result: Tensor = _FloorThrough.apply(x)  # type: ignore[no-untyped-call]
    return result


def round_clamp(x: Tensor, low: float, high: float) -> Tensor:
    """`clamp(rne(x), low, high)`, with no gradient where clamped."""
    result: Tensor = _RoundClamp.apply(x, low, high)  # type: ignore[no-untyped-call]
    return result


def accumulate(x: Tensor, weight: Tensor, bias: Tensor, stride: int = 1) -> Tensor:
    """The accumulators of SPEC §2.1, as `float(acc)`.

    Args:
        x: integers `[N, in, h, w]`.
        weight: integers `[out, in, k, k]`, k odd.
        bias: integers `[out]`.
    """
    padding = weight.shape[2] // 2
    if _exact.get():
        return F.conv2d(x.double(), weight.double(), bias.double(), stride, padding).round().float()
    return F.conv2d(x, weight, bias, stride, padding)


def scale(accumulators: Tensor, multiplier: Tensor) -> Tensor:
    """`float(acc) * multiplier`, not rounded; `multiplier` is `[channels]`."""
    return accumulators * multiplier[:, None, None]


def requantise(accumulators: Tensor, multiplier: Tensor, low: float, high: float, leaky: bool) -> Tensor:
    """SPEC §2.2; `low` and `high` less the zero point, `multiplier` `[channels]`. No gradient where clamped."""
    result: Tensor = _Requantise.apply(accumulators, multiplier, low, high, leaky)  # type: ignore[no-untyped-call]
    return result


def normalise(
    accumulators: Tensor, numerator: Tensor, magnitude: Tensor, beta: Tensor, gamma: Tensor, inverse: bool
) -> Tensor:
    """GDN or inverse GDN (SPEC §2.4) of accumulators, not rounded.

    `numerator`, `magnitude`, `beta`: `[channels]`; `gamma`: `[channels, channels]`, the last two integers.
    """
    # With the accumulator's sign, which the square takes away.
    k = requantise(accumulators, magnitude, -K_MAX, K_MAX, leaky=False)
    n = accumulate(k * k, gamma[:, :, None, None], beta)
    result: Tensor = _Normalise.apply(accumulators, numerator, n, inverse)  # type: ignore[no-untyped-call]
    return result


def mean(p: Tensor, fraction_bits: int) -> Tensor:
    """`mean` of SPEC §2.7 over the positions of each image: `[N, channels, 1, 1]`."""
    positions = p.shape[2] * p.shape[3]
    total = p.sum(dim=(2, 3), keepdim=True, dtype=torch.float64 if _exact.get() else None)
    return floor_through((total * 2 ** (fraction_bits + 1) + positions) / (2 * positions)).float()


def attention_weight(logit: Tensor) -> Tensor:
    """`W` of SPEC §2.7 from `fl + fg`: integers in 0..256."""
    result: Tensor = _AttentionWeight.apply(logit)  # type: ignore[no-untyped-call]
    return result


def sigmoid_table() -> Tensor:
    """`sigmoid` of SPEC §2.7: `[128]`."""
    return attention_weight(torch.arange(_LOGIT_MAX + 1.0)) - WEIGHT_UNITS // 2


def mix(weight: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y + ((W * (x - y) + 128) >> 8)` (SPEC §2.7). Every product fits a float32."""
    result: Tensor = _Mix.apply(weight, x, y)  # type: ignore[no-untyped-call]
    return result


def _inside(gradient: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    """The gradient where the rounded `x` was not clamped, 0 elsewhere; in one pass, which comparisons would not be."""
    result: Tensor = torch.ops.aten.hardtanh_backward(gradient, x, low - 0.5, high + 0.5)
    return result


def _per_channel(x: Tensor) -> Tensor:
    return x.sum(dim=(0, 2, 3))


class _RoundThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float | None, high: float | None) -> Tensor:
        rounded = x.round()
        return rounded if low is None and high is None else rounded.clamp_(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0], None, None


class _FloorThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.floor()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


class _RoundClamp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bounds = low, high
        return x.round().clamp_(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return _inside(gradients[0], x, *ctx.bounds), None, None


class _Requantise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, accumulators: Tensor, multiplier: Tensor, low: float, high: float, leaky: bool) -> Tensor:
        m = multiplier[:, None, None]
        f = accumulators * m
        if leaky:  # the larger of the two is that of the accumulator's sign
            torch.maximum(f, accumulators * (m * LEAKY_SLOPE), out=f)
        ctx.save_for_backward(f, m)
        ctx.bounds, ctx.leaky = (low, high), leaky
        return f.round().clamp_(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        f, m = ctx.saved_tensors
        gradient = _inside(gradients[0], f, *ctx.bounds)
        # f is proportional to the multiplier on either side of 0.
        to_multiplier = _per_channel(gradient * f) / m[:, 0, 0]
        if ctx.leaky:
            gradient = torch.ops.aten.leaky_relu_backward(gradient, f, LEAKY_SLOPE, False)
        return gradient.mul_(m), to_multiplier, None, None, None


class _Normalise(torch.autograd.Function):
    """`g` of SPEC §2.4 from accumulators, `numerator` and `n`."""

    @staticmethod
    def forward(ctx: Any, accumulators: Tensor, numerator: Tensor, n: Tensor, inverse: bool) -> Tensor:
        # PyTorch's float32 square root is not always the nearest value on a CPU (SPEC §10).
        root = n.double().sqrt().float() if _exact.get() else n.sqrt()
        numerator = numerator[:, None, None]
        g = accumulators * numerator
        g = g.mul_(root) if inverse else g.div_(root)
        ctx.save_for_backward(g, root, numerator)
        ctx.inverse = inverse
        return g

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        g, root, numerator = ctx.saved_tensors
        to_logarithm = gradients[0] * g
        to_numerator = _per_channel(to_logarithm) / numerator[:, 0, 0]
        to_accumulators = gradients[0] * numerator
        to_accumulators = to_accumulators.mul_(root) if ctx.inverse else to_accumulators.div_(root)
        to_n = to_logarithm.div_(root).div_(root).mul_(0.5 if ctx.inverse else -0.5)
        return to_accumulators, to_numerator, to_n, None


class _AttentionWeight(torch.autograd.Function):
    """Forward, the table of SPEC §2.7; backward, the logistic function that it is made from."""

    @staticmethod
    def forward(ctx: Any, logit: Tensor) -> Tensor:
        # No entry of the table is near a point where rounding turns, so any sigmoid in float32 gives it.
        sigmoid = logit.round().clamp_(-_LOGIT_MAX, _LOGIT_MAX).div_(LOGIT_UNITS).sigmoid_()
        ctx.save_for_backward(sigmoid)
        return (sigmoid * WEIGHT_UNITS).round_()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (sigmoid,) = ctx.saved_tensors
        result: Tensor = torch.ops.aten.sigmoid_backward(gradients[0], sigmoid)
        return result.mul_(WEIGHT_UNITS / LOGIT_UNITS)


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, x: Tensor, y: Tensor) -> Tensor:
        difference = x - y
        ctx.save_for_backward(weight, difference)
        return (weight * difference).add_(WEIGHT_UNITS // 2).div_(WEIGHT_UNITS).floor_().add_(y)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weight, difference = ctx.saved_tensors
        gradient = gradients[0] / WEIGHT_UNITS
        to_weight = gradient * difference
        to_x = gradient.mul_(weight)
        return to_weight, to_x, gradients[0] - to_x
