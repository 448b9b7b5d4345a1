"""The tables of README.md and docs/, from the committed results.

    python benchmarks/tables.py

Rewrites what stands between `<!-- table: NAME -->` and `<!-- end -->`.
"""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import gpu.report
import speed_tables

from treenet_fast import models
from treenet_fast.evaluation import comparison, markdown
from treenet_fast.evaluation.bd_rate import BdRate
from treenet_fast.evaluation.codecs import Heic
from treenet_fast.evaluation.names import treenet_name
from treenet_fast.evaluation.record import Record
from treenet_fast.evaluation.scores import MS_SSIM, PSNR

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
RESULTS_PAGE = HERE.parent / "docs" / "results.md"
SPEED_PAGES = {"xeon": HERE.parent / "docs" / "speed.md", "epyc": HERE.parent / "docs" / "speed_epyc.md"}
"""By machine: its folder of results."""
GPU_PAGE = HERE.parent / "docs" / "gpu.md"
RESULTS = HERE / "results"
EXACTNESS = RESULTS / "exactness.json"
EVALUATION = RESULTS / "evaluation.json"
GPU = RESULTS / "gpu.json"


def exactness() -> str:
    """What all paths agreed on, and how near the files are to their symbols' information."""
    record = json.loads(EXACTNESS.read_text())
    cases = record["cases"]
    rows = []
    for quality in sorted({case["quality"] for case in cases}):
        chosen = [case for case in cases if case["quality"] == quality]
        identical = sum("differs" not in case for case in chosen)
        photographs = [case for case in chosen if case["image"].startswith("kodim")]
        excess = sum(case["bytes"] for case in photographs) / sum(c["information_bytes"] for c in photographs) - 1
        rows.append([str(quality), f"{identical} of {len(chosen)}", f"{100 * excess:.1f} %"])
    table = markdown.table(["quality", "identical on every path", "Kodak files above their symbols' information"], rows)
    return f"{table}\n\nThe machine had {', '.join(f'`{isa}`' for isa in record['isas'])}."


def in_short() -> str:
    """The default model against each peer: who needs more bits, and who more time."""
    record = Record.load(EVALUATION)
    own = record.entries[treenet_name(models.DEFAULT)]
    times = {codec: seconds for codec, *seconds in comparison.times(record).rows}
    none = ["–"] * len(comparison.TIMES)
    rows = []
    for peer in record.complete():
        if peer.kind == "peer":
            deltas = [comparison.compare(peer, own, metric) for metric in (PSNR, MS_SSIM)]
            rows.append([peer.codec, *map(more_or_fewer, deltas), *times.get(peer.codec, none)])
    rows.append(["itself", "", "", *times.get(own.codec, none)])
    header = [f"`{own.codec}` against", "bits at equal PSNR", "bits at equal MS-SSIM", *comparison.TIMES.values()]
    return markdown.table(header, rows)


def more_or_fewer(delta: BdRate | str) -> str:
    """A delta rate in words; what is a win stands out."""
    if isinstance(delta, str):
        return "–"
    return f"{delta.percent:.0f} % more" if delta.percent > 0 else f"**{-delta.percent:.0f} % fewer**"


def times() -> str:
    """Seconds on one core."""
    record = Record.load(EVALUATION)
    found = comparison.times(record)
    if not found.rows:
        return "Not recorded yet."
    processes, processor = record.settings["processes"], record.settings["processor"]
    return markdown.table(*found) + f"\n\n{processes} process{'es' * (processes != 1)}, each on a core of {processor}."


def rate_and_distortion() -> str:
    """Means over the images, from real files, of each model of the package."""
    parts = []
    for entry in Record.load(EVALUATION).entries.values():
        if entry.kind == "model":
            rows = [
                [str(p.quality), f"{p.bpp:.3f}", f"{p.values['psnr']:.2f} dB", f"{p.values['ms_ssim']:.4f}"]
                for p in entry.points()
            ]
            table = markdown.table(["quality", "bits per pixel", "RGB PSNR", "MS-SSIM"], rows)
            parts.append(f"`{entry.codec}` (model {entry.parameters['model hash'][:8]}):\n\n{table}")
    return "\n\n".join(parts)


def bd_rates() -> str:
    """Delta rates, each with the range that it is taken over."""
    return markdown.table(*comparison.table(Record.load(EVALUATION), Heic.name, (PSNR, MS_SSIM), "kodak"))


def like_rates() -> str:
    """PSNR and MS-SSIM of every codec at a few rates."""
    return markdown.table(*comparison.like_rates(Record.load(EVALUATION), (PSNR, MS_SSIM)))


def recorded(machine: str, suite: str, table: Callable[[speed_tables.Record], str]) -> str:
    """A table of a suite of record.py, if it has been recorded."""
    path = RESULTS / machine / f"{suite}.json"
    if not path.exists():
        return "Not recorded yet."
    return table(json.loads(path.read_text()))


def on_a_gpu(tables: Callable[[gpu.report.Record], str]) -> str:
    """Tables of a run on a GPU, if there has been one."""
    if not GPU.exists():
        return "Nothing of this has been run on a GPU yet."
    return tables(json.loads(GPU.read_text()))


Tables = dict[str, Callable[[], str]]

PAGES: dict[Path, Tables] = {
    README: {
        "in short": in_short,
        "exactness": exactness,
        "speed": partial(recorded, "xeon", "speed", speed_tables.speed_in_short),
        "speed on EPYC": partial(recorded, "epyc", "speed", speed_tables.speed_in_short),
        "GPU": partial(on_a_gpu, gpu.report.in_short),
    },
    RESULTS_PAGE: {
        "rate and distortion": rate_and_distortion,
        "like rates": like_rates,
        "BD-rates": bd_rates,
        "times": times,
    },
    **{
        page: {suite: partial(recorded, machine, suite, table) for suite, table in speed_tables.TABLES.items()}
        for machine, page in SPEED_PAGES.items()
    },
    GPU_PAGE: {"kernels": partial(on_a_gpu, gpu.report.kernels)},
}
"""The tables of each page, by name."""


def renewed(page: Path) -> str:
    """The page's text with every table made anew."""
    text = page.read_text()
    for name, make in PAGES[page].items():
        pattern = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        table = make()
        text, count = pattern.subn(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)
        if count != 1:
            raise SystemExit(f"{page.name} has {count} places for the table '{name}', not one")
    return text


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(renewed(page))
