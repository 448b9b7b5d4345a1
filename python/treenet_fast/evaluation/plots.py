"""Rate-distortion curves as figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from treenet_fast.evaluation.codecs import Kind
from treenet_fast.evaluation.curve import curve
from treenet_fast.evaluation.libraries import library
from treenet_fast.evaluation.record import Record
from treenet_fast.evaluation.scores import Metric

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLES: dict[Kind, dict[str, Any]] = {
    "model": {"linewidth": 2.2, "marker": "o"},
    "float": {"linestyle": ":"},
    "peer": {"marker": "s", "markersize": 2.5, "alpha": 0.8},
}


def figure(record: Record, metrics: Sequence[Metric], bpp_max: float | None = None) -> Figure:
    """A panel for each metric over bits per pixel, a line a codec: this package's first and thickest.

    Args:
        record: the measurements.
        metrics: one or more.
        bpp_max: where the axis ends; None for the highest rate there is.
    """
    kinds = list(STYLES)
    entries = sorted(record.complete(), key=lambda entry: kinds.index(entry.kind))
    columns = 2 * len(metrics)
    # Narrow panels and a legend below them: on a phone the text has to be legible.
    size = 4.5 * len(metrics), 3.8 + 0.18 * math.ceil(len(entries) / columns)
    result: Figure = library("matplotlib.figure").Figure(figsize=size, layout="constrained")
    for axes, metric in zip(result.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        for entry in entries:
            points = sorted(point for point in curve(entry.points(), metric) if bpp_max is None or point[0] <= bpp_max)
            axes.plot([rate for rate, _ in points], [y for _, y in points], label=entry.codec, **STYLES[entry.kind])
        axes.set_xlim(0, bpp_max)
        axes.set_xlabel("bits per pixel (lower is better)")
        axes.set_ylabel(metric.axis)
    result.legend(handles=result.axes[0].lines, loc="outside lower center", ncols=columns, fontsize=8)
    result.suptitle(f"Means over {len(record.images)} image{'s' * (len(record.images) != 1)}", fontsize=10)
    return result
