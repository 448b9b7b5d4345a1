"""Float checkpoints: safetensors files of a TreeNet's effective values, in single or half precision."""

from __future__ import annotations

import json
import os

import numpy as np
import torch

from treenet_fast import tensor_file
from treenet_fast.errors import ModelFileError
from treenet_fast.model.treenet import TreeNet


def load_checkpoint(path: str | os.PathLike[str]) -> TreeNet:
    """The network of a checkpoint, in evaluation mode.

    Raises:
        ModelFileError: the file cannot be read or holds no TreeNet.
    """
    arrays, metadata = tensor_file.read(path)
    try:
        lambdas = json.loads(metadata["lambdas"])
        model = TreeNet(lambdas)
        model.load_effective_state({name: torch.tensor(array.astype(np.float32)) for name, array in arrays.items()})
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ModelFileError(f"{path} is no checkpoint of a TreeNet: {error}") from error
    return model.eval()


def save_checkpoint(path: str | os.PathLike[str], model: TreeNet, note: str = "", half: bool = False) -> None:
    """Write a network's effective values; `half` stores them in 16 bits.

    Raises:
        OSError: the file cannot be written.
    """
    dtype = np.float16 if half else np.float32
    arrays = {name: value.cpu().numpy().astype(dtype) for name, value in model.effective_state().items()}
    tensor_file.write(path, arrays, {"note": note, "lambdas": json.dumps(list(model.gain.lambdas))})
