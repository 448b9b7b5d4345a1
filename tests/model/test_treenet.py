"""The float TreeNet as a whole: names, sizes, gains, checkpoints."""

import numpy as np
import pytest
import torch

from treenet_fast import tensor_file
from treenet_fast.errors import ModelFileError
from treenet_fast.model import TreeNet, load_checkpoint, save_checkpoint
from treenet_fast.model.gains import Gains


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return TreeNet().eval()


@pytest.mark.parametrize("size", [(1, 1), (33, 50)])
def test_any_size(model, size):
    image = torch.rand(2, 3, *size)
    with torch.inference_mode():
        output = model(image, torch.tensor([1.0, 100.0]))
    assert output.reconstruction.shape == image.shape
    assert len(output.bottlenecks) == 4
    assert output.bits().shape == (2,)
    assert bool((output.bits() > 0).all())


def test_a_batch_is_its_images_each_at_its_quality(model):
    images = torch.rand(2, 3, 48, 32)
    with torch.inference_mode():
        batch = model(images, torch.tensor([10.0, 80.0]))
        single = model(images[1:], 80)
    torch.testing.assert_close(batch.reconstruction[1:], single.reconstruction, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(batch.bits()[1:], single.bits(), atol=0, rtol=1e-3)


def test_padding_repeats_the_edge(model):
    """An image and its own extension are one to the network."""
    image = torch.rand(1, 3, 20, 20)
    extended = torch.nn.functional.pad(image, (0, 12, 0, 12), mode="replicate")
    with torch.inference_mode():
        a, b = model(image, 50), model(extended, 50)
    torch.testing.assert_close(a.reconstruction, b.reconstruction[:, :, :20, :20])
    torch.testing.assert_close(a.bits(), b.bits())


def test_training_gives_every_parameter_a_gradient(model):
    trained = TreeNet()
    output = trained(torch.rand(2, 3, 64, 64), torch.tensor([1.0, 100.0]))
    distortion = torch.nn.functional.mse_loss(output.reconstruction, torch.rand(2, 3, 64, 64))
    (output.bits().sum() + distortion).backward()
    silent = [name for name, p in trained.named_parameters() if p.grad is None or not bool(p.grad.isfinite().all())]
    assert silent == []


def test_quality_outside_its_range(model):
    with pytest.raises(ValueError, match=r"outside 1\.\.100"):
        model(torch.rand(1, 3, 16, 16), 101)


def test_gains_interpolate_their_logarithm():
    gains = Gains(2, lambdas=(0.001, 0.01, 0.1))
    with torch.no_grad():
        gains.log_encode.copy_(torch.tensor([[0.0, 1.0], [2.0, 1.0], [3.0, 5.0]]))
    quality = torch.tensor([1.0, 25.75, 50.5, 75.25, 100.0])
    expected = torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [2.5, 3.0], [3.0, 5.0]])
    torch.testing.assert_close(gains.encode(quality)[:, :, 0, 0].log(), expected, atol=1e-5, rtol=0)
    weights = torch.tensor([0.001, 10**-2.5, 0.01, 10**-1.5, 0.1])
    torch.testing.assert_close(gains.rate_weight(quality), weights)


def test_checkpoint_round_trip(model, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, model, "a note")
    arrays, metadata = tensor_file.read(path)
    assert metadata == {"note": "a note", "lambdas": "[0.00125, 0.0025, 0.005, 0.01, 0.02]"}
    assert {
        "analysis.level3.7.gdn.beta",
        "analysis.fusion.3.second.global2.weight",
        "synthesis.fusion0.2.first.local1.bias",
        "bottleneck.2.prior.factor.2",
        "bottleneck.0.hyper_synthesis.3.weight",
        "gain.log_decode",
    } <= arrays.keys()
    again = load_checkpoint(path).effective_state()
    for name, value in model.effective_state().items():
        assert torch.equal(again[name], value), name


def test_checkpoints_hold_effective_values(model, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, model)
    arrays, _ = tensor_file.read(path)
    np.testing.assert_allclose(arrays["analysis.level0.0.gdn.beta"], 1, rtol=1e-5)
    assert float(arrays["bottleneck.0.prior.matrix.1"].min()) > 0
    assert not arrays["bottleneck.0.context.weight"][:, :, 2, 2].any()


def test_half_precision_checkpoint(model, tmp_path):
    path = tmp_path / "half.safetensors"
    save_checkpoint(path, model, half=True)
    assert path.stat().st_size < 6_000_000
    weight = "synthesis.output.weight"
    torch.testing.assert_close(
        load_checkpoint(path).effective_state()[weight], model.effective_state()[weight], atol=1e-3, rtol=1e-3
    )


def test_half_precision_keeps_what_it_would_make_infinite(tmp_path):
    """A factor of the prior next to 1, an entry of its matrices next to 0, and GDN's sums."""
    torch.manual_seed(0)
    model, path = TreeNet(), tmp_path / "half.safetensors"
    prior = model.bottleneck[1].prior
    with torch.no_grad():
        prior.factor[0].fill_(5.0)
        prior.matrix[1].fill_(-30.0)
    save_checkpoint(path, model, half=True)
    arrays, _ = tensor_file.read(path)
    single = {name for name, array in arrays.items() if array.dtype == np.float32}
    assert {name for name in arrays if ".prior." in name or "gdn." in name} == single
    assert arrays["synthesis.output.weight"].dtype == np.float16
    again = load_checkpoint(path)
    assert all(bool(parameter.isfinite().all()) for parameter in again.parameters())
    for name in ("bottleneck.1.prior.factor.0", "bottleneck.1.prior.matrix.1", "analysis.level3.7.gdn.gamma"):
        assert torch.equal(again.effective_state()[name], model.effective_state()[name])


def test_checkpoint_of_rounded_values_loads_finite(model, tmp_path):
    path = tmp_path / "rounded.safetensors"
    save_checkpoint(path, model)
    arrays, metadata = tensor_file.read(path)
    factor, matrix = "bottleneck.0.prior.factor.1", "bottleneck.0.prior.matrix.2"
    arrays |= {factor: -np.ones_like(arrays[factor]), matrix: np.zeros_like(arrays[matrix])}
    tensor_file.write(path, arrays, metadata)
    again = load_checkpoint(path)
    assert all(bool(parameter.isfinite().all()) for parameter in again.parameters())
    assert float(again.effective_state()[factor].max()) == pytest.approx(-1)
    assert float(again.effective_state()[matrix].max()) < 1e-30


@pytest.mark.parametrize(("value", "half"), [(70000.0, True), (float("inf"), False), (float("nan"), False)])
def test_values_that_a_checkpoint_cannot_hold(value, half, tmp_path):
    model, path = TreeNet(), tmp_path / "checkpoint.safetensors"
    with torch.no_grad():
        model.synthesis.output.weight[0, 0, 0, 0] = value
    with pytest.raises(ModelFileError, match=r"synthesis\.output\.weight"):
        save_checkpoint(path, model, half=half)
    assert not path.exists()


def test_foreign_checkpoint(tmp_path):
    path = tmp_path / "foreign.safetensors"
    tensor_file.write(path, {"a": np.zeros(3, np.float32)}, {"lambdas": "[1, 2]"})
    with pytest.raises(ModelFileError, match="no checkpoint of a TreeNet"):
        load_checkpoint(path)
    tensor_file.write(path, {"a": np.zeros(3, np.float32)}, {})
    with pytest.raises(ModelFileError, match="no checkpoint of a TreeNet"):
        load_checkpoint(path)


def test_probabilities_are_float32_whatever_the_transforms_run_in():
    model = TreeNet().train()
    with torch.autocast("cpu", torch.bfloat16):
        output = model(torch.rand(1, 3, 64, 64), 50.0)
    assert output.reconstruction.dtype == torch.float32
    for bottleneck in output.bottlenecks:
        assert {value.dtype for value in vars(bottleneck).values()} == {torch.float32}
