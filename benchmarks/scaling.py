"""Time and memory a pixel, over image sizes and threads.

    python benchmarks/scaling.py [--large]

Each task of each case has a process of its own, whose peak of memory (VmHWM of Linux) is that task's: what it rises
above what there was before, which for compressing is the image and for decompressing the stream. The pixels that
decompressing returns are within it. `--large` adds 100 megapixels, which take minutes.
"""

import argparse
import multiprocessing
import re
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pictures import picture, size_of

import treenet_fast

QUALITY = 50
THREADS = (1, 2)
ROUNDS = {"Kodak": 25, "1080p": 9, "12 MP": 5, "100 MP": 3}
LARGE = "100 MP"


def memory(status: str, field: str) -> int:
    """Bytes of a field of /proc/self/status.

    >>> memory("VmHWM:\\t    2048 kB\\nVmRSS:\\t      16 kB\\n", "VmRSS")
    16384
    """
    found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise ValueError(f"/proc/self/status has no {field}: memory is measured on Linux")
    return 1024 * int(found[1])


def case(task: str, path: Path, threads: int, rounds: int) -> dict[str, Any]:
    """One task's seconds and memory, in this process; `path` is of an image as NumPy saves it, or of a stream."""
    codec = treenet_fast.Codec(threads=threads, max_pixels=None)
    codec.decompress(codec.compress(np.zeros((16, 16, 3), np.uint8), QUALITY), "numpy")
    if task == "compress":
        work = partial(codec.compress, np.load(path), QUALITY)
    else:
        work = partial(codec.decompress, path.read_bytes(), "numpy")
    status = Path("/proc/self/status")
    before = memory(status.read_text(), "VmRSS")
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    peak = memory(status.read_text(), "VmHWM")
    return {
        "task": task,
        "isa": codec.isa,
        "threads": threads,
        "seconds": min(seconds),
        "runs": seconds,
        "bytes": peak - before,
        "peak": peak,
    }


def in_a_process(*arguments: Any) -> dict[str, Any]:
    """`case` in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(case, *arguments).result()


def measure(path: Path | None, large: bool = False, quick: bool = False) -> list[dict[str, Any]]:
    """A result for each size, task and number of threads."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        image_file, stream_file = Path(folder) / "image.npy", Path(folder) / "image.tnf"
        for size in (name for name in ROUNDS if large or name != LARGE):
            width, height = size_of(size, quick)
            image = picture(path, width, height)
            np.save(image_file, image)
            stream_file.write_bytes(treenet_fast.Codec(max_pixels=None).compress(image, QUALITY))
            del image
            for task, file in (("compress", image_file), ("decompress", stream_file)):
                for threads in THREADS:
                    result = in_a_process(task, file, threads, 1 if quick else ROUNDS[size])
                    results.append({"size": size, "width": width, "height": height, **result})
                    seconds, pixels = result["seconds"], width * height
                    print(
                        f"{size}, {task}, {threads} threads: {1e9 * seconds / pixels:.0f} ns and "
                        f"{result['bytes'] / pixels:.1f} bytes a pixel",
                        flush=True,
                    )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, help="a photograph; without it the example, enlarged")
    parser.add_argument("--large", action="store_true", help="100 megapixels, too")
    parser.add_argument("--quick", action="store_true", help="small images, once: to see that all works")
    arguments = parser.parse_args()
    measure(arguments.image, arguments.large, arguments.quick)


if __name__ == "__main__":
    main()
