"""What post-training quantisation leaves to choose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Choices that were made by measurement; see `s16_format` and `entropy_tensors`.

    Attributes:
        headroom: by how much 16-bit formats reach beyond the largest value seen in calibration.
        skip_below: symbols with a smaller scale, in quantisation steps, are not coded.
    """

    headroom: float = 4.0
    skip_below: float = 0.21
