"""Checkpoints of quantised networks: those of their float networks, and the number formats beside."""

from __future__ import annotations

import json
import os
from dataclasses import asdict

import torch

from treenet_fast import tensor_file
from treenet_fast.errors import ModelFileError
from treenet_fast.model.checkpoint import FORMAT_PREFIX, contents, load_checkpoint
from treenet_fast.quantise.network import QuantisedTreeNet
from treenet_fast.quantise.settings import Settings


def is_quantised(path: str | os.PathLike[str]) -> bool:
    """Whether a checkpoint holds the formats of a quantised network.

    Raises:
        ModelFileError: the file cannot be read.
    """
    arrays, _ = tensor_file.read(path)
    return any(name.startswith(FORMAT_PREFIX) for name in arrays)


def load_quantised(path: str | os.PathLike[str]) -> QuantisedTreeNet:
    """The quantised network of a checkpoint, in evaluation mode. (`load_checkpoint` gives its float network.)

    Raises:
        ModelFileError: the file cannot be read or holds no quantised TreeNet.
    """
    master = load_checkpoint(path)
    arrays, metadata = tensor_file.read(path)
    formats = {
        name.removeprefix(FORMAT_PREFIX): torch.tensor(array)
        for name, array in arrays.items()
        if name.startswith(FORMAT_PREFIX)
    }
    try:
        network = QuantisedTreeNet(master, Settings(**json.loads(metadata["settings"])))
        network.load_format_state(formats)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ModelFileError(f"{path} is no checkpoint of a quantised TreeNet: {error}") from error
    return network.eval()


def save_quantised(path: str | os.PathLike[str], network: QuantisedTreeNet, note: str = "", half: bool = False) -> None:
    """Write the effective values of a network's float network, and its formats.

    `half` stores most of the former in 16 bits: the integer model of such a file is a little different, and has to be
    made from it, not from the network that was saved.

    Raises:
        ModelFileError: a value is not finite, or too large for 16 bits.
        OSError: the file cannot be written.
    """
    arrays, metadata = contents(network.master, note, half)
    arrays |= {f"{FORMAT_PREFIX}{name}": value.cpu().numpy() for name, value in network.format_state().items()}
    tensor_file.write(path, arrays, metadata | {"settings": json.dumps(asdict(network.settings))})
