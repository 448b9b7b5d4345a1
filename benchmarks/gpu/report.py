"""What the README says of a run on a GPU."""

import textwrap
from collections.abc import Callable
from typing import Any

from gpu.paths import CODEC, FASTEST, PRECISIONS
from treenet_fast.evaluation import markdown

Record = dict[str, Any]

SIDES = {
    CODEC: "`treenet_fast`",
    **{precision: f"eager {precision}" for precision in PRECISIONS},
    f"{FASTEST}, compiled": f"{FASTEST}, `torch.compile`",
}
REASON = 160  # characters at most


def in_short(record: Record) -> str:
    """Exactness and whole calls, and what the record is of."""
    return _text(record, {"exactness": exactness, "paths": paths, "throughput": throughput})


def kernels(record: Record) -> str:
    """Stages and kernels, and what was not run."""
    return _text(record, {"blocks": blocks, "counters": counters, "not_run": not_run})


def _text(record: Record, parts: dict[str, Callable[[Record], str]]) -> str:
    return "\n\n".join([*(make(record) for name, make in parts.items() if record.get(name)), caption(record)])


def exactness(record: Record) -> str:
    """How many cases of each kind are equal to the CPU's, and what compute-sanitizer says."""
    rows = [
        [kind["name"], f"{kind['cases'] - len(kind['differs'])} of {kind['cases']}"] for kind in record["exactness"]
    ]
    for verdict in record.get("sanitizer", ()):
        rows.append([f"compute-sanitizer {verdict['tool']}", "clean" if verdict["clean"] else "**not clean**"])
    return markdown.table(["", "bytes and pixels equal to the CPU's"], rows)


def paths(record: Record) -> str:
    """Medians of whole calls; the float network's are without entropy coding."""
    rows = record["paths"] + record.get("compiled", [])
    sides = [side for side in SIDES if any(row["side"] == side for row in rows)]
    times = {(row["task"], row["size"], row["batch"], row["side"]): row for row in rows}
    calls = record.get("blocks", {}).get("calls", ())
    kernels = {(call["task"], call["size"], call["batch"]): call["kernels"] for call in calls}
    lines = []
    for task, size, batch in dict.fromkeys(key[:3] for key in times):
        ours = times.get((task, size, batch, CODEC), {})
        cells = [milliseconds(times.get((task, size, batch, side), {}).get("median")) for side in sides]
        cells[1:1] = [milliseconds(kernels.get((task, size, batch))), milliseconds(ours.get("floor"))]
        lines.append([f"{task}, {size}, batch {batch}", *cells])
    names = [SIDES[side] for side in sides]
    names[1:1] = ["its kernels", "floor of its stages"]
    return markdown.table(["", *names], lines)


def throughput(record: Record) -> str:
    """Images a second of several threads on one codec."""
    rows = record["throughput"]
    rates = {(f"{row['task']}, {row['size']}", row["threads"]): f"{row['images_a_second']:.0f}" for row in rows}
    threads = list(dict.fromkeys(row["threads"] for row in rows))
    lines = [
        [name, *(rates.get((name, count), "–") for count in threads)]
        for name in dict.fromkeys(name for name, _ in rates)
    ]
    header = f"images a second, batches of {rows[0]['batch']}"
    return markdown.table([header, *(f"{n} thread{'s' * (n > 1)}" for n in threads)], lines)


def blocks(record: Record) -> str:
    """Time in the kernels of each stage, beside its floor and the float network's; a table for each size and batch."""
    found, limits = record["blocks"], record["limits"]
    compiled = {stage_of(row): row for row in record.get("compiled_blocks", ())}
    rows = [row | compiled.get(stage_of(row), {}) for row in found["stages"]]
    parts = []
    for size, batch in dict.fromkeys((row["size"], row["batch"]) for row in rows):
        of_case = [row for row in rows if (row["size"], row["batch"]) == (size, batch)]
        sides = [side for side in SIDES if side != CODEC and any(side in row for row in of_case)]
        lines = [
            [f"{row['task']}: {row['stage']}", microseconds(row.get(CODEC)), microseconds(row.get("floor"))]
            + [percent(share) for share in shares(row, limits)]
            + [beside(row.get(side), row.get(CODEC)) for side in sides]
            for row in of_case
        ]
        header = [f"kernels, {size}, batch {batch}", "`treenet_fast`", "floor", "of the int8 peak", "of bandwidth"]
        parts.append(markdown.table([*header, *(SIDES[side] for side in sides)], lines))
    if (profiler := found.get("profiler")) and not profiler["consistent"]:
        parts.append(
            f"The profiler's times are not to be trusted: of one and the same work it has "
            f"{milliseconds(profiler['kernels'])}, events {milliseconds(profiler['events'])}."
        )
    parts += [
        f"The profiler's times of {call['task']}, {call['size']}, batch {call['batch']} are not to be trusted: "
        f"kernels of {milliseconds(call['kernels'])} in a call of {milliseconds(call['call'])}."
        for call in found.get("calls", ())
        if not call["consistent"]
    ]
    parts.append(
        "Shares are of what a stage must at least calculate and move (by the model of its cost, not by counters). "
        "The codec's kernels have a profiler's times, the float network's stages those between two events."
    )
    return "\n\n".join(parts)


def stage_of(row: Record) -> tuple[str, str, str, int]:
    return row["task"], row["stage"], row["size"], row["batch"]


def shares(row: Record, limits: Record) -> tuple[float | None, float | None]:
    """Of the int8 peak and of bandwidth, that a stage's cost is in its time."""
    seconds, cost = row.get(CODEC), row.get("cost")
    if seconds is None or cost is None:
        return None, None
    moved = (row["batch"] * cost["moved"] + cost["weights"]) / seconds / limits["bytes"]
    peak = limits["operations"]
    return row["batch"] * cost["operations"] / seconds / peak if peak else None, moved


def counters(record: Record) -> str:
    """What the hardware counted in each kernel."""
    lines = [
        [row["kernel"], str(row["launches"]), microseconds(row["seconds"])]
        + [percent(row[share]) for share in ("int8", "bandwidth")]
        for row in record["counters"]
    ]
    header = ["kernel, by hardware counters", "launches", "time", "of the tensor cores' peak", "of bandwidth"]
    return markdown.table(header, lines)


def not_run(record: Record) -> str:
    reasons = [textwrap.shorten(entry["why"], REASON, placeholder=" …") for entry in record["not_run"]]
    lines = [f"- {entry['what']}: {why}" for entry, why in zip(record["not_run"], reasons, strict=True)]
    return "\n".join(["Not run:", "", *lines])


def caption(record: Record) -> str:
    device, limits = record["device"], record["limits"]
    peak = f", and {limits['operations'] / 1e12:.0f} TOPS by the data sheet" if limits["operations"] else ""
    return (
        f"Floors are at {limits['bytes'] / 1e12:.2f} TB/s, measured by a copy{peak}. "
        f"{device['name']}, driver {device['driver']}, CUDA {device['nvcc']} (PyTorch's: {device['torch_cuda']}), "
        f"torch {device['torch']}{', TF32 in float32 convolutions' if device['tf32_convolutions'] else ''}, "
        f"{device['processor']}; model {record['model']}, quality {record['quality']}, "
        f"commit {(record['commit'] or 'unknown')[:10]}."
    )


def milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1e3 * seconds:.2f} ms"


def microseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1e6 * seconds:.0f} µs"


def beside(seconds: float | None, ours: float | None) -> str:
    """A time, and how many of ours it is."""
    return microseconds(seconds) + (f" ({seconds / ours:.1f}x)" if seconds and ours else "")


def percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"
