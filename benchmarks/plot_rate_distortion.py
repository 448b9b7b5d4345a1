"""docs/rate_distortion.svg and .png, from the committed results.

python benchmarks/plot_rate_distortion.py
"""

from pathlib import Path

import figures
from matplotlib.figure import Figure

from treenet_fast.evaluation.codecs import Kind
from treenet_fast.evaluation.curve import ms_ssim_curve, psnr_curve
from treenet_fast.evaluation.record import Record

RESULTS = Path(__file__).parent / "results" / "rate_distortion.json"
BPP_MAX = 0.65
STYLES: dict[Kind, dict[str, object]] = {
    "model": {"linewidth": 2.2, "marker": "o"},
    "float": {"linestyle": ":"},
    "peer": {"marker": "s", "markersize": 2.5, "alpha": 0.8},
}
PANELS = (("RGB PSNR (dB)", psnr_curve), ("MS-SSIM (dB, −10 log₁₀(1 − x))", ms_ssim_curve))


def figure(record: Record) -> Figure:
    """Both metrics over bits per pixel, a line a codec: this package's first and thickest."""
    result = Figure(figsize=(9, 4))
    kinds = list(STYLES)
    entries = sorted(record.entries.values(), key=lambda entry: kinds.index(entry.kind))
    left, right = result.subplots(1, 2)
    for axes, (label, curve) in zip((left, right), PANELS, strict=True):
        for entry in entries:
            points = sorted(point for point in curve(entry.points()) if point[0] <= BPP_MAX)
            axes.plot(*zip(*points, strict=True), label=entry.codec, **STYLES[entry.kind])
        axes.set_xlim(0, BPP_MAX)
        axes.set_xlabel("bits per pixel")
        axes.set_ylabel(label)
    left.legend(loc="lower right", fontsize=8)
    result.suptitle(f"Means over {len(record.images)} images")
    result.tight_layout()
    return result


if __name__ == "__main__":
    figures.save(figure(Record.load(RESULTS)), figures.DOCS / "rate_distortion")
