"""The command `treenet-fast report`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from treenet_fast._output import write_whole
from treenet_fast.errors import InvalidArgumentError
from treenet_fast.evaluation.complexity import tables
from treenet_fast.evaluation.latents_command import SUMMARY
from treenet_fast.evaluation.record import Record
from treenet_fast.evaluation.report import Results, report
from treenet_fast.model import TreeNet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("results", metavar="RESULTS", type=Path, help="the output folder of treenet-fast eval")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, default=Path("report.html"), help="default: %(default)s"
    )
    parser.add_argument(
        "--latents",
        metavar="FOLDER",
        nargs="+",
        type=Path,
        help="output folders of treenet-fast latents, or folders of such (default: RESULTS/latents, if it is there)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the page; the exit status."""
    if options.output.suffix.lower() not in (".html", ".htm"):
        raise InvalidArgumentError(f"{options.output}: has no suffix of a page; name an .html file as output")
    record = Record.load(_record(options.results))
    if not record.complete():
        raise InvalidArgumentError(
            f"{options.results}: no codec was measured on all images at all its qualities: treenet-fast eval goes on"
        )
    results = Results(options.results, record, _studies(options), tables(TreeNet()))
    content = report(results)
    write_whole(options.output, content)
    print(f"{options.results} -> {options.output}: {len(content) / 1e6:.1f} MB")
    return 0


def _record(folder: Path) -> Path:
    file = folder / "record.json"
    if not file.is_file():
        raise InvalidArgumentError(f"{file}: is not there: name the output folder of treenet-fast eval")
    return file


def _studies(options: argparse.Namespace) -> list[Path]:
    """The folders of studies, by name; one that was named has to have one."""
    if options.latents is None:
        return _below([options.results / "latents"])
    for folder in options.latents:
        if not _below([folder]):
            raise InvalidArgumentError(f"{folder}: has no {SUMMARY}: name an output folder of treenet-fast latents")
    return _below(options.latents)


def _below(folders: Iterable[Path]) -> list[Path]:
    return [file.parent for folder in folders for file in sorted(folder.rglob(SUMMARY))]
