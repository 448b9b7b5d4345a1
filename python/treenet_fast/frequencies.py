"""Probabilities to the integer frequencies of an entropy table (SPEC §7.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from treenet_fast.errors import InvalidArgumentError
from treenet_fast.model_layout import TABLE_WIDTH
from treenet_fast.model_limits import FREQUENCY_SUM, MIN_FREQUENCY


def integer_frequencies(probabilities: ArrayLike) -> NDArray[np.uint16]:
    """The frequencies that cost least among those that SPEC §7.1 allows, but for their rounding to integers.

    The expected code length is least where frequencies are in proportion to the probabilities, apart from those
    that would fall below 32, which are 32. Units lost in rounding down go to the largest fractions.

    Args:
        probabilities: float [n], 2 <= n <= 256, of the values and, last, of the escape; at least 0, in any unit.

    Returns:
        u16 [n], each at least 32, of sum 65536.

    Raises:
        InvalidArgumentError: the shape is another, or a number is negative, not finite, or all are zero.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 1 or not 2 <= p.size <= TABLE_WIDTH:
        raise InvalidArgumentError(
            f"probabilities of shape {list(p.shape)}; give a table's 1 to {TABLE_WIDTH - 1} values and its escape"
        )
    if not np.all(np.isfinite(p)) or np.any(p < 0) or not np.any(p > 0):
        raise InvalidArgumentError("probabilities have to be finite, not negative, and not all zero")
    p = p / p.max()

    least = np.zeros(p.shape, dtype=bool)
    while True:
        scale = (FREQUENCY_SUM - MIN_FREQUENCY * int(least.sum())) / p[~least].sum()
        below = ~least & (p * scale < MIN_FREQUENCY)
        if not below.any():
            break
        least |= below
    ideal = np.where(least, MIN_FREQUENCY, p * scale)

    frequencies = np.floor(ideal).astype(np.int64)
    missing = FREQUENCY_SUM - int(frequencies.sum())
    frequencies[np.argsort(frequencies - ideal, kind="stable")[:missing]] += 1
    return frequencies.astype(np.uint16)
