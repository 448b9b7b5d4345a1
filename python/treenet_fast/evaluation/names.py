"""The names of this package's codecs among those that are compared."""

from __future__ import annotations


def treenet_name(model: str) -> str:
    """Of the integer model of that name."""
    return f"treenet_fast {model}"


def float_name(codec: str) -> str:
    """Of the float network behind the integer codec of that name."""
    return f"{codec}, float (estimate)"
