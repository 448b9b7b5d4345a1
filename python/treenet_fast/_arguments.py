"""Checks of arguments that the native API and the reference share."""

from __future__ import annotations

import os
from operator import index
from typing import Any

from treenet_fast.errors import InvalidArgumentError


def integer(name: str, value: Any, low: int, high: int) -> int:
    """`value` as an int if it is one, numpy's kinds included, and in `low..high`."""
    wrong = InvalidArgumentError(f"{name} is {value!r}: use an integer from {low} to {high}")
    try:
        number = index(value)
    except TypeError as error:
        raise wrong from error
    if isinstance(value, bool) or not low <= number <= high:
        raise wrong
    return number


def quality(value: Any) -> int:
    """`value` if it is a quality, an integer in 1..100."""
    return integer("quality", value, 1, 100)


def stream(data: Any) -> bytes:
    """`data` as bytes if it is bytes, a bytearray or a memoryview."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        kind = type(data).__name__
        raise InvalidArgumentError(f"a stream is bytes, not {kind}: pass what compress gave, or the content of a file")
    return bytes(data)


def path(name: str, value: Any) -> str:
    """`value` as a str if it is a path: a str, or an object that stands for one."""
    try:
        text = os.fspath(value)
    except TypeError:
        text = None
    if not isinstance(text, str):
        raise InvalidArgumentError(f"{name} is of type {type(value).__name__}: use a path, as a str or a Path")
    return text
