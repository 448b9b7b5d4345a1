"""The figures of the latent studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from treenet_fast.evaluation.latents import POSITION_PIXELS, LatentStudy, rate_map
from treenet_fast.evaluation.libraries import library
from treenet_fast.evaluation.metrics import Pixels, psnr
from treenet_fast.model_layout import LATENTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TILE = 2.3  # the width of an image, in inches
_LEGEND = 0.75  # what a figure has besides its tiles, in inches


def propagation_figure(study: LatentStudy) -> Figure:
    """Each latent alone above the first ones together, whose PSNR is given.

    Raises:
        MissingLibraryError: matplotlib is not installed.
    """
    result = _figure(study, rows=2, columns=LATENTS)
    alone, together = result.subplots(2, LATENTS)
    for b in range(LATENTS):
        _show(alone[b], study.selective[b], f"y{b + 1} alone")
        names = "y1" if b == 0 else f"y1 to y{b + 1}"
        _show(together[b], study.accumulative[b], f"{names}: {psnr(study.image, study.accumulative[b]):.2f} dB")
    return result


def rate_figure(study: LatentStudy) -> Figure:
    """The image beside the bits of each latent, on one scale.

    Raises:
        MissingLibraryError: matplotlib is not installed.
    """
    height, width, _ = study.image.shape
    maps = [rate_map(bits) / POSITION_PIXELS for bits in study.bits]
    scale = {"vmin": 0.0, "vmax": max(float(values.max()) for values in maps)}
    result = _figure(study, rows=1, columns=1 + LATENTS)
    first, *others = axes = result.subplots(1, 1 + LATENTS)
    _show(first, study.image, f"{width}x{height}, {8 * len(study.stream) / (height * width):.3f} bpp")
    for b, values in enumerate(maps):
        # A position of the latents has 16 pixels a side, the last ones beyond the image (SPEC §3).
        rows, columns = values.shape
        extent = (0, 16 * columns, 16 * rows, 0)
        shown = others[b].imshow(values, cmap="inferno", interpolation="nearest", extent=extent, **scale)
        others[b].set(xlim=(0, width), ylim=(height, 0))
        _title(others[b], f"y{b + 1}: {study.bits[b].sum() / (height * width):.3f} bpp")
    bar = result.colorbar(shown, ax=axes, shrink=0.8, aspect=15, pad=0.01)
    bar.set_label("bits per pixel", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return result


def _figure(study: LatentStudy, rows: int, columns: int) -> Figure:
    height, width, _ = study.image.shape
    size = _TILE * columns + _LEGEND, rows * (_TILE * height / width + 0.3)
    result: Figure = library("matplotlib.figure").Figure(figsize=size, layout="constrained")
    return result


def _show(axes: Axes, image: Pixels, title: str) -> None:
    axes.imshow(image)
    _title(axes, title)


def _title(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=8, pad=3)
    axes.axis("off")
