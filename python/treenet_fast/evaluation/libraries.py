"""Libraries that only the evaluation needs."""

from __future__ import annotations

import importlib
from typing import Any

from treenet_fast.errors import MissingLibraryError

_PACKAGES = {
    "bjontegaard": "bjontegaard",
    "compressai.zoo.image": "compressai",
    "matplotlib": "matplotlib",
    "matplotlib.figure": "matplotlib",
    "pillow_heif": "pillow-heif",
    "pillow_jxl": "pillow-jxl-plugin",
    "pytorch_msssim": "pytorch-msssim",
    "torch": "torch",
    "tqdm": "tqdm",
}
"""The PyPI package of each module."""

_APART = {"compressai"}
"""Those that 'treenet-fast[eval]' leaves out: this one wants an old numpy."""


def library(module: str) -> Any:
    """The module of that name, one of `_PACKAGES`.

    Raises:
        MissingLibraryError: it is not installed; the message names its package.
    """
    package = _PACKAGES[module]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        needs = "" if error.name in (None, module.split(".")[0]) else f", which needs {error.name}"
        rest = "" if package in _APART else ", or all of 'treenet-fast[eval]'"
        raise MissingLibraryError(
            f"this needs the PyPI package {package}{needs}: pip install {package}{rest}"
        ) from error
