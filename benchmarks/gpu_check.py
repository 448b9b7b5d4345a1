"""All that only a GPU can show, in one command of at most 8 minutes, with the package installed where nvcc is.

    python benchmarks/gpu_check.py --images FOLDER

Holds the CUDA backend against the CPU's by equality of bytes and pixels, runs compute-sanitizer where it is, times
the codec, its stages and the float network, and reads the hardware's counters where Nsight Compute is and may. Writes
benchmarks/results/gpu.json, from which `python benchmarks/tables.py` makes the README's tables, and exits with 1 where
anything differs or a tool complains. What could not be run, and why, is in the file, too.

`--only SECTION,SECTION` does a part, and keeps the rest of a file that is of the same commit and device. `--build`
first installs the package from this source tree, for this device alone, with what it needs to build already there.
`--dry-run` goes the same way on a CPU, with small images; what it prints means nothing.
"""

import argparse
import sys
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "gpu.json"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="a folder of images to compare; without it some are made")
    parser.add_argument("--only", type=lambda text: text.split(","), help="sections to do, with commas between them")
    parser.add_argument("--build", action="store_true", help="install the package first, and then go on")
    parser.add_argument("--minutes", type=float, default=7, help="after which nothing more is begun (%(default)s)")
    parser.add_argument("--commit", help="what is installed, if this is no git repository")
    parser.add_argument("--dry-run", action="store_true", help="on the CPU; nothing is written but with --out")
    parser.add_argument("--out", type=Path, help=f"default: {RESULTS}")
    for hidden in ("--small-case", "--counted-calls"):  # for compute-sanitizer and for Nsight Compute
        parser.add_argument(hidden, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.dry_run and options.out and options.out.resolve().parent == RESULTS.parent:
        parser.error("a dry run has no results")
    if options.out is None and not options.dry_run:
        options.out = RESULTS
    if options.build:
        from gpu import build

        begin = time.monotonic()
        if not build.install(build.pip(options.dry_run)):
            return 1
        left = options.minutes - (time.monotonic() - begin) / 60
        return build.go_on([argument for argument in arguments if argument != "--build"], left)

    from gpu import run  # not above: it imports the package, which may not have been there

    return run.main(options, parser.error)


if __name__ == "__main__":
    sys.exit(main())
