"""The quantised network against the reference, tensor by tensor; its training; its checkpoints."""

import copy

import pytest
import torch
from torch.nn.functional import mse_loss

from treenet_fast.errors import ModelFileError
from treenet_fast.model import TreeNet, load_checkpoint, save_checkpoint
from treenet_fast.model_file import IntegerModel, content_hash
from treenet_fast.quantise import QuantisedTreeNet, load_quantised, save_quantised
from treenet_fast.quantise.steps import exact_sums
from treenet_fast.reference.api import codec
from treenet_fast.reference.synthesis import synthesis
from treenet_fast.reference.trace import Trace

QUALITIES = torch.tensor([1.0, 100.0])


@pytest.fixture(scope="module")
def calibrated(network, photographs):
    """Not to be changed."""
    return QuantisedTreeNet.from_float(network, photographs)


@pytest.fixture(scope="module")
def moved(calibrated):
    """Away from where calibration left it, as after training: some formats clip, some are coarse."""
    moved = copy.deepcopy(calibrated)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in moved.format_parameters():
            parameter += 0.4 * torch.randn(parameter.shape, generator=generator)
        for parameter in moved.master.parameters():
            parameter *= 1 + 0.02 * torch.randn(parameter.shape, generator=generator)
        for bottleneck in moved.master.bottleneck:  # a random network's hyper-latents would all round to 0
            bottleneck.hyper_analysis[4].weight *= 30
    return moved


def trace_of(network, image, quality):
    """What the reference's traces of encoder and decoder hold, by the same names, int32 `[h, w, c]`."""
    trace, handles = {}, []

    def keep(name, values):
        assert bool((values.frac() == 0).all()), name
        trace[name] = values[0].permute(1, 2, 0).to(torch.int32)

    def watch(name, record):
        handles.append(network.get_submodule(name).register_forward_hook(record))

    for name, block in network.residual_blocks():
        z = int(block.output.zero_point)
        watch(name, lambda _, inputs, output, name=name, z=z: keep(name, output + z))
    for name, fusion in (part for part in network.parts() if "fusion" in part[0]):
        z = int(fusion.source.zero_point)
        watch(name, lambda _, inputs, output, name=name, z=z: keep(name, output + z))
    h, w = (-(-side // 16) for side in image.shape[1:])
    for b in range(4):
        watch(f"bottleneck.{b}", lambda _, inputs, output, b=b: keep(f"Y.{b}", inputs[0] * 64))
        watch(
            f"bottleneck.{b}.hyper_synthesis.4",
            lambda _, inputs, output, b=b: keep(f"psi.{b}", output[:, :, :h, :w]),
        )
        watch(f"synthesis.level0.{b}", lambda _, inputs, output, b=b: keep(f"X.{b}", inputs[0]))
    watch("synthesis.output", lambda _, inputs, output: keep("pixels", output))
    try:
        with torch.no_grad():
            output = network(image[None], float(quality), rounding="round")
    finally:
        for handle in handles:
            handle.remove()
    threshold = torch.from_numpy(network.tensors()["entropy.threshold"])
    for b, bottleneck in enumerate(output.bottlenecks):
        keep(f"Z.{b}", bottleneck.z_hat)
        keep(f"Yhat.{b}", bottleneck.y_hat * 64)
        keep(f"mean.{b}", bottleneck.mean * 64)
        keep(f"S.{b}", bottleneck.y_hat - bottleneck.mean)
        keep(f"index.{b}", torch.searchsorted(threshold, (bottleneck.scale * 256).contiguous(), right=True).float())
    return trace


def reference_trace(tensors, image, quality):
    model = IntegerModel(tensors, {"name": "test"}, content_hash(tensors))
    coder = codec(model)
    trace = coder.trace_encode((image * 255).round().byte().permute(1, 2, 0).numpy(), quality)
    latents = [trace[f"Yhat.{b}"].permute(2, 0, 1) for b in range(4)]
    trace.record("pixels", synthesis(coder.model, latents, quality, decoder := Trace()))
    return {name: value.to(torch.int32) for name, value in (trace | decoder).items()}


@pytest.mark.parametrize(("kind", "height", "width", "quality"), [("calibrated", 37, 50, 63), ("moved", 80, 17, 100)])
def test_exact_forward_is_the_reference(kind, height, width, quality, make_photograph, request):
    network, image = request.getfixturevalue(kind), make_photograph(9, height, width)
    expected = reference_trace(network.tensors(), image, quality)
    with exact_sums():
        found = trace_of(network, image, quality)
    assert expected.keys() - found.keys() == {f"scale.{b}" for b in range(4)}  # the output's are bounded
    assert kind == "calibrated" or all(bool(found[f"{name}.{b}"].any()) for name in "SZ" for b in range(4))
    for name, value in found.items():
        assert torch.equal(value, expected[name]), name


def test_training_forward_is_nearly_the_reference(moved, make_photograph):
    """Sums beyond 2^24 are off by a unit of float32; few of them are near a point where rounding turns."""
    image = make_photograph(9, 48, 64)
    expected = reference_trace(moved.tensors(), image, 50)
    for name, value in trace_of(moved, image, 50).items():
        difference = (value - expected[name]).abs()
        assert int(difference.max()) <= 1, name
        assert float(difference.float().mean()) < 1e-3, name


def loss_of(network, images, qualities=QUALITIES, rounding="straight_through"):
    torch.manual_seed(0)
    output = network(images, qualities, rounding)
    return output.bits().sum() / images[:, 0].numel() + 100 * mse_loss(output.reconstruction, images)


@pytest.mark.parametrize("rounding", ["noise", "straight_through"])
def test_every_parameter_has_a_gradient(moved, photographs, rounding):
    network = copy.deepcopy(moved).train()
    loss_of(network, torch.stack(photographs[:2]), rounding=rounding).backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None or not bool(p.grad.isfinite().all())]
    assert silent == []
    still = [n for n, p in network.named_parameters() if not bool(p.grad.any())]
    assert still == []


def test_training_lowers_the_loss(moved, photographs):
    network = copy.deepcopy(moved).train().to(memory_format=torch.channels_last)
    images = torch.stack(photographs[:2]).contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = loss_of(network, images)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    network.tensors()  # still within the limits


def test_from_float_copies(calibrated, network):
    assert calibrated.master is not network
    assert calibrated.gain.rate_weight(QUALITIES).tolist() == network.gain.rate_weight(QUALITIES).tolist()


def same(a, b):
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)


def test_state_dict_round_trip(moved):
    again = QuantisedTreeNet(TreeNet())
    again.load_state_dict(moved.state_dict())
    assert same(again.tensors(), moved.tensors())


def test_checkpoint_round_trip(moved, tmp_path):
    path = tmp_path / "quantised.safetensors"
    save_quantised(path, moved, "a note")
    assert same(load_quantised(path).tensors(), moved.tensors())
    assert same(load_checkpoint(path).effective_state(), moved.master.effective_state())


def test_half_precision_keeps_the_formats(moved, tmp_path):
    path = tmp_path / "half.safetensors"
    save_quantised(path, moved, half=True)
    assert path.stat().st_size < 6_000_000
    again = load_quantised(path)
    assert same(again.format_state(), moved.format_state())
    save_quantised(tmp_path / "whole.safetensors", again)
    assert same(load_quantised(tmp_path / "whole.safetensors").tensors(), again.tensors())


def test_a_float_checkpoint_has_no_formats(network, tmp_path):
    path = tmp_path / "float.safetensors"
    save_checkpoint(path, network)
    with pytest.raises(ModelFileError, match="no checkpoint of a quantised TreeNet"):
        load_quantised(path)
