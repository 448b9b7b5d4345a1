"""Programs of the CUDA toolkit, run on this command itself."""

import glob
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from gpu.device import Device

PLACES = (
    "$CUDA_HOME/bin",
    "$CUDA_PATH/bin",
    "/usr/local/cuda/bin",
    "/usr/local/cuda-*/bin",
    "/opt/nvidia/nsight-compute/*",
)
SCRIPT = Path(__file__).parents[1] / "gpu_check.py"


def find(name: str) -> str | None:
    """A program, from PATH or from where CUDA is usually installed."""
    if found := shutil.which(name):
        return found
    for place in PLACES:
        for folder in sorted(glob.glob(os.path.expandvars(place)), reverse=True):
            if found := shutil.which(name, path=folder):
                return found
    return None


def run(
    command: list[str], device: Device, option: str, environment: dict[str, str], seconds: float
) -> tuple[int, str] | None:
    """Exit status and output of a tool on this command with an option of its own; None if that takes too long."""
    command = [*command, sys.executable, str(SCRIPT), option, *(["--dry-run"] if device.dry_run else [])]
    with subprocess.Popen(
        command,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as done:
        try:
            output, _ = done.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(done.pid, signal.SIGKILL)  # with the program that it runs
            return None
    return done.returncode, output
