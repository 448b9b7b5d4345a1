"""What all figures have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE: dict[str, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 3.5,
    "savefig.bbox": "tight",
    "svg.fonttype": "none",  # text stays text, so the files are small
    "svg.hashsalt": "treenet_fast",  # the same figure is the same file
}
"""matplotlib's settings, for `matplotlib.rc_context`, around drawing and saving."""


def save(figure: Figure, stem: Path) -> list[Path]:
    """Writes `stem`.svg and `stem`.png, and says so."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    svg, png = stem.with_name(f"{stem.name}.svg"), stem.with_name(f"{stem.name}.png")
    figure.savefig(svg, metadata={"Date": None})
    figure.savefig(png, dpi=120, metadata={"Software": None})
    return [svg, png]
