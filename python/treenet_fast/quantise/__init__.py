"""From a float TreeNet to the integer model of SPEC §9: after its training, or training in the integers themselves."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from treenet_fast.model import TreeNet
from treenet_fast.quantise.arrays import IntegerTensors
from treenet_fast.quantise.checkpoint import is_quantised, load_quantised, save_quantised
from treenet_fast.quantise.network import QuantisedTreeNet
from treenet_fast.quantise.settings import Settings

__all__ = ["QuantisedTreeNet", "Settings", "is_quantised", "load_quantised", "quantise", "save_quantised"]


def quantise(model: TreeNet, images: Sequence[Tensor], settings: Settings | None = None) -> IntegerTensors:
    """The tensors of an integer model, without further training: `QuantisedTreeNet.from_float(...).tensors()`.

    Raises:
        ModelFileError: the network cannot be held within the limits of SPEC §9.
    """
    return QuantisedTreeNet.from_float(model, images, settings).tensors()
