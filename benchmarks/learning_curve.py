"""Loss and rate-distortion while training, from logs; and what more steps would bring.

    python benchmarks/learning_curve.py weights/revived.csv weights/long.csv

Draws docs/learning_curve.svg and .png and writes benchmarks/results/learning_curve.json. A log is a CSV file with a
header and a row for each report; the columns used are `kind` (train or evaluate), `step`, `quality`, `loss`, `bpp` and
`psnr`. An evaluation has a row for each quality.

The evaluation loss (mean over the qualities) of the later part is fitted with a straight line over log2(step), by least
squares. Its slope is the change of the loss with every doubling of the steps. Where the learning rate falls towards the
end, the line is steeper than a longer training would be.
"""

import argparse
import csv
import dataclasses
import itertools
import json
import math
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import figures
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results" / "learning_curve.json"
FITTED_FROM = 0.25
"""The share of the steps after which evaluations are fitted: the last two doublings."""

CURVES_SHOWN = 5


@dataclass(frozen=True)
class Log:
    """A training.

    Attributes:
        name: of the file, without suffix.
        train: (step, loss) of each report.
        evaluations: by step, by quality: (loss, bits per pixel, PSNR in dB).
    """

    name: str
    train: list[tuple[int, float]]
    evaluations: dict[int, dict[float, tuple[float, float, float]]]

    @classmethod
    def read(cls, path: Path) -> "Log":
        train, evaluations = [], defaultdict(dict)
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                step, loss = int(row["step"]), float(row["loss"])
                if row["kind"] == "train":
                    train.append((step, loss))
                else:
                    evaluations[step][float(row["quality"])] = loss, float(row["bpp"]), float(row["psnr"])
        return cls(path.stem, train, dict(evaluations))

    def losses(self) -> list[tuple[int, float]]:
        """(step, evaluation loss), the mean over the qualities, by step."""
        return [(step, fmean(x[0] for x in self.evaluations[step].values())) for step in sorted(self.evaluations)]

    def train_losses(self) -> list[tuple[int, float]]:
        """(step, mean training loss since the evaluation before it), at the evaluations."""
        means = []
        for before, step in itertools.pairwise([0, *sorted(self.evaluations)]):
            reports = [loss for at, loss in self.train if before < at <= step]
            if reports:
                means.append((step, fmean(reports)))
        return means


@dataclass(frozen=True)
class Fit:
    """loss = intercept + slope · log2(step), by least squares.

    Attributes:
        slope: the change of the loss with every doubling of the steps.
        intercept: the line's loss at step 1.
        first_step, last_step: of the evaluations fitted.
        evaluations: how many they are.
        residual: root mean square of what the line leaves.
    """

    slope: float
    intercept: float
    first_step: int
    last_step: int
    evaluations: int
    residual: float

    def at(self, step: float) -> float:
        return self.intercept + self.slope * math.log2(step)


def fit(losses: list[tuple[int, float]]) -> Fit:
    """The line through the evaluations after `FITTED_FROM` of the steps; at least three are needed.

    Raises:
        ValueError: there are fewer.
    """
    last = max((step for step, _ in losses), default=0)
    later = [(step, loss) for step, loss in losses if step >= max(FITTED_FROM * last, 1)]
    if len(later) < 3:
        raise ValueError(f"{len(later)} evaluations after {FITTED_FROM:.0%} of the steps: a fit needs three")
    steps, values = zip(*later, strict=True)
    x = np.log2(steps)
    slope, intercept = np.polyfit(x, values, 1)
    residual = float(np.sqrt(np.mean((intercept + slope * x - values) ** 2)))
    return Fit(float(slope), float(intercept), steps[0], steps[-1], len(steps), residual)


def summary(log: Log, line: Fit) -> dict[str, object]:
    """The fit, what it says of twice and four times the steps, and the last evaluation."""
    last = line.last_step
    return {
        "log": log.name,
        **dataclasses.asdict(line),
        "loss": log.losses()[-1][1],
        "slope_percent": 100 * line.slope / line.at(last),
        "extrapolated": {str(factor * last): line.at(factor * last) for factor in (2, 4)},
    }


def draw_losses(axes: Axes, log: Log, line: Fit) -> None:
    for losses, style, label in ((log.train_losses(), "-", "training"), (log.losses(), "o-", "evaluation")):
        axes.plot([step for step, _ in losses], [loss for _, loss in losses], style, label=label)
    ends = (line.first_step, 4 * line.last_step)
    axes.plot(ends, [line.at(step) for step in ends], "--", label=f"{line.slope:+.4f} a doubling")
    axes.set_xscale("log", base=2)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_title(log.name)
    axes.legend()


def draw_rate_distortion(axes: Axes, log: Log) -> None:
    """The evaluation's curve at the last step, and where there were half, a quarter, ... of the steps."""
    steps = sorted(log.evaluations)
    shown = sorted({min(steps, key=lambda s: abs(s - steps[-1] / 2**i)) for i in range(CURVES_SHOWN)})
    for i, step in enumerate(shown):
        points = sorted((bpp, psnr) for _, bpp, psnr in log.evaluations[step].values())
        share = (i + 1) / len(shown)
        axes.plot(*zip(*points, strict=True), "o-", color=(0.1, 0.3, 0.6, 0.15 + 0.85 * share), label=f"step {step}")
    axes.set_xlabel("bits per pixel")
    axes.set_ylabel("PSNR (dB)")
    axes.legend(loc="lower right")


def figure(logs: list[Log], lines: list[Fit]) -> Figure:
    """A row for each log: loss over steps with the fit, and rate-distortion as it went."""
    result = Figure(figsize=(9, 3.6 * len(logs)))
    for (left, right), log, line in zip(result.subplots(len(logs), 2, squeeze=False), logs, lines, strict=True):
        draw_losses(left, log, line)
        draw_rate_distortion(right, log)
    result.tight_layout()
    return result


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS, help="the JSON file (default: %(default)s)")
    parser.add_argument("--figure", type=Path, default=figures.DOCS / "learning_curve", help="without suffix")
    options = parser.parse_args(arguments)
    try:
        logs = [Log.read(path) for path in options.logs]
        lines = [fit(log.losses()) for log in logs]
        summaries = [summary(log, line) for log, line in zip(logs, lines, strict=True)]
        options.out.write_text(json.dumps(summaries, indent=1) + "\n")
        figures.save(figure(logs, lines), options.figure)
    except (OSError, ValueError, KeyError) as error:
        print(f"error: {error!r}", file=sys.stderr)
        return 1
    for found in summaries:
        print(
            f"{found['log']}: loss {found['loss']:.4f} after {found['last_step']} steps; "
            f"{found['slope']:+.4f} ({found['slope_percent']:+.2f} %) with every doubling, "
            f"fitted to {found['evaluations']} evaluations from step {found['first_step']} on"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
