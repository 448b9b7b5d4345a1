"""Calibration images from a folder."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from treenet_fast.errors import InvalidArgumentError

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def calibration_crops(folder: Path, count: int, size: int, seed: int = 0) -> list[Tensor]:
    """`count` random crops of `size x size` from different images under `folder`, `[3, size, size]`, 0..1.

    The choice depends on names and `seed` only, so that an integer model can be made again.

    Raises:
        InvalidArgumentError: there are not enough images of that size.
    """
    chooser = random.Random(seed)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    chooser.shuffle(paths)
    crops: list[Tensor] = []
    for path in paths:
        if len(crops) == count:
            break
        with Image.open(path) as image:
            if min(image.size) < size:
                continue
            left, top = (chooser.randint(0, side - size) for side in image.size)
            crop = image.convert("RGB").crop((left, top, left + size, top + size))
        crops.append(torch.from_numpy(np.array(crop)).permute(2, 0, 1).float() / 255)
    if len(crops) < count:
        raise InvalidArgumentError(
            f"{folder} has {len(crops)} images of at least {size}x{size} pixels; {count} are needed: "
            "name a folder with more, or ask for fewer or smaller crops"
        )
    return crops
