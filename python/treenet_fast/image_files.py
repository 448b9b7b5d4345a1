"""Image files: which a folder holds, and their pixels, with errors that name the file."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from treenet_fast.errors import TreeNetError, UnsupportedImageError
from treenet_fast.images import IMAGE_SUFFIXES, check_rgb


def files_below(folder: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> list[Path]:
    """The files of a folder and of all below it with one of the suffixes, in any case, in the order of their paths."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file())


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The image of a file, whose pixels are not read yet.

    Raises:
        UnsupportedImageError: the file cannot be read, be it when it is opened or in the `with` block.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about damaged metadata
            with Image.open(path) as image:
                yield image
    except (TreeNetError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise UnsupportedImageError(f"{path}: is no image of a kind that Pillow reads") from error
    except Exception as error:  # Pillow's decoders raise almost anything on a damaged file
        system = error.strerror if isinstance(error, OSError) else None
        reason = system or f"cannot be read as an image, it may be damaged: {error}"
        raise UnsupportedImageError(f"{path}: {reason}") from error


def size(path: Path) -> tuple[int, int]:
    """Width and height of an image that `read` takes, from the file's header alone.

    Raises:
        UnsupportedImageError: the header cannot be read, or is of an image that RGB of 8 bits cannot hold.
    """
    with opened(path) as image:
        _check(image, path)
        return image.size


def read(path: Path) -> NDArray[np.uint8]:
    """The RGB pixels of an image as they lie, u8 `[H, W, 3]`: an EXIF orientation is not applied.

    Raises:
        UnsupportedImageError: the file cannot be read, or holds an image that RGB of 8 bits cannot hold.
    """
    with opened(path) as image:
        _check(image, path)
        return np.asarray(image.convert("RGB"))


def _check(image: Image.Image, path: Path) -> None:
    try:
        check_rgb(image)
    except UnsupportedImageError as error:
        raise UnsupportedImageError(f"{path}: {error}") from error
