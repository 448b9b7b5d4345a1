"""Calibration images from a folder."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch import Tensor

from treenet_fast import image_files
from treenet_fast.errors import InvalidArgumentError


def calibration_crops(folder: Path, count: int, size: int, seed: int = 0) -> list[Tensor]:
    """`count` random crops of `size x size` from different images under `folder`, `[3, size, size]`, 0..1.

    The choice depends on names and `seed` only, so that an integer model can be made again.

    Raises:
        InvalidArgumentError: `count` or `size` is below 1; there are not enough images of that size.
        UnsupportedImageError: an image cannot be read.
    """
    for name, value in (("number", count), ("size", size)):
        if value < 1:
            raise InvalidArgumentError(f"the {name} of crops to calibrate with must be at least 1, not {value}")
    chooser = random.Random(seed)
    paths = image_files.files_below(folder)
    chooser.shuffle(paths)
    crops: list[Tensor] = []
    for path in paths:
        if len(crops) == count:
            break
        sides = image_files.size(path)
        if min(sides) < size:
            continue
        left, top = (chooser.randint(0, side - size) for side in sides)
        crop = torch.tensor(image_files.read(path)[top : top + size, left : left + size])
        crops.append(crop.permute(2, 0, 1).float() / 255)
    if len(crops) < count:
        raise InvalidArgumentError(
            f"{folder} has {len(crops)} images of at least {size}x{size} pixels; {count} are needed: "
            "name a folder with more, or ask for fewer or smaller crops"
        )
    return crops
