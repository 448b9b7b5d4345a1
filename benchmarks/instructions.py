"""Instructions a pixel that decoding takes, counted by valgrind: the same on a busy machine as on an idle one.

    python benchmarks/instructions.py

valgrind knows no AVX-512, so that the paths below it are counted, on one thread. What starts Python and the codec is
taken off: a process that decodes twice has one decoding more than one that decodes once. Numbers of different
compilers or images are not to be compared.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pictures import picture

import treenet_fast

SIDE = 128
QUALITY = 50
ISAS = ("scalar", "avx2")


def decode(isa: str, stream: Path, times: int) -> None:
    """What is counted."""
    codec = treenet_fast.Codec(isa=isa, threads=1)
    for _ in range(times):
        codec.decompress(stream.read_bytes(), "numpy")


def counted(report: str) -> int:
    """The instructions in what cachegrind writes.

    >>> counted("==7== \\n==7== I   refs:      1,234,567\\n")
    1234567
    """
    found = re.search(r"I\s+refs:\s+([\d,]+)", report)
    if found is None:
        raise ValueError(f"cachegrind counted nothing:\n{report}")
    return int(found[1].replace(",", ""))


def instructions(isa: str, stream: Path, times: int) -> int:
    """Of a process that decodes so many times."""
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    command += [sys.executable, __file__, "--decode", str(stream), "--isa", isa, "--times", str(times)]
    environment = os.environ | {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    return counted(subprocess.run(command, check=True, env=environment, stderr=subprocess.PIPE, text=True).stderr)


def measure(image: Path | None) -> list[dict[str, Any]]:
    """Instructions a pixel of each instruction set that there is.

    Raises:
        FileNotFoundError: there is no valgrind.
    """
    if shutil.which("valgrind") is None:
        raise FileNotFoundError("valgrind is not installed (apt install valgrind)")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        stream = Path(folder) / "image.tnf"
        stream.write_bytes(treenet_fast.compress(picture(image, SIDE, SIDE), QUALITY))
        for isa in ISAS:
            if isa not in treenet_fast.backend_info().available_isas:
                continue
            once, twice = (instructions(isa, stream, times) for times in (1, 2))
            results.append({"isa": isa, "side": SIDE, "instructions_per_pixel": (twice - once) / SIDE**2})
            print(f"{isa}: {results[-1]['instructions_per_pixel']:.0f} instructions a pixel", flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, help="a photograph; without it the example, enlarged")
    parser.add_argument("--decode", type=Path, help="only decode this stream, to be counted")
    parser.add_argument("--isa", choices=ISAS, default=ISAS[0], help="how to decode it")
    parser.add_argument("--times", type=int, default=1, help="how often")
    arguments = parser.parse_args()
    if arguments.decode is not None:
        decode(arguments.isa, arguments.decode, arguments.times)
    else:
        measure(arguments.image)


if __name__ == "__main__":
    main()
