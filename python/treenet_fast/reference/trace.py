"""Intermediate tensors by name, to compare implementations step by step."""

from collections.abc import Sequence

from torch import Tensor


class Trace(dict[str, Tensor]):
    """Tensors ``[height, width, channels]`` under their names in SPEC.md, ``.b`` standing for bottleneck b."""

    def record(self, name: str, activation: Tensor) -> None:
        """Keeps ``[channels, height, width]`` as a view ``[height, width, channels]``."""
        self[name] = activation.permute(1, 2, 0)

    def record_all(self, names: Sequence[str], activations: Sequence[Tensor]) -> None:
        """Keeps each activation under the name beside it."""
        for name, activation in zip(names, activations, strict=True):
            self.record(name, activation)
