"""All that only a GPU can show, in one command of at most 8 minutes, with the package installed where nvcc is.

    python benchmarks/gpu_check.py --images FOLDER

Holds the CUDA backend against the CPU's by equality of bytes and pixels, runs compute-sanitizer where it is, and times
the codec, its fused blocks and the float network. Writes benchmarks/results/gpu.json, from which
`python benchmarks/tables.py` makes the README's tables, and exits with 1 where anything differs or a tool complains.
What could not be run, and why, is in the file, too. `--dry-run` goes the same way on a CPU, with small images; what it
prints means nothing.
"""

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
from gpu import sanitizer
from gpu.blocks import LAUNCHES, Blocks
from gpu.device import Device, StandIn
from gpu.exactness import Exactness
from gpu.paths import MODEL, QUALITY, Paths
from gpu.session import FULL, TINY, Session, summary

from treenet_fast import TreeNetError

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "gpu.json"


def git(*arguments: str) -> str | None:
    if shutil.which("git") is None:
        return None
    done = subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def sections(session: Session) -> dict[str, Callable[[], Any]]:
    """What is done, in this order: what matters most is first, as the time is limited."""
    return {
        "exactness": lambda: Exactness(session).run(),
        "sanitizer": lambda: sanitizer.check(session, sanitizer.find()),
        "paths": lambda: Paths(session).run(),
        "throughput": lambda: Paths(session).throughput(),
        "blocks": lambda: Blocks(session).run(),
        "compiled": lambda: Paths(session).compiled(),
    }


def check(session: Session, commit: str | None, save: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The record of a whole run; `save` takes what there is after each section, as a run may be cut off."""
    torch.backends.cudnn.benchmark = True  # the float network at its best
    record: dict[str, Any] = {
        "dry_run": session.device.dry_run,
        "commit": commit,
        "device": session.device.describe(),
        "limits": dataclasses.asdict(session.limits),
        "model": MODEL,
        "quality": QUALITY,
        "images": str(session.folder.name) if session.folder else "photographs made from the example",
        "seconds": {},
    }
    if commit is None:
        session.skip("commit", "this is no git repository: name it with --commit")
    for name, work in sections(session).items():
        if session.late():
            session.skip(name, "no time was left")
            continue
        begin = time.monotonic()
        try:
            record[name] = json.loads(json.dumps(work(), default=dataclasses.asdict))
        except Exception as error:  # one section must not take the others' results with it
            traceback.print_exc()
            session.skip(name, summary(error))
        session.device.release()
        record["seconds"][name] = round(time.monotonic() - begin, 1)
        save(record | {"not_run": _not_run(session)})
    record["not_run"] = _not_run(session)
    save(record)
    return record


def _not_run(session: Session) -> list[dict[str, str]]:
    return [{"what": what, "why": why} for what, why in session.not_run]


def failures(record: dict[str, Any]) -> list[str]:
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
    broken = {entry["what"]: entry["why"] for entry in record["not_run"]}
    return found + [f"{name} broke off: {broken[name]}" for name in ("exactness", "paths", "blocks") if name in broken]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="a folder of images to compare; without it some are made")
    parser.add_argument("--minutes", type=float, default=7, help="after which nothing more is begun (%(default)s)")
    parser.add_argument("--commit", help="what is installed, if this is no git repository")
    parser.add_argument("--dry-run", action="store_true", help="on the CPU; nothing is written but with --out")
    parser.add_argument("--out", type=Path, help=f"default: {RESULTS}")
    parser.add_argument("--small-case", action="store_true", help=argparse.SUPPRESS)  # for compute-sanitizer
    options = parser.parse_args(arguments)
    if options.dry_run and options.out and options.out.resolve().parent == RESULTS.parent:
        parser.error("a dry run has no results")
    if not options.dry_run and not torch.cuda.is_available():
        print("error: PyTorch finds no CUDA device; --dry-run needs none", file=sys.stderr)
        return 1
    device = StandIn(LAUNCHES) if options.dry_run else Device()
    if options.small_case:
        return 0 if sanitizer.small_case(device) else 1
    out = options.out or (None if options.dry_run else RESULTS)

    def save(record: dict[str, Any]) -> None:
        if out:
            out.write_text(json.dumps(record, indent=1) + "\n")

    session = Session.start(device, TINY if options.dry_run else FULL, options.images, options.minutes)
    try:
        device.codec(MODEL)  # a build without CUDA ends here, and writes nothing
        record = check(session, options.commit or git("rev-parse", "HEAD"), save)
    except (TreeNetError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    wrong = failures(record)
    for line in wrong:
        print(f"WRONG: {line}", file=sys.stderr)
    verdict = "a dry run: nothing is shown" if options.dry_run else "all equal" if not wrong else "NOT all right"
    print(f"{verdict}; {len(record['not_run'])} things not run; {sum(record['seconds'].values()):.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
