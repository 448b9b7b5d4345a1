"""What the figures in docs/ have in common."""

from pathlib import Path

import matplotlib

from treenet_fast.evaluation.figures import STYLE, save

__all__ = ["DOCS", "save"]

DOCS = Path(__file__).parents[1] / "docs"

matplotlib.rcParams.update(STYLE)
