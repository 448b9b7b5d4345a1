"""Takes an evaluation of Kodak over: benchmarks/results/evaluation.json, and the figures that docs/ makes of it.

treenet-fast eval kodak/ --out results/ ...     # docs/evaluation.md has the whole command
python benchmarks/keep_evaluation.py results/
python benchmarks/tables.py
"""

import argparse
import shutil
from pathlib import Path

import figures

from treenet_fast.evaluation import plots, sheet
from treenet_fast.evaluation.record import Record
from treenet_fast.evaluation.scores import MS_SSIM, PSNR

RECORD = Path(__file__).parent / "results" / "evaluation.json"
BPP_MAX = 0.65
COLUMNS = 4
"""Crops of the comparison in a row."""


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", metavar="RESULTS", type=Path, help="the output folder of treenet-fast eval")
    parser.add_argument("--row", type=int, default=1, help="of the comparison that the README shows (default: first)")
    options = parser.parse_args()
    shutil.copyfile(options.results / "record.json", RECORD)
    figures.save(plots.figure(Record.load(RECORD), (PSNR, MS_SSIM), BPP_MAX), figures.DOCS / "rate_distortion")
    rows, _ = sheet.load(options.results / "comparison")
    tiles = rows[options.row - 1]
    picture = sheet.drawn([tiles[i : i + COLUMNS] for i in range(0, len(tiles), COLUMNS)])
    picture.save(figures.DOCS / "comparison.jpg", quality=90, subsampling=0, optimize=True)


if __name__ == "__main__":
    main()
