"""docs/rate_distortion.svg and .png, from the committed results.

python benchmarks/plot_rate_distortion.py
"""

from pathlib import Path

import figures

from treenet_fast.evaluation import plots
from treenet_fast.evaluation.record import Record
from treenet_fast.evaluation.scores import MS_SSIM, PSNR

RESULTS = Path(__file__).parent / "results" / "rate_distortion.json"
BPP_MAX = 0.65

if __name__ == "__main__":
    figures.save(plots.figure(Record.load(RESULTS), (PSNR, MS_SSIM), BPP_MAX), figures.DOCS / "rate_distortion")
