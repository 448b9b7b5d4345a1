"""Makes the golden streams anew. They change with the model that ships and with SPEC.md, and with nothing else.

PYTHONPATH=tests python tests/golden/make.py
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from exactness import Comparison
from exactness import Path as NativePath
from synthetic import synthetic_integer_model
from treenet_fast import _native, models

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "chelsea.png"
CROPS = {"eye": (130, 105, 48, 64), "fur": (10, 300, 21, 37), "pixel": (100, 100, 1, 1)}  # top, left, height, width
STRIP = 128 * 64 + 1  # pixels of the example, row after row, below each other: two segments (SPEC §7.2)
CASES = [("eye", "mse", 1), ("eye", "mse", 90), ("fur", "mse", 50), ("pixel", "mse", 50)]
CASES += [("eye", "ms-ssim", 40), ("fur", "ms-ssim", 100), ("pixel", "ms-ssim", 1)]
CASES += [("strip", "mse", 60)]
CASES += [("eye", "synthetic", 70), ("fur", "synthetic", 1), ("pixel", "synthetic", 100)]


def main():
    paths = [NativePath(isa, 1) for isa in _native.cpu_isas()]
    loaded = {name: models.load(name) for name in models.names()} | {"synthetic": synthetic_integer_model(0)}
    comparisons = {name: Comparison(model, paths) for name, model in loaded.items()}
    with Image.open(EXAMPLE) as example:
        photograph = np.asarray(example.convert("RGB"))
    images = {name: photograph[top : top + high, left : left + wide] for name, (top, left, high, wide) in CROPS.items()}
    images["strip"] = photograph.reshape(-1, 1, 3)[:STRIP]
    for name, image in images.items():
        Image.fromarray(image).save(HERE / f"{name}.png", optimize=True)
    for stale in HERE.glob("*.tnf"):
        stale.unlink()
    entries = []
    for name, model, quality in CASES:
        with Image.open(HERE / f"{name}.png") as image:
            result = comparisons[model].run(np.asarray(image), quality)
        stream = f"{name}-{model}-{quality}.tnf"
        (HERE / stream).write_bytes(result.stream)
        entries.append(
            {
                "image": f"{name}.png",
                "model": model,
                "quality": quality,
                "stream": stream,
                "stream_sha256": result.stream_sha256,
                "latents_sha256": result.latents_sha256,
                "pixels_sha256": result.pixels_sha256,
            }
        )
    (HERE / "golden.json").write_text(json.dumps(entries, indent=2) + "\n")


if __name__ == "__main__":
    main()
