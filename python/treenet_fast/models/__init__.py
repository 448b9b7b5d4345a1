"""The models in the package, by name; README.md beside this file says how each was made."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TypeAlias

from treenet_fast import _arguments, model_file
from treenet_fast.errors import ModelFileError

DEFAULT = "ms-ssim"
"""What compresses where no model is named: the better all-rounder (README, "Models")."""

ModelLike: TypeAlias = "str | os.PathLike[str] | model_file.IntegerModel"

_FOLDER = Path(__file__).parent
_SUFFIX = ".safetensors"


@cache
def names() -> tuple[str, ...]:
    """The names of the models, in the order of the alphabet."""
    return tuple(sorted(file.stem for file in _FOLDER.glob(f"*{_SUFFIX}")))


def path(name: str = DEFAULT) -> Path:
    """The file of the model `name`."""
    return _FOLDER / f"{name}{_SUFFIX}"


def load(name: str = DEFAULT) -> model_file.IntegerModel:
    """The model `name`, read once."""
    return _read(name)


@cache
def _read(name: str) -> model_file.IntegerModel:
    return model_file.load(path(name))


def with_id(model_id: str) -> model_file.IntegerModel | None:
    """The model in the package whose hash begins with the hexadecimal digits `model_id`, or None."""
    return next((model for model in map(load, names()) if model.hash.hex().startswith(model_id)), None)


def resolve(model: ModelLike | None) -> model_file.IntegerModel:
    """What an argument means: the name of a model in the package, a path, a loaded model, or None for the default.

    Raises:
        ModelFileError: there is no such file, or it is not sound.
        InvalidArgumentError: the argument is none of these.
    """
    if isinstance(model, model_file.IntegerModel):
        return model
    if model is None:
        model = DEFAULT
    if isinstance(model, str) and model in names():
        return load(model)
    file = _arguments.path("model", model)
    try:
        return model_file.load(file)
    except ModelFileError as error:
        if os.path.exists(file):
            raise
        raise ModelFileError(f"{error} (and the models in the package are {', '.join(names())})") from error
