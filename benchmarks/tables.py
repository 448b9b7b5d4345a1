"""The tables of README.md, from the committed results.

    python benchmarks/tables.py

Rewrites what stands between `<!-- table: NAME -->` and `<!-- end -->`.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from statistics import mean

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
EXACTNESS = HERE / "results" / "exactness.json"
SPEED = HERE / "results" / "speed.json"


def markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def rate_and_distortion() -> str:
    """Means over the Kodak images, from real files."""
    cases = [case for case in json.loads(EXACTNESS.read_text())["cases"] if case["image"].startswith("kodim")]
    rows = []
    for quality in sorted({case["quality"] for case in cases}):
        chosen = [case for case in cases if case["quality"] == quality]
        bpp = mean(8 * case["bytes"] / (case["width"] * case["height"]) for case in chosen)
        excess = sum(case["bytes"] for case in chosen) / sum(case["information_bytes"] for case in chosen) - 1
        psnr = mean(case["psnr"] for case in chosen)
        rows.append([str(quality), f"{bpp:.3f}", f"{psnr:.2f} dB", f"{100 * excess:.1f} %"])
    return markdown(["quality", "bits per pixel", "RGB PSNR", "files above their symbols' information"], rows)


def speed() -> str:
    """Medians, and each as a ratio to the faster of the two eager formats."""
    record = json.loads(SPEED.read_text())
    times = {(result["task"], result["side"]): result["seconds"] for result in record["results"]}
    sides = {side for _, side in times}
    eager = ["contiguous", "channels_last"]
    best = {task: min(times[task, side] for side in eager) for task in ("compress", "decompress")}
    names = {side: f"eager PyTorch float32, {side}" for side in eager}
    order = sorted(sides - set(eager), key=lambda side: times["decompress", side]) + eager
    rows = []
    for side in order:
        cells = [f"{1000 * times[task, side]:.0f} ms ({best[task] / times[task, side]:.1f}x)" for task in best]
        rows.append([names.get(side, f"`{side}`"), *cells])
    threads = {result["threads"] for result in record["results"]}
    caption = (
        f"{record['image']}, 768x512, {', '.join(map(str, sorted(threads)))} threads, {record['processor']}, "
        f"torch {record['torch']}, commit {record['commit'][:10]}"
    )
    return markdown(["", *best], rows) + f"\n\n{caption}."


TABLES: dict[str, Callable[[], str]] = {"rate and distortion": rate_and_distortion, "speed": speed}


def renewed(text: str) -> str:
    """`text` with every table made anew."""
    for name, make in TABLES.items():
        pattern = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        table = make()
        text, count = pattern.subn(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)
        if count != 1:
            raise SystemExit(f"README.md has {count} places for the table '{name}', not one")
    return text


if __name__ == "__main__":
    README.write_text(renewed(README.read_text()))
