"""Number formats of activations: how integers stand for real values.

A real value is `scale[c] * (integer - zero_point) + offset`. SPEC knows integers only, so a scale may differ from
channel to channel and may be learned: what makes an activation (a multiplier a channel) and what takes it in (a weight
a channel) absorb it. The zero point is one for the tensor and stays as calibration found it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from treenet_fast.quantise.arrays import Array
from treenet_fast.quantise.ranges import Range


class Limits(NamedTuple):
    """The smallest and the largest integer."""

    low: int
    high: int


U8 = Limits(0, 255)
S16 = Limits(-32768, 32767)
POSITIVE_S16 = Limits(0, 32767)


class LearnedScale(nn.Module):
    """A positive parameter for each channel, kept as its logarithm: gradient steps are then relative."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(channels))

    def scale(self) -> Tensor:
        """float32 `[channels]`."""
        return self.log_scale.exp()

    def set_scale(self, scale: Array) -> None:
        """Start from `scale` `[channels]`."""
        with torch.no_grad():
            self.log_scale.copy_(torch.from_numpy(scale).log())


class Format(nn.Module):
    """The format of an activation.

    Attributes:
        offset: the real value of the zero point.
    """

    offset = 0.0

    @abstractmethod
    def scale(self) -> Tensor:
        """float32 `[channels]`."""


class FixedFormat(Format):
    """A format that SPEC says."""

    def __init__(self, scale: Sequence[float], offset: float = 0.0) -> None:
        super().__init__()
        self.offset = offset
        self.register_buffer("_scale", torch.tensor(scale), persistent=False)
        self._scale: Tensor

    def scale(self) -> Tensor:
        return self._scale


class LearnedFormat(LearnedScale, Format):
    """A format from calibration whose scales are parameters."""

    def __init__(self, channels: int, limits: Limits) -> None:
        super().__init__(channels)
        self.limits = limits
        self.register_buffer("zero_point", torch.zeros(1, dtype=torch.int32))
        self.zero_point: Tensor
        self._zero = 0  # the same, for which no GPU has to be waited for

    @property
    def bounds(self) -> tuple[int, int]:
        """The limits less the zero point."""
        return self.limits.low - self._zero, self.limits.high - self._zero

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self._zero = int(self.zero_point)

    def set(self, found: Range) -> None:
        """Start from what calibration found."""
        self.set_scale(found.scale)
        self.zero_point.fill_(found.zero_point)
        self._zero = found.zero_point


class JoinedFormat(Format):
    """That of activations one after the other along the channels."""

    def __init__(self, parts: Sequence[Format]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def scale(self) -> Tensor:
        return torch.cat([cast(Format, part).scale() for part in self.parts])


class FinerFormat(Format):
    """That of another activation's integers with `bits` fraction bits more."""

    def __init__(self, whole: Format, bits: int) -> None:
        super().__init__()
        self.whole = whole
        self.bits = bits

    def scale(self) -> Tensor:
        return self.whole.scale() * 0.5**self.bits
