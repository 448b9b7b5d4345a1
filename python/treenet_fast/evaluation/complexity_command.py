"""The command `treenet-fast complexity`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from treenet_fast.evaluation.complexity import Tables, tables
from treenet_fast.evaluation.table import Table
from treenet_fast.evaluation.text_table import text_table
from treenet_fast.model import TreeNet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures to a JSON file, too")


def run(options: argparse.Namespace) -> int:
    """Count, and print the tables; the exit status."""
    counted = tables(TreeNet())
    if options.json is not None:
        options.json.write_text(json.dumps(asdict(counted), indent=1) + "\n")
    print(text(counted))
    return 0


def text(counted: Tables) -> str:
    """The tables and the notes."""
    parts = [part for title, table in titled(counted) for part in (title, text_table(*table))]
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in counted.notes)])


def titled(counted: Tables) -> list[tuple[str, Table]]:
    """The tables, and what each is of."""
    modules = [
        [
            row.module,
            f"{row.kmacs_per_pixel:.3f}",
            f"{row.published_kmacs_per_pixel:.2f}",
            f"{row.parameters / 1e6:.3f}",
            f"{row.published_parameters:.2f}",
        ]
        for row in counted.modules
    ]
    codecs = [
        [f"{row.codec}, {row.source}", f"{row.encoder:.2f}", f"{row.decoder:.2f}", f"{row.both:.2f}"]
        for row in counted.codecs
    ]
    left_out = [
        [
            row.what,
            _unless_zero(row.kmacs_per_pixel),
            _unless_zero(row.koperations_per_pixel),
            _unless_zero(row.parameters / 1e6),
        ]
        for row in counted.left_out
    ]
    return [
        (
            "Modules (of all four bottlenecks), counted as the paper counts: weights and biases of convolutions",
            Table(["", "kMAC/px", "published", "parameters (M)", "published (M)"], modules),
        ),
        ("Codecs, kMAC/px", Table(["", "encoder", "decoder", "both"], codecs)),
        (
            "What the paper leaves out; k op/px: thousands of element-wise operations",
            Table(["", "kMAC/px", "k op/px", "parameters (M)"], left_out),
        ),
    ]


def _unless_zero(value: float) -> str:
    return f"{value:.4f}" if value else "–"
