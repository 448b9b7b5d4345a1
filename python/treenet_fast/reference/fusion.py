"""Attentional fusion (SPEC §2.7)."""

import torch
from torch import Tensor

from .arithmetic import Model, accumulate, dequantise, per_channel, round_and_clamp


def _linear(model: Model, name: str, values: Tensor) -> Tensor:
    """Accumulators of the 1x1 map ``name`` at each position of ``[in, h, w]`` int32."""
    return accumulate(values, model[f"{name}.weight"][:, :, None, None], model[f"{name}.bias"])


def attention(model: Model, name: str, p: Tensor, fraction_bits: int) -> Tensor:
    """The weights ``W`` (0..256) that attention ``name`` gives ``p``; both ``[32, h, w]`` int32."""
    positions = p.shape[1] * p.shape[2]
    total = p.sum(dim=(1, 2), dtype=torch.int64)
    mean = (((total << (fraction_bits + 1)) + positions) // (2 * positions)).to(torch.int32)
    hidden = round_and_clamp(
        dequantise(model, f"{name}.global1", _linear(model, f"{name}.global1", per_channel(mean))), 0, 32767
    )
    everywhere = dequantise(model, f"{name}.global2", _linear(model, f"{name}.global2", hidden))
    hidden = round_and_clamp(dequantise(model, f"{name}.local1", _linear(model, f"{name}.local1", p)), 0, 255)
    here = dequantise(model, f"{name}.local2", _linear(model, f"{name}.local2", hidden))
    logit = round_and_clamp(here + everywhere, -127, 127)
    return 128 + logit.sign() * model["sigmoid"].to(torch.int32)[logit.abs()]


def _mix(weight: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return y + ((weight * (x - y) + 128) >> 8)


def fuse(model: Model, name: str, x: Tensor, y: Tensor, zero_point: int = 0) -> Tensor:
    """Fusion ``name`` of two activations ``[32, h, w]`` of one dtype and zero point, which are the result's too."""
    dtype = x.dtype
    fraction_bits = 6 if dtype == torch.uint8 else 0
    x, y = x.to(torch.int32), y.to(torch.int32)
    first = attention(model, f"{name}.first", (x - zero_point) + (y - zero_point), fraction_bits)
    v = _mix(first, x, y)
    second = attention(model, f"{name}.second", v - zero_point, fraction_bits)
    return _mix(second, x, y).to(dtype)
