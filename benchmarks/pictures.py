"""The photograph that the benchmarks work on, at the sizes that they have."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

EXAMPLE = Path(__file__).parents[1] / "examples" / "chelsea.png"

SIZES = {"Kodak": (768, 512), "1080p": (1920, 1080), "12 MP": (4000, 3000), "100 MP": (12000, 8400)}
"""Width and height; of a quick run an eighth of either."""


def size_of(name: str, quick: bool) -> tuple[int, int]:
    width, height = SIZES[name]
    return (width // 8, height // 8) if quick else (width, height)


def picture(path: str | Path | None, width: int, height: int) -> NDArray[np.uint8]:
    """u8 `[height, width, 3]`: the photograph, beside and below it its mirror images, as far as the size goes.

    So a large picture has as much detail, and as many bits, a pixel as a small one. Without a path it is the example,
    enlarged to the size of a Kodak image.
    """
    with Image.open(path or EXAMPLE) as image:
        rgb = image.convert("RGB")
    pixels = np.asarray(rgb if path else rgb.resize(SIZES["Kodak"], Image.Resampling.LANCZOS))
    rows, columns = (_there_and_back(have, want) for have, want in zip(pixels.shape, (height, width), strict=False))
    return pixels[rows][:, columns]


def _there_and_back(have: int, want: int) -> NDArray[np.intp]:
    """0 .. have - 1, have - 1 .. 0, 0 .. and so on.

    >>> _there_and_back(3, 8)
    array([0, 1, 2, 2, 1, 0, 0, 1])
    """
    return np.resize(np.r_[0:have, have - 1 : -1 : -1] if have > 1 else [0], want)
