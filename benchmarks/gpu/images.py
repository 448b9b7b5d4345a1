"""Images to work on: a folder's, or photographs made from the example."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from treenet_fast.evaluation.curve import images_in

EXAMPLE = Path(__file__).parents[2] / "examples" / "chelsea.png"


def scaled(file: Path, height: int, width: int) -> Tensor:
    """u8 `[3, height, width]`."""
    with Image.open(file) as image:
        return _tensor(image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS))


def photographs(height: int, width: int, count: int) -> Tensor:
    """u8 `[count, 3, height, width]`: the example scaled, each image shifted differently."""
    image = scaled(EXAMPLE, height, width)
    return torch.stack([image.roll((i * height // count, i * width // count), (1, 2)) for i in range(count)])


def named_images(folder: Path | None, limit: int, height: int, width: int) -> dict[str, Tensor]:
    """The folder's images at their size; without one, as many photographs with noise, by name."""
    if folder is not None:
        found = {}
        for file in images_in(folder)[:limit]:
            with Image.open(file) as image:
                found[file.name] = _tensor(image.convert("RGB"))
        return found
    random = torch.Generator().manual_seed(0)
    found = {}
    for i, image in enumerate(photographs(height, width, limit)):
        noise = torch.randint(0, 1 + 8 * (i % 4), image.shape, generator=random)
        found[f"photograph {i}"] = (image + noise).clamp(0, 255).to(torch.uint8)
    return found


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
