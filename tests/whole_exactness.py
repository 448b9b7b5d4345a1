"""The exactness suite at full size: every image of a folder and odd sizes, five qualities and all models, every path.

    PYTHONPATH=tests python tests/whole_exactness.py FOLDER [--out results.json] [--jobs 2] [--every 5]

Every case runs the reference and each instruction set of this machine: the vector paths on 1, 2 and 4 threads, and all
their tensors once; the scalar path, which is slow, on each of these numbers of threads in turn. Prints a line a case;
exits with 1 where anything differs, or where a file is larger than its information (the bits of its symbols under
the model's probabilities in float precision) by more than 1 % plus 40 bytes.
"""

import argparse
import json
import math
import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path as File

import numpy as np
import torch
from PIL import Image

import treenet_fast
from exactness import Comparison, Path
from treenet_fast import _native, models

QUALITIES = (1, 25, 50, 75, 100)
THREADS = (1, 2, 4)
ODD_SIZES = ((1, 1), (7, 5), (63, 65), (1000, 1), (1920, 1080))  # width, height

Case = tuple[str, File, tuple[int, int] | None, str, int, int]


def cases(folder: File, every: int) -> Iterator[Case]:
    """Name, file, size to scale to, model, quality, threads of the scalar path: one of `every` in turn."""
    files = sorted(folder.glob("*.png"))
    if not files:
        sys.exit(f"{folder} has no PNG files")
    inputs: list[tuple[str, File, tuple[int, int] | None]] = [
        (f"{width}x{height}", files[0], (width, height)) for width, height in reversed(ODD_SIZES)
    ]
    inputs += [(file.name, file, None) for file in files]
    for i, (name, file, size) in enumerate(inputs):
        for j, quality in enumerate(QUALITIES):
            for k, model in enumerate(models.names()):
                if (i + len(models.names()) * j + k) % every == 0:
                    yield name, file, size, model, quality, THREADS[(i + j) % len(THREADS)]


def load(file: File, size: tuple[int, int] | None) -> np.ndarray:
    with Image.open(file) as image:
        rgb = image.convert("RGB")
    return np.asarray(rgb.resize(size, Image.Resampling.LANCZOS) if size else rgb)


def paths(scalar_threads: int) -> list[Path]:
    vector = [isa for isa in _native.cpu_isas() if isa != "scalar"]
    return [
        Path("scalar", scalar_threads, traced=False),
        *(Path(isa, threads, traced=threads == 1) for isa in vector for threads in THREADS),
    ]


def psnr(image: np.ndarray, decoded: np.ndarray) -> float:
    error = float(np.mean((image.astype(np.float64) - decoded) ** 2))
    return 10 * math.log10(255**2 / max(error, 1e-6))


def run(case: Case) -> dict[str, object]:
    name, file, size, model, quality, scalar_threads = case
    torch.set_num_threads(1)
    comparison = Comparison(models.load(model), paths(scalar_threads))
    image = load(file, size)
    row: dict[str, object] = {"image": name, "height": image.shape[0], "width": image.shape[1]}
    row |= {"model": model, "quality": quality}
    try:
        result = comparison.run(image, quality)
    except AssertionError as error:
        return row | {"differs": str(error)}
    return row | {
        "bytes": len(result.stream),
        "information_bytes": round(result.information / 8, 1),
        "psnr": round(psnr(image, result.pixels), 3),
        "stream_sha256": result.stream_sha256,
        "latents_sha256": result.latents_sha256,
        "pixels_sha256": result.pixels_sha256,
    }


def batch_differs(folder: File) -> bool:
    """Whether a batch of images gives other bytes or pixels than its images one by one."""
    images = np.stack(
        [image for image in (load(f, None) for f in sorted(folder.glob("*.png"))) if image.shape[0] == 512]
    )
    codec = treenet_fast.Codec(threads=2)
    streams = codec.compress(images)
    one_by_one = [codec.compress(image) for image in images]
    same_pixels = all(
        np.array_equal(codec.decompress(one, "numpy"), many)
        for one, many in zip(one_by_one, codec.decompress(streams, "numpy"), strict=True)
    )
    print(f"batch of {len(images)}: {'as one by one' if streams == one_by_one and same_pixels else 'DIFFERS'}")
    return streams != one_by_one or not same_pixels


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=File)
    parser.add_argument("--out", type=File)
    parser.add_argument("--every", type=int, default=1, help="do one case of so many, over all images and qualities")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    rows, failures, worst = [], int(batch_differs(arguments.folder)), -1e9
    with multiprocessing.get_context("spawn").Pool(arguments.jobs, maxtasksperchild=8) as pool:
        for row in pool.imap(run, cases(arguments.folder, arguments.every)):
            rows.append(row)
            if "differs" in row:
                failures += 1
                print(f"{row['image']} {row['model']} quality {row['quality']}: DIFFERS: {row['differs']}", flush=True)
                continue
            excess = float(str(row["bytes"])) - (1.01 * float(str(row["information_bytes"])) + 40)
            worst = max(worst, excess)
            failures += excess > 0
            verdict = "same everywhere" if excess <= 0 else "same everywhere, but TOO LARGE"
            sizes = f"{row['bytes']} bytes, {row['information_bytes']} of information"
            print(f"{row['image']} {row['model']} quality {row['quality']}: {verdict}; {sizes}", flush=True)
    print(
        f"{len(rows)} cases, {failures} failures; the tightest is {-worst:.1f} bytes below information + 1 % + 40 bytes"
    )
    if arguments.out:
        hashes = {name: models.load(name).hash.hex() for name in models.names()}
        record = {"models": hashes, "isas": _native.cpu_isas(), "threads": THREADS, "cases": rows}
        arguments.out.write_text(json.dumps(record, indent=0).replace("\n", " ").replace("}, {", "},\n{") + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
