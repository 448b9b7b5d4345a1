"""The safetensors format, read and written by hand: a table of named tensors with a JSON header.

Reading trusts nothing: a file is bounded before it is read, and sizes, offsets and names are checked before use.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from treenet_fast.errors import ModelFileError

Tensors = Mapping[str, NDArray[Any]]

_DTYPES = {"I8": "<i1", "U8": "<u1", "U16": "<u2", "I32": "<i4", "F16": "<f2", "F32": "<f4"}
_DTYPE_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}

# The tensors of a TreeNet take 2.6 MB as integers, 10 MB in float32, and their header some 100 kB.
_MAX_FILE_BYTES = 64 << 20
_MAX_HEADER_BYTES = 1 << 20


def read(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The tensors (read-only) and the metadata of a safetensors file.

    Raises:
        ModelFileError: the file cannot be read, or is not a well-formed safetensors file of a model's size.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ModelFileError(f"cannot read the model file {path}: {error.strerror or error}") from error
    try:
        return _parse(data)
    except ModelFileError as error:
        raise ModelFileError(f"bad model file {path}: {error}") from error


def write(path: str | os.PathLike[str], tensors: Tensors, metadata: Mapping[str, str]) -> None:
    """Write a safetensors file; one of that name is replaced, whole or not at all.

    Raises:
        ModelFileError: a tensor's dtype is not among those above.
        OSError: the file cannot be written.
    """
    # Widest elements first, as the safetensors library does: every tensor is then aligned to its element.
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    offset = 0
    for name in names:
        array = tensors[name]
        end = offset + array.nbytes
        header[name] = {"dtype": dtype_name(name, array), "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    _replace_file(
        Path(path), b"".join([len(text).to_bytes(8, "little"), text, *(data_bytes(tensors[name]) for name in names)])
    )


def dtype_name(name: str, array: NDArray[Any]) -> str:
    """The safetensors name of an array's dtype; `name` is the tensor's, for the error."""
    try:
        return _DTYPE_NAMES[array.dtype.newbyteorder("<")]
    except KeyError:
        raise ModelFileError(f"tensor {name!r} has dtype {array.dtype}, which no tensor of a model has") from None


def data_bytes(array: NDArray[Any]) -> bytes:
    """An array's elements in row-major order, little-endian."""
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _replace_file(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.chmod(0o644)  # mkstemp's 0600 is for secrets
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise


def _parse(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    if len(data) > _MAX_FILE_BYTES:
        raise ModelFileError(f"it is larger than {_MAX_FILE_BYTES >> 20} MiB, so it holds no model")
    if len(data) < 8:
        raise ModelFileError(f"it has only {len(data)} bytes, so it is no safetensors file")
    header_bytes = int.from_bytes(data[:8], "little")
    if header_bytes > _MAX_HEADER_BYTES:
        raise ModelFileError(f"its header would have {header_bytes} bytes, so it is no safetensors file of a model")
    if header_bytes > len(data) - 8:
        raise ModelFileError("its header is cut off: the file is truncated or no safetensors file")
    header = _parse_header(data[8 : 8 + header_bytes])
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ModelFileError("its metadata is not a table of strings")
    return _parse_tensors(header, memoryview(data)[8 + header_bytes :]), metadata


def _parse_header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode(), object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"its header is not JSON: it is no safetensors file ({error})") from error
    if not isinstance(header, dict):
        raise ModelFileError("its header is not a JSON object: it is no safetensors file")
    return header


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key appears twice")
    return table


def _parse_tensors(header: Mapping[str, Any], data: memoryview) -> dict[str, NDArray[Any]]:
    tensors: dict[str, NDArray[Any]] = {}
    expected = 0
    for name, entry in sorted(header.items(), key=lambda item: _data_offsets(*item)):
        begin, end = _data_offsets(name, entry)
        dtype, shape = entry.get("dtype"), entry.get("shape")
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            raise ModelFileError(f"tensor {name!r} has dtype {dtype!r}, which no tensor of a model has")
        if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
            raise ModelFileError(f"tensor {name!r} has a malformed shape")
        count = 1
        for size in shape:
            count *= size
        if begin != expected or end - begin != count * np.dtype(_DTYPES[dtype]).itemsize:
            raise ModelFileError(f"the data offsets of tensor {name!r} do not fit its shape or leave a gap")
        if end > len(data):
            raise ModelFileError(f"the data of tensor {name!r} are cut off: the file is truncated")
        # A copy is aligned whatever the header's length, and independent of the rest of the file.
        array = np.frombuffer(data[begin:end], _DTYPES[dtype]).reshape(shape).copy()
        array.flags.writeable = False
        tensors[name] = array
        expected = end
    if expected != len(data):
        raise ModelFileError(f"{len(data) - expected} bytes follow its tensors")
    return tensors


def _data_offsets(name: str, entry: Any) -> tuple[int, int]:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not isinstance(offsets, list) or [type(offset) for offset in offsets] != [int, int]:
        raise ModelFileError(f"tensor {name!r} has no valid data offsets")
    return offsets[0], offsets[1]
