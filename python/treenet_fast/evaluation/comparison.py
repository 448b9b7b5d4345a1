"""Codecs against each other, as tables: BD-rates and the paper's beside them, qualities at like rates, and times."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from treenet_fast.errors import InvalidArgumentError
from treenet_fast.evaluation.bd_rate import BdRate, RateDistortion, bd_rate
from treenet_fast.evaluation.curve import at_rate, curve
from treenet_fast.evaluation.names import float_name
from treenet_fast.evaluation.published import ANCHOR, BD_RATES
from treenet_fast.evaluation.record import Entry, Record
from treenet_fast.evaluation.scores import Metric
from treenet_fast.evaluation.table import Table

RATES = (0.1, 0.15, 0.2, 0.3, 0.4)
"""Bits per pixel at which codecs are compared."""

TIMES = {"encoding_time": "encode", "decoding_time": "decode"}
"""The columns of seconds (see `codecs.Coded`), and what they are of."""


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
        return Table(header, [*rows, *published_table(published, metrics).rows])
    return Table(header, rows)


def published_table(images: str, metrics: Sequence[Metric]) -> Table:
    """The paper's BD-rates on one of its sets of images."""
    header = ["codec", "against", *(f"BD-rate, {metric.title}" for metric in metrics)]
    rows = []
    for codec, rates in BD_RATES[images].items():
        cells = (f"{rates[metric.name]:+.1f} %" if metric.name in rates else "–" for metric in metrics)
        rows.append([f"{codec} (published)", ANCHOR, *cells])
    return Table(header, rows)


def versus_peers(record: Record, codec: Entry, metrics: Sequence[Metric]) -> Table:
    """BD-rates of one codec against each of the peers in turn: where it wins, and where it loses."""
    header = ["against", *(metric.title for metric in metrics)]
    peers = [entry for entry in record.complete() if entry.kind == "peer"]
    rows = [[peer.codec, *(_cell(compare(peer, codec, metric), metric) for metric in metrics)] for peer in peers]
    return Table(header, rows)


def like_rates(record: Record, metrics: Sequence[Metric], rates: Sequence[float] = RATES) -> Table:
    """The metrics of each codec at a few rates in bits per pixel, from its curves of means (see `at_rate`)."""
    rows = []
    for entry in record.complete():
        curves = [curve(entry.points(), metric) for metric in metrics]
        rows.append([entry.codec, *(_at_rate(curves, metrics, rate) for rate in rates)])
    return Table([f"{' / '.join(metric.title for metric in metrics)} at", *(f"{rate:g} bpp" for rate in rates)], rows)


def _at_rate(curves: Sequence[RateDistortion], metrics: Sequence[Metric], rate: float) -> str:
    qualities = [at_rate(points, rate) for points in curves]
    known = [f"{m.value(q):.{m.decimals}f}" for m, q in zip(metrics, qualities, strict=True) if q is not None]
    return " / ".join(known) or "–"  # a rate is within all curves of a codec or none


def times(record: Record) -> Table:
    """Medians of the seconds over all images and qualities, of the codecs that have files."""
    rows = []
    for entry in record.complete():
        if all(TIMES.keys() <= row.values.keys() for row in entry.rows):
            medians = [median(row.values[column] for row in entry.rows) for column in TIMES]
            rows.append([entry.codec, *(f"{1000 * seconds:.1f} ms" for seconds in medians)])
    return Table(["codec", *TIMES.values()], rows)


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
