"""What the figures in docs/ have in common."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

DOCS = Path(__file__).parents[1] / "docs"

matplotlib.rcParams.update(
    {
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
)


def save(figure: Figure, stem: Path) -> None:
    """Writes `stem`.svg and `stem`.png."""
    stem.parent.mkdir(exist_ok=True)
    figure.savefig(stem.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(stem.with_suffix(".png"), dpi=120, metadata={"Software": None})
