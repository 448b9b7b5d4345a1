"""A learned image codec in integers: the same bytes and the same pixels on every machine."""

from treenet_fast._version import __version__
from treenet_fast.errors import TreeNetError

__all__ = ["TreeNetError", "__version__"]
