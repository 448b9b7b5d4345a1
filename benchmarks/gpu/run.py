"""The sections of a check, their record, and what is wrong by it."""

import argparse
import dataclasses
import json
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gpu import counters, sanitizer, tools
from gpu.blocks import LAUNCHES, Blocks
from gpu.device import Device, StandIn
from gpu.exactness import Exactness
from gpu.paths import MODEL, QUALITY, Paths
from gpu.session import FULL, TINY, Session, summary
from gpu.stage import Limits
from treenet_fast import TreeNetError

HERE = Path(__file__).parent
SAME = ("dry_run", "commit", "device", "model", "quality")
"""What two records must agree on to be one."""

Record = dict[str, Any]
Section = Callable[[Any], None]
"""Adds what it finds to what it is given, so that nothing is lost if it breaks off."""


def sections(session: Session) -> dict[str, tuple[Any, Section]]:
    """What is done, each with what it starts from, in this order: what matters most is first, as time is limited."""
    return {
        "exactness": ([], lambda kinds: Exactness(session).run(kinds)),
        "paths": ([], lambda rows: Paths(session).run(rows)),
        "throughput": ([], lambda rows: Paths(session).throughput(rows)),
        "blocks": ({}, lambda found: Blocks(session).run(found)),
        "sanitizer": ([], lambda verdicts: sanitizer.check(session, tools.find("compute-sanitizer"), verdicts)),
        "counters": ([], lambda rows: counters.count(session, tools.find("ncu"), rows)),
        "compiled_blocks": ([], lambda rows: Blocks(session).compiled(rows)),
        "compiled": ([], lambda rows: Paths(session).compiled(rows)),
    }


def main(options: argparse.Namespace, refuse: Callable[[str], Any]) -> int:
    """The command with its options; `refuse` is for those that cannot be."""
    if not options.dry_run and not torch.cuda.is_available():
        print("error: PyTorch finds no CUDA device; --dry-run needs none", file=sys.stderr)
        return 1
    device = StandIn(LAUNCHES) if options.dry_run else Device()
    if options.small_case:
        return 0 if sanitizer.small_case(device) else 1
    if options.counted_calls:
        counters.counted_calls(device, FULL if not options.dry_run else TINY)
        return 0
    try:
        device.codec(MODEL)  # a build without CUDA ends here, and writes nothing
        session = Session.start(device, TINY if options.dry_run else FULL, options.images, options.minutes)
        record = new_record(session, options.commit or git("rev-parse", "HEAD"))
        known = sections(session)
        if unknown := [name for name in options.only or () if name not in known]:
            refuse(f"there is no section {unknown[0]!r}: use {', '.join(known)}")
        if options.only and options.out and options.out.exists():
            record = merged(json.loads(options.out.read_text()), record)
            session.limits = Limits(**record["limits"])  # by which the floors are that are there
        record = check(session, record, options.only or list(known), options.out)
    except (TreeNetError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    wrong = failures(record)
    for line in wrong:
        print(f"WRONG: {line}", file=sys.stderr)
    verdict = "a dry run: nothing is shown" if options.dry_run else "all equal" if not wrong else "NOT all right"
    print(f"{verdict}; {len(record['not_run'])} things not run; {sum(record['seconds'].values()):.0f} s")
    return 1 if wrong else 0


def new_record(session: Session, commit: str | None) -> Record:
    if commit is None:
        session.skip("commit", "this is no git repository: name it with --commit")
    return {
        "dry_run": session.device.dry_run,
        "commit": commit,
        "device": session.device.describe(),
        "limits": dataclasses.asdict(session.limits),
        "model": MODEL,
        "quality": QUALITY,
        "seconds": {},
        "not_run": [],
    }


def merged(old: Record, new: Record) -> Record:
    """The old record, to be gone on with.

    Raises:
        ValueError: the new one is of another commit, device or setting.
    """
    for name in SAME:
        if new[name] is None or old.get(name) != new[name]:
            raise ValueError(
                f"the results that are there have another {name} ({old.get(name)}, not {new[name]}): they cannot be "
                "one with new ones; use another --out, or do all sections"
            )
    return old | {"not_run": [entry for entry in old["not_run"] if entry["section"]]}


def check(session: Session, record: Record, names: list[str], out: Path | None) -> Record:
    """Does these sections, in their order; `record` is written to `out` now and then, as a run may be cut off."""
    torch.backends.cudnn.benchmark = True  # the float network at its best
    before = list(record["not_run"])

    def plain() -> Record:
        return json.loads(json.dumps(record, default=dataclasses.asdict))

    def keep() -> None:
        keys = ("section", "what", "why")
        record["not_run"] = before + [dict(zip(keys, entry, strict=True)) for entry in session.not_run]
        if out:
            out.write_text(json.dumps(plain(), indent=1) + "\n")

    session.keep = keep
    for name, (found, work) in sections(session).items():
        if name not in names:
            continue
        session.section = name
        if session.late():
            session.skip(name, "no time was left")
            continue
        begin = time.monotonic()
        before[:] = [entry for entry in before if entry["section"] != name]
        record[name] = found
        try:
            work(found)
        except Exception as error:  # one section must not take the others' results with it
            traceback.print_exc()
            session.skip(name, summary(error))
        session.device.release()
        record["seconds"][name] = round(time.monotonic() - begin, 1)
        print(f"{name}: {record['seconds'][name]} s, {session.left():.0f} s left", flush=True)
        keep()
    keep()
    return plain()


def failures(record: Record) -> list[str]:
    """What is wrong with the codec, a line each."""
    found = []
    for kind in record.get("exactness", ()):
        lines = [f"{kind['name']}: {case} differs" for case in kind["differs"]]
        if lines:
            lines[0] += f": {kind['first'][0]}"
        found += lines
    found += [
        f"compute-sanitizer {verdict['tool']}:\n{verdict['report']}"
        for verdict in record.get("sanitizer", ())
        if not verdict["clean"]
    ]
    broken = {entry["what"]: entry["why"] for entry in record["not_run"] if entry["what"] == entry["section"]}
    return found + [f"{name} broke off: {broken[name]}" for name in ("exactness", "paths", "blocks") if name in broken]


def git(*arguments: str) -> str | None:
    if shutil.which("git") is None:
        return None
    done = subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None
