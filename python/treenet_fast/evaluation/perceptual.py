"""LPIPS and DISTS: distances between an image's features and another's, in a VGG-16 that was trained on ImageNet.

The network's weights (528 MB) and what both metrics learned on top of it are other people's, and are neither in this
package nor fetched by it: they are read from where PyTorch's hub and the metrics' own PyPI packages put them.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from treenet_fast.errors import MissingLibraryError, MissingWeightsError
from treenet_fast.evaluation.libraries import library
from treenet_fast.evaluation.metrics import Pixels, Score, check_pair

if TYPE_CHECKING:
    from torch import Tensor


BACKBONE = "vgg16-397923af.pth"
"""The file of VGG-16's weights, by the name that torchvision gives it in the hub's folder."""

SIDE_MIN = 16
"""Sides from which the deepest features, at a sixteenth of the image, exist."""

_STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
"""The convolutions of each stage, by their numbers in the file; between stages the size is halved."""
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's R, G and B in 0..1
_SMALLEST = 1e-6  # DISTS's two constants


@functools.cache
def load_lpips() -> Score:
    """LPIPS by VGG-16, version 0.1 (Zhang et al., 2018): 0 where both images are equal.

    Raises:
        MissingLibraryError: torch or lpips is not installed.
        MissingWeightsError: VGG-16's weights are not there.
    """
    torch = library("torch")
    learned = _read(_packaged("lpips", "lpips", "weights/v0.1/vgg.pth"))
    weights = [learned[f"lin{stage}.model.1.weight"] for stage in range(len(_STAGES))]
    features = _Features(torch.nn.functional.max_pool2d, {"kernel_size": 2})

    def lpips(image: Pixels, decoded: Pixels) -> float:
        pairs = zip(*(map(_unit, features(x)) for x in _checked(image, decoded)), weights, strict=True)
        return float(sum((weight * (a - b).square()).sum(1).mean() for a, b, weight in pairs))

    return torch.inference_mode()(lpips)  # type: ignore[no-any-return]


@functools.cache
def load_dists() -> Score:
    """DISTS (Ding et al., 2020) at the images' own size: 0 where both are equal.

    Raises:
        MissingLibraryError: torch or dists-pytorch is not installed.
        MissingWeightsError: VGG-16's weights are not there.
    """
    torch = library("torch")
    learned = _read(_packaged("DISTS_pytorch", "dists-pytorch", "weights.pt"))
    total = learned["alpha"].sum() + learned["beta"].sum()
    features = _Features(_l2_pool, {})

    def dists(image: Pixels, decoded: Pixels) -> float:
        a, b = ([x, *features(x)] for x in _checked(image, decoded))
        sizes = [x.shape[1] for x in a]
        alpha, beta = (torch.split(learned[name] / total, sizes, dim=1) for name in ("alpha", "beta"))
        similarity = sum(
            (texture * _texture(x, y) + structure * _structure(x, y)).sum()
            for x, y, texture, structure in zip(a, b, alpha, beta, strict=True)
        )
        return 1 - float(similarity)

    return torch.inference_mode()(dists)  # type: ignore[no-any-return]


class _Features:
    """VGG-16's features before each halving, of an image `[1, 3, H, W]` in 0..1."""

    def __init__(self, pool: Callable[..., Tensor], options: dict[str, Any]) -> None:
        self._pool, self._options = pool, options
        self._weights = _read(_backbone())

    def __call__(self, image: Tensor) -> list[Tensor]:
        torch = library("torch")
        mean, deviation = (image.new_tensor(x)[:, None, None] for x in (_MEAN, _DEVIATION))
        x = (image - mean) / deviation
        features = []
        for stage, convolutions in enumerate(_STAGES):
            if stage:
                x = self._pool(x, **self._options)
            for number in convolutions:
                weight, bias = (self._weights[f"features.{number}.{name}"] for name in ("weight", "bias"))
                x = torch.relu(torch.nn.functional.conv2d(x, weight, bias, padding=1))
            features.append(x)
        return features


def _unit(x: Tensor) -> Tensor:
    """The vector of each position at length one."""
    return x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)


def _l2_pool(x: Tensor) -> Tensor:
    """Half the size by the root of blurred squares, which aliases less than a maximum (Hénaff and Simoncelli, 2016)."""
    torch = library("torch")
    window = torch.hann_window(5, periodic=False, dtype=x.dtype)[1:-1]
    window = torch.outer(window, window) / window.sum() ** 2
    channels = x.shape[1]
    kernel = window.expand(channels, 1, 3, 3)
    blurred: Tensor = torch.nn.functional.conv2d(x.square(), kernel, stride=2, padding=1, groups=channels)
    return (blurred + 1e-12).sqrt()


def _texture(x: Tensor, y: Tensor) -> Tensor:
    """How alike the means of each channel are, `[1, C, 1, 1]`."""
    a, b = (t.mean((2, 3), keepdim=True) for t in (x, y))
    return (2 * a * b + _SMALLEST) / (a.square() + b.square() + _SMALLEST)


def _structure(x: Tensor, y: Tensor) -> Tensor:
    """How much each channel varies as the other does, `[1, C, 1, 1]`."""
    a, b = (t.mean((2, 3), keepdim=True) for t in (x, y))
    variances = (x - a).square().mean((2, 3), keepdim=True) + (y - b).square().mean((2, 3), keepdim=True)
    covariance = (x * y).mean((2, 3), keepdim=True) - a * b
    return (2 * covariance + _SMALLEST) / (variances + _SMALLEST)


def _checked(image: Pixels, decoded: Pixels) -> list[Tensor]:
    check_pair(image, decoded)
    torch = library("torch")
    return [torch.tensor(x, dtype=torch.float32).permute(2, 0, 1)[None] / 255 for x in (image, decoded)]


def _read(path: Path) -> Any:
    return library("torch").load(path, map_location="cpu", weights_only=True)


def _backbone() -> Path:
    path = Path(library("torch").hub.get_dir()) / "checkpoints" / BACKBONE
    if not path.is_file():
        raise MissingWeightsError(
            f"VGG-16's weights are not on this machine: {path} is missing; "
            f"https://download.pytorch.org/models/{BACKBONE} has it"
        )
    return path


def _packaged(module: str, package: str, file: str) -> Path:
    """A file of an installed package that is not imported: importing it would want torchvision."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise MissingLibraryError(f"this needs the weights in the PyPI package {package}: pip install {package}")
    return Path(spec.origin).parent / file
