"""The log of a run: rows of a CSV file, and the same numbers as TensorBoard events."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from torch.utils.tensorboard import SummaryWriter


@dataclass(frozen=True)
class Row:
    """A report.

    Attributes:
        kind: `"train"`: means since the last report; `"evaluate"`: means over the evaluation images at one quality.
        step: steps done.
        images: crops seen, on all devices.
        seconds: of training, in all sessions of the run.
        quality: of an evaluation.
        loss: weighted as in training.
        bpp: estimated bits a pixel.
        mse: mean squared error on the 0..255 scale.
        psnr: in dB; of training, that of the mean squared error, of an evaluation, the mean over images.
        ms_ssim: 0..1, where it was computed.
        learning_rate: of the last step.
        images_per_second: crops a second on all devices.
        gradient: mean norm of the gradient, before clipping.
    """

    kind: Literal["train", "evaluate"]
    step: int
    images: int
    seconds: float
    quality: float | None = None
    loss: float | None = None
    bpp: float | None = None
    mse: float | None = None
    psnr: float | None = None
    ms_ssim: float | None = None
    learning_rate: float | None = None
    images_per_second: float | None = None
    gradient: float | None = None


_COLUMNS = [field.name for field in fields(Row)]
_DIGITS = 6


class Log:
    """Writes the log of a run into its folder: `log.csv`, and events in `tensorboard/`.

    A resumed run writes on after its checkpoint's step: what an interrupted session logged beyond it is dropped.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        path = folder / "log.csv"
        kept = _rows_until(path, first_step) if first_step > 0 and path.exists() else []
        renewed = path.with_name("log.csv.new")
        self._file = renewed.open("w", newline="")
        self._csv = csv.DictWriter(self._file, _COLUMNS, lineterminator="\n")
        self._csv.writeheader()
        self._csv.writerows(kept)
        self._file.flush()
        renewed.replace(path)
        # Steps beyond the checkpoint are purged, its own is kept.
        self._events = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1 if first_step else 0)

    def write(self, row: Row) -> None:
        """Add a row; numbers keep six significant digits."""
        values = {k: f"{v:.{_DIGITS}g}" if isinstance(v, float) else v for k, v in asdict(row).items()}
        self._csv.writerow(values)
        self._file.flush()
        prefix = row.kind if row.quality is None else f"{row.kind}/quality {row.quality:g}"
        for name, value in asdict(row).items():
            if isinstance(value, float) and name not in ("seconds", "quality"):
                self._events.add_scalar(f"{prefix}/{name}", value, row.step)

    def close(self) -> None:
        self._file.close()
        self._events.close()


def _rows_until(path: Path, step: int) -> list[dict[str, str]]:
    """The rows of a log up to a step; a line that a killed run left unfinished is none."""
    text = path.read_text()
    lines = text[: text.rfind("\n") + 1].splitlines()
    return [row for row in csv.DictReader(lines) if int(row["step"]) <= step]
