"""LPIPS and DISTS with a narrow VGG-16 of random weights, against their definitions in torch's modules."""

import importlib.machinery
import importlib.util

import numpy as np
import pytest
import torch
from torch import nn

from treenet_fast.errors import MissingLibraryError, MissingWeightsError
from treenet_fast.evaluation import perceptual
from treenet_fast.evaluation.perceptual import BACKBONE, load_dists, load_lpips

CHANNELS = (4, 5, 6, 7, 8)
CONVOLUTIONS = (2, 2, 3, 3, 3)


class Blur(nn.Module):
    def forward(self, x):
        window = torch.tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
        padded = nn.functional.pad(x.square(), (1, 1, 1, 1))
        patches = padded.unfold(2, 3, 2).unfold(3, 3, 2)
        return ((patches * window).sum((4, 5)) + 1e-12).sqrt()


@pytest.fixture(scope="module")
def network():
    """VGG-16's convolutions as torchvision numbers them."""
    torch.manual_seed(2)
    layers, before = [], 3
    for channels, count in zip(CHANNELS, CONVOLUTIONS, strict=True):
        for _ in range(count):
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
            before = channels
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


@pytest.fixture
def lpips_weights():
    torch.manual_seed(3)
    return {f"lin{i}.model.1.weight": torch.rand(1, channels, 1, 1) for i, channels in enumerate(CHANNELS)}


@pytest.fixture
def dists_weights():
    torch.manual_seed(4)
    return {name: torch.rand(1, 3 + sum(CHANNELS), 1, 1) for name in ("alpha", "beta")}


@pytest.fixture
def nothing_there(tmp_path, monkeypatch):
    """An empty hub, and neither package."""
    load_lpips.cache_clear()
    load_dists.cache_clear()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    yield tmp_path
    load_lpips.cache_clear()
    load_dists.cache_clear()


@pytest.fixture
def packages(nothing_there, lpips_weights, dists_weights, monkeypatch):
    """Both packages, as far as their weights."""
    files = {"lpips": "weights/v0.1/vgg.pth", "DISTS_pytorch": "weights.pt"}
    for (module, file), weights in zip(files.items(), (lpips_weights, dists_weights), strict=True):
        path = nothing_there / module / file
        path.parent.mkdir(parents=True)
        torch.save(weights, path)
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: importlib.machinery.ModuleSpec(name, None, origin=str(nothing_there / name / "__init__.py")),
    )
    return nothing_there


@pytest.fixture
def everything(packages, network):
    folder = packages / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save({f"features.{name}": x for name, x in network.state_dict().items()}, folder / BACKBONE)


@pytest.fixture
def pair(photograph):
    image = photograph[60:140, 100:199]
    noise = np.random.default_rng(1).normal(0, 12, image.shape)
    return image, (image + noise).clip(0, 255).astype(np.uint8)


def features(network, pool, pixels):
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = torch.tensor(pixels) / 255
    result, h = [x.permute(2, 0, 1)], ((x - mean) / deviation).permute(2, 0, 1)[None]
    for i, layer in enumerate(network):
        if isinstance(layer, nn.MaxPool2d):
            result.append(h[0])
        h = (pool if isinstance(layer, nn.MaxPool2d) and i < len(network) - 1 else layer)(h)
    return result


@torch.inference_mode()
def test_lpips(everything, network, lpips_weights, pair):
    a, b = (features(network, nn.MaxPool2d(2), x)[1:] for x in pair)
    expected = 0
    for x, y, weight in zip(a, b, lpips_weights.values(), strict=True):
        x, y = (nn.functional.normalize(t, dim=0, eps=1e-10) for t in (x, y))
        expected += ((x - y) ** 2 * weight[0]).sum(0).mean()
    lpips = load_lpips()
    assert expected > 0.01
    assert lpips(*pair) == pytest.approx(float(expected), rel=1e-4)
    assert lpips(pair[0], pair[0]) == 0


@torch.inference_mode()
def test_dists(everything, network, dists_weights, pair):
    a, b = (features(network, Blur(), x) for x in pair)
    total = sum(weights.sum() for weights in dists_weights.values())
    alpha, beta = (dists_weights[name].flatten() / total for name in ("alpha", "beta"))
    similarity, channel = 0, 0
    for x, y in ((x.flatten(), y.flatten()) for u, v in zip(a, b, strict=True) for x, y in zip(u, v, strict=True)):
        covariance = ((x - x.mean()) * (y - y.mean())).mean()
        texture = (2 * x.mean() * y.mean() + 1e-6) / (x.mean() ** 2 + y.mean() ** 2 + 1e-6)
        structure = (2 * covariance + 1e-6) / (x.var(correction=0) + y.var(correction=0) + 1e-6)
        similarity += alpha[channel] * texture + beta[channel] * structure
        channel += 1
    assert channel == len(alpha)
    dists = load_dists()
    assert 1 - similarity > 0.001
    assert dists(*pair) == pytest.approx(float(1 - similarity), rel=1e-3)
    assert dists(pair[0], pair[0]) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("load", "package"), [(load_lpips, "lpips"), (load_dists, "dists-pytorch")])
def test_missing_package(nothing_there, load, package):
    with pytest.raises(MissingLibraryError, match=f"pip install {package}"):
        load()


@pytest.mark.parametrize("load", [load_lpips, load_dists])
def test_missing_backbone_is_not_fetched(packages, load, monkeypatch):
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *a, **k: pytest.fail("a download"))
    with pytest.raises(MissingWeightsError, match=f"checkpoints/{BACKBONE} is missing; https://"):
        load()


def test_smallest_side(everything):
    image = np.zeros((perceptual.SIDE_MIN, 40, 3), np.uint8)
    assert load_lpips()(image, image) == 0
