"""Runs the codec's benchmark and keeps the result.

    python benchmarks/record.py --image kodim15.png

The suite runs several times, so that a busy moment of the machine meets both sides; of each test the median of the
runs' medians is kept, in benchmarks/results/speed.json. `python benchmarks/tables.py` then renews the README's tables.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

HERE = Path(__file__).parent
SPEED = HERE / "results" / "speed.json"


def run_once(image: Path | None) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "benchmark.json"
        command = [sys.executable, "-m", "pytest", "-q", str(HERE / "bench_codec.py"), f"--benchmark-json={out}"]
        if image is not None:
            command += ["--image", str(image.resolve())]
        subprocess.run(command, check=True)
        return json.loads(out.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, help="a photograph; without it the example, enlarged")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    runs = [run_once(arguments.image) for _ in range(arguments.runs)]
    medians: dict[tuple[str, str], list[float]] = {}
    extra = {}
    for run in runs:
        for test in run["benchmarks"]:
            side = test["extra_info"].get("isa", test["param"])
            medians.setdefault((test["group"], side), []).append(test["stats"]["median"])
            extra[test["group"], side] = test["extra_info"]
    record = {
        "image": arguments.image.name if arguments.image else "examples/chelsea.png at 768x512",
        "commit": subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=HERE, text=True).strip(),
        "processor": runs[0]["machine_info"]["cpu"].get("brand_raw", platform.processor()),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "runs": arguments.runs,
        "results": [
            {"task": task, "side": side, "seconds": statistics.median(times), "runs": times, **extra[task, side]}
            for (task, side), times in sorted(medians.items())
        ],
    }
    SPEED.parent.mkdir(exist_ok=True)
    SPEED.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
