"""The integer model file: reading, writing and checking (SPEC §9).

A model file is a safetensors file, read and written here by hand so that decoding an image needs numpy and nothing else.
:func:`load` and :func:`validate` make every check of SPEC §9, so that what they let through cannot overflow an
accumulator or lead a decoder out of a table; whatever they refuse raises :class:`~treenet_fast.errors.ModelFileError`.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from treenet_fast.errors import ModelFileError
from treenet_fast.model_layout import tensor_spec
from treenet_fast.model_limits import validate

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "IntegerModel",
    "content_hash",
    "default_model_path",
    "load",
    "save",
    "tensor_spec",
    "validate",
]

FORMAT = "treenet_fast integer model"
FORMAT_VERSION = "1"

_DTYPES = {"I8": "<i1", "U8": "<u1", "U16": "<u2", "I32": "<i4", "F32": "<f4"}
_DTYPE_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}

# A model has about 2.5 MB of tensors and a 120 kB header. Files beyond these limits are refused before they are read.
_MAX_FILE_BYTES = 16 << 20
_MAX_HEADER_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class IntegerModel:
    """A checked integer model.

    Attributes:
        tensors: every tensor of SPEC §9 by name, read-only.
        metadata: the file's metadata, ``format``, ``format_version``, ``name`` and ``hash`` among it.
        hash: the content hash, 32 bytes. Streams carry its first four (SPEC §8).
    """

    tensors: Mapping[str, NDArray[Any]]
    metadata: Mapping[str, str]
    hash: bytes

    @property
    def name(self) -> str:
        """The model's name, for people."""
        return self.metadata["name"]


def default_model_path() -> Path:
    """The model file that ships in the package."""
    return Path(__file__).parent / "models" / "mse.safetensors"


def content_hash(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """SHA-256 over names, dtypes, shapes and data of ``tensors`` (SPEC §9): 32 bytes."""
    digest = hashlib.sha256()
    for name in sorted(tensors, key=lambda name: name.encode()):
        array = tensors[name]
        shape = ",".join(str(size) for size in array.shape)
        digest.update(f"{name}\0{_dtype_name(name, array)}\0{shape}\0".encode())
        digest.update(_little_endian(array))
    return digest.digest()


def load(path: str | os.PathLike[str]) -> IntegerModel:
    """Read and check a model file.

    Raises:
        ModelFileError: the file cannot be read, is no safetensors file, is no integer model of this version, is damaged,
            or breaks a rule of SPEC §9.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ModelFileError(f"cannot read the model file {path}: {error.strerror or error}") from error
    try:
        tensors, metadata = _parse(data)
        _check_metadata(metadata)
        found = content_hash(tensors)
        if metadata["hash"] != found.hex():
            raise ModelFileError("its tensors do not have the hash in its metadata: it is damaged or was edited")
        validate(tensors)
    except ModelFileError as error:
        raise ModelFileError(f"bad model file {path}: {error}") from error
    return IntegerModel(tensors, metadata, found)


def save(
    path: str | os.PathLike[str], tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> IntegerModel:
    """Check ``tensors`` and write them as a model file; a file of that name is replaced, whole or not at all.

    ``metadata`` needs a ``name`` and may hold more strings; format, version and hash are put in here.

    Raises:
        ModelFileError: ``tensors`` break a rule of SPEC §9 or ``metadata`` has no name.
        OSError: the file cannot be written.
    """
    validate(tensors)
    digest = content_hash(tensors)
    full = {**metadata, "format": FORMAT, "format_version": FORMAT_VERSION, "hash": digest.hex()}
    _check_metadata(full)
    # Widest elements first, as the safetensors library does: every tensor is then aligned to its element.
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, Any] = {"__metadata__": full}
    offset = 0
    for name in names:
        array = tensors[name]
        end = offset + array.nbytes
        header[name] = {"dtype": _dtype_name(name, array), "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    content = b"".join([len(text).to_bytes(8, "little"), text, *(_little_endian(tensors[name]) for name in names)])
    _write_whole(Path(path), content)
    return load(path)


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place, then move it there, so that nobody sees half of it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)  # mkstemp's 0600 is for secrets
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _check_metadata(metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise ModelFileError(f"it is no integer model: its metadata lacks format = {FORMAT!r}")
    if metadata.get("format_version") != FORMAT_VERSION:
        version = metadata.get("format_version")
        raise ModelFileError(f"its format version is {version!r}; this release reads version {FORMAT_VERSION!r}")
    for key in ("name", "hash"):
        if key not in metadata:
            raise ModelFileError(f"its metadata lacks {key!r}")


def _dtype_name(name: str, array: NDArray[Any]) -> str:
    try:
        return _DTYPE_NAMES[array.dtype.newbyteorder("<")]
    except KeyError:
        raise ModelFileError(f"tensor {name!r} has dtype {array.dtype}, which no tensor of a model has") from None


def _little_endian(array: NDArray[Any]) -> bytes:
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _parse(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The tensors and the metadata of a safetensors file held in ``data``."""
    if len(data) > _MAX_FILE_BYTES:
        raise ModelFileError(f"it is larger than {_MAX_FILE_BYTES >> 20} MiB, so it is no integer model")
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
