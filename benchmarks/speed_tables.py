"""Tables of what record.py recorded on a CPU."""

import statistics
from collections.abc import Callable
from typing import Any

from treenet_fast.evaluation import markdown

Record = dict[str, Any]

TASKS = ("compress", "decompress")
FLOAT = {
    **{layout: f"eager PyTorch float32, {layout}" for layout in ("contiguous", "channels_last")},
    "compiled": "`torch.compile`, float32, channels_last",
}
CODERS = {"compressai": "CompressAI", "constriction": "constriction"}
PEERS = ("JPEG", "WebP", "AVIF", "HEIC", "JPEG XL")


def speed(record: Record) -> str:
    """Every size, on one thread and two."""
    sizes = dict.fromkeys((row["size"], row["width"], row["height"]) for row in record["results"])
    parts = []
    for size, width, height in sizes:
        rows = [row for row in record["results"] if row["size"] == size]
        threads = sorted({row["threads"] for row in rows} - {None})
        columns = [(task, count) for task in TASKS for count in threads]
        header = [f"{size}, {width}x{height}", *(f"{task}, {_threads(count)}" for task, count in columns)]
        parts.append(markdown.table(header, _lines(rows, columns)))
    return "\n\n".join([*parts, caption(record)])


def speed_in_short(record: Record) -> str:
    """Kodak's size, on as many threads as there were."""
    rows = [row for row in record["results"] if row["size"] == "Kodak"]
    threads = max(row["threads"] or 0 for row in rows)
    lines = _lines(rows, [(task, threads) for task in TASKS])
    width, height = rows[0]["width"], rows[0]["height"]
    return markdown.table(["", *TASKS], lines) + f"\n\n{width}x{height}, {_threads(threads)}. {caption(record)}"


def _lines(rows: list[Record], columns: list[tuple[str, int]]) -> list[list[str]]:
    """A line for each side, the fastest codec of this package first; a peer has one time, whatever the threads."""
    by_key = {(row["task"], row["side"], row["threads"]): row for row in rows}
    most = columns[-1][1]
    own = {side for _, side, _ in by_key} - FLOAT.keys() - set(PEERS)
    order = sorted(own, key=lambda side: by_key["decompress", side, most]["seconds"])
    lines = []
    for side in [*order, *FLOAT, *PEERS]:
        cells = []
        for task, threads in columns:
            row = by_key.get((task, side, threads))
            if row is None and threads == most:
                row = by_key.get((task, side, None))
            cells.append(_cell(row))
        if any(cell != "–" for cell in cells):
            lines.append([FLOAT.get(side, side if side in PEERS else f"`{side}`"), *cells])
    return lines


def _cell(row: Record | None) -> str:
    """Milliseconds, and how much faster than the float network where that took turns."""
    if row is None:
        return "–"
    ratio = f" ({row['faster']:.1f}x)" if "faster" in row else ""
    return f"{1000 * row['seconds']:.0f} ms{ratio}"


def kernels(record: Record) -> str:
    """Of each kernel and instruction set what it does, and which share that is of the best burst of the whole run."""
    rows = {(row["kernel"], row["isa"]): row for row in record["results"]}
    isas = list(dict.fromkeys(isa for _, isa in rows))[::-1]
    peaks = {isa: max(row["peak"] or 0 for row in record["results"] if row["isa"] == isa) for isa in isas}
    header = ["kernel", "runs"]
    for isa in isas:
        header += [f"`{isa}`", "GMAC/s", "products"] if peaks[isa] else [f"`{isa}`", "GMAC/s"]
    lines = []
    for kernel in dict.fromkeys(kernel for kernel, _ in rows):
        cells = [cell for isa in isas for cell in _kernel_cells(rows[kernel, isa], peaks[isa])]
        lines.append([kernel, str(rows[kernel, isas[0]]["count"]), *cells])
    measured = ", ".join(f"{peak / 1e9:.0f} G/s with `{isa}`" for isa, peak in peaks.items() if peak)
    return markdown.table(header, lines) + f"\n\nBest times, one thread. Measured peaks: {measured}. {caption(record)}"


def _kernel_cells(row: Record, peak: float) -> list[str]:
    """Its time; the paper's MACs and, where there is a peak, the products that it takes; in G/s, with their shares."""
    cells = [f"{1000 * row['best']:.2f} ms"]
    for work in ("macs", "products") if peak else ("macs",):
        rate = row[work] / row["best"]
        share = f" ({100 * rate / peak:.0f} %)" if peak else ""
        cells.append(f"{rate / 1e9:.1f}{share}" if rate else "–")
    return cells


def rans(record: Record) -> str:
    """Each coder's symbols a second both ways, by lanes; then the share of a real file's symbols in the whole task."""
    rows = [row for row in record["results"] if "lanes" in row]
    times = {(row["task"], row["side"], row["lanes"]): row for row in rows}
    lanes = sorted({row["lanes"] for row in rows})
    header = ["encode / decode", *(f"{count} lane{'s' if count > 1 else ''}" for count in lanes)]
    lines = []
    for side in dict.fromkeys(row["side"] for row in rows):
        rates = [[_millions(times[f"rans {way}", side, count]) for way in ("encode", "decode")] for count in lanes]
        lines.append([CODERS.get(side, f"`{side}`"), *(" / ".join(pair) for pair in rates)])
    parts = [markdown.table(header, lines), "Millions of symbols a second, best times, one thread."]
    shares = [row for row in record["results"] if "part_of" in row]
    if shares:
        header = ["in a real file", "symbols", "entropy coding", "all", "share"]
        lines = [
            [
                f"{row['part_of']}, `{row['side']}`",
                str(row["symbols"]),
                f"{1000 * row['best']:.2f} ms",
                f"{1000 * row['whole']:.1f} ms",
                f"{100 * row['best'] / row['whole']:.1f} %",
            ]
            for row in shares
        ]
        parts.append(markdown.table(header, lines))
    return "\n\n".join([*parts, caption(record)])


def _millions(row: Record) -> str:
    return f"{row['symbols'] / row['best'] / 1e6:.0f}"


def scaling(record: Record) -> str:
    """Time and memory a pixel, each also as a multiple of 1080p's; times are compared turn by turn.

    At last, if it was measured, what several processes get out of the cores that share nothing.
    """
    loops = [row for row in record["results"] if row["task"] == "loop"]
    rows = {(row["task"], row["size"], row["threads"]): row for row in record["results"] if row not in loops}
    threads = sorted({threads for _, _, threads in rows})
    header = ["", *(f"time a pixel, {_threads(count)}" for count in threads), "speed-up"]
    header += [*(f"memory a pixel, {_threads(count)}" for count in threads), "peak of the process"]
    lines = []
    for task, size in dict.fromkeys((task, size) for task, size, _ in rows):
        here = [rows[task, size, count] for count in threads]
        base = [rows.get((task, "1080p", count)) for count in threads]
        times, memory = [], []
        for row, reference in zip(here, base, strict=True):
            of_time = of_memory = ""
            if reference is not None:
                share = pixels(reference) / pixels(row)
                of_time = f" ({share * turn_by_turn(row, reference):.2f}x)"
                of_memory = f" ({share * row['bytes'] / reference['bytes']:.2f}x)"
            times.append(f"{1e9 * row['seconds'] / pixels(row):.1f} ns{of_time}")
            memory.append(f"{row['bytes'] / pixels(row):.1f} bytes{of_memory}")
        peak = f"{max(row['peak'] for row in here) / 1e6:.0f} MB"
        lines.append([f"{task}, {size}", *times, f"{turn_by_turn(here[0], here[-1]):.2f}", *memory, peak])
    if loops:
        speed_up = f"{turn_by_turn(loops[0], loops[-1]):.2f}"
        blank = [""] * len(threads)
        lines.append([f"a loop in {loops[-1]['threads']} processes", *blank, speed_up, *blank, ""])
    isa = record["results"][0]["isa"]
    return markdown.table(header, lines) + f"\n\nMedians with `{isa}`; in brackets, of 1080p's. {caption(record)}"


def turn_by_turn(row: Record, other: Record) -> float:
    """How many times as long as the other it took: the median of the turns' ratios."""
    return statistics.median(one / two for one, two in zip(row["turns"], other["turns"], strict=True))


def pixels(row: Record) -> int:
    return row["width"] * row["height"]


def instructions(record: Record) -> str:
    lines = [[f"`{row['isa']}`", f"{row['instructions_per_pixel']:.0f}"] for row in record["results"]]
    side = record["results"][0]["side"]
    return markdown.table(["", f"instructions a pixel, decompress, {side}x{side}"], lines) + f"\n\n{caption(record)}"


def caption(record: Record) -> str:
    return f"{record['image']}, {record['processor']}, torch {record['torch']}, commit {record['commit'][:10]}."


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


TABLES: dict[str, Callable[[Record], str]] = {
    "speed": speed,
    "kernels": kernels,
    "rans": rans,
    "scaling": scaling,
    "instructions": instructions,
}
"""By the name of the record."""
