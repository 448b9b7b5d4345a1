"""The decoder's gain and the synthesis tree (SPEC §2.6, §6)."""

import torch
from torch import Tensor

from .arithmetic import (
    LIMITS,
    Model,
    convolution,
    dequantise,
    inverse_gdn,
    per_channel,
    requantise,
    requantise_leaky,
    round_and_clamp,
    shuffle,
    to_float,
)
from .fusion import fuse
from .trace import Trace

U8_LEVEL = 2  # whose outputs are u8; other levels' are s16, with zero point 0


def residual_up(
    model: Model, name: str, activation: Tensor, zero_point: int, dtype: torch.dtype, zero_point_out: int
) -> Tensor:
    """SPEC §2.6: ``[32, h, w]`` to ``[32, 2h, 2w]`` of the given dtype."""
    conv1, conv2, skip = f"{name}.conv1", f"{name}.conv2", f"{name}.skip"
    inner = int(model[f"{conv1}.zero_point"])
    t = shuffle(requantise_leaky(model, conv1, convolution(model, conv1, activation, zero_point), torch.uint8, inner))
    g = inverse_gdn(model, f"{name}.igdn", convolution(model, conv2, t, inner))
    s = shuffle(dequantise(model, skip, convolution(model, skip, activation, zero_point)))
    return round_and_clamp(g + s, *LIMITS[dtype], zero_point_out).to(dtype)


def synthesis(model: Model, latents: list[Tensor], quality: int, trace: Trace) -> Tensor:
    """The extended image ``[3, 16h, 16w]`` uint8 of the four decoded latents ``[32, h, w]`` int16 (SPEC §6)."""
    nodes, zero_point = [], 0
    for b, latent in enumerate(latents):
        gain = per_channel(model["gain.decode"][quality - 1, 32 * b : 32 * (b + 1)])
        nodes.append(round_and_clamp(to_float(latent) * gain, *LIMITS[torch.int16]).to(torch.int16))
    trace.record_all([f"X.{b}" for b in range(4)], nodes)
    for k in range(4):
        names = [f"synthesis.level{k}.{i}" for i in range(4 - k)]
        # The nodes of a level share their zero point (SPEC §6), and fusion keeps it.
        dtype, zero_point_out = (
            (torch.uint8, int(model[f"{names[0]}.zero_point"])) if k == U8_LEVEL else (torch.int16, 0)
        )
        nodes = [
            residual_up(model, name, node, zero_point, dtype, zero_point_out)
            for name, node in zip(names, nodes, strict=True)
        ]
        trace.record_all(names, nodes)
        zero_point = zero_point_out
        fusions = [f"synthesis.fusion{k}.{i}" for i in range(3 - k)]
        if fusions:
            nodes = [fuse(model, name, nodes[i], nodes[i + 1], zero_point) for i, name in enumerate(fusions)]
            trace.record_all(fusions, nodes)
    output = convolution(model, "synthesis.output", nodes[0], zero_point)
    return requantise(model, "synthesis.output", output, torch.uint8)
