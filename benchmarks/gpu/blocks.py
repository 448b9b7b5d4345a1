"""Each stage of the codec: the time that the device spends in it, beside its floor and the float network's."""

import re
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gpu.device import Activity
from gpu.images import photographs
from gpu.paths import FASTEST, MODEL, PRECISIONS, QUALITY, Row, network
from gpu.session import Session, summary
from gpu.stage import FloatBlock, Stage
from gpu.stages import stages
from treenet_fast import TreeNetError
from treenet_fast.model import TreeNet

PARAMETERS = ["parameters_kernel", "count_kernel", "scan_kernel", "gather_kernel", "copy_kernel"]
LAUNCHES = {
    "compress": [
        *(["residual_down_kernel"] * 4 + ["fusion_kernel"] * 2 + ["hyper_kernel"] * 5),
        *(["hyper_symbols_kernel"] + ["hyper_kernel"] * 5 + PARAMETERS * 2),
    ],
    "decompress": [
        *(["hyper_symbols_kernel"] + ["hyper_kernel"] * 5 + [*PARAMETERS, "copy_kernel", "scatter_kernel"] * 2),
        *(["residual_up_kernel", "fusion_kernel", "fusion_kernel"] * 3 + ["residual_up_kernel"]),
    ],
}
"""Kernels in an order in which they may run: what a dry run shows in their place."""
ONCE = "residual_(down|up)_kernel"
"""Kernels of which each of their stages has one launch in a part of a batch."""
TOLERANCE = 0.2
"""By which a profiler's times and events may differ."""


class Blocks:
    """The stages of both tasks, at some sizes and batches.

    The codec's kernels have a profiler's times; the float network's stages, which do not wait for the device, those
    between two events.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.device = session.device

    def run(self, found: dict[str, Any]) -> None:
        """Adds what the codec's stages take, and the float network's."""
        found |= {"profiler": None, "calls": [], "kernels": [], "stages": []}
        cases = [self._at(size, batch) for size, batch in self.session.scale.blocks]
        with self.device.one_by_one():
            for at in cases:
                try:
                    self._codec(found, at)
                except TreeNetError as error:
                    self.session.skip(f"the codec's stages, {at['size']}, batch {at['batch']}", summary(error))
                self.device.release()
                self.session.keep()
        found["profiler"] = self._profiler()
        for precision in (FASTEST, "float32"):
            model = network(self.session, precision)
            for at in cases if precision == FASTEST else cases[:1]:
                self._float(found["stages"], at, model, precision, None)
                self.session.keep()

    def compiled(self, rows: list[Row]) -> None:
        """Adds the float network's stages compiled, as far as the time goes."""
        at = self._at(*self.session.scale.compiled_blocks)
        self._float(rows, at, network(self.session, FASTEST), FASTEST, self.session.scale.compile_options[1])

    def _at(self, size: str, batch: int) -> Row:
        height, width = self.session.scale.sizes[size]
        return {"size": size, "height": height, "width": width, "batch": batch}

    def _codec(self, found: dict[str, Any], at: Row) -> None:
        """Adds the rows of both tasks."""
        codec = self.device.codec(MODEL)
        images = photographs(at["height"], at["width"], at["batch"]).to(self.device.torch)
        streams = codec.compress(images, QUALITY)
        all_stages = stages(at["height"], at["width"])
        for task, work in (
            ("compress", partial(codec.compress, images, QUALITY)),
            ("decompress", partial(self.device.decompress, codec, streams)),
        ):
            activities: list[Activity] = []
            what = f"the codec's stages of {task}, {at['size']}, batch {at['batch']}"
            if self.session.late():
                self.session.skip(what, "no time was left")
                continue
            try:
                activities = self.device.trace(work)
                found["calls"].append({"task": task, **at, **self._consistent(activities, work)})
                found["kernels"] += [{"task": task, **at, **row} for row in by_name(activities)]
                if strange := of_no_stage(activities, [stage for stage in all_stages if stage.task == task]):
                    self.session.skip(what, f"these kernels are in none: {', '.join(strange)}")
            except RuntimeError as error:
                self.session.skip(what, summary(error))
            kernels = 1000 * sum(activity.seconds for activity in activities)
            print(f"kernels of {task}, {at['size']}, batch {at['batch']}: {kernels:.3f} ms", flush=True)
            for stage in all_stages:
                if stage.task == task:
                    found["stages"].append(self._row(stage, at, activities, all_stages))

    def _row(self, stage: Stage, at: Row, activities: list[Activity], all_stages: list[Stage]) -> Row:
        row: Row = {"stage": stage.name, "task": stage.task, **at, "cost": asdict(stage.cost)}
        row["floor"] = stage.cost.floor(at["batch"], self.session.limits)
        try:
            if activities:
                row["treenet_fast"] = share(activities, stage, all_stages)
        except ValueError as error:
            self.session.skip(f"{stage.name}, {at['size']}, batch {at['batch']}", str(error))
        return row

    def _consistent(self, activities: list[Activity], work: Any) -> Row:
        """A call's time in kernels and copies, and between two events; the first cannot be longer. (It is shorter by
        what the call does on the host.)"""
        kernels = sum(activity.seconds for activity in activities)
        call = self.device.measure(work, self.session.scale.block_seconds).median
        return {"kernels": kernels, "call": call, "consistent": kernels <= (1 + TOLERANCE) * call}

    def _profiler(self) -> Row | None:
        """Whether the profiler's times can be trusted: work that waits for nothing, by them and between two events."""
        size, batch = self.session.scale.blocks[0]
        stage = next(stage for stage in stages(*self.session.scale.sizes[size]) if stage.name == "synthesis.level2")
        model = network(self.session, FASTEST)
        work = partial(self._call, stage.run, model, self._inputs(stage, batch, FASTEST))
        try:
            kernels = sum(activity.seconds for activity in self.device.trace(work))
        except RuntimeError as error:
            self.session.skip("a check of the profiler's times", summary(error))
            return None
        events = self.device.queued(work, self.session.scale.block_seconds).median
        return {"kernels": kernels, "events": events, "consistent": abs(kernels / events - 1) <= TOLERANCE}

    def _float(self, rows: list[Row], at: Row, model: TreeNet, precision: str, options: Row | None) -> None:
        """Adds the float stages' seconds to the rows of theirs, or rows of their own."""
        side = precision if options is None else f"{precision}, compiled"
        for stage in stages(at["height"], at["width"]):
            what = f"{stage.name}, {at['size']}, batch {at['batch']}, {side}"
            key = {"stage": stage.name, "task": stage.task, **at}
            if stage.run is None:
                continue
            if self.session.late():
                self.session.skip(what, "no time was left")
                continue
            row = next((row for row in rows if key.items() <= row.items()), None)
            if row is None:
                row = key
                rows.append(row)
            try:
                run = stage.run
                if options is not None:
                    torch._dynamo.reset()
                    run = torch.compile(run, dynamic=False, **options)
                work = partial(self._call, run, model, self._inputs(stage, at["batch"], precision))
                row[side] = self.device.queued(work, self.session.scale.block_seconds).median
            except Exception as error:  # too little memory, or one of the many ways in which a compiler fails
                self.session.skip(what, summary(error))
            self.device.release()

    def _inputs(self, stage: Stage, batch: int, precision: str) -> list[Tensor]:
        dtype, layout = PRECISIONS[precision]
        device = self.device.torch
        return [
            torch.rand(batch, *shape, device=device).to(dtype).contiguous(memory_format=layout)
            for shape in stage.inputs
        ]

    @torch.inference_mode()
    def _call(self, run: FloatBlock, model: TreeNet, inputs: list[Tensor]) -> list[Tensor]:
        return run(model, inputs)


def share(activities: list[Activity], stage: Stage, all_stages: list[Stage]) -> float:
    """Seconds of a stage's launches, among those of the stages of its kind.

    The codec may take a batch in several parts, one after the other.

    Raises:
        ValueError: there are not as many launches for each of these.
    """
    of_task = [each for each in all_stages if each.task == stage.task]
    kind = [each for each in of_task if each.kernel == stage.kernel]
    launches = [activity for activity in activities if re.search(stage.kernel, activity.name)]
    levels = sum(bool(re.search(ONCE, each.kernel)) for each in of_task)
    parts = sum(bool(re.search(ONCE, activity.name)) for activity in activities) // levels
    count, left = divmod(len(launches), max(1, parts * len(kind)))
    if not parts or not count or left:
        raise ValueError(
            f"{len(launches)} launches of {stage.kernel} do not share themselves among {len(kind)} stages "
            f"of {parts} parts of a batch"
        )
    firsts = [(part * len(kind) + kind.index(stage)) * count for part in range(parts)]
    return sum(activity.seconds for first in firsts for activity in launches[first : first + count])


def of_no_stage(activities: list[Activity], of_task: list[Stage]) -> list[str]:
    """The names of kernels, not of copies, that no stage has."""
    kernels = {activity.name for activity in activities if re.search(r"_kernel\b", activity.name)}
    return sorted(name for name in kernels if not any(re.search(stage.kernel, name) for stage in of_task))


def by_name(activities: list[Activity]) -> list[Row]:
    """Launches and seconds of each kernel and kind of copy."""
    found: dict[str, list[float]] = {}
    for activity in activities:
        found.setdefault(kernel_name(activity.name), []).append(activity.seconds)
    return [{"kernel": name, "launches": len(times), "seconds": sum(times)} for name, times in found.items()]


def kernel_name(name: str) -> str:
    """A kernel's name with its template's arguments, without its namespaces and parameters; other names as they are."""
    found = re.search(r"\w+_kernel(<.*?>(?=\())?", name)
    return found[0] if found else name
