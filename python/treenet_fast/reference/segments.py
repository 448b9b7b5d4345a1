"""The cut of the latents into independent segments (SPEC §7.2)."""

from typing import NamedTuple

SEGMENT_POSITIONS = 128


class Segment(NamedTuple):
    """Rows of the hyper-latents, and the rows of the latents beneath them."""

    hyper_rows: slice
    rows: slice


def segments(height: int, width: int) -> list[Segment]:
    """The segments, from the top, of latents of ``height x width`` positions."""
    hyper_height, hyper_width = -(-height // 4), -(-width // 4)
    step = max(1, SEGMENT_POSITIONS // hyper_width)
    tops = range(0, hyper_height, step)
    bottoms = [min(top + step, hyper_height) for top in tops]
    return [
        Segment(slice(top, bottom), slice(4 * top, min(4 * bottom, height)))
        for top, bottom in zip(tops, bottoms, strict=True)
    ]
