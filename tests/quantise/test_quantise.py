"""Post-training quantisation of a random network, step by step against the float one."""

import numpy as np
import pytest
import torch

from treenet_fast import model_file
from treenet_fast.quantise import quantise
from treenet_fast.quantise.evaluate import evaluate_float, evaluate_integer
from treenet_fast.reference.api import codec
from treenet_fast.reference.synthesis import synthesis
from treenet_fast.reference.trace import Trace

QUALITY = 40


@pytest.fixture(scope="module")
def integers(network, photographs, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "random.safetensors"
    model_file.save(path, quantise(network, photographs), {"name": "random"})
    return model_file.load(path)


@pytest.fixture(scope="module")
def pixels(photographs):
    return (photographs[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


@pytest.fixture(scope="module")
def trace(integers, pixels):
    return codec(integers).trace_encode(pixels, QUALITY)


def relative_error(found, expected):
    return float((found - expected).square().mean().sqrt() / expected.square().mean().sqrt())


def test_analysis(network, trace, pixels):
    image = torch.tensor(pixels).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        latents = network.analyse(image, torch.tensor([float(QUALITY)]))
    for b, latent in enumerate(latents):
        assert relative_error(trace[f"Y.{b}"].permute(2, 0, 1) / 64, latent[0]) < 0.03


def test_entropy_parameters(network, trace):
    """On the integer model's own latents, so that a symbol rounded the other way does not matter."""
    for b, bottleneck in enumerate(network.bottleneck):
        with torch.inference_mode():
            z = trace[f"Z.{b}"].permute(2, 0, 1)[None].float()
            y_hat = trace[f"Yhat.{b}"].permute(2, 0, 1)[None].float() / 64
            psi = bottleneck.hyper_synthesis(z)[:, :, : y_hat.shape[2], : y_hat.shape[3]]
            anchor = (torch.arange(4)[:, None] + torch.arange(4) + 1) % 2
            context = bottleneck.context(y_hat * anchor) * (1 - anchor)
            mean, scale = bottleneck.entropy_parameters(torch.cat((psi, context), 1))[0].chunk(2)
        assert float((trace[f"mean.{b}"].permute(2, 0, 1) / 64 - mean).abs().max()) < 0.05
        assert float((trace[f"scale.{b}"].permute(2, 0, 1) / 256 - scale.clamp_min(0)).abs().max()) < 0.02


def test_synthesis(network, integers, trace):
    latents = [trace[f"Yhat.{b}"].permute(2, 0, 1) for b in range(4)]
    found = synthesis(codec(integers).model, latents, QUALITY, Trace())
    with torch.inference_mode():
        expected = network.synthesise([y[None] / 64 for y in latents], torch.tensor([float(QUALITY)]))[0]
    error = found / 255 - expected.clamp(0, 1)
    assert float(error.square().mean().sqrt()) < 2 / 255


def test_rate_and_distortion(network, integers, pixels):
    expected, found = (
        evaluate(m, pixels, QUALITY) for evaluate, m in ((evaluate_float, network), (evaluate_integer, integers))
    )
    assert found.bits_per_pixel == pytest.approx(expected.bits_per_pixel, rel=0.1)
    assert found.psnr == pytest.approx(expected.psnr, abs=0.5)


def test_gains_of_all_qualities(network, integers):
    encode = integers.tensors["gain.encode"].astype(np.float64)
    quality = torch.arange(1, 101, dtype=torch.float32)
    expected = network.gain.encode(quality)[:, :, 0, 0].detach().numpy()
    np.testing.assert_allclose(encode / encode[0], expected / expected[0], rtol=1e-5)
