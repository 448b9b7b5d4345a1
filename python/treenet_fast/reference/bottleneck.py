"""The four entropy bottlenecks (SPEC §5).

All activations are ``[channels, height, width]`` int16 with zero point 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .arithmetic import (
    LIMITS,
    Model,
    convolution,
    dequantise,
    requantise,
    requantise_leaky,
    round_and_clamp,
    shuffle,
)

SUBPIXEL_LAYERS = (1, 3)
HYPER_STRIDES = (1, 1, 2, 1, 2)


@dataclass(frozen=True)
class Parameters:
    """The entropy parameters of a latent, each ``[32, h, w]``."""

    mean: Tensor
    """int16, 64 units a step."""
    scale: Tensor
    """int16, 0 or more, 256 units a step: ``v`` of SPEC §5."""
    index: Tensor
    """uint8, 0..63: the table of the symbol."""


def anchors(size: Sequence[int], device: torch.device) -> Tensor:
    """bool ``[height, width]`` of a size (height, width): the positions with i + j even."""
    rows, columns = (torch.arange(n, device=device) for n in size)
    return (rows[:, None] + columns) % 2 == 0


def hyper_analysis(model: Model, b: int, latent: Tensor) -> Tensor:
    """``Z_b`` (``[32, ⌈h/4⌉, ⌈w/4⌉]``) of ``Y_b`` (``[32, h, w]``)."""
    activation = latent
    for layer, stride in enumerate(HYPER_STRIDES):
        name = f"bottleneck.{b}.hyper_analysis.{layer}"
        accumulators = convolution(model, name, activation, stride=stride)
        activation = (requantise_leaky if layer < 4 else requantise)(model, name, accumulators)
    return activation


def hyper_synthesis(model: Model, b: int, hyper_latent: Tensor, height: int, width: int) -> Tensor:
    """``psi`` (``[64, height, width]``) of ``Z_b`` (``[32, ⌈height/4⌉, ⌈width/4⌉]``)."""
    activation = hyper_latent
    for layer in range(5):
        name = f"bottleneck.{b}.hyper_synthesis.{layer}"
        accumulators = convolution(model, name, activation)
        activation = (requantise_leaky if layer < 4 else requantise)(model, name, accumulators)
        if layer in SUBPIXEL_LAYERS:
            activation = shuffle(activation)
    return activation[:, :height, :width]


def context(model: Model, b: int, decoded: Tensor) -> Tensor:
    """The context (``[64, h, w]``) of the decoded latent, of which only the anchors count; zero at the anchors."""
    name = f"bottleneck.{b}.context"
    activation = requantise(model, name, convolution(model, name, decoded))
    return activation.masked_fill(anchors(decoded.shape[1:], decoded.device), 0)


def entropy_parameters(model: Model, b: int, psi: Tensor, context: Tensor) -> Parameters:
    """The entropy parameters from psi and the context, both ``[64, h, w]``."""
    activation = torch.cat((psi, context))
    name = f"bottleneck.{b}.entropy_parameters"
    for layer in range(2):
        accumulators = convolution(model, f"{name}.{layer}", activation)
        activation = requantise_leaky(model, f"{name}.{layer}", accumulators)
    values = dequantise(model, f"{name}.2", convolution(model, f"{name}.2", activation))
    mean = round_and_clamp(values[:32], *LIMITS[torch.int16])
    scale = round_and_clamp(values[32:], 0, 32767)
    # searchsorted with right=True counts the thresholds that are at most the value.
    index = torch.searchsorted(model["entropy.threshold"], scale, right=True)
    return Parameters(mean.to(torch.int16), scale.to(torch.int16), index.to(torch.uint8))


def anchor_parameters(model: Model, b: int, psi: Tensor) -> Parameters:
    """The entropy parameters where the context is zero: those of the anchors, valid at anchors only."""
    return entropy_parameters(model, b, psi, torch.zeros_like(psi))


def coded(model: Model, index: Tensor) -> Tensor:
    """bool: where a symbol is coded, that is not skipped."""
    return index >= int(model["entropy.skip"])


def symbols(model: Model, latent: Tensor, parameters: Parameters) -> Tensor:
    """``S`` (int16) of ``Y``; 0 where skipped."""
    residual = (latent.to(torch.int32) - parameters.mean.to(torch.int32) + 32) >> 6
    return torch.where(coded(model, parameters.index), residual, 0).to(torch.int16)


def decoded_latent(symbol: Tensor, parameters: Parameters) -> Tensor:
    """``Ŷ`` (int16) of ``S``."""
    return (64 * symbol.to(torch.int32) + parameters.mean).clamp(*LIMITS[torch.int16]).to(torch.int16)
