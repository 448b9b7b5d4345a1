"""Each fused block beside the float network's, by the time that the device spends in kernels, and beside its floor."""

import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from gpu.device import Activity
from gpu.images import photographs
from gpu.paths import FASTEST, MODEL, PRECISIONS, QUALITY, TRACED, Row, network
from gpu.session import Session, summary
from gpu.stages import Stage, stages
from treenet_fast.model import TreeNet

LAUNCHES = {
    "compress": [*["residual_down_kernel"] * 4, *["fusion_kernel"] * 2],
    "decompress": [*["residual_up_kernel", "fusion_kernel", "fusion_kernel"] * 3, "residual_up_kernel"],
}
"""Kernels in an order in which the blocks may run: what a dry run shows in their place."""


class Blocks:
    """The stages of both tasks at the first size of the benchmarks."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.device = session.device
        self.codec = session.device.codec(MODEL)
        self.size, (self.height, self.width) = next(iter(session.scale.sizes.items()))
        self.stages = stages(self.height, self.width)
        self.float_network = network(session, FASTEST)

    def run(self) -> dict[str, Any]:
        """The stages at each batch, and all of the codec's kernels by name."""
        rows: list[Row] = []
        kernels: list[Row] = []
        for batch in reversed(self.session.scale.batches):
            if batch not in self.session.scale.compiled_blocks:
                self.session.skip(f"torch.compile of the blocks, batch {batch}", "it would take too long")
            activities = {}
            for task in LAUNCHES:
                try:
                    activities[task] = self._traced(task, batch)
                    kernels += [{"task": task, "batch": batch, **row} for row in by_name(activities[task])]
                except RuntimeError as error:
                    self.session.skip(f"the codec's blocks of {task}, batch {batch}", str(error))
            for stage in self.stages:
                row: Row = {"stage": stage.name, "task": stage.task, "batch": batch, "cost": asdict(stage.cost)}
                row["floor"] = stage.cost.floor(batch, self.session.limits)
                try:
                    if stage.task in activities:
                        row["treenet_fast"] = share(activities[stage.task], stage, self.stages)
                except ValueError as error:
                    self.session.skip(f"{stage.name}, batch {batch}", str(error))
                rows.append(row | self._float(stage, batch))
        return {"size": self.size, "stages": rows, "kernels": kernels}

    def _traced(self, task: str, batch: int) -> list[Activity]:
        images = photographs(self.height, self.width, batch).to(self.device.torch)
        streams = self.codec.compress(images, QUALITY)
        if task == "compress":
            return self.device.trace(lambda: self.codec.compress(images, QUALITY), TRACED)
        return self.device.trace(lambda: self.device.decompress(self.codec, streams), TRACED)

    def _float(self, stage: Stage, batch: int) -> Row:
        """Seconds in the kernels of the float block, eager and compiled."""
        dtype, layout = PRECISIONS[FASTEST]
        inputs = [
            torch.rand(batch, *shape, device=self.device.torch).to(dtype).contiguous(memory_format=layout)
            for shape in stage.inputs
        ]
        row: Row = {}
        for side, options in (("eager", None), ("compiled", self.session.scale.compile_options[1])):
            if options is not None and batch not in self.session.scale.compiled_blocks:
                continue
            if options is not None and self.session.late():
                self.session.skip(f"torch.compile of {stage.name}, batch {batch}", "no time was left")
                continue
            try:
                row[side] = self._seconds(stage, inputs, options)
            except Exception as error:  # too little memory, or one of the many ways in which a compiler fails
                self.session.skip(f"{stage.name}, batch {batch}, {side}", summary(error))
        return row

    @torch.inference_mode()
    def _seconds(self, stage: Stage, inputs: list[Tensor], options: Row | None) -> float:
        run: Callable[[TreeNet, list[Tensor]], list[Tensor]] = stage.run
        if options is not None:
            torch._dynamo.reset()
            run = torch.compile(run, dynamic=False, **options)
        return sum(a.seconds for a in self.device.trace(lambda: run(self.float_network, inputs), TRACED))


def share(activities: list[Activity], stage: Stage, all_stages: list[Stage]) -> float:
    """Seconds of a stage's launches, among those of the stages of its kind.

    Raises:
        ValueError: there are not as many launches for each of these.
    """
    kind = [each for each in all_stages if (each.task, each.kernel) == (stage.task, stage.kernel)]
    launches = [activity for activity in activities if stage.kernel in activity.name]
    count, left = divmod(len(launches), len(kind))
    if not count or left:
        raise ValueError(f"{len(launches)} launches of {stage.kernel} do not share themselves among {len(kind)} stages")
    first = kind.index(stage) * count
    return sum(activity.seconds for activity in launches[first : first + count])


def by_name(activities: list[Activity]) -> list[Row]:
    """Launches and seconds of each kernel and kind of copy."""
    found: dict[str, list[float]] = {}
    for activity in activities:
        name = re.search(r"\w+_kernel(<.*?>(?=\())?", activity.name)
        found.setdefault(name[0] if name else activity.name, []).append(activity.seconds)
    return [{"kernel": name, "launches": len(times), "seconds": sum(times)} for name, times in found.items()]
