"""A random but valid integer model, and photograph-like images, to stress implementations without trained weights.

The multipliers are set from the expected size of each accumulator, so that activations spread over their range: most
channels fill it, some saturate, some hardly move.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from treenet_fast.model_file import IntegerModel, content_hash, tensor_spec, validate
from treenet_fast.model_layout import (
    BOTTLENECK_CONVOLUTIONS,
    SYNTHESIS_U8_LEVEL,
    mean_fraction_bits,
)
from treenet_fast.model_limits import context_mask

Tensors = dict[str, NDArray[Any]]

# Root mean squares that activations aim at, their zero points taken off.
_U8 = 55.0
_S16 = 7000.0
_LATENT = 2500.0
_HYPER_LATENT = 9.0


class _Builder:
    """Draws the tensors of a model in a fixed order."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.spec = tensor_spec()
        self.tensors: Tensors = {}

    def put(self, name: str, values: NDArray[Any] | list[int]) -> None:
        dtype, shape = self.spec[name]
        self.tensors[name] = np.asarray(values).astype(dtype).reshape(shape)

    def spread(self, size: int, sigma: float = 0.5) -> NDArray[np.float64]:
        """Factors around 1, some far from it."""
        factors: NDArray[np.float64] = np.exp(self.random.normal(0, sigma, size))
        return factors

    def accumulators(self, name: str, source: float, mask: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """Draws weights and biases; gives the expected root mean square of the accumulators, an output each."""
        shape = self.spec[f"{name}.weight"][1]
        # Bell-shaped, some rows wider than others, clamped to -128..127: both ends occur.
        width = 45 * self.spread(shape[0]).reshape(-1, *[1] * (len(shape) - 1))
        weight = np.clip(np.rint(self.random.normal(0, width, shape)), -128, 127)
        if mask is not None:
            weight *= mask
        size = source * np.sqrt((weight.reshape(shape[0], -1) ** 2).sum(axis=1) + 1)
        self.put(f"{name}.weight", weight)
        self.put(f"{name}.bias", np.rint(self.random.normal(0, 0.3, shape[0]) * size))
        return np.asarray(size, dtype=np.float64)

    def convolution(
        self, name: str, source: float, target: float | NDArray[np.float64], mask: NDArray[np.bool_] | None = None
    ) -> None:
        """A convolution from activations of root mean square ``source`` to ones of about ``target``."""
        size = self.accumulators(name, source, mask)
        self.put(f"{name}.multiplier", target / size * self.spread(len(size)))

    def block(self, name: str, source: float, target: float, up: bool) -> None:
        hidden = self.size(s16=not up)
        self.convolution(f"{name}.conv1", source, hidden)
        if up:
            self.put(f"{name}.conv1.zero_point", [int(self.random.integers(0, 256))])
        size = self.accumulators(f"{name}.conv2", hidden)
        gdn = f"{name}.igdn" if up else f"{name}.gdn"
        gamma = self.random.integers(0, 256, (32, 32)) * (self.random.random((32, 32)) < 0.3)
        beta = self.random.integers(1, 1 << 20, 32)
        level = 60.0  # of k
        root = np.sqrt(beta + gamma.sum(axis=1) * level**2)
        self.put(f"{gdn}.gamma", gamma)
        self.put(f"{gdn}.beta", beta)
        self.put(f"{gdn}.magnitude", level / size * self.spread(32))
        scale = 1 / root if up else root
        self.put(f"{gdn}.numerator", 0.8 * target / size * scale * self.spread(32))
        self.convolution(f"{name}.skip", source, 0.6 * target)

    def fusion(self, name: str, s16: bool) -> None:
        source, fraction = self.size(s16), 2 ** mean_fraction_bits(s16)
        for attention, size in (("first", 1.4 * source), ("second", source)):
            prefix = f"{name}.{attention}"
            # The mean over all positions is smaller than its terms, how much depends on the image.
            self.convolution(f"{prefix}.global1", 0.3 * fraction * size, 9000.0)
            self.convolution(f"{prefix}.global2", 7000.0, 35.0)
            self.convolution(f"{prefix}.local1", size, 90.0)
            self.convolution(f"{prefix}.local2", 70.0, 35.0)

    @staticmethod
    def size(s16: bool) -> float:
        """The root mean square that outputs of a level aim at."""
        return _S16 if s16 else _U8

    def transforms(self) -> None:
        for level in range(4):
            for i in range(2**level):
                self.block(f"analysis.level{level}.{i}", _S16 if level else _U8, _S16, up=False)
        for b in range(4):
            self.fusion(f"analysis.fusion.{b}", s16=True)
        source = _S16
        for level in range(4):
            s16 = level != SYNTHESIS_U8_LEVEL
            target, zero_point = self.size(s16), int(self.random.integers(90, 166))
            for i in range(4 - level):
                self.block(f"synthesis.level{level}.{i}", source, target, up=True)
                if not s16:
                    self.put(f"synthesis.level{level}.{i}.zero_point", [zero_point])
            for i in range(3 - level):
                self.fusion(f"synthesis.fusion{level}.{i}", s16)
            source = target
        self.convolution("synthesis.output", source, 80.0)
        bias = self.tensors["synthesis.output.bias"] + 110 / self.tensors["synthesis.output.multiplier"]
        self.put("synthesis.output.bias", np.rint(bias))

    def bottleneck(self, b: int) -> None:
        for part in BOTTLENECK_CONVOLUTIONS:
            name = f"bottleneck.{b}.{part}"
            source: float = _S16
            target: float | NDArray[np.float64] = _S16
            if part == "hyper_analysis.0":
                source = _LATENT
            elif part == "hyper_analysis.4":
                target = _HYPER_LATENT
            elif part == "hyper_synthesis.0":
                source = _HYPER_LATENT
            elif part == "context":
                # Half of the positions, the anchors, are what its taps see, and all of them.
                self.convolution(name, _LATENT, target, context_mask())
                continue
            elif part == "entropy_parameters.2":
                # Scales over all of their tables: those are spaced by equal factors.
                scales = np.geomspace(20, 30000, 32)
                target = np.concatenate([np.full(32, _LATENT / 2), self.random.permutation(scales)])
            self.convolution(name, source, target)
        name = f"bottleneck.{b}.entropy_parameters.2"
        bias = self.tensors[f"{name}.bias"]
        bias[32:] = np.abs(bias[32:])

    def gains(self) -> None:
        encode = np.geomspace(0.02, 1, 100)[:, None] * self.spread(128) * (_LATENT / _S16)
        self.put("gain.encode", encode)
        self.put("gain.decode", 1 / encode * self.spread(128, 0.1))

    def tables(self) -> None:
        self.put("sigmoid", np.rint(256 / (1 + np.exp(-np.arange(128) / 16)) - 128))
        deviation = np.geomspace(0.11, 120, 64)
        edges = np.rint(256 * np.sqrt(deviation[1:] * deviation[:-1])).astype(int)
        self.put("entropy.threshold", np.minimum(edges, 32767))
        self.put("entropy.skip", [6])
        self.put("entropy.scale", deviation)
        reach = np.minimum(np.floor(2.5 * deviation), 127).astype(int)  # short tables, so that some symbols escape
        self.put("entropy.gaussian.offset", -reach)
        self.put("entropy.gaussian.count", 2 * reach + 1)
        rows = []
        for sigma, r in zip(deviation, reach, strict=True):
            values = np.exp(-0.5 * (np.arange(-r, r + 1) / max(sigma, 0.3)) ** 2)
            rows.append(_frequencies(np.append(values, 0.02 * values.sum())))
        self.put("entropy.gaussian.frequency", np.array(rows))
        count = self.random.integers(1, 256, 128)
        offset = self.random.integers(-12, 3, 128) - count // 2
        self.put("entropy.prior.count", count)
        self.put("entropy.prior.offset", offset)
        self.put("entropy.prior.frequency", np.array([_frequencies(self.random.exponential(1, c + 1)) for c in count]))


def _frequencies(weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """A row of 256: the weights as frequencies of at least 32 and of sum 65536, then zeros."""
    room = 65536 - 32 * len(weights)
    row = np.zeros(256, dtype=np.int64)
    row[: len(weights)] = 32 + np.floor(weights / weights.sum() * room).astype(np.int64)
    row[np.argmax(weights)] += 65536 - row.sum()
    return row


@cache
def _model(seed: int) -> IntegerModel:
    builder = _Builder(seed)
    builder.transforms()
    for b in range(4):
        builder.bottleneck(b)
    builder.gains()
    builder.tables()
    validate(builder.tensors)
    for array in builder.tensors.values():
        array.setflags(write=False)
    return IntegerModel(builder.tensors, {"name": f"synthetic {seed}"}, content_hash(builder.tensors))


def synthetic_integer_model(seed: int = 0) -> IntegerModel:
    """A valid random model, the same for the same seed; made once."""
    return _model(seed)


def synthetic_model(seed: int = 0) -> Tensors:
    """Its tensors (SPEC §9), read-only."""
    return dict(_model(seed).tensors)


def synthetic_image(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A photograph-like image ``[height, width, 3]``: gradients, shapes with edges, texture and noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] / 64.0
    image = np.empty((height, width, 3))
    for c in range(3):
        a, b, phase = random.uniform(-1, 1, 3)
        image[:, :, c] = 120 + 60 * np.sin(a * rows + b * columns + 6 * phase)
    for _ in range(12):
        y, x = random.uniform(0, 1, 2) * (height, width) / 64.0
        radius = random.uniform(0.1, 0.4) * max(height, width) / 64.0
        inside = np.hypot(rows - y, columns - x) < radius
        image[inside] += random.uniform(-90, 90, 3)
    stripes = np.sin(columns * 40 + rows * 9) * (rows > columns) * 15
    image += stripes[:, :, None] + random.normal(0, 4, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
