"""Differences from the CPU are found, and named."""

import json

import pytest
import torch

import treenet_fast


@pytest.mark.parametrize("what", ["bytes", "pixels"])
def test_differences_are_found(script, run, only, monkeypatch, capsys, what):
    class Wrong(treenet_fast.Codec):
        def compress(self, image, quality=50):
            streams = super().compress(image, quality)
            if what == "bytes" and getattr(image, "shape", ())[-2:] == (7, 5):
                return super().compress(255 - image, quality)
            return streams

        def decompress(self, data, output=None):
            pixels = super().decompress(data, output)
            if what == "pixels" and isinstance(pixels, torch.Tensor) and pixels.shape[-2:] == (7, 5):
                pixels[0, 6, 4] += 1
            return pixels

    monkeypatch.setattr(run.StandIn, "codec", lambda self, model: Wrong(model, threads=1))
    only("exactness")
    assert script.main(["--dry-run", "--minutes", "60"]) == 1
    wrong = [line for line in capsys.readouterr().err.splitlines() if line.startswith("WRONG")]
    # Two sizes, two grey images, two in threads; and the bytes of the reference.
    assert len(wrong) == {"bytes": 7, "pixels": 6}[what]
    none = "by itself, and its kernels launched one by one, none of its tensors does"
    assert wrong[0] == f"WRONG: sizes: 5x7, ms-ssim, quality 60 differs: {none}"
    assert wrong[1] == "WRONG: sizes: 5x7, mse, quality 1 differs"


@pytest.mark.parametrize("task", ["compress", "decompress"])
def test_the_first_tensor_that_differs_is_named(script, run, only, monkeypatch, tmp_path, task):
    name, later = {"compress": ("Y.2", "S.0"), "decompress": ("synthesis.fusion0.1", "synthesis.level1.0")}[task]
    traced = getattr(run.StandIn, f"trace_{task}")

    def wrong(self, *arguments):
        tensors = traced(self, *arguments)
        tensors[name][-1, -1, 5:8] += 1
        tensors[later] += 1
        return tensors

    monkeypatch.setattr(run.StandIn, f"trace_{task}", wrong)
    only("exactness")
    out = tmp_path / "gpu.json"
    assert script.main(["--dry-run", "--minutes", "60", "--out", str(out)]) == 1
    kinds = {kind["name"]: kind for kind in json.loads(out.read_text())["exactness"]}
    (broken,) = (kind for kind in kinds.values() if kind["differs"])
    assert broken["name"] == "all tensors, against the PyTorch reference"
    text, found = broken["first"]
    assert text.startswith(f"3 of {found['elements']} elements of {name} differ in {task}, first at [")
    assert (found["tensor"], found["index"][-1], found["found"]) == (name, 5, found["expected"] + 1)


def test_every_tensor_of_a_trace_has_its_place(benchmark_script, thumbnail):
    differences = benchmark_script("gpu.differences")
    run = differences.by_reference("mse", "cpu", torch.from_numpy(thumbnail), 50)
    assert min(run.encoder, key=differences._place) == "analysis.level0.0"
    assert max(run.encoder, key=differences._place) == "Yhat.3"
    assert min(run.decoder, key=differences._place) == "Z.0"
    assert max(run.decoder, key=differences._place) == "pixels"
    changed = {name: values.copy() for name, values in run.decoder.items()}
    for name in ("pixels", "synthesis.level1.0", "synthesis.fusion0.1"):
        changed[name][0, 1, 2] ^= 1
    found = differences.first_difference("decompress", changed, run.decoder)
    assert (found.tensor, found.differing, found.index) == ("synthesis.fusion0.1", 1, (0, 1, 2))
    changed["mean.0"] = changed["mean.0"][1:]
    found = differences.first_difference("decompress", changed, run.decoder)
    assert (found.tensor, found.index, found.found) == ("mean.0", (), "int16 [2, 4, 32]")
