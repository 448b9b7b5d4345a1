"""The integer model file: reading, writing and checking (SPEC §9).

It is a safetensors file, and numpy alone reads it. :func:`load` and :func:`validate` make every check of SPEC §9, so
that what they let through cannot overflow an accumulator or lead a decoder out of a table; whatever they refuse raises
:class:`~treenet_fast.errors.ModelFileError`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from treenet_fast import tensor_file
from treenet_fast.errors import ModelFileError
from treenet_fast.model_layout import tensor_spec
from treenet_fast.model_limits import validate

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "IntegerModel",
    "content_hash",
    "load",
    "make",
    "save",
    "tensor_spec",
    "validate",
]

FORMAT = "treenet_fast integer model"
FORMAT_VERSION = "1"


@dataclass(frozen=True, eq=False)
class IntegerModel:
    """A checked integer model.

    Attributes:
        tensors: every tensor of SPEC §9 by name, read-only.
        metadata: the file's metadata, `format`, `format_version`, `name` and `hash` among it.
        hash: the content hash, 32 bytes. Streams carry its first four (SPEC §8).
    """

    tensors: Mapping[str, NDArray[Any]]
    metadata: Mapping[str, str]
    hash: bytes

    @property
    def name(self) -> str:
        """The model's name, for people."""
        return self.metadata["name"]


def content_hash(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """SHA-256 over names, dtypes, shapes and data of `tensors` (SPEC §9): 32 bytes."""
    digest = hashlib.sha256()
    for name in sorted(tensors, key=lambda name: name.encode()):
        array = tensors[name]
        shape = ",".join(str(size) for size in array.shape)
        digest.update(f"{name}\0{tensor_file.dtype_name(name, array)}\0{shape}\0".encode())
        digest.update(tensor_file.data_bytes(array))
    return digest.digest()


def load(path: str | os.PathLike[str]) -> IntegerModel:
    """Read and check a model file.

    Raises:
        ModelFileError: the file cannot be read, is no safetensors file, is no integer model of this version, is
            damaged, or breaks a rule of SPEC §9.
    """
    tensors, metadata = tensor_file.read(path)
    try:
        _check_metadata(metadata)
        found = content_hash(tensors)
        if metadata["hash"] != found.hex():
            raise ModelFileError("its tensors do not have the hash in its metadata: it is damaged or was edited")
        validate(tensors)
    except ModelFileError as error:
        raise ModelFileError(f"bad model file {path}: {error}") from error
    return IntegerModel(tensors, metadata, found)


def make(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> IntegerModel:
    """The model of `tensors`, checked.

    `metadata` needs a `name` and may hold more strings; format, version and hash are put in here.

    Raises:
        ModelFileError: `tensors` break a rule of SPEC §9, or `metadata` has no name.
    """
    validate(tensors)
    digest = content_hash(tensors)
    full = {**metadata, "format": FORMAT, "format_version": FORMAT_VERSION, "hash": digest.hex()}
    _check_metadata(full)
    return IntegerModel(tensors, full, digest)


def save(path: str | os.PathLike[str], tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write the model that `make` makes of the same; a file of that name is replaced, whole or not at all.

    Raises:
        ModelFileError: as `make` does.
        OSError: the file cannot be written.
    """
    model = make(tensors, metadata)
    tensor_file.write(path, model.tensors, model.metadata)


def _check_metadata(metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise ModelFileError(f"it is no integer model: its metadata lacks format = {FORMAT!r}")
    version = metadata.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelFileError(f"its format version is {version!r}; this release reads version {FORMAT_VERSION!r}")
    for key in ("name", "hash"):
        if key not in metadata:
            raise ModelFileError(f"its metadata lacks {key!r}")
