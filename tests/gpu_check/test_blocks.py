"""The launches that a profiler sees, shared among the stages; and its times held against events."""

import pytest


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
