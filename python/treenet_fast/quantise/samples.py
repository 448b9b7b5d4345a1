"""Samples of the float network's intermediate values on calibration images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from treenet_fast.model import TreeNet
from treenet_fast.quantise.arrays import Array

_POSITIONS = 512  # sampled of each tensor of each image


class Samples:
    """Values that went into and came out of each module, a random choice of positions of every image.

    A choice of positions leaves out most outliers, so the extremes of each channel are kept apart and join the sample.
    """

    def __init__(self) -> None:
        self._chosen: dict[str, list[NDArray[np.float32]]] = {}
        self._extremes: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
        self._random = torch.Generator().manual_seed(0)

    def output(self, module: str) -> Array:
        """Outputs of a module, `[channels, n]`."""
        return self._get(f"{module}:output")

    def input(self, module: str) -> Array:
        """Inputs of a module, `[channels, n]`."""
        return self._get(f"{module}:input")

    def _get(self, key: str) -> Array:
        low, high = self._extremes[key]
        return np.concatenate([*self._chosen[key], low[:, None], high[:, None]], axis=1).astype(np.float64)

    def add(self, key: str, value: Tensor) -> None:
        """Take a sample of `value` `[N, channels, h, w]`."""
        flat = value.transpose(0, 1).reshape(value.shape[1], -1)
        low, high = flat.amin(dim=1).numpy(), flat.amax(dim=1).numpy()
        if key in self._extremes:
            low = np.minimum(low, self._extremes[key][0])
            high = np.maximum(high, self._extremes[key][1])
        self._extremes[key] = low, high
        if flat.shape[1] > _POSITIONS:
            flat = flat[:, torch.randint(flat.shape[1], (_POSITIONS,), generator=self._random)]
        self._chosen.setdefault(key, []).append(flat.numpy().copy())


def sample(model: TreeNet, images: Iterable[Tensor], qualities: Iterable[float]) -> Samples:
    """Run the network, rounding as the codec does, on images `[N, 3, H, W]` (0..1), each at its quality."""
    samples = Samples()
    handles = []
    for name, module in model.named_modules():
        watches_input = name.startswith("synthesis.level0.") and name.count(".") == 2
        if isinstance(module, nn.Conv2d) or name.count(".") == 2 or name.endswith(".context"):
            handles.append(module.register_forward_hook(_hook(samples, name, watches_input)))
    try:
        with torch.inference_mode():
            for image, quality in zip(images, qualities, strict=True):
                model(image, quality, rounding="round")
    finally:
        for handle in handles:
            handle.remove()
    return samples


def _hook(samples: Samples, name: str, watches_input: bool) -> Any:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        if watches_input:
            samples.add(f"{name}:input", inputs[0])
        if isinstance(output, Tensor):
            samples.add(f"{name}:output", output)

    return hook
