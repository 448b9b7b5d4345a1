"""The metrics by name: how each is computed, shown, and compared between codecs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from treenet_fast.errors import InvalidArgumentError
from treenet_fast.evaluation import metrics, perceptual
from treenet_fast.evaluation.libraries import library
from treenet_fast.evaluation.metrics import Score
from treenet_fast.evaluation.nlpd import nlpd


@dataclass(frozen=True)
class Metric:
    """A metric, and the quality that follows from it: a number that rises as images become better.

    Attributes:
        name: its column in files.
        title: its name for people.
        decimals: worth showing.
        load: what computes it; raises `MissingLibraryError` or `MissingWeightsError` where that cannot be had.
        quality: from a (mean) value to the quality on which curves are drawn and compared.
        value: from such a quality back to the metric.
        quality_title: the name of that.
        unit: of that.
        compressai: the metric's name in CompressAI's files.
        side_min: the shortest side of an image that it is defined on.
    """

    name: str
    title: str
    decimals: int
    load: Callable[[], Score]
    quality: Callable[[float], float]
    value: Callable[[float], float]
    quality_title: str
    unit: str
    compressai: str
    side_min: int = 1

    @property
    def option(self) -> str:
        """The name on the command line."""
        return self.name.replace("_", "-")

    @property
    def axis(self) -> str:
        """The label of an axis of qualities, with unit and direction."""
        unit = f" in {self.unit}" if self.unit else ""
        return f"{self.quality_title}{unit} (higher is better)"


def _load_ms_ssim() -> Score:
    library("torch")
    library("pytorch_msssim")
    return metrics.ms_ssim


def _complement(value: float) -> float:
    return 1 - value


PSNR = Metric("psnr", "PSNR", 2, lambda: metrics.psnr, float, float, "RGB PSNR", "dB", "psnr-rgb")
MS_SSIM = Metric(
    "ms_ssim",
    "MS-SSIM",
    4,
    _load_ms_ssim,
    metrics.decibels,
    metrics.from_decibels,
    "MS-SSIM, −10 log₁₀(1 − x)",
    "dB",
    "ms-ssim-rgb",
    metrics.MS_SSIM_SIDE_MIN,
)
NLPD = Metric("nlpd", "NLPD", 4, lambda: nlpd, _complement, _complement, "1 − NLPD", "", "nlpd")
LPIPS = Metric(
    "lpips", "LPIPS", 4, perceptual.load_lpips, _complement, _complement, "1 − LPIPS", "", "lpips", perceptual.SIDE_MIN
)
DISTS = Metric(
    "dists", "DISTS", 4, perceptual.load_dists, _complement, _complement, "1 − DISTS", "", "dists", perceptual.SIDE_MIN
)

METRICS = {metric.name: metric for metric in (PSNR, MS_SSIM, NLPD, LPIPS, DISTS)}


def check_size(width: int, height: int, chosen: Sequence[Metric]) -> None:
    """Raises `InvalidArgumentError` for a size that one of the metrics is not defined on."""
    for metric in chosen:
        if min(width, height) < metric.side_min:
            raise InvalidArgumentError(
                f"{metric.title} is not defined on an image of {width}x{height}: each side needs "
                f"{metric.side_min} pixels"
            )
