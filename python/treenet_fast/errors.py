"""Every error that the package raises on purpose.

All are `TreeNetError`, which is a `ValueError`: `except TreeNetError` catches them all, those of the native code too.
A message says what was wrong and what to do about it.
"""


class TreeNetError(ValueError):
    """The base of all errors of this package."""


class InvalidArgumentError(TreeNetError):
    """An argument other than the image or the stream is out of its range or of the wrong type."""


class UnsupportedImageError(TreeNetError):
    """An image of a kind that cannot be coded as it is: alpha, a palette, 16 bits, no pixels, values out of range."""


class ImageTooLargeError(TreeNetError):
    """An image or a stream has more pixels than the limit, or a side beyond the format's 65535."""


class BackendError(TreeNetError):
    """An instruction set or a GPU was asked for that does not exist or cannot be used here, or a GPU failed."""


class DeviceMemoryError(BackendError):
    """A GPU has too little memory left for a call, even after this process gave back what nobody uses."""


class MissingLibraryError(TreeNetError):
    """A function needs a library that is not installed; the message says what to install."""


class MissingWeightsError(TreeNetError):
    """A function needs weights that others distribute and that are not on this machine; the message says which."""


class OutputError(TreeNetError):
    """A file cannot be written; the message names it."""


class RecordError(TreeNetError):
    """A file of measurements is damaged, or is something else; the message names it."""


class ModelFileError(TreeNetError):
    """A model file cannot be read, or breaks a rule of SPEC §9."""


class StreamError(TreeNetError):
    """The base of all errors about the bytes of a stream."""


class EmptyStreamError(StreamError):
    """There are no bytes at all."""


class NotATreeNetStreamError(StreamError):
    """The bytes do not begin as a TreeNet stream does: they are something else."""


class NewerVersionError(StreamError):
    """The stream has a format version that this release does not know."""


class TruncatedStreamError(StreamError):
    """The stream ends before its end."""


class CorruptStreamError(StreamError):
    """The stream is damaged: a checksum, a field, the entropy coder's final state or the length is wrong."""


class WrongModelError(StreamError):
    """The stream is sound but was made with another model than the one that is loaded."""
