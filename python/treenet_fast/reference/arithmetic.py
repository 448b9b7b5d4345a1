"""The arithmetic that all transforms share (SPEC §1, §2.1 to §2.4).

Activations are ``[channels, height, width]`` tensors of dtype uint8 (with a zero point) or int16 (zero point 0).
Accumulators are int32. Every float step is one float32 operation of PyTorch, never fused with another.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as functional
from torch import Tensor

Model = Mapping[str, Tensor]
"""The tensors of a model file (SPEC §9) by name, on one device."""

LIMITS = {torch.uint8: (0, 255), torch.int16: (-32768, 32767)}

_LEAK = torch.tensor(0.01, dtype=torch.float32)
# Float64 values that one band of a convolution may unfold to: bounds memory, and does not change a sum.
_BAND_VALUES = 1 << 20


def to_float(integers: Tensor) -> Tensor:
    """``float(i)`` of SPEC §1: to float32, rounded once, to nearest, ties to even."""
    return integers.to(torch.float32)


def round_and_clamp(values: Tensor, low: int, high: int, zero_point: int = 0) -> Tensor:
    """``clamp(rne(values) + zero_point, low, high)`` of SPEC §1, as int32.

    The clamp comes before the conversion, in float32, where all bounds in use are exact: no value is too large.
    """
    return values.round().clamp(low - zero_point, high - zero_point).to(torch.int32) + zero_point


def per_channel(vector: Tensor) -> Tensor:
    """``[c]`` to ``[c, 1, 1]``, to meet ``[c, h, w]``."""
    return vector[:, None, None]


def accumulate(values: Tensor, weight: Tensor, bias: Tensor, stride: int = 1) -> Tensor:
    """The sums of SPEC §2.1 for an integer input whose zero point is already subtracted.

    values: ``[in, h, w]`` int32; weight: ``[out, in, k, k]``; bias: ``[out]``.
    Gives ``[out, ⌈h/stride⌉, ⌈w/stride⌉]`` int32.

    Computed in float64, where every product and partial sum is exact (SPEC §10). Rounding the result costs nothing
    and leaves a library free to pick an algorithm that is off by a little, such as Winograd's.
    """
    weight, bias = weight.to(torch.float64), bias.to(torch.float64)
    outputs, inputs, kernel = weight.shape[:3]
    padding = (kernel - 1) // 2
    height, width = -(-values.shape[1] // stride), -(-values.shape[2] // stride)
    padded = functional.pad(values, (padding,) * 4)
    result = torch.empty(outputs, height, width, dtype=torch.int32, device=values.device)
    rows = max(1, _BAND_VALUES // (width * inputs * kernel * kernel))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        band = padded[:, top * stride : (bottom - 1) * stride + kernel].to(torch.float64)
        result[:, top:bottom] = functional.conv2d(band, weight, bias, stride).round()
    return result


def convolution(model: Model, name: str, activation: Tensor, zero_point: int = 0, stride: int = 1) -> Tensor:
    """The accumulators of convolution ``name`` (SPEC §2.1): ``[out, ⌈h/stride⌉, ⌈w/stride⌉]`` int32."""
    centred = activation.to(torch.int32) - zero_point
    return accumulate(centred, model[f"{name}.weight"], model[f"{name}.bias"], stride)


def dequantise(model: Model, name: str, accumulators: Tensor) -> Tensor:
    """``float(acc) * multiplier`` of convolution ``name``: float32."""
    return to_float(accumulators) * per_channel(model[f"{name}.multiplier"])


def requantise(model: Model, name: str, accumulators: Tensor, dtype: torch.dtype = torch.int16) -> Tensor:
    """SPEC §2.2, for an output with zero point 0."""
    return round_and_clamp(dequantise(model, name, accumulators), *LIMITS[dtype]).to(dtype)


def requantise_leaky(
    model: Model, name: str, accumulators: Tensor, dtype: torch.dtype = torch.int16, zero_point: int = 0
) -> Tensor:
    """SPEC §2.2 with the LeakyReLU in the multiplier."""
    multiplier = model[f"{name}.multiplier"]
    negative = multiplier * _LEAK.to(multiplier.device)
    chosen = torch.where(accumulators >= 0, per_channel(multiplier), per_channel(negative))
    return round_and_clamp(to_float(accumulators) * chosen, *LIMITS[dtype], zero_point).to(dtype)


def shuffle(channels: Tensor) -> Tensor:
    """SPEC §2.3: ``[4n, h, w]`` to ``[n, 2h, 2w]``."""
    return functional.pixel_shuffle(channels, 2)


def square_root(values: Tensor) -> Tensor:
    """The correctly rounded float32 square root.

    PyTorch's own is not always: on a CPU it comes from MKL, which is off by a unit in the last place now and then. A
    root in float64 is near enough: that of a float32 keeps 2^-51 away, relatively, from where float32 rounding turns.
    """
    return values.to(torch.float64).sqrt().to(torch.float32)


def _gdn_terms(model: Model, name: str, accumulators: Tensor) -> tuple[Tensor, Tensor]:
    """``u`` and ``sqrt(float(n))`` of SPEC §2.4."""
    u = to_float(accumulators) * per_channel(model[f"{name}.numerator"])
    k = round_and_clamp(to_float(accumulators.abs()) * per_channel(model[f"{name}.magnitude"]), 0, 181)
    n = accumulate(k * k, model[f"{name}.gamma"][:, :, None, None], model[f"{name}.beta"])
    return u, square_root(to_float(n))


def gdn(model: Model, name: str, accumulators: Tensor) -> Tensor:
    """Generalised divisive normalisation (SPEC §2.4) of ``[32, h, w]`` accumulators: float32."""
    u, root = _gdn_terms(model, name, accumulators)
    return u / root


def inverse_gdn(model: Model, name: str, accumulators: Tensor) -> Tensor:
    """Inverse GDN (SPEC §2.4) of ``[32, h, w]`` accumulators: float32."""
    u, root = _gdn_terms(model, name, accumulators)
    return u * root
