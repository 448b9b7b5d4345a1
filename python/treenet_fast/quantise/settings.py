"""What post-training quantisation leaves to choose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Choices that were made by measurement; see `u8_format`, `s16_format` and `entropy_tensors`.

    Attributes:
        equalisation: how far channels of a u8 activation are brought to one range, 0..1.
        headroom: by how much 16-bit formats reach beyond the largest value seen in calibration.
        skip_below: symbols with a smaller scale, in quantisation steps, are not coded.
    """

    equalisation: float = 0.5
    headroom: float = 4.0
    skip_below: float = 0.18
