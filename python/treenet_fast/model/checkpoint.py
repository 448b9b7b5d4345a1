"""Float checkpoints: safetensors files of a TreeNet's effective values, in single or half precision."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from treenet_fast import tensor_file
from treenet_fast.errors import ModelFileError
from treenet_fast.model.normalisation import GDN
from treenet_fast.model.prior import FactorisedPrior
from treenet_fast.model.treenet import TreeNet

#: Tensors that belong to the quantised network of a TreeNet start with this (see `quantise/checkpoint.py`).
FORMAT_PREFIX = "format."


def load_checkpoint(path: str | os.PathLike[str], skip_below: float = 0.0) -> TreeNet:
    """The network of a checkpoint, in evaluation mode; `skip_below` as in `TreeNet`.

    Raises:
        ModelFileError: the file cannot be read or holds no TreeNet.
    """
    arrays, metadata = tensor_file.read(path)
    try:
        lambdas = json.loads(metadata["lambdas"])
        model = TreeNet(lambdas, skip_below)
        model.load_effective_state(
            {
                name: torch.tensor(array.astype(np.float32))
                for name, array in arrays.items()
                if not name.startswith(FORMAT_PREFIX)
            }
        )
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ModelFileError(f"{path} is no checkpoint of a TreeNet: {error}") from error
    return model.eval()


def save_checkpoint(path: str | os.PathLike[str], model: TreeNet, note: str = "", half: bool = False) -> None:
    """Write a network's effective values; `half` stores most of them in 16 bits.

    Raises:
        ModelFileError: a value is not finite, or too large for 16 bits.
        OSError: the file cannot be written.
    """
    tensor_file.write(path, *contents(model, note, half))


def contents(model: TreeNet, note: str, half: bool) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The tensors and the metadata of a checkpoint.

    Raises:
        ModelFileError: a value is not finite, or too large for 16 bits.
    """
    exact = set(_exact_names(model)) if half else set()
    arrays: dict[str, NDArray[Any]] = {}
    for name, value in model.effective_state().items():
        dtype = np.float16 if half and name not in exact else np.float32
        with np.errstate(over="ignore"):  # what overflows is found below
            arrays[name] = value.cpu().numpy().astype(dtype)
        if not np.isfinite(arrays[name]).all():
            raise ModelFileError(f"tensor {name!r} of the network has values that {dtype.__name__} cannot hold")
    return arrays, {"note": note, "lambdas": json.dumps(list(model.gain.lambdas))}


def _exact_names(model: TreeNet) -> Iterator[str]:
    """Tensors that 16 bits are too few for; all are small.

    A factor of the prior near 1 would become 1, and a small entry of its matrices 0, which only infinite parameters
    give; GDN divides by small sums of its beta and gamma.
    """
    for prefix, module in model.named_modules():
        if isinstance(module, GDN | FactorisedPrior):
            yield from (f"{prefix}.{name}" for name, _ in module.named_parameters())
