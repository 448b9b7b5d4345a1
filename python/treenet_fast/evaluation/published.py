"""What the TreeNet paper (arXiv 2512.16743) prints: BD-rates in per cent, measured by its authors.

They are of other files, encoders and weights than those measured here, and stand beside our rows, never among them.
"""

from __future__ import annotations

from collections.abc import Mapping

ANCHOR = "BPG"

_METRICS = ("psnr", "ms_ssim", "nlpd", "lpips")

_ROWS = {
    "VTM": (-22.62, -15.01, -23.52, -10.93, -27.98, -20.20, -27.46, -17.39, -28.93, -16.27, -25.50, -17.65),
    "Color Learning": (49.03, -7.02, -6.59, 31.60, 41.28, -7.63, -3.55, 22.10, 45.55, 1.23, 7.26, 33.86),
    "Factorized Prior": (23.88, -14.59, -15.97, 30.22, 24.01, -16.77, -11.04, 39.42, 21.13, -7.33, -1.63, 37.71),
    "Hyper Prior": (-2.39, -18.80, -23.18, 19.84, -7.60, -26.79, -26.07, 15.27, -5.88, -19.16, -18.51, 15.99),
    "SLIC": (-13.67, -30.31, -35.65, 9.23, -8.65, -34.05, -31.80, 12.81, -18.37, -33.07, -33.46, 7.77),
    "JPEG AI": (7.47, -37.51, -14.36, 2.12, -15.06, -38.61, -33.11, -24.71, -8.30, -29.08, -17.62, -17.09),
    "TreeNet": (-2.95, -32.15, -33.30, -10.18, -13.34, -35.05, -38.17, -13.72, -14.08, -30.73, -31.31, -10.52),
}

BD_RATES: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    images: {
        codec: dict(zip(_METRICS, row[start : start + len(_METRICS)], strict=True)) for codec, row in _ROWS.items()
    }
    for images, start in (("kodak", 0), ("clic", 4), ("tecnick", 8))
}
"""By set of images (see `TITLES`), codec and metric (see `scores.METRICS`)."""

TITLES = {"kodak": "Kodak", "clic": "CLIC Professional Valid", "tecnick": "Tecnick"}
"""The sets of images, for people."""
