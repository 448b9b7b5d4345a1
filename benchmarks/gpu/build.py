"""Installs the package from this source tree, with the CUDA backend for the device that is here."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu_check.py"


def pip(dry_run: bool) -> list[str]:
    """The command; for a dry run, of which there may be no device, with the usual architectures."""
    command = [sys.executable, "-m", "pip", "install", "--verbose", "--no-build-isolation", "--no-deps"]
    command += ["--force-reinstall", "--disable-pip-version-check", "-C", "cmake.define.TREENET_CUDA=ON"]
    if not dry_run:
        import torch

        major, minor = torch.cuda.get_device_capability()
        command += ["-C", f"cmake.define.CMAKE_CUDA_ARCHITECTURES={major}{minor}-real"]
    return [*command, str(ROOT)]


def install(command: list[str]) -> bool:
    """Runs it, and shows what the compiler says of each kernel, or how it failed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode:
        print(f"{done.stdout[-4000:]}\nerror: the package could not be installed, see above", file=sys.stderr)
        return False
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "build.log"
        log.write_text(done.stdout)
        subprocess.run([sys.executable, str(ROOT / "tests" / "cuda_resources.py"), str(log)])
    return True


def go_on(arguments: list[str], minutes: float) -> int:
    """The check in a process of its own, which has the package that was installed; its exit status."""
    sys.stdout.flush()
    command = [sys.executable, str(SCRIPT), *arguments, "--minutes", f"{minutes:.2f}"]
    return subprocess.run(command, env=os.environ).returncode
