"""The image, the analysis tree and the encoder's gain (SPEC §2.5, §3, §4)."""

import torch
import torch.nn.functional as functional
from torch import Tensor

from .arithmetic import (
    LIMITS,
    Model,
    convolution,
    dequantise,
    gdn,
    per_channel,
    requantise_leaky,
    round_and_clamp,
    to_float,
)
from .fusion import fuse
from .trace import Trace

IMAGE_ZERO_POINT = 128


def extend(image: Tensor) -> Tensor:
    """Repeats the last row and column of ``[3, h, w]`` uint8 up to multiples of 16 (SPEC §3)."""
    down, right = -image.shape[1] % 16, -image.shape[2] % 16
    # PyTorch pads by replication only in floating point; 0..255 is exact there.
    extended = functional.pad(to_float(image)[None], (0, right, 0, down), mode="replicate")
    return extended[0].to(torch.uint8)


def residual_down(model: Model, name: str, activation: Tensor, zero_point: int = 0) -> Tensor:
    """SPEC §2.5: ``[in, h, w]`` to ``[32, ⌈h/2⌉, ⌈w/2⌉]`` int16."""
    conv1, conv2, skip = f"{name}.conv1", f"{name}.conv2", f"{name}.skip"
    t = requantise_leaky(model, conv1, convolution(model, conv1, activation, zero_point, stride=2))
    g = gdn(model, f"{name}.gdn", convolution(model, conv2, t))
    s = dequantise(model, skip, convolution(model, skip, activation, zero_point, stride=2))
    return round_and_clamp(g + s, *LIMITS[torch.int16]).to(torch.int16)


def analysis(model: Model, image: Tensor, quality: int, trace: Trace) -> list[Tensor]:
    """The four latents ``Y_b`` (``[32, h/16, w/16]`` int16) of an extended image ``[3, h, w]`` uint8 (SPEC §4)."""
    level, zero_point = [image], IMAGE_ZERO_POINT
    for k in range(4):
        names = [f"analysis.level{k}.{i}" for i in range(2**k)]
        # Level 0 has one node on the image; from then on node i is a child of node ⌊i/2⌋.
        level = [residual_down(model, name, level[i // 2], zero_point) for i, name in enumerate(names)]
        zero_point = 0
        trace.record_all(names, level)
    latents = []
    for b in range(4):
        fused = fuse(model, f"analysis.fusion.{b}", level[2 * b], level[2 * b + 1])
        trace.record(f"analysis.fusion.{b}", fused)
        gain = per_channel(model["gain.encode"][quality - 1, 32 * b : 32 * (b + 1)])
        latents.append(round_and_clamp(to_float(fused) * gain, *LIMITS[torch.int16]).to(torch.int16))
    trace.record_all([f"Y.{b}" for b in range(4)], latents)
    return latents
