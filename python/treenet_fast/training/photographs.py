"""Photographs to train on: decoded once, cropped on the device that trains."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from treenet_fast import image_files
from treenet_fast.errors import UnsupportedImageError
from treenet_fast.images import IMAGE_SUFFIXES
from treenet_fast.training.options import TrainingError

# What training itself takes of a GPU's memory, roughly: the network, its optimiser, and a batch on its way.
_GPU_RESERVE = 4 << 30
_MEMINFO = Path("/proc/meminfo")


def find_images(folder: Path) -> list[Path]:
    """The images of a folder and of all below it, in the order of their paths.

    Raises:
        TrainingError: it is no folder, or holds none.
    """
    if not folder.is_dir():
        raise TrainingError(f"{folder}: no such folder")
    files = image_files.files_below(folder)
    if not files:
        raise TrainingError(f"{folder}: no images in it ({', '.join(IMAGE_SUFFIXES)})")
    return files


def choose_images(folder: Path, evaluation: Path | None, count: int) -> tuple[list[Path], list[Path]]:
    """The files to train on, from `folder`, and up to `count` to evaluate on.

    The latter are from the folder `evaluation`, of which nothing is trained on wherever it lies, or the first of
    `folder` if that is None.

    Raises:
        TrainingError: there is no such folder, or there are too few images.
    """
    files = find_images(folder)
    if evaluation is None and len(files) <= count:
        raise TrainingError(
            f"{folder}: {len(files)} images, of which {count} would be held back for evaluation; give more, or another "
            "folder for evaluation"
        )
    held_back = files[:count] if evaluation is None else find_images(evaluation)
    known = {file.resolve() for file in held_back}
    training = [file for file in files if file.resolve() not in known]
    if not training:
        raise TrainingError(f"{folder}: all images in it are held back for evaluation; give more")
    return training, held_back[:count]


def read_image(path: Path) -> Tensor:
    """An image as uint8 `[3, H, W]`.

    Raises:
        TrainingError: it cannot be read, or RGB of 8 bits cannot hold it.
    """
    try:
        return torch.tensor(image_files.read(path)).permute(2, 0, 1).contiguous()
    except UnsupportedImageError as error:
        raise TrainingError(str(error)) from error


def read_images(
    files: Sequence[Path], least: int, folder: Path, device: torch.device, quiet: bool = False
) -> list[Tensor]:
    """Images of `folder` as uint8 `[3, H, W]` on `device`, those with a side shorter than `least` left out.

    Sizes are read from all files first, and compared with the memory that is free. Unless `quiet`, progress and how
    many images are left out are shown on standard error.

    Raises:
        TrainingError: one cannot be read, all are too small, or memory is too small for all.
    """
    large: list[Path] = []
    total = 0
    for file in tqdm(files, desc="reading sizes", unit="image", disable=quiet, leave=False):
        width, height = _size(file)
        if min(width, height) >= least:
            large.append(file)
            total += 3 * width * height
    if not large:
        raise TrainingError(f"{folder}: no image in it has {least}x{least} pixels or more")
    if len(large) < len(files) and not quiet:
        tqdm.write(
            f"left out {len(files) - len(large)} of {len(files)} images smaller than {least}x{least}", sys.stderr
        )
    free = _free_memory(device)
    if free is not None and total > free:
        raise TrainingError(
            f"{len(large)} images take {total / 1e9:.1f} GB, {max(free, 0) / 1e9:.1f} are free: name a smaller folder"
        )
    return [
        read_image(file).to(device)
        for file in tqdm(large, desc="reading images", unit="image", disable=quiet, leave=False)
    ]


def _size(path: Path) -> tuple[int, int]:
    try:
        return image_files.size(path)
    except UnsupportedImageError as error:
        raise TrainingError(str(error)) from error


def _free_memory(device: torch.device) -> int | None:
    """Bytes that this process may fill with images; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] - _GPU_RESERVE
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return None
    # Each process on this machine (`torchrun`) has the images by itself.
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    kilobytes = (int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return next((1024 * k // processes for k in kilobytes), None)


class Crops:
    """Random crops of photographs, mirrored at random, in batches on their device.

    Args:
        images: uint8 `[3, H, W]` each, no side shorter than `size`, on one device.
        generator: of the choices, on the CPU; its state is what a resumed run goes on with.
    """

    def __init__(self, images: Sequence[Tensor], size: int, batch: int, generator: torch.Generator) -> None:
        self._images = images
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
