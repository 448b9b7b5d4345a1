"""benchmarks/gpu_check.py without a GPU: a dry run of all of it, and its parts by themselves."""

import dataclasses
import json
import os
import re

import pytest
import torch

import treenet_fast
from treenet_fast.model import TreeNet


@pytest.fixture
def script(benchmark_script):
    return benchmark_script("gpu_check")


@pytest.fixture
def run(benchmark_script):
    return benchmark_script("gpu.run")


@pytest.fixture
def session(run):
    return run.Session.start(run.StandIn(run.LAUNCHES), run.TINY, None, minutes=60)


@pytest.fixture
def only(run, monkeypatch):
    """Restricts the command to some of its sections, or to other ones that begin with an empty list."""
    everything = run.sections

    def choose(*names, **others):
        def some(session):
            known = everything(session)
            return {name: known[name] for name in names} | {name: ([], work) for name, work in others.items()}

        monkeypatch.setattr(run, "sections", some)

    return choose


def test_dry_run(script, benchmark_script, tmp_path, capsys):
    """Every section is gone through, all is equal, and the tables can be made from what is written."""
    out = tmp_path / "gpu.json"
    assert script.main(["--dry-run", "--minutes", "60", "--commit", "0123456789abcdef", "--out", str(out)]) == 0
    assert "a dry run: nothing is shown" in capsys.readouterr().out
    record = json.loads(out.read_text())
    assert record["dry_run"]
    assert list(record["seconds"]) == [
        *("exactness", "paths", "throughput", "blocks", "sanitizer", "counters", "compiled_blocks", "compiled"),
    ]
    assert record["seconds"].keys() < record.keys()
    assert all(kind["cases"] > 0 for kind in record["exactness"])
    assert {entry["what"] for entry in record["not_run"]} <= {
        *("floors by arithmetic", "compute-sanitizer", "hardware counters"),
    }
    for row in record["blocks"]["stages"]:
        sides = ["treenet_fast", "floor"]
        if row["stage"] != "symbols":
            sides += ["float16 channels_last", "float32"]
        assert all(row[side] > 0 for side in sides)
    assert {call["task"] for call in record["blocks"]["calls"]} == {"compress", "decompress"}
    assert len(record["compiled_blocks"]) == len(record["blocks"]["stages"]) - 2
    assert all(row["float16 channels_last, compiled"] > 0 for row in record["compiled_blocks"])
    text = benchmark_script("gpu.report").text(record)
    assert "| several threads | 6 of 6 |" in text
    assert "| decompress: synthesis.level3 and output | " in text
    assert "| compress: hyper analysis | " in text
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


def test_a_section_that_fails_leaves_the_others(script, only, tmp_path, capsys):
    def fail(found):
        found.append("before")
        raise RuntimeError("an illegal memory access was encountered\nand more")

    only("throughput", paths=fail, later=lambda found: found.append(1))
    out = tmp_path / "gpu.json"
    assert script.main(["--dry-run", "--minutes", "60", "--out", str(out)]) == 1
    why = "RuntimeError: an illegal memory access was encountered"
    assert f"WRONG: paths broke off: {why}" in capsys.readouterr().err
    record = json.loads(out.read_text())
    assert {"section": "paths", "what": "paths", "why": why} in record["not_run"]
    assert (record["paths"], record["later"]) == (["before"], [1])


def test_nothing_is_begun_when_the_time_is_up(script, only, tmp_path):
    out = tmp_path / "gpu.json"
    script.main(["--dry-run", "--minutes", "0", "--out", str(out)])
    record = json.loads(out.read_text())
    assert not record["seconds"]
    assert {"section": "exactness", "what": "exactness", "why": "no time was left"} in record["not_run"]


def record_of(section, **changes):
    record = {"dry_run": False, "commit": "0123", "device": {"name": "GPU"}, "model": "mse", "quality": 50}
    return record | {"limits": {}, "seconds": {section: 1.0}, section: [section], "not_run": []} | changes


def test_sections_of_one_commit_and_device_are_merged(run):
    old = record_of("exactness", seconds={"exactness": 5.0, "paths": 6.0}, paths=["old"])
    notes = [{"section": name, "what": str(name), "why": "because"} for name in (None, "exactness", "paths")]
    new = record_of("exactness", seconds={}, limits={"bytes": 1.0})
    assert run.merged(old | {"not_run": notes}, new) == old | {"not_run": notes[1:]}


@pytest.mark.parametrize(
    "change", [{"commit": "4567"}, {"device": {"name": "other"}}, {"dry_run": True}, {"quality": 60}, {"model": "x"}]
)
def test_other_records_are_not_merged(run, change):
    with pytest.raises(ValueError, match=f"another {next(iter(change))}"):
        run.merged(record_of("exactness", **change), record_of("paths"))


def test_records_of_no_known_commit_are_not_merged(run):
    with pytest.raises(ValueError, match="another commit"):
        run.merged(record_of("exactness", commit=None), record_of("paths", commit=None))


def test_only(script, only, tmp_path, capsys):
    def later(found):
        found.append(len(calls))
        calls.append(1)

    calls, out = [], tmp_path / "gpu.json"
    only("exactness", later=later)
    command = ["--dry-run", "--minutes", "60", "--commit", "0123", "--out", str(out), "--only"]
    assert script.main([*command, "later"]) == 0
    assert json.loads(out.read_text())["later"] == [0]
    assert script.main([*command, "exactness,later"]) == 0
    record = json.loads(out.read_text())
    assert (record["later"], record["seconds"].keys()) == ([1], {"exactness", "later"})
    assert script.main([*command, "exactness"]) == 0
    record = json.loads(out.read_text())
    assert (record["later"], record["seconds"].keys()) == ([1], {"exactness", "later"})
    assert [entry["what"] for entry in record["not_run"]] == ["floors by arithmetic"]
    assert script.main([*command, "later", "--minutes", "0"]) == 0
    record = json.loads(out.read_text())
    assert (record["later"], record["seconds"].keys()) == ([1], {"exactness", "later"})
    assert record["not_run"][-1] == {"section": "later", "what": "later", "why": "no time was left"}
    assert script.main([*command, "later"]) == 0
    record = json.loads(out.read_text())
    assert (record["later"], len(record["not_run"])) == ([2], 1)
    before = out.read_text()
    assert script.main(["--dry-run", "--commit", "4567", "--out", str(out), "--only", "later"]) == 1
    assert "another commit (0123, not 4567)" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        script.main([*command, "latest"])
    assert "there is no section 'latest': use exactness, later" in capsys.readouterr().err
    assert out.read_text() == before


def fake_program(path, output, status=0, command="true"):
    path.write_text(f"#!/bin/sh\necho \"$@\"\n{command}\ncat <<'END'\n{output}\nEND\nexit {status}\n")
    path.chmod(0o755)
    return str(path)


PTXAS = """\
ptxas info    : Compiling entry function '_ZN7treenet4cuda12fused_kernelEi' for 'sm_90'
ptxas info    : Function properties for _ZN7treenet4cuda12fused_kernelEi
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 96 registers, used 1 barriers"""


def test_build(script, benchmark_script, monkeypatch, tmp_path, capfd):
    build = benchmark_script("gpu.build")
    command = build.pip(dry_run=True)
    assert command[1:4] == ["-m", "pip", "install"]
    assert command[-1] == str(build.ROOT)
    assert {"--no-build-isolation", "--no-deps", "cmake.define.TREENET_CUDA=ON"} < set(command)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    assert "cmake.define.CMAKE_CUDA_ARCHITECTURES=90-real" in build.pip(dry_run=False)

    script_of_next = tmp_path / "next.py"
    script_of_next.write_text("import sys\nprint('goes on with', *sys.argv[1:])\nsys.exit(7)\n")
    monkeypatch.setattr(build, "SCRIPT", script_of_next)
    monkeypatch.setattr(build, "pip", lambda dry_run: [fake_program(tmp_path / "pip", PTXAS)])
    assert script.main(["--build", "--dry-run", "--minutes", "3"]) == 7
    shown = capfd.readouterr().out
    assert re.search(r"sm_90 +fused_kernel +96 +0 +0 +0 +0\n", shown)
    assert re.search(r"goes on with --dry-run --minutes 3 --minutes (2\.\d\d|3\.00)\n", shown)

    monkeypatch.setattr(build, "pip", lambda dry_run: [fake_program(tmp_path / "pip", "no compiler", status=1)])
    assert script.main(["--build", "--dry-run"]) == 1
    assert "no compiler\n\nerror: the package could not be installed" in capfd.readouterr().err


def test_stages_are_the_float_network(benchmark_script):
    """One after another they are the network's trees, and their sizes those of what goes from one to the next."""
    stages = benchmark_script("gpu.stages").stages(30, 48)
    torch.manual_seed(0)
    model = TreeNet().eval()
    image = torch.rand(2, 3, 32, 48)
    latents = [torch.rand(2, 32, 2, 3) for _ in range(4)]
    for tree, inputs, network in (
        ("analysis", [image], model.analysis),
        ("synthesis", latents, model.synthesis),
    ):
        with torch.inference_mode():
            expected = network(inputs if tree == "synthesis" else image)
            for stage in stages:
                if stage.name.startswith(tree):
                    assert [tuple(x.shape[1:]) for x in inputs] == list(stage.inputs)
                    inputs = stage.run(model, inputs)
        expected = expected if isinstance(expected, list) else [expected]
        assert all(torch.equal(a, b) for a, b in zip(inputs, expected, strict=True))


def test_stages_of_the_bottlenecks_are_the_float_networks(benchmark_script):
    stages = benchmark_script("gpu.stages").stages(70, 100)  # 5 x 7 latents, 2 x 2 hyper-latents
    eager = benchmark_script("eager")
    torch.manual_seed(0)
    model = TreeNet().eval()
    side = eager.Eager(model, torch.rand(2, 3, 80, 112), 50)
    results = {}
    for b, bottleneck in enumerate(model.bottleneck):
        for name, module in bottleneck.named_children():
            module.register_forward_hook(
                lambda _, inputs, output, b=b, name=name: results.setdefault((name, b), []).append(output)
            )
    with torch.inference_mode():
        side.compress()
        found = {(s.task, s.name): s for s in stages if s.run and not s.name.startswith(("analysis", "synthesis"))}
        assert len(found) == 7
        psi = [results["hyper_synthesis", b][0][:, :, :5, :7] for b in range(4)]
        rounded = [y.round() for y in side.latents]
        for (task, name), inputs, part, call in (
            (("compress", "hyper analysis"), side.latents, "hyper_analysis", 0),
            (("compress", "hyper synthesis"), side.hyper_latents, "hyper_synthesis", 0),
            (("decompress", "parameters of anchors"), psi, "entropy_parameters", 0),
            (("decompress", "context and parameters of the others"), psi + rounded, "entropy_parameters", 1),
        ):
            stage = found[task, name]
            expected = [results[part, b][call] for b in range(4)]
            assert [tuple(x.shape[1:]) for x in inputs] == list(stage.inputs)
            assert all(torch.equal(a, b) for a, b in zip(stage.run(model, inputs), expected, strict=True))


def test_costs(benchmark_script):
    """Of 16 x 16 pixels, counted by hand."""
    stages = benchmark_script("gpu.stages").stages(16, 16)
    costs = {stage.name: stage.cost for stage in stages if stage.name != "symbols"}
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


def test_costs_of_bottlenecks(benchmark_script):
    """Of 3 x 3 latents, counted by hand: one hyper-latent, five anchors."""
    stages = benchmark_script("gpu.stages").stages(48, 48)
    costs = {(stage.task, stage.name): stage.cost for stage in stages}
    analysis = costs["compress", "hyper analysis"]
    assert analysis.moved == 4 * 32 * 2 * (9 + 1)
    assert analysis.operations == 2 * 2 * 4 * 9 * 32 * 32 * (9 + 9 + 4 + 4 + 1)
    synthesis = costs["decompress", "hyper synthesis"]
    assert synthesis.moved == 4 * 2 * (32 + 64 * 9)
    by_layer = 32 * 32 + 32 * 128 + 4 * 32 * 48 + 4 * 48 * 192 + 16 * 48 * 64
    assert synthesis.operations == 2 * 2 * 4 * 9 * by_layer
    anchors = costs["decompress", "parameters of anchors"]
    assert anchors.moved == 4 * 5 * (64 * 2 + 32 * (2 + 1))
    assert anchors.operations == 2 * 2 * 4 * 5 * (64 * 106 + 106 * 85 + 85 * 64)
    others = costs["compress", "context and parameters of the others"]
    assert others.moved == 4 * 4 * (64 * 2 + 32 * (2 + 2 + 2 + 1))
    assert others.operations == 2 * 2 * 4 * 4 * (12 * 32 * 64 + 128 * 106 + 106 * 85 + 85 * 64)
    assert costs["compress", "symbols"].moved == 4 * 32 * (9 + 2 * 2)
    assert costs["decompress", "symbols"].moved == 4 * 32 * (9 * (1 + 2 + 2) + 2 * 2)


def test_floors(benchmark_script):
    module = benchmark_script("gpu.stage")
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
    assert benchmark_script("gpu.stage").peak_of(device) == peak


def test_launches_share_themselves_among_stages(benchmark_script):
    blocks, stages = benchmark_script("gpu.blocks"), benchmark_script("gpu.stages").stages(16, 16)
    activity = benchmark_script("gpu.device").Activity
    down = [activity(f"void residual_down_kernel<{i // 2}>(P)", float(i)) for i in range(8)]
    seen = [activity("hyper_kernel<1, 2>(P)", 9.0), *down, activity("Memcpy HtoD", 0.5)]
    level1 = next(stage for stage in stages if stage.name == "analysis.level1")
    assert blocks.share(seen, level1, stages) == 1 + 5  # of two parts of a batch
    with pytest.raises(ValueError, match=r"7 launches of .*residual_down_kernel do not share themselves among 4"):
        blocks.share(seen[:8], level1, stages)
    rows = {row["kernel"]: row for row in blocks.by_name(seen)}
    assert rows["residual_down_kernel<1>"] == {"kernel": "residual_down_kernel<1>", "launches": 2, "seconds": 5.0}
    assert rows["Memcpy HtoD"]["launches"] == 1


def test_kernels_of_no_stage_are_named(benchmark_script):
    blocks, stages = benchmark_script("gpu.blocks"), benchmark_script("gpu.stages").stages(16, 16)
    activity = benchmark_script("gpu.device").Activity
    names = ["void treenet::hyper_kernel<1, 2>(P)", "hyper_symbols_kernel<true>(P)", "new_kernel(P)", "Memcpy DtoH"]
    assert blocks.of_no_stage([activity(name, 1.0) for name in names], stages) == ["new_kernel(P)"]
    for task, kernels in blocks.LAUNCHES.items():
        seen = [activity(name, 1.0) for name in kernels]
        of_task = [stage for stage in stages if stage.task == task]
        assert sum(blocks.share(seen, stage, stages) for stage in of_task) == len(kernels)
        assert blocks.of_no_stage(seen, of_task) == []


def test_calls_are_told_apart_by_markers(benchmark_script):
    device = benchmark_script("gpu.device")
    marker = f"at::cuda::(anonymous namespace)::{device.MARKER}(long)"
    names = ["lost", marker, "a", "b", marker, marker, "a"]
    calls = device.in_calls([device.Activity(name, 1.0) for name in names])
    assert [[activity.name for activity in call] for call in calls] == [["a", "b"], [], ["a"]]


def traced(session, device, monkeypatch, calls):
    """The trace of calls of these names and seconds."""
    marker = device.Activity(device.MARKER, 1.0)
    seen = [activity for call in calls for activity in (marker, *(device.Activity(*each) for each in call))]
    monkeypatch.setattr(session.device, "_profiled", lambda work, calls: seen)
    return session.device.trace(lambda: None)


def test_a_trace_is_of_the_last_calls(session, benchmark_script, monkeypatch):
    device = benchmark_script("gpu.device")
    calls = [[("a", i), ("b", 10 * i), ("a", 100 * i)] for i in (1, 2, 3, 5, 4)]
    calls[3] = [("b", 50), ("a", 5), ("a", 500)]  # of another stream
    found = traced(session, device, monkeypatch, [[], [("a", 9)], *calls])
    assert found == [device.Activity("a", 3), device.Activity("b", 30), device.Activity("a", 300)]


@pytest.mark.parametrize(
    ("calls", "why"),
    [
        ([[("a", 1)]] * 4, "saw 1, 1, 1, 1 kernels and copies, not 5 equal calls"),
        ([[("a", 1)]] * 4 + [[("b", 1)]], "not 5 equal calls"),
        ([[("a", 1)]] * 4 + [[("a", 1)] * 2], "saw 1, 1, 1, 1, 2 kernels"),
        ([[]] * 7, "saw 0, 0, 0, 0, 0 kernels"),
        ([], "saw no kernels"),
        ([[("a", 1), ("b", 2)]] * 6 + [[("a", 1), ("b", 0.0)]], "has no times of some kernels"),
    ],
)
def test_traces_that_cannot_be(session, benchmark_script, monkeypatch, calls, why):
    with pytest.raises(RuntimeError, match=why):
        traced(session, benchmark_script("gpu.device"), monkeypatch, calls)


def test_the_stand_in_is_traced(session):
    assert "aten::ones" in [activity.name for activity in session.device.trace(lambda: torch.ones(2))]


@pytest.mark.parametrize("before", [None, "1"])
def test_the_environment_is_as_it_was(session, benchmark_script, monkeypatch, before):
    variable = benchmark_script("gpu.device").GRAPHS
    monkeypatch.delenv(variable, raising=False)
    if before:
        monkeypatch.setenv(variable, before)
    with session.device.one_by_one():
        assert os.environ[variable] == "0"
    assert os.environ.get(variable) == before


def test_a_profilers_times_are_held_against_events(run, benchmark_script, session, monkeypatch):
    activity = benchmark_script("gpu.device").Activity
    blocks = benchmark_script("gpu.blocks").Blocks(session)
    timing = benchmark_script("gpu.device").Timing.of([1.0])
    monkeypatch.setattr(session.device, "measure", lambda work, seconds: timing)
    monkeypatch.setattr(session.device, "queued", lambda work, seconds: timing)
    for kernels, of_a_call, alone in ((0.5, True, False), (0.9, True, True), (1.1, True, True), (1.3, False, False)):
        activities = [activity("a_kernel", kernels)]
        monkeypatch.setattr(session.device, "trace", lambda work, activities=activities: activities)
        assert blocks._consistent(activities, None) == {"kernels": kernels, "call": 1.0, "consistent": of_a_call}
        assert blocks._profiler() == {"kernels": kernels, "events": 1.0, "consistent": alone}


NCU = """\
==PROF== Connected to process 4242 (/usr/bin/python3.12)
==PROF== Profiling "vectorized_elementwise_kernel" - 0: 0%....50%....100% - 2 passes
==PROF== Disconnected from process 4242
"ID","Process ID","Process Name","Host Name","Kernel Name","Context","Stream","Block Size","Grid Size","Device","CC",\
"Section Name","Metric Name","Metric Unit","Metric Value"
"""
NCU_LINE = '"{id}","4242","python3.12","127.0.0.1","{kernel}","1","7","(192, 1, 1)","(96, 4, 16)","0","9.0",{section},'
NCU_LINE += '"{metric}","{unit}","{value}"\n'


def ncu_output(launches):
    lines = ""
    for i, (kernel, metrics) in enumerate(launches):
        for metric, (unit, value) in metrics.items():
            section = '"Command line profiler metrics"'
            lines += NCU_LINE.format(id=i, kernel=kernel, section=section, metric=metric, unit=unit, value=value)
    return NCU + lines


def test_counters(benchmark_script):
    counters = benchmark_script("gpu.counters")
    up = "void treenet::cuda::<unnamed>::residual_up_kernel<1, false>(treenet::cuda::ResidualUpParameters)"
    scan = "treenet::cuda::<unnamed>::scan_kernel(treenet::cuda::SymbolParameters)"

    def metrics(seconds, moved, bandwidth, int8):
        return {
            counters.SECONDS: ("nsecond", seconds),
            counters.BYTES: ("byte", moved),
            counters.BANDWIDTH: ("%", bandwidth),
            counters.INT8[1]: ("%", int8),
        }

    output = ncu_output(
        [
            ("void at::native::vectorized_elementwise_kernel<4, F>(int, F)", metrics("5", "6", "7", "8")),
            (up, metrics("1,000", "3,000,000", "10", "50.5")),
            (scan, metrics("250", "1,024", "1", "n/a")),
            (up, metrics("3,000", "5,000,000", "30", "10.5")),
        ]
    )
    first, second = counters.parsed(output + "a last line of the program\n")
    assert (first.kernel, first.launches, first.by) == ("residual_up_kernel<1, false>", 2, counters.INT8[1])
    assert first.seconds == pytest.approx(4e-6)
    assert first.moved == 8_000_000
    assert first.bandwidth == pytest.approx(0.25)
    assert first.int8 == pytest.approx(0.205)
    assert (second.kernel, second.int8, second.moved) == ("scan_kernel", None, 1024)
    assert counters.parsed("==PROF== no counters") == []


@pytest.mark.parametrize(
    ("output", "status", "why"),
    [
        ("==ERROR== ERR_NVGPUCTRPERM - The user does not have permission", 1, "this user may not read them"),
        ("==ERROR== something else", 9, "ended with 9 and counters of 0 kernels: ==ERROR== something else"),
        (NCU, 0, "ended with 0 and counters of 0 kernels"),
    ],
)
def test_counters_that_cannot_be_read(benchmark_script, session, tmp_path, output, status, why):
    counters, rows = benchmark_script("gpu.counters"), []
    counters.count(session, fake_program(tmp_path / "ncu", output, status), rows)
    ((_, what, reason),) = [entry for entry in session.not_run if entry[1] == "hardware counters"]
    assert (rows, what) == ([], "hardware counters")
    assert why in reason


def test_ncu_is_asked_for_what_it_knows(benchmark_script, session, tmp_path):
    counters, rows = benchmark_script("gpu.counters"), []
    kernel = "treenet::cuda::<unnamed>::scan_kernel(P)"
    known = ncu_output([(kernel, {counters.SECONDS: ("ns", "10"), counters.BYTES: ("byte", "20")})])
    known += "sm__inst_executed_pipe_tensor_op_imma   Counter   inst   # of instructions"
    program = fake_program(tmp_path / "ncu", known)
    assert counters.available(program)[-1] == counters.INT8[1]
    counters.count(session, program, rows)
    assert [(row.kernel, row.seconds, row.moved, row.bandwidth) for row in rows] == [("scan_kernel", 1e-8, 20, None)]
    assert not any(what == "hardware counters" for _, what, _ in session.not_run)
    counters.count(session, fake_program(tmp_path / "ncu", known, status=1), rows)
    assert len(rows) == 2
    assert "ended with 1 and counters of 1 kernels" in session.not_run[-1][2]


def test_the_counted_calls(script):
    assert script.main(["--dry-run", "--counted-calls"]) == 0


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
def test_sanitizer(benchmark_script, session, tmp_path, summary, status, clean):
    guards = 'echo "guards: $PYTORCH_NO_CUDA_MEMORY_CACHING$TREENET_FAST_CUDA_GUARDS"'
    program = fake_program(tmp_path / "compute-sanitizer", f"========= {summary}", status, guards)
    verdicts = []
    benchmark_script("gpu.sanitizer").check(session, program, verdicts)
    assert [(verdict.tool, verdict.clean) for verdict in verdicts] == [("memcheck", clean), ("racecheck", clean)]
    assert (summary in verdicts[0].report) != clean
    assert clean or "--small-case --dry-run" in verdicts[1].report
    assert clean or "guards: 11" in verdicts[1].report


def test_sanitizer_that_takes_too_long(benchmark_script, session, tmp_path):
    session.scale = dataclasses.replace(session.scale, sanitizer_seconds=0.05)
    program = tmp_path / "compute-sanitizer"
    program.write_text("#!/bin/sh\nexec sleep 20\n")
    program.chmod(0o755)
    verdicts = []
    benchmark_script("gpu.sanitizer").check(session, str(program), verdicts)
    assert verdicts == []
    assert (None, "compute-sanitizer memcheck", "it took more than 0 s") in session.not_run


def test_the_sanitizers_case(script):
    assert script.main(["--dry-run", "--small-case"]) == 0


def test_tables(benchmark_script, tmp_path, monkeypatch):
    """Without results the README says so; with them it has what they say."""
    tables = benchmark_script("tables")
    monkeypatch.setattr(tables, "GPU", tmp_path / "gpu.json")
    assert tables.on_a_gpu() == "Nothing of this has been run on a GPU yet."
    at = {"task": "compress", "size": "Kodak", "batch": 16}
    row = at | {"side": "treenet_fast", "median": 0.00123}
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
        "paths": [row | {"floor": 0.0001}, row | {"side": "float32", "median": 0.01}],
        "compiled": [row | {"side": "float16 channels_last, compiled", "batch": 1}],
        "throughput": [at | {"threads": threads, "images_a_second": 100.4 * threads} for threads in (1, 2)],
        "blocks": {
            "profiler": {"kernels": 2e-3, "events": 1e-3, "consistent": False},
            "calls": [at | {"kernels": 0.0004, "call": 0.001, "consistent": True}],
            "stages": [
                at
                | {"stage": "analysis.level0", "treenet_fast": 2e-5, "floor": 1e-5, "float32": 3e-4}
                | {"cost": {"moved": 10**6, "weights": 0, "operations": 10**9}, "float16 channels_last": 1e-4},
                at | {"task": "decompress", "stage": "symbols"},
            ],
        },
        "compiled_blocks": [at | {"stage": "analysis.level0", "float16 channels_last, compiled": 6e-5}],
        "counters": [
            {"kernel": "residual_up_kernel<1>", "launches": 2, "seconds": 4e-4, "bandwidth": 0.5, "int8": None}
        ],
        "not_run": [{"section": None, "what": "this", "why": "that"}],
    }
    tables.GPU.write_text(json.dumps(record))
    lines = tables.on_a_gpu().splitlines()
    assert "| images | 4 of 5 |" in lines
    assert "| compute-sanitizer memcheck | clean |" in lines
    assert "| compress, Kodak, batch 16 | 1.23 ms | 0.40 ms | 0.10 ms | 10.00 ms | – |" in lines
    assert "| compress, Kodak, batch 1 | – | – | – | – | 1.23 ms |" in lines
    assert "| compress, Kodak | 100 | 201 |" in lines
    # 16 images at 10⁹ operations and 1 MB in 20 µs are 800 TOPS and 0.8 TB/s.
    assert (
        "| compress: analysis.level0 | 20 µs | 10 µs | 40 % | 26 % | 300 µs (15.0x) | 100 µs (5.0x) | 60 µs (3.0x) |"
        in lines
    )
    assert "| decompress: symbols | – | – | – | – | – | – | – |" in lines
    assert "| residual_up_kernel<1> | 2 | 400 µs | – | 50 % |" in lines
    assert any(line.startswith("The profiler's times are not to be trusted: ") for line in lines)
    assert "- this: that" in lines
    assert lines[-1].startswith("Floors are at 3.10 TB/s, measured by a copy, and 2000 TOPS by the data sheet. GPU,")
