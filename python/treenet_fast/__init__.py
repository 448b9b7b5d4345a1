"""A learned image codec in integers: the same bytes and the same pixels on every machine."""

from treenet_fast._api import (
    BackendInfo,
    Codec,
    backend_info,
    compress,
    decompress,
    info,
)
from treenet_fast._stream import StreamInfo
from treenet_fast._version import __version__
from treenet_fast.errors import (
    BackendError,
    CorruptStreamError,
    DeviceMemoryError,
    EmptyStreamError,
    ImageTooLargeError,
    InvalidArgumentError,
    MissingLibraryError,
    ModelFileError,
    NewerVersionError,
    NotATreeNetStreamError,
    StreamError,
    TreeNetError,
    TruncatedStreamError,
    UnsupportedImageError,
    WrongModelError,
)

__all__ = [
    "BackendError",
    "BackendInfo",
    "Codec",
    "CorruptStreamError",
    "DeviceMemoryError",
    "EmptyStreamError",
    "ImageTooLargeError",
    "InvalidArgumentError",
    "MissingLibraryError",
    "ModelFileError",
    "NewerVersionError",
    "NotATreeNetStreamError",
    "StreamError",
    "StreamInfo",
    "TreeNetError",
    "TruncatedStreamError",
    "UnsupportedImageError",
    "WrongModelError",
    "__version__",
    "backend_info",
    "compress",
    "decompress",
    "info",
]
