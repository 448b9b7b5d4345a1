"""A small case under compute-sanitizer, which sees accesses out of bounds and races between threads."""

import re
from dataclasses import dataclass

import treenet_fast
from gpu import tools
from gpu.device import Device
from gpu.images import photographs
from gpu.session import Session
from treenet_fast import models

TOOLS = ("memcheck", "racecheck")
APART = {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1", "TREENET_FAST_CUDA_GUARDS": "1"}
"""An environment in which each tensor, PyTorch's or the codec's, is an allocation of its own: beyond its end is out of
bounds then."""
SIZES = ((37, 50), (70, 33), (16, 530))
"""The last one so wide that rows of symbols take several rounds, and all hyper layers several blocks."""


@dataclass(frozen=True)
class Verdict:
    """What a tool found; `report` is the end of its output where that is anything."""

    tool: str
    clean: bool
    report: str = ""


def check(session: Session, program: str | None, verdicts: list[Verdict]) -> None:
    """Adds both tools' verdicts; none without the program, which the session then notes."""
    if program is None:
        session.skip("compute-sanitizer", "it was not found; it comes with the CUDA toolkit")
        return
    for tool in TOOLS:
        command = [program, "--tool", tool]
        # Without this it complains of a program that never calls CUDA.
        command += ["--require-cuda-init", "no"] if session.device.dry_run else []
        limit = min(session.scale.sanitizer_seconds, session.left())
        done = tools.run(command, session.device, "--small-case", APART, limit)
        if done is None:
            session.skip(f"compute-sanitizer {tool}", f"it took more than {limit:.0f} s")
            continue
        status, output = done
        # racecheck says "hazards displayed" where memcheck counts errors.
        summary = re.search(r"(?:ERROR|RACECHECK) SUMMARY: (\d+)", output)
        clean = status == 0 and summary is not None and summary[1] == "0"
        verdicts.append(Verdict(tool, clean, "" if clean else output[-4000:]))
        session.keep()
        print(f"compute-sanitizer {tool}: {'clean' if clean else 'NOT CLEAN'}", flush=True)


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
