"""benchmarks/gpu_check.py without a GPU: a dry run of all of it, and its parts by themselves."""

import dataclasses
import json

import pytest
import torch

import treenet_fast
from treenet_fast.model import TreeNet


@pytest.fixture
def script(benchmark_script):
    return benchmark_script("gpu_check")


@pytest.fixture
def session(script):
    return script.Session.start(script.StandIn(script.LAUNCHES), script.TINY, None, minutes=60)


@pytest.fixture
def only(script, monkeypatch):
    """Restricts the command to some of its sections, or to other ones."""
    everything = script.sections

    def choose(*names, **others):
        monkeypatch.setattr(
            script, "sections", lambda session: {name: everything(session)[name] for name in names} | others
        )

    return choose


def test_dry_run(script, benchmark_script, tmp_path, capsys):
    """Every section is gone through, all is equal, and the tables can be made from what is written."""
    out = tmp_path / "gpu.json"
    assert script.main(["--dry-run", "--minutes", "60", "--commit", "0123456789abcdef", "--out", str(out)]) == 0
    assert "a dry run: nothing is shown" in capsys.readouterr().out
    record = json.loads(out.read_text())
    assert record["dry_run"]
    assert record["seconds"].keys() == {"exactness", "sanitizer", "paths", "throughput", "blocks", "compiled"}
    assert record["seconds"].keys() < record.keys()
    assert all(kind["cases"] > 0 for kind in record["exactness"])
    assert {entry["what"] for entry in record["not_run"]} <= {"floors by arithmetic", "compute-sanitizer"}
    for row in record["blocks"]["stages"]:
        assert all(row[side] > 0 for side in ("treenet_fast", "floor", "eager", "compiled"))
    text = benchmark_script("gpu.report").text(record)
    assert "| several threads | 6 of 6 |" in text
    assert "| synthesis.level3 and output, batch 2 | " in text
    assert "float16 channels_last, `torch.compile` |" in text
    assert text.endswith("commit 0123456789.")


def test_a_dry_run_has_no_results(script):
    with pytest.raises(SystemExit):
        script.main(["--dry-run", "--out", str(script.RESULTS)])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu(script, capsys):
    assert script.main([]) == 1
    assert "no CUDA device" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["bytes", "pixels"])
def test_differences_are_found(script, only, monkeypatch, capsys, what):
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

    monkeypatch.setattr(script.StandIn, "codec", lambda self, model: Wrong(model, threads=1))
    only("exactness")
    assert script.main(["--dry-run", "--minutes", "60"]) == 1
    wrong = [line for line in capsys.readouterr().err.splitlines() if line.startswith("WRONG")]
    # Two sizes, two grey images, two in threads; and the bytes of the reference.
    assert len(wrong) == {"bytes": 7, "pixels": 6}[what]
    none = "by itself, and its kernels launched one by one, none of its tensors does"
    assert wrong[0] == f"WRONG: sizes: 5x7, ms-ssim, quality 60 differs: {none}"
    assert wrong[1] == "WRONG: sizes: 5x7, mse, quality 1 differs"


@pytest.mark.parametrize("run", ["compress", "decompress"])
def test_the_first_tensor_that_differs_is_named(script, only, monkeypatch, tmp_path, run):
    name, later = {"compress": ("Y.2", "S.0"), "decompress": ("synthesis.fusion0.1", "synthesis.level1.0")}[run]
    traced = getattr(script.StandIn, f"trace_{run}")

    def wrong(self, *arguments):
        tensors = traced(self, *arguments)
        tensors[name][-1, -1, 5:8] += 1
        tensors[later] += 1
        return tensors

    monkeypatch.setattr(script.StandIn, f"trace_{run}", wrong)
    only("exactness")
    out = tmp_path / "gpu.json"
    assert script.main(["--dry-run", "--minutes", "60", "--out", str(out)]) == 1
    kinds = {kind["name"]: kind for kind in json.loads(out.read_text())["exactness"]}
    (broken,) = (kind for kind in kinds.values() if kind["differs"])
    assert broken["name"] == "all tensors, against the PyTorch reference"
    text, found = broken["first"]
    assert text.startswith(f"3 of {found['elements']} elements of {name} differ in {run}, first at [")
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


def test_a_section_that_fails_leaves_the_others(script, only, tmp_path, capsys):
    def fail():
        raise RuntimeError("an illegal memory access was encountered\nand more")

    only("throughput", paths=fail, later=lambda: [1])
    out = tmp_path / "gpu.json"
    assert script.main(["--dry-run", "--minutes", "60", "--out", str(out)]) == 1
    why = "RuntimeError: an illegal memory access was encountered"
    assert f"WRONG: paths broke off: {why}" in capsys.readouterr().err
    record = json.loads(out.read_text())
    assert {"what": "paths", "why": why} in record["not_run"]
    assert record["later"] == [1]


def test_nothing_is_begun_when_the_time_is_up(script, only, tmp_path):
    out = tmp_path / "gpu.json"
    script.main(["--dry-run", "--minutes", "0", "--out", str(out)])
    record = json.loads(out.read_text())
    assert not record["seconds"]
    assert {"what": "exactness", "why": "no time was left"} in record["not_run"]


def test_stages_are_the_float_network(benchmark_script):
    """One after another they are the network's trees, and their sizes those of what goes from one to the next."""
    stages = benchmark_script("gpu.stages").stages(30, 48)
    torch.manual_seed(0)
    model = TreeNet().eval()
    image = torch.rand(2, 3, 32, 48)
    latents = [torch.rand(2, 32, 2, 3) for _ in range(4)]
    for task, inputs, network in (
        ("compress", [image], model.analysis),
        ("decompress", latents, model.synthesis),
    ):
        with torch.inference_mode():
            expected = network(inputs if task == "decompress" else image)
            for stage in stages:
                if stage.task == task:
                    assert [tuple(x.shape[1:]) for x in inputs] == list(stage.inputs)
                    inputs = stage.run(model, inputs)
        expected = expected if isinstance(expected, list) else [expected]
        assert all(torch.equal(a, b) for a, b in zip(inputs, expected, strict=True))


def test_costs(benchmark_script):
    """Of 16 x 16 pixels, counted by hand."""
    module = benchmark_script("gpu.stages")
    costs = {stage.name: stage.cost for stage in module.stages(16, 16)}
    first = costs["analysis.level0"]
    assert first.moved == 3 * 16 * 16 + 32 * 8 * 8 * 2
    assert first.operations == 2 * 8 * 8 * (27 * 32 + 2 * 9 * 32 * 32 + 3 * 32 + 2 * 32 * 32)
    leaves = costs["analysis.level3"]
    assert leaves.moved == 4 * 32 * 2 * 2 * 2 + 8 * 32 * 2
    assert leaves.operations == 2 * 8 * 2 * (2 * 9 * 32 * 32 + 32 * 32 + 32 * 32)
    assert costs["analysis.fusion"].moved == (8 + 4) * 32 * 2
    assert costs["analysis.fusion"].operations == 2 * 4 * (2 * 3 * 256 + 2 * 256)
    up = costs["synthesis.level2"]  # s16 to u8
    assert up.moved == 2 * (16 * 32 * 2 + 64 * 32)
    assert up.operations == 2 * 2 * (16 * 2 * 2 * 9 * 32 * 128 + 64 * (9 * 32 * 32 + 2 * 32 * 32))
    last = costs["synthesis.level3 and output"]
    assert last.moved == 64 * 32 + 3 * 256
    assert last.operations == 2 * (64 * 2 * 9 * 32 * 128 + 256 * (9 * 32 * 32 + 2 * 32 * 32 + 27 * 32))


def test_floors(benchmark_script):
    module = benchmark_script("gpu.stages")
    cost = module.Cost(moved=100, weights=10, operations=1000)
    assert cost.floor(2, module.Limits(7.0, None)) == 30
    assert cost.floor(2, module.Limits(7.0, 1000.0)) == 30
    assert cost.floor(2, module.Limits(7.0, 10.0)) == 200


@pytest.mark.parametrize(
    ("device", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 1979e12),
        ("NVIDIA H100 PCIe", 1513e12),
        ("NVIDIA A100-SXM4-40GB", 624e12),
        ("NVIDIA L40S", 733e12),
        ("NVIDIA GH200 480GB", None),
        ("none: the CPU stands in", None),
    ],
)
def test_peaks(benchmark_script, device, peak):
    assert benchmark_script("gpu.stages").peak_of(device) == peak


def test_launches_share_themselves_among_stages(benchmark_script):
    blocks, stages = benchmark_script("gpu.blocks"), benchmark_script("gpu.stages").stages(16, 16)
    activity = benchmark_script("gpu.device").Activity
    down = [activity(f"void residual_down_kernel<{i // 2}>(P)", float(i)) for i in range(8)]
    seen = [activity("hyper_kernel<1, 2>(P)", 9.0), *down, activity("Memcpy HtoD", 0.5)]
    level1 = next(stage for stage in stages if stage.name == "analysis.level1")
    assert blocks.share(seen, level1, stages) == 2 + 3
    with pytest.raises(ValueError, match="7 launches of residual_down do not share themselves among 4 stages"):
        blocks.share(seen[:8], level1, stages)
    rows = {row["kernel"]: row for row in blocks.by_name(seen)}
    assert rows["residual_down_kernel<1>"] == {"kernel": "residual_down_kernel<1>", "launches": 2, "seconds": 5.0}
    assert rows["Memcpy HtoD"]["launches"] == 1


def test_runs_that_are_not_equal_have_no_trace(session):
    calls = iter(range(100))
    with pytest.raises(RuntimeError, match="in 3 equal runs"):
        session.device.trace(lambda: torch.zeros(2) if next(calls) % 3 == 2 else torch.ones(2), 3)


def test_a_trace_that_lacks_something_is_made_again(session):
    calls = iter(range(100))
    names = [activity.name for activity in session.device.trace(lambda: torch.ones(2) if next(calls) > 1 else 0, 3)]
    assert "aten::ones" in names


def fake_sanitizer(path, summary, status=0):
    path.write_text(f"#!/bin/sh\necho \"$@\"\necho '========= {summary}'\nexit {status}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("summary", "status", "clean"),
    [
        ("ERROR SUMMARY: 0 errors", 0, True),
        ("RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)", 0, True),
        ("ERROR SUMMARY: 12 errors", 0, False),
        ("RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)", 0, False),
        ("ERROR SUMMARY: 0 errors", 1, False),
        ("nothing", 0, False),
    ],
)
def test_sanitizer(script, session, tmp_path, summary, status, clean):
    program = fake_sanitizer(tmp_path / "compute-sanitizer", summary, status)
    verdicts = script.sanitizer.check(session, program)
    assert [(verdict.tool, verdict.clean) for verdict in verdicts] == [("memcheck", clean), ("racecheck", clean)]
    assert (summary in verdicts[0].report) != clean
    assert clean or "--small-case --dry-run" in verdicts[1].report


def test_sanitizer_that_takes_too_long(script, session, tmp_path):
    session.scale = dataclasses.replace(session.scale, sanitizer_seconds=0.05)
    program = tmp_path / "compute-sanitizer"
    program.write_text("#!/bin/sh\nexec sleep 20\n")
    program.chmod(0o755)
    assert script.sanitizer.check(session, str(program)) == []
    assert ("compute-sanitizer memcheck", "it took more than 0 s") in session.not_run


def test_the_sanitizers_case(script):
    assert script.main(["--dry-run", "--small-case"]) == 0


def test_tables(benchmark_script, tmp_path, monkeypatch):
    """Without results the README says so; with them it has what they say."""
    tables = benchmark_script("tables")
    monkeypatch.setattr(tables, "GPU", tmp_path / "gpu.json")
    assert tables.on_a_gpu() == "Nothing of this has been run on a GPU yet."
    row = {"task": "compress", "size": "Kodak", "batch": 16, "side": "treenet_fast", "median": 0.00123}
    record = {
        "commit": "0123456789abcdef",
        "device": {
            "name": "GPU",
            "driver": "1",
            "nvcc": "13.0",
            "torch_cuda": "13.0",
            "torch": "2",
            "processor": "CPU",
            "tf32_convolutions": True,
        },
        "limits": {"bytes": 3.1e12, "operations": 2e15},
        "model": "mse",
        "quality": 50,
        "exactness": [{"name": "images", "cases": 5, "differs": ["a"]}],
        "sanitizer": [{"tool": "memcheck", "clean": True}],
        "paths": [row | {"device_seconds": 0.0004, "floor": 0.0001}, row | {"side": "float32", "median": 0.01}],
        "compiled": [row | {"side": "float16 channels_last, compiled", "batch": 1}],
        "throughput": [
            {"task": "compress", "size": "Kodak", "batch": 16, "threads": threads, "images_a_second": 100.4 * threads}
            for threads in (1, 2)
        ],
        "blocks": {
            "size": "Kodak",
            "stages": [{"stage": "analysis.level0", "batch": 16, "treenet_fast": 2e-5, "floor": 1e-5, "eager": 1e-4}],
        },
        "not_run": [{"what": "this", "why": "that"}],
    }
    tables.GPU.write_text(json.dumps(record))
    lines = tables.on_a_gpu().splitlines()
    assert "| images | 4 of 5 |" in lines
    assert "| compute-sanitizer memcheck | clean |" in lines
    assert "| compress, Kodak, batch 16 | 1.23 ms | 0.40 ms | 0.10 ms | 10.00 ms | – |" in lines
    assert "| compress, Kodak, batch 1 | – | – | – | – | 1.23 ms |" in lines
    assert "| compress, Kodak | 100 | 201 |" in lines
    assert "| analysis.level0, batch 16 | 20 µs | 10 µs | 100 µs | – |" in lines
    assert "- this: that" in lines
    assert lines[-1].startswith("Floors are at 3.10 TB/s, measured by a copy, and 2000 TOPS by the data sheet. GPU,")
