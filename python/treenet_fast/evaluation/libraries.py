"""Libraries that only the evaluation needs."""

from __future__ import annotations

import importlib
from typing import Any

from treenet_fast.errors import MissingLibraryError

_PACKAGES = {
    "bjontegaard": "bjontegaard",
    "matplotlib": "matplotlib",
    "matplotlib.figure": "matplotlib",
    "pillow_heif": "pillow-heif",
    "pytorch_msssim": "pytorch-msssim",
    "torch": "torch",
}
"""The PyPI package of each module."""


def library(module: str) -> Any:
    """The module of that name, one of `_PACKAGES`.

    Raises:
        MissingLibraryError: it is not installed; the message names its package.
    """
    package = _PACKAGES[module]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingLibraryError(
            f"this needs the PyPI package {package}: pip install {package}, or all of 'treenet-fast[eval]'"
        ) from error
