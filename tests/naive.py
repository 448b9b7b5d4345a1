"""Steps of SPEC §2 in exact rational arithmetic and plain loops: slow, and as close to the text as Python allows.

Activations are nested lists of int, ``[channel][row][column]``. An f32 value is the Fraction that it is exactly, and
each f32 operation is done on rationals and then rounded once by :func:`f32`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[Any]]
Activation = list[list[list[int]]]
Floats = list[list[list[Fraction]]]

U8 = (0, 255)
S16 = (-32768, 32767)


def f32(value: Fraction | int) -> Fraction:
    """The nearest binary32, ties to even, of a value whose binary32 is normal or zero."""
    value = Fraction(value)
    if value == 0:
        return value
    exponent = 0  # of the last bit: 2^23 <= |value| / 2^exponent < 2^24
    magnitude = abs(value)
    while magnitude >= 1 << 24:
        magnitude, exponent = magnitude / 2, exponent + 1
    while magnitude < 1 << 23:
        magnitude, exponent = magnitude * 2, exponent - 1
    rounded = round(magnitude) * Fraction(2) ** exponent
    return rounded if value > 0 else -rounded


def f32_sqrt(value: Fraction) -> Fraction:
    """The correctly rounded square root of a whole number."""
    shifted = int(value) << 80
    root = isqrt(shifted)
    # One bit more, set where the root goes on, settles on which side of a tie it is.
    return f32(Fraction(2 * root + (root * root != shifted), 1 << 41))


def rne(value: Fraction) -> int:
    """To the nearest integer, ties to even."""
    return round(value)


def clamp(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


def column(tensors: Tensors, name: str) -> list[Fraction]:
    """An f32 tensor ``[n]`` as exact fractions."""
    return [Fraction(float(value)) for value in tensors[name]]


def convolution(tensors: Tensors, name: str, a: Activation, z: int, stride: int = 1) -> Activation:
    """SPEC §2.1."""
    weight, bias = tensors[f"{name}.weight"].tolist(), tensors[f"{name}.bias"].tolist()
    kernel = len(weight[0][0])
    pad = (kernel - 1) // 2
    height, width = len(a[0]), len(a[0][0])

    def at(o: int, i: int, j: int) -> int:
        total: int = bias[o]
        for c, plane in enumerate(a):
            for u in range(kernel):
                for v in range(kernel):
                    row, place = stride * i + u - pad, stride * j + v - pad
                    if 0 <= row < height and 0 <= place < width:
                        total += weight[o][c][u][v] * (plane[row][place] - z)
        return total

    rows, columns = range(-(-height // stride)), range(-(-width // stride))
    return [[[at(o, i, j) for j in columns] for i in rows] for o in range(len(weight))]


def map_channels(function: Callable[[int, Any], Any], planes: list[Any]) -> list[Any]:
    """``function(channel, value)`` at every position."""
    return [[[function(c, value) for value in row] for row in plane] for c, plane in enumerate(planes)]


def requantise(tensors: Tensors, name: str, acc: Activation, limits: tuple[int, int], z: int = 0) -> Activation:
    """SPEC §2.2."""
    m = column(tensors, f"{name}.multiplier")
    return map_channels(lambda o, value: clamp(rne(f32(f32(value) * m[o])) + z, *limits), acc)


def requantise_leaky(tensors: Tensors, name: str, acc: Activation, limits: tuple[int, int], z: int = 0) -> Activation:
    """SPEC §2.2."""
    leak = Fraction(float(np.array(0x3C23D70A, dtype=np.uint32).view(np.float32)))
    m = column(tensors, f"{name}.multiplier")
    below = [f32(value * leak) for value in m]
    return map_channels(
        lambda o, value: clamp(rne(f32(f32(value) * (m if value >= 0 else below)[o])) + z, *limits), acc
    )


def dequantise(tensors: Tensors, name: str, acc: Activation) -> Floats:
    m = column(tensors, f"{name}.multiplier")
    return map_channels(lambda o, value: f32(f32(value) * m[o]), acc)


def shuffle(planes: list[Any]) -> list[Any]:
    """SPEC §2.3."""
    height, width = len(planes[0]), len(planes[0][0])
    return [
        [
            [planes[4 * c + 2 * (row % 2) + place % 2][row // 2][place // 2] for place in range(2 * width)]
            for row in range(2 * height)
        ]
        for c in range(len(planes) // 4)
    ]


def gdn(tensors: Tensors, name: str, acc: Activation, inverse: bool) -> Floats:
    """SPEC §2.4."""
    numerator, magnitude = column(tensors, f"{name}.numerator"), column(tensors, f"{name}.magnitude")
    beta, gamma = tensors[f"{name}.beta"].tolist(), tensors[f"{name}.gamma"].tolist()
    k = map_channels(lambda c, value: clamp(rne(f32(f32(abs(value)) * magnitude[c])), 0, 181), acc)
    out: Floats = []
    for c, plane in enumerate(acc):
        out.append([])
        for i, row in enumerate(plane):
            out[c].append([])
            for j, value in enumerate(row):
                root = f32_sqrt(f32(beta[c] + sum(gamma[c][other] * k[other][i][j] ** 2 for other in range(32))))
                u = f32(f32(value) * numerator[c])
                out[c][i].append(f32(u * root) if inverse else f32(u / root))
    return out


def add_and_round(g: Floats, s: Floats, limits: tuple[int, int], z: int) -> Activation:
    """``clamp(rne(g + s) + z, lo, hi)``."""
    return [
        [
            [clamp(rne(f32(x + y)) + z, *limits) for x, y in zip(*rows, strict=True)]
            for rows in zip(*planes, strict=True)
        ]
        for planes in zip(g, s, strict=True)
    ]


def residual_down(tensors: Tensors, name: str, a: Activation, z: int) -> Activation:
    """SPEC §2.5."""
    t = requantise_leaky(tensors, f"{name}.conv1", convolution(tensors, f"{name}.conv1", a, z, 2), S16, 0)
    g = gdn(tensors, f"{name}.gdn", convolution(tensors, f"{name}.conv2", t, 0), inverse=False)
    s = dequantise(tensors, f"{name}.skip", convolution(tensors, f"{name}.skip", a, z, 2))
    return add_and_round(g, s, S16, 0)


def residual_up(tensors: Tensors, name: str, a: Activation, z: int, limits: tuple[int, int], z_out: int) -> Activation:
    """SPEC §2.6."""
    inner = int(tensors[f"{name}.conv1.zero_point"][0])
    t = shuffle(requantise_leaky(tensors, f"{name}.conv1", convolution(tensors, f"{name}.conv1", a, z), U8, inner))
    g = gdn(tensors, f"{name}.igdn", convolution(tensors, f"{name}.conv2", t, inner), inverse=True)
    s = shuffle(dequantise(tensors, f"{name}.skip", convolution(tensors, f"{name}.skip", a, z)))
    return add_and_round(g, s, limits, z_out)


def _linear(tensors: Tensors, name: str, values: list[int]) -> list[Fraction]:
    """``float(acc) * multiplier`` of a matrix of an attention."""
    weight, bias = tensors[f"{name}.weight"].tolist(), tensors[f"{name}.bias"].tolist()
    m = column(tensors, f"{name}.multiplier")
    accumulators = [
        start + sum(w * value for w, value in zip(row, values, strict=True))
        for start, row in zip(bias, weight, strict=True)
    ]
    return [f32(f32(acc) * factor) for acc, factor in zip(accumulators, m, strict=True)]


def attention(tensors: Tensors, name: str, p: Activation, fraction_bits: int) -> Activation:
    """The weights W of SPEC §2.7."""
    height, width = len(p[0]), len(p[0][0])
    n = height * width
    mean = [(2 ** (fraction_bits + 1) * sum(map(sum, plane)) + n) // (2 * n) for plane in p]
    hg = [clamp(rne(value), 0, 32767) for value in _linear(tensors, f"{name}.global1", mean)]
    fg = _linear(tensors, f"{name}.global2", hg)
    sigmoid = tensors["sigmoid"].tolist()
    weights: Activation = [[[0] * width for _ in range(height)] for _ in range(32)]
    for i in range(height):
        for j in range(width):
            hl = [clamp(rne(v), 0, 255) for v in _linear(tensors, f"{name}.local1", [plane[i][j] for plane in p])]
            for c, fl in enumerate(_linear(tensors, f"{name}.local2", hl)):
                logit = clamp(rne(f32(fl + fg[c])), -127, 127)
                weights[c][i][j] = 128 + (1 if logit >= 0 else -1) * sigmoid[abs(logit)]
    return weights


def fuse(tensors: Tensors, name: str, x: Activation, y: Activation, z: int, fraction_bits: int) -> Activation:
    """SPEC §2.7."""

    def each(function: Callable[..., int], *activations: Activation) -> Activation:
        return [
            [[function(*values) for values in zip(*rows, strict=True)] for rows in zip(*planes, strict=True)]
            for planes in zip(*activations, strict=True)
        ]

    def mix(w: int, a: int, b: int) -> int:
        return b + ((w * (a - b) + 128) >> 8)

    first = attention(tensors, f"{name}.first", each(lambda a, b: a - z + b - z, x, y), fraction_bits)
    v = each(mix, first, x, y)
    second = attention(tensors, f"{name}.second", each(lambda a: a - z, v), fraction_bits)
    return each(mix, second, x, y)
