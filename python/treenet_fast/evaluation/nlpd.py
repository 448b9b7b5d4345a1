"""The normalised Laplacian pyramid distance (Laparra, Ballé, Berardino and Simoncelli, 2016).

Both images' luma becomes a Laplacian pyramid whose coefficients are divided by what their neighbours amount to, as
retina and thalamus do; the distance is the root mean square of the differences, averaged over the scales. Filters and
constants are those that the authors fitted to natural images.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from treenet_fast.evaluation.metrics import PEAK, Pixels, check_pair

Band: TypeAlias = NDArray[np.float64]

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_LOW_PASS = (0.05, 0.25, 0.4, 0.25, 0.05)

_NEIGHBOURS = (
    (0.1011, 0.1493, 0.1460, 0.1015),
    (0.0757, 0.1986, 0.1846, 0.0837),
    (0.0477, 0.2138, 0.2243, 0.0467),
    (0.0, 0.2503, 0.2616, 0.0),
    (0.0, 0.2598, 0.2552, 0.0),
    (0.0, 0.2215, 0.0717, 0.0),
)
"""Weights of the neighbours, from the finest scale to what is left at the top.

A filter's rows are (0, a, 0), (b, 0, c), (0, d, 0); it is applied as a convolution, which turns it around: d is the
weight of the neighbour above, c of that on the left, b of that on the right, a of that below.
"""
_SATURATION = (0.0248, 0.0185, 0.0179, 0.0191, 0.0220, 0.2782)


def nlpd(image: Pixels, decoded: Pixels) -> float:
    """The distance of the luma of two images: 0 where both are equal, seldom above 1.

    Raises:
        InvalidArgumentError: the images are not u8 `[H, W, 3]` of one size.
    """
    check_pair(image, decoded)
    bands = zip(_normalised_pyramid(image), _normalised_pyramid(decoded), strict=True)
    return float(np.mean([np.sqrt(np.square(a - b).mean()) for a, b in bands]))


def _normalised_pyramid(image: Pixels) -> list[Band]:
    return [
        band / (saturation + _pooled(np.abs(band), neighbours))
        for band, saturation, neighbours in zip(_laplacian_pyramid(image), _SATURATION, _NEIGHBOURS, strict=True)
    ]


def _laplacian_pyramid(image: Pixels) -> list[Band]:
    """What each scale adds to the next coarser one, and the coarsest itself."""
    bands, scale = [], image @ np.array(_LUMA) / PEAK
    for _ in _NEIGHBOURS[:-1]:
        coarser = _reduce(_reduce(scale, 0), 1)
        height, width = scale.shape
        bands.append(scale - _expand(_expand(coarser, 0, height), 1, width))
        scale = coarser
    return [*bands, scale]


def _reduce(x: Band, axis: int) -> Band:
    """Every other sample of `x` after the low-pass filter; the borders are mirrored."""
    x = x.swapaxes(0, axis)
    padded = np.pad(x, ((2, 2), (0, 0)), mode="symmetric")
    count = len(x)
    result = sum(weight * padded[i : i + count : 2] for i, weight in enumerate(_LOW_PASS))
    return np.asarray(result).swapaxes(0, axis)


def _expand(x: Band, axis: int, count: int) -> Band:
    """`count` samples from half as many: zeros between them, then twice the low-pass filter; the ends are repeated."""
    x = x.swapaxes(0, axis)
    padded = np.pad(x, ((1, 1), (0, 0)), mode="edge")
    result = np.empty((2 * len(x), *x.shape[1:]))
    outer, inner, centre = (2 * weight for weight in _LOW_PASS[:3])
    result[0::2] = outer * (padded[:-2] + padded[2:]) + centre * x
    result[1::2] = inner * (x + padded[2:])
    return result[:count].swapaxes(0, axis)


def _pooled(x: Band, weights: tuple[float, float, float, float]) -> Band:
    """The weighted sum of each sample's four neighbours; beyond the border there is nothing."""
    below, right, left, above = weights
    result = np.zeros_like(x)
    result[1:] += above * x[:-1]
    result[:-1] += below * x[1:]
    result[:, 1:] += left * x[:, :-1]
    result[:, :-1] += right * x[:, 1:]
    return result
