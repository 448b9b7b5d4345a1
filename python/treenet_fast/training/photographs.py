"""Photographs to train on: decoded once, cropped on the device that trains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from treenet_fast.images import IMAGE_SUFFIXES
from treenet_fast.training.options import TrainingError


def image_files(folder: Path) -> list[Path]:
    """The images of a folder and of all below it, in the order of their paths.

    Raises:
        TrainingError: it is no folder, or holds none.
    """
    if not folder.is_dir():
        raise TrainingError(f"{folder}: no such folder")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    if not files:
        raise TrainingError(f"{folder}: no images in it ({', '.join(IMAGE_SUFFIXES)})")
    return files


def read_image(path: Path) -> Tensor:
    """An image as uint8 `[3, H, W]`.

    Raises:
        TrainingError: it cannot be read.
    """
    try:
        with Image.open(path) as image:
            return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise TrainingError(f"{path}: cannot be read as an image: {error}") from error


def read_images(files: Iterable[Path], least: int, folder: Path) -> list[Tensor]:
    """Images of `folder` as uint8 `[3, H, W]`, those with a side shorter than `least` left out.

    Raises:
        TrainingError: one cannot be read, or all are too small.
    """
    images = [image for image in map(read_image, files) if min(image.shape[1:]) >= least]
    if not images:
        raise TrainingError(f"{folder}: no image in it has {least}x{least} pixels or more")
    return images


class Crops:
    """Random crops of photographs, mirrored at random, in batches on one device.

    Args:
        images: uint8 `[3, H, W]` each, no side shorter than `size`; they are moved to `device`, all of them.
        generator: of the choices, on the CPU; its state is what a resumed run goes on with.
    """

    def __init__(
        self, images: Sequence[Tensor], size: int, batch: int, device: torch.device, generator: torch.Generator
    ) -> None:
        self._images = [image.to(device) for image in images]
        self._size = size
        self._batch = batch
        self._generator = generator
        # An image's share of the crops follows its share of the pixels.
        self._weights = torch.tensor([float(image.shape[1] * image.shape[2]) for image in images])

    def next(self) -> Tensor:
        """A batch of crops, float32 `[batch, 3, size, size]`, 0..1, in channels_last."""
        chosen = torch.multinomial(self._weights, self._batch, replacement=True, generator=self._generator)
        crops = torch.stack([self._crop(self._images[int(index)]) for index in chosen])
        return (crops.float() / 255).contiguous(memory_format=torch.channels_last)

    def _crop(self, image: Tensor) -> Tensor:
        top = self._below(image.shape[1] - self._size + 1)
        left = self._below(image.shape[2] - self._size + 1)
        crop = image[:, top : top + self._size, left : left + self._size]
        return crop.flip(2) if self._below(2) else crop

    def _below(self, end: int) -> int:
        return int(torch.randint(end, (), generator=self._generator))
