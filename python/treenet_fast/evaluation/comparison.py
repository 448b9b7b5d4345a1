"""Codecs against each other: BD-rates, and a table of them with the paper's rows beside."""

from __future__ import annotations

from collections.abc import Sequence

from treenet_fast.errors import InvalidArgumentError
from treenet_fast.evaluation.bd_rate import BdRate, bd_rate
from treenet_fast.evaluation.curve import curve
from treenet_fast.evaluation.names import float_name
from treenet_fast.evaluation.published import ANCHOR, BD_RATES
from treenet_fast.evaluation.record import Entry, Record
from treenet_fast.evaluation.scores import Metric
from treenet_fast.evaluation.table import Table


def pairs(record: Record, anchor: str) -> list[tuple[Entry, Entry]]:
    """Anchor and tested codec: each model against its own float network, and everything against the anchor."""
    entries = {entry.codec: entry for entry in record.complete()}
    own = [(entries[float_name(name)], entry) for name, entry in entries.items() if float_name(name) in entries]
    common = entries.get(anchor)
    return own + [(common, entry) for entry in entries.values() if common and entry is not common]


def compare(anchor: Entry, test: Entry, metric: Metric) -> BdRate | str:
    """The delta rate of one codec against another on the curves of means, or why there is none.

    Raises:
        MissingLibraryError: bjontegaard is not installed.
    """
    try:
        return bd_rate(curve(anchor.points(), metric), curve(test.points(), metric))
    except InvalidArgumentError as error:
        return str(error)


def table(record: Record, anchor: str, metrics: Sequence[Metric], published: str | None = None) -> Table:
    """BD-rates, each with the range of quality that it is taken over.

    Args:
        record: the measurements.
        anchor: the name of the codec that all are held against.
        metrics: a column for each.
        published: a set of images of the paper's, whose rows are added.
    """
    header = ["codec", "against", *(f"BD-rate, {metric.title}" for metric in metrics)]
    rows = [
        [test.codec, against.codec, *(_cell(compare(against, test, metric), metric) for metric in metrics)]
        for against, test in pairs(record, anchor)
    ]
    if published is not None:
        for codec, rates in BD_RATES[published].items():
            cells = (f"{rates[metric.name]:+.1f} %" if metric.name in rates else "–" for metric in metrics)
            rows.append([f"{codec} (published)", ANCHOR, *cells])
    return Table(header, rows)


def problems(record: Record, anchor: str, metrics: Sequence[Metric]) -> list[str]:
    """Why some of the table's cells are empty."""
    found = (
        (test, against, metric, compare(against, test, metric))
        for against, test in pairs(record, anchor)
        for metric in metrics
    )
    return [
        f"no BD-rate of {test.codec} against {against.codec} in {metric.title}: {result}"
        for test, against, metric, result in found
        if isinstance(result, str)
    ]


def _cell(result: BdRate | str, metric: Metric) -> str:
    if isinstance(result, str):
        return "–"
    decimals, unit = (1, f" {metric.unit}") if metric.unit else (3, "")
    return f"{result.percent:+.1f} % ({result.low:.{decimals}f}..{result.high:.{decimals}f}{unit})"
