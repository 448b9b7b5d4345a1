"""The command `treenet-fast eval`: our models and other codecs on a folder of images.

The exit status is 1 where something was left out (an image, a codec, a metric): the rest is done all the same, and
standard error says what and why. Results are in the output folder after each image and codec, and a second run goes on
from there.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from treenet_fast._output import write_whole
from treenet_fast.errors import InvalidArgumentError, MissingLibraryError, MissingWeightsError, TreeNetError
from treenet_fast.evaluation import catalogue, comparison, exports, figures, markdown, plots, published, sheet, workers
from treenet_fast.evaluation.codecs import FileCodec, ImageCodec
from treenet_fast.evaluation.curve import check, images_in
from treenet_fast.evaluation.libraries import library
from treenet_fast.evaluation.machine import processor
from treenet_fast.evaluation.record import Record
from treenet_fast.evaluation.scores import METRICS, Metric

_OPTIONS = {metric.option: metric for metric in METRICS.values()}
_PROCESSES_MAX = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="images without loss: PNG, TIFF, PPM, BMP")
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=Path("evaluation"), help="default: %(default)s")
    parser.add_argument(
        "--codecs",
        metavar="CODEC",
        nargs="+",
        default=list(catalogue.DEFAULT),
        help="these, model files, float:CHECKPOINT, or compressai:ARCHITECTURE[:ms-ssim] (default: %(default)s)",
    )
    parser.add_argument(
        "--qualities",
        metavar="[CODEC=]Q,Q,...",
        nargs="+",
        type=_qualities,
        default=[],
        help="of one codec, or of all others (default: some from each codec's range)",
    )
    parser.add_argument(
        "--metrics",
        metavar="METRIC",
        nargs="+",
        choices=list(_OPTIONS),
        help=f"{', '.join(_OPTIONS)} (default: all whose weights are on this machine)",
    )
    parser.add_argument("--anchor", metavar="CODEC", default="heic", help="of the BD-rates (default: %(default)s)")
    parser.add_argument(
        "--published",
        choices=[*published.BD_RATES, "none"],
        default="kodak",
        help="the paper's BD-rates beside ours (default: %(default)s)",
    )
    parser.add_argument(
        "--rate", metavar="BPP", type=float, default=0.2, help="of the visual comparison (default: %(default)s)"
    )
    parser.add_argument("--device", metavar="D", help="of networks: cpu (the default), cuda, cuda:1 and so on")
    parser.add_argument("--jobs", metavar="N", type=_positive, help="processes, each on one CPU (default: one a CPU)")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _qualities(text: str) -> tuple[str | None, tuple[int, ...]]:
    codec, equals, numbers = text.rpartition("=")
    parts = numbers.split(",")
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not like 10,50,90 or jpeg=10,50,90")
    return codec if equals else None, tuple(int(part) for part in parts)


class _Problems:
    """What was left out, said as it is found.

    Attributes:
        texts: all of it.
        any: whether it matters for the exit status.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.any = False

    def add(self, text: str) -> None:
        self.any = True
        self.note(text)

    def note(self, text: str) -> None:
        """Something that nobody asked for, so that it is no problem that it is left out."""
        self.texts.append(text)
        _say(text)


def _say(text: str) -> None:
    print(f"treenet-fast eval: {text}", file=sys.stderr)


def run(options: argparse.Namespace) -> int:
    """Evaluate; the exit status."""
    if options.anchor not in options.codecs:
        raise InvalidArgumentError(f"the anchor {options.anchor} is not among the codecs: {', '.join(options.codecs)}")
    for module in ("bjontegaard", "matplotlib", "tqdm"):
        library(module)  # which is needed at the end of a long run
    problems = _Problems()
    metrics = _chosen_metrics(options.metrics, problems)
    paths = _usable(images_in(options.folder), metrics, problems)
    codecs = _available(options, problems)
    if not paths or not codecs:
        raise InvalidArgumentError(f"there is no {'image' if codecs else 'codec'} left to evaluate")
    record = _opened_record(options, paths, metrics)
    _measure(options, record, codecs, paths, metrics, problems)
    for entry in record.entries.values():
        if entry not in record.complete():
            problems.add(f"{entry.codec} is left out of tables and figures: it lacks images or qualities")
    record.run = {
        "date": datetime.now(UTC).date().isoformat(),
        "anchor": codecs[options.anchor].name if options.anchor in codecs else None,
        "published": None if options.published == "none" else options.published,
        "left out": problems.texts,
    }
    _save(record, options.out)
    _conclude(options, record, codecs, paths, metrics)
    return 1 if problems.any else 0


def _chosen_metrics(names: Sequence[str] | None, problems: _Problems) -> list[Metric]:
    """The metrics that can be computed here; one that was asked for and cannot is a problem."""
    metrics = []
    for metric in METRICS.values():
        if names and metric.option not in names:
            continue
        try:
            metric.load()
            metrics.append(metric)
        except (MissingLibraryError, MissingWeightsError) as error:
            if names:
                problems.add(f"{metric.option}: {error}")
            else:
                problems.note(f"without {metric.title}: {error}")
    return metrics


def _usable(paths: Iterable[Path], metrics: Sequence[Metric], problems: _Problems) -> list[Path]:
    usable = []
    for path in paths:
        try:
            check(path, metrics)
            usable.append(path)
        except TreeNetError as error:
            problems.add(str(error))
    return usable


def _available(options: argparse.Namespace, problems: _Problems) -> dict[str, ImageCodec]:
    """The codecs that can be had here, by the names they were asked for."""
    qualities = dict(options.qualities)
    if unknown := {choice for choice in qualities if choice is not None} - set(options.codecs):
        raise InvalidArgumentError(f"there are qualities for {', '.join(sorted(unknown))}, not among the codecs")
    codecs = {}
    for choice in options.codecs:
        try:
            codecs[choice] = catalogue.with_qualities(catalogue.make(choice, options.device), choice, qualities)
        except (TreeNetError, OSError) as error:
            problems.add(f"{choice}: {error}")
    return codecs


def _opened_record(options: argparse.Namespace, paths: Sequence[Path], metrics: Sequence[Metric]) -> Record:
    """The record in the output folder, or a new one.

    Raises:
        InvalidArgumentError: what is there is of other images, metrics, processes or another machine.
    """
    settings = {
        "metrics": [metric.name for metric in metrics],
        "processor": processor(),
        "processes": _processes(options),
        "device": options.device or "cpu",
        "SHA-256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths},
    }
    file = options.out / "record.json"
    if not file.exists():
        options.out.mkdir(parents=True, exist_ok=True)
        return Record([path.name for path in paths], settings=settings)
    record = Record.load(file)
    if differing := [name for name in settings if record.settings.get(name) != settings[name]]:
        names = ", ".join("images" if name == "SHA-256" else name for name in differing)
        raise InvalidArgumentError(f"{file} is of other {names}: name another folder with --out")
    return record


def _processes(options: argparse.Namespace) -> int:
    return options.jobs or min(len(workers.usable_cpus()), _PROCESSES_MAX)


def _measure(
    options: argparse.Namespace,
    record: Record,
    codecs: dict[str, ImageCodec],
    paths: Sequence[Path],
    metrics: Sequence[Metric],
    problems: _Problems,
) -> None:
    by_name = {path.name: path for path in paths}
    names = tuple(metric.name for metric in metrics)
    jobs = []
    for choice, codec in codecs.items():
        try:
            missing = record.missing(codec)
        except InvalidArgumentError as error:
            raise InvalidArgumentError(f"{options.out}: {error}: name another folder with --out") from error
        for image, qualities in missing.items():
            jobs.append(
                workers.Job(choice, options.device, by_name[image], tuple(qualities), names, options.out / "files")
            )
    total = sum(len(job.qualities) for job in jobs)
    with library("tqdm").tqdm(total=total, unit="file", mininterval=1, disable=not jobs) as bar:
        for job, outcome in workers.run(jobs, _processes(options)):
            record.add(codecs[job.choice].name, outcome.rows)
            _save(record, options.out)
            if outcome.problem is not None:
                problems.add(outcome.problem)
            bar.set_postfix_str(codecs[job.choice].name)
            bar.update(len(job.qualities))
    _save(record, options.out)


def _save(record: Record, out: Path) -> None:
    record.save(out / "record.json")
    exports.write_tsv(record, out / "results.tsv")


def _conclude(
    options: argparse.Namespace,
    record: Record,
    codecs: dict[str, ImageCodec],
    paths: Sequence[Path],
    metrics: Sequence[Metric],
) -> None:
    """Curves, tables and figures, all from the record."""
    exports.write_compressai(record, options.out / "compressai")
    table, anchor = "", record.run["anchor"]
    if anchor is not None:
        table = markdown.table(*comparison.table(record, anchor, metrics, record.run["published"]))
        write_whole(options.out / "bd_rates.md", table + "\n")
        for text in comparison.problems(record, anchor, metrics):
            _say(text)
    with library("matplotlib").rc_context(figures.STYLE):
        for metric in metrics:
            figures.save(plots.figure(record, [metric]), options.out / f"rate_distortion_{metric.name}")
    complete = {entry.codec for entry in record.complete()}
    shown = [codec for codec in codecs.values() if isinstance(codec, FileCodec) and codec.name in complete]
    if shown:
        _say("the visual comparison")
        tiles = sheet.tiles(record, shown, paths, metrics, options.rate)
        sheet.drawn(tiles).save(options.out / "comparison.png")
        sheet.save(tiles, options.rate, options.out / "comparison")
    if table:
        print(table)
