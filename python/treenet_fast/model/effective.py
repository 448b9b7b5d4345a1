"""Effective values: what a checkpoint stores.

Some values are kept in a form that a gradient step cannot lead out of their range (GDN's beta and gamma, the prior's
matrices). Files hold the values that the formulas use instead, so that they do not depend on that form.
"""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn


class EffectiveModule(nn.Module):
    """A module whose parameters differ from the values that its formulas use."""

    @abstractmethod
    def effective(self) -> dict[str, Tensor]:
        """The effective values under the names of their parameters."""

    @abstractmethod
    def set_effective(self, values: dict[str, Tensor]) -> None:
        """Set the parameters so that the effective values become `values` (all of them, by name)."""
