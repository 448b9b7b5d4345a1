"""What the README says of a run on a GPU."""

from typing import Any

import markdown

from gpu.paths import CODEC, FASTEST, PRECISIONS

Record = dict[str, Any]

SIDES = {
    CODEC: "`treenet_fast`",
    **{precision: f"eager {precision}" for precision in PRECISIONS},
    f"{FASTEST}, compiled": f"{FASTEST}, `torch.compile`",
}


def text(record: Record) -> str:
    """All tables of a record, and what it is of."""
    parts = {"exactness": exactness, "paths": paths, "throughput": throughput, "blocks": blocks, "not_run": not_run}
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
    lines = []
    for task, size, batch in dict.fromkeys(key[:3] for key in times):
        ours = times.get((task, size, batch, CODEC), {})
        cells = [milliseconds(times.get((task, size, batch, side), {}).get("median")) for side in sides]
        cells[1:1] = [milliseconds(ours.get(part)) for part in ("device_seconds", "floor")]
        lines.append([f"{task}, {size}, batch {batch}", *cells])
    names = [SIDES[side] for side in sides]
    names[1:1] = ["of it the device", "floor of its blocks"]
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
    """Time in the kernels of each block, beside its floor and the float network's kernels."""
    found = record["blocks"]
    lines = [
        [f"{row['stage']}, batch {row['batch']}", *(microseconds(row.get(side)) for side in ("treenet_fast", "floor"))]
        + [microseconds(row.get(side)) for side in ("eager", "compiled")]
        for row in found["stages"]
    ]
    header = [f"kernels, {found['size']}", "`treenet_fast`", "floor", f"eager {FASTEST}", "`torch.compile`"]
    return markdown.table(header, lines)


def not_run(record: Record) -> str:
    return "\n".join(["Not run:", "", *(f"- {entry['what']}: {entry['why']}" for entry in record["not_run"])])


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
