"""A small case under compute-sanitizer, which sees accesses out of bounds and races between threads."""

import glob
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import treenet_fast
from gpu.device import Device
from gpu.images import photographs
from gpu.session import Session
from treenet_fast import models

TOOLS = ("memcheck", "racecheck")
PLACES = ("$CUDA_HOME", "$CUDA_PATH", "/usr/local/cuda", "/usr/local/cuda-*")
SIZES = ((37, 50), (70, 33))
SCRIPT = Path(__file__).parents[1] / "gpu_check.py"


@dataclass(frozen=True)
class Verdict:
    """What a tool found; `report` is the end of its output where that is anything."""

    tool: str
    clean: bool
    report: str = ""


def find() -> str | None:
    """The program, from PATH or from where CUDA is usually installed."""
    for place in PLACES:
        for folder in sorted(glob.glob(os.path.expandvars(place)), reverse=True):
            if found := shutil.which("compute-sanitizer", path=f"{folder}/bin"):
                return found
    return shutil.which("compute-sanitizer")


def check(session: Session, program: str | None) -> list[Verdict]:
    """Both tools' verdicts; none without the program, which the session then notes."""
    if program is None:
        session.skip("compute-sanitizer", "it was not found; it comes with the CUDA toolkit")
        return []
    verdicts = []
    for tool in TOOLS:
        command = [program, "--tool", tool]
        # Without this it complains of a program that never calls CUDA.
        command += ["--require-cuda-init", "no"] if session.device.dry_run else []
        command += [sys.executable, str(SCRIPT), "--small-case"]
        command += ["--dry-run"] if session.device.dry_run else []
        # Each tensor in an allocation of its own: beyond its end is out of bounds then.
        environment = os.environ | {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
        limit = min(session.scale.sanitizer_seconds, session.left())
        with subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as done:
            try:
                output, _ = done.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                os.killpg(done.pid, signal.SIGKILL)  # with the program that it runs
                session.skip(f"compute-sanitizer {tool}", f"it took more than {limit:.0f} s")
                continue
        # racecheck says "hazards displayed" where memcheck counts errors.
        summary = re.search(r"(?:ERROR|RACECHECK) SUMMARY: (\d+)", output)
        clean = done.returncode == 0 and summary is not None and summary[1] == "0"
        verdicts.append(Verdict(tool, clean, "" if clean else output[-4000:]))
        print(f"compute-sanitizer {tool}: {'clean' if clean else 'NOT CLEAN'}", flush=True)
    return verdicts


def small_case(device: Device) -> bool:
    """All kernels once or a few times: whether a batch of each size gives the CPU's bytes and pixels."""
    name = models.DEFAULT
    cpu, ours = treenet_fast.Codec(name), device.codec(name)
    same = True
    for height, width in SIZES:
        images = photographs(height, width, 2)
        streams = cpu.compress(images, 70)
        same &= ours.compress(images.to(device.torch), 70) == streams
        pairs = zip(device.decompress(ours, streams), cpu.decompress(streams, "torch"), strict=True)
        same &= all(bool((a.cpu() == b).all()) for a, b in pairs)
    return same
