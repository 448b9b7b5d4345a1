"""Runs the benchmarks of the CPU, keeps the results, and prints their tables.

    python benchmarks/record.py benchmarks/results/epyc --image kodim15.png             # all, in 20 to 30 minutes
    python benchmarks/record.py benchmarks/results/epyc kernels scaling --large
    python benchmarks/record.py /tmp/results --quick                                    # only to see that all works

Each suite has a file in the folder, which a machine has to itself. `python benchmarks/tables.py` then renews README.md
and docs/. The kernels need a module of their own (bench_kernels.py says how to build it), the instructions valgrind.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import cpuinfo
import instructions
import scaling
import speed_tables

HERE = Path(__file__).parent
RESULTS = (HERE / "results").resolve()

Row = dict[str, Any]


class NotRecordedError(Exception):
    """A suite has no results, and why."""


def benchmark(file: str, options: argparse.Namespace, *arguments: str) -> list[Row]:
    """One run of a file of pytest-benchmark: what that says of each test."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "benchmark.json"
        command = [sys.executable, "-m", "pytest", "-q", str(HERE / file), f"--benchmark-json={out}", *arguments]
        if options.image is not None:
            command.append(f"--image={options.image.resolve()}")
        if options.quick:
            command.append("--quick")
        if subprocess.run(command).returncode != 0:
            raise NotRecordedError(f"{file} failed or was skipped, as pytest says above")
        tests: list[Row] = json.loads(out.read_text())["benchmarks"]
        return tests


def merged(runs: list[list[Row]]) -> list[Row]:
    """A result for each test: the median of the runs' medians, and the best of all times.

    `faster` is how many times faster than the float network that took turns with it: the median of the runs' ratios,
    each of medians.
    """
    found: dict[str, list[Row]] = {}
    for run in runs:
        for test in run:
            found.setdefault(test["fullname"], []).append(test)
    results = []
    for tests in found.values():
        medians = [test["stats"]["median"] for test in tests]
        row = {"task": tests[0]["group"], **tests[0]["extra_info"], "seconds": statistics.median(medians)}
        row |= {"best": min(test["stats"]["min"] for test in tests), "runs": medians}
        if "eager" in row:
            eager = [statistics.median(test["extra_info"]["eager"]) for test in tests]
            row["eager"] = eager
            row["faster"] = statistics.median(e / own for e, own in zip(eager, medians, strict=True))
        results.append(row)
    return results


def kernels(options: argparse.Namespace) -> list[Row]:
    return merged([benchmark("bench_kernels.py", options)])


def speed(options: argparse.Namespace) -> list[Row]:
    """Kodak's size several times, so that a busy moment of the machine meets all sides; what is slow once."""
    runs = [benchmark("bench_codec.py", options, "-k", "Kodak")]
    for _ in range(0 if options.quick else options.runs - 1):
        runs.append(benchmark("bench_codec.py", options, "-k", "Kodak and not scalar and not compiled"))
    return merged([*runs, benchmark("bench_codec.py", options, "-k", "not Kodak")])


def rans(options: argparse.Namespace) -> list[Row]:
    return merged([benchmark("bench_rans.py", options)])


def scaled(options: argparse.Namespace) -> list[Row]:
    try:
        return scaling.measure(options.image, options.large, options.quick)
    except scaling.EndedError as error:
        raise NotRecordedError(str(error)) from error


def instruction_counts(options: argparse.Namespace) -> list[Row]:
    try:
        return instructions.measure(options.image)
    except FileNotFoundError as error:
        raise NotRecordedError(str(error)) from error


SUITES: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "speed": speed,
    "kernels": kernels,
    "rans": rans,
    "scaling": scaled,
    "instructions": instruction_counts,
}


def commit() -> str:
    """Of this repository: results without it could not be made again."""
    return subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=HERE, text=True).strip()


def record(results: list[Row], options: argparse.Namespace) -> Row:
    """The results and where they come from."""
    return {
        "image": options.image.name if options.image else "examples/chelsea.png",
        "commit": commit(),
        "processor": cpuinfo.get_cpu_info().get("brand_raw", platform.processor()),
        "python": platform.python_version(),
        "torch": metadata.version("torch"),
        "results": results,
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the machine's folder")
    parser.add_argument("suites", nargs="*", metavar="suite", help=f"{', '.join(SUITES)}; without any, all of them")
    parser.add_argument("--image", type=Path, help="a photograph; without it the example, enlarged")
    parser.add_argument("--runs", type=int, default=5, help="of the codec at Kodak's size (default: %(default)s)")
    parser.add_argument("--large", action="store_true", help="100 megapixels, too, which needs 10 GB of memory")
    parser.add_argument("--quick", action="store_true", help="small images, once: to see that all works")
    options = parser.parse_intermixed_args(arguments)
    if unknown := set(options.suites) - set(SUITES):
        parser.error(f"there is no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    if str(options.out) in SUITES:
        parser.error(f"the machine's folder comes first, not {options.out}")
    if options.out.resolve() == RESULTS:
        parser.error("every machine has a folder of its own, below this one")
    if options.quick and options.out.resolve().is_relative_to(RESULTS):
        parser.error("a quick run has no results to keep: give it another folder")
    options.out.mkdir(parents=True, exist_ok=True)
    missing = {}
    for name in options.suites or SUITES:
        try:
            made = record(SUITES[name](options), options)
        except NotRecordedError as error:
            missing[name] = error
            continue
        (options.out / f"{name}.json").write_text(json.dumps(made, indent=1) + "\n")
        print(f"\n{name}\n\n{speed_tables.TABLES[name](made)}\n", flush=True)
    for name, error in missing.items():
        print(f"not recorded: {name}: {error}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
