"""The codec's stages: their parts of the float network, what each must do, and the least time for it."""

import pytest
import torch

from treenet_fast.model import TreeNet


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
