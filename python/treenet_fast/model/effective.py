"""Effective values: what a checkpoint stores.

Some values are kept in a form that a gradient step cannot lead out of their range (GDN's beta and gamma, the prior's
matrices). Files hold the values that the formulas use instead, so that they do not depend on that form.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

# Roots, exponentials and logarithms in float32 are off by a unit in the last place or two.
_UNITS_TO_TRY = 4


class EffectiveModule(nn.Module):
    """A module whose parameters differ from the values that its formulas use."""

    @abstractmethod
    def effective(self) -> dict[str, Tensor]:
        """The effective values under the names of their parameters."""

    @abstractmethod
    def set_effective(self, values: dict[str, Tensor]) -> None:
        """Set the parameters so that the effective values become `values` (all of them, by name)."""


def invert(forward: Callable[[Tensor], Tensor], guess: Tensor, value: Tensor) -> Tensor:
    """The numbers next to `guess` whose `forward` is `value`, or `guess` where there are none, element by element.

    A file holds `value`; with this, reading it gives that very value again, not one a unit in the last place off.
    """
    result = guess
    for direction in (-torch.inf, torch.inf):
        candidate = guess
        for _ in range(_UNITS_TO_TRY):
            result = torch.where(forward(result) == value, result, candidate)
            candidate = torch.nextafter(candidate, torch.full_like(candidate, direction))
    return torch.where(forward(result) == value, result, guess)
