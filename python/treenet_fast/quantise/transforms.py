"""The analysis and synthesis trees in integers (SPEC §2.5 to §2.7, §4, §6)."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from treenet_fast.model import TreeNet
from treenet_fast.model.blocks import LEAKY_SLOPE, ResidualDown, ResidualUp
from treenet_fast.model.normalisation import GDN
from treenet_fast.model.treenet import IMAGE_CENTRE
from treenet_fast.model_layout import (
    ANALYSIS_S16_LEVELS,
    IMAGE_ZERO_POINT,
    LATENTS,
    SYNTHESIS_S16_LEVELS,
    analysis_blocks,
    analysis_fusions,
    mean_fraction_bits,
    synthesis_blocks,
    synthesis_fusions,
)
from treenet_fast.quantise.calibration import Samples
from treenet_fast.quantise.convolutions import Convolution, IntegerTensors, quantise_convolution
from treenet_fast.quantise.formats import S16_MAX, U8_MAX, Array, Format, s16_format, u8_format
from treenet_fast.quantise.settings import Settings

_K_MAX = 181  # of `k` in SPEC §2.4
# By how much `k` reaches beyond the largest value seen: beyond its end a norm is too small, and the error large.
_K_HEADROOM = 1.25
_SIGMOID_INPUT_UNITS = 16
_SIGMOID_OUTPUT_UNITS = 256

# SPEC §3: pixels count in steps of 1/255 from black, and the zero point 128 is half a step above the centre.
_PIXEL_SCALE = 1 / 255
_PIXEL_OFFSET = IMAGE_ZERO_POINT * _PIXEL_SCALE - IMAGE_CENTRE


def values(tensor: Tensor | None) -> Array:
    """A parameter as float64."""
    assert tensor is not None
    result: Array = tensor.detach().double().cpu().numpy()
    return result


def leaky(x: Array) -> Array:
    return np.where(x >= 0, x, LEAKY_SLOPE * x)


def from_subpixels(convolution_output: Array) -> Array:
    """`[4 * channels, n]` before a shuffle to `[channels, 4 * n]` after it (SPEC §2.3)."""
    return convolution_output.reshape(len(convolution_output) // 4, -1)


def to_subpixels(channel_values: Array) -> Array:
    """A value for each channel, repeated for its four convolution channels (SPEC §2.3)."""
    return np.repeat(channel_values, 4)


class TransformQuantiser:
    """Makes the tensors of both trees from a float network and samples of its values."""

    def __init__(self, model: TreeNet, samples: Samples, settings: Settings) -> None:
        self._model = model
        self._samples = samples
        self._settings = settings

    def analysis(self) -> tuple[IntegerTensors, list[Format]]:
        """Tensors of the analysis, and the formats of the four fused outputs."""
        tensors: IntegerTensors = {}
        formats: dict[str, Format] = {}
        image = Format(np.full(3, _PIXEL_SCALE), IMAGE_ZERO_POINT)
        for level, name in analysis_blocks():
            node = int(name.rsplit(".", 1)[1])
            if level in ANALYSIS_S16_LEVELS:  # the two leaves of a fusion share a format
                pair = [f"analysis.level{level}.{2 * (node // 2) + i}" for i in range(2)]
                formats[name] = self._s16([self._samples.output(leaf) for leaf in pair])
            else:
                children = [f"analysis.level{level + 1}.{2 * node + i}" for i in range(2)]
                formats[name] = self._u8([name], children)
            source = image if level == 0 else formats[f"analysis.level{level - 1}.{node // 2}"]
            tensors |= self._block(name, source, formats[name], _PIXEL_OFFSET if level == 0 else 0.0)
        leaves = [formats[f"analysis.level3.{2 * b}"] for b in range(LATENTS)]
        for name, form in zip(analysis_fusions(), leaves, strict=True):
            tensors |= self._fusion(name, form, s16=True)
        return tensors, leaves

    def synthesis(self) -> tuple[IntegerTensors, list[Format]]:
        """Tensors of the synthesis, and the formats of its four inputs."""
        tensors: IntegerTensors = {}
        blocks = list(synthesis_blocks())
        # All nodes of a level share a format: neighbours are fused, and fusions overlap.
        names = [[name for level, name in blocks if level == k] for k in range(4)]
        readers = [*names[1:], []]
        levels = [
            self._s16([self._samples.output(name) for name in names[k]])
            if k in SYNTHESIS_S16_LEVELS
            else self._u8(names[k], readers[k])
            for k in range(4)
        ]
        inputs = [self._s16([self._samples.input(f"synthesis.level0.{b}")]) for b in range(LATENTS)]
        for level, name in blocks:
            source = inputs[int(name.rsplit(".", 1)[1])] if level == 0 else levels[level - 1]
            tensors |= self._block(name, source, levels[level])
        for level, name in synthesis_fusions():
            tensors |= self._fusion(name, levels[level], level in SYNTHESIS_S16_LEVELS)
        layer = self._convolution("synthesis.output", levels[3], shift=IMAGE_CENTRE)
        tensors |= layer.tensors("synthesis.output", layer.scale / _PIXEL_SCALE)
        return tensors, inputs

    def _u8(self, blocks: list[str], readers: list[str]) -> Format:
        """The format that the outputs of `blocks` share; the blocks `readers`, or else the last layer, take them in."""
        together = np.concatenate([self._samples.output(name) for name in blocks], axis=1)
        layers = [f"{name}.{part}" for name in readers for part in ("conv1", "skip")] or ["synthesis.output"]
        return u8_format(together, self._importance(layers))

    def _importance(self, layers: list[str]) -> Array:
        """How much of an error in each input channel reaches the outputs of convolutions, as a factor of its square."""
        weights = [np.square(values(self._layer(name).weight)) for name in layers]
        total: Array = sum((weight.sum(axis=(0, 2, 3)) for weight in weights), start=np.zeros(weights[0].shape[1]))
        return total

    def _s16(self, samples: list[Array]) -> Format:
        return s16_format(np.concatenate(samples, axis=1), self._settings.headroom)

    def _convolution(self, name: str, source: Format, offset: float = 0.0, shift: float = 0.0) -> Convolution:
        layer = self._layer(name)
        return quantise_convolution(values(layer.weight), values(layer.bias) + shift, source.scale, offset)

    def _layer(self, name: str) -> nn.Conv2d:
        layer = self._model.get_submodule(name)
        assert isinstance(layer, nn.Conv2d)
        return layer

    def _block(self, name: str, source: Format, out: Format, offset: float = 0.0) -> IntegerTensors:
        """A residual block (SPEC §2.5, §2.6)."""
        block = self._model.get_submodule(name)
        assert isinstance(block, ResidualDown | ResidualUp)
        up = isinstance(block, ResidualUp)
        between = self._samples.output(f"{name}.conv1")
        hidden = u8_format(leaky(from_subpixels(between) if up else between), self._importance([f"{name}.conv2"]))
        conv1 = self._convolution(f"{name}.conv1", source, offset)
        conv2 = self._convolution(f"{name}.conv2", hidden)
        skip = self._convolution(f"{name}.skip", source, offset)
        hidden_scale = to_subpixels(hidden.scale) if up else hidden.scale
        skip_scale = to_subpixels(out.scale) if up else out.scale
        normalisation = block.igdn if isinstance(block, ResidualUp) else block.gdn
        return {
            **conv1.tensors(f"{name}.conv1", conv1.scale / hidden_scale),
            f"{name}.conv1.zero_point": np.array([hidden.zero_point], np.int32),
            **conv2.tensors(f"{name}.conv2"),
            **self._gdn(f"{name}.{'igdn' if up else 'gdn'}", normalisation, f"{name}.conv2", conv2.scale, out),
            **skip.tensors(f"{name}.skip", skip.scale / skip_scale),
            f"{name}.zero_point": np.array([out.zero_point], np.int32),
        }

    def _gdn(self, name: str, gdn: GDN, convolution: str, acc_scale: Array, out: Format) -> IntegerTensors:
        """A normalisation of accumulators (SPEC §2.4).

        `k[j] * step[j]` stands for `|v[j]|`, and `unit[c] * n[c]` for `beta[c] + Σ gamma[c, j] v[j]²`.
        """
        effective = gdn.effective()
        beta, gamma = values(effective["beta"]), values(effective["gamma"])
        peak = np.maximum(np.abs(self._samples.output(convolution)).max(axis=1), 1e-6)
        step = peak * _K_HEADROOM / _K_MAX
        weighted = gamma * np.square(step)
        # The largest weight of a row fills u8, unless that would leave beta too coarse or make it too large.
        unit = np.clip(weighted.max(axis=1) / U8_MAX, beta * 2.0**-24, beta * 2.0**-6)
        unit = np.maximum(unit, weighted.max(axis=1) / U8_MAX)
        factor = np.sqrt(unit) if gdn.inverse else 1 / np.sqrt(unit)
        return {
            f"{name}.numerator": (acc_scale * factor / out.scale).astype(np.float32),
            f"{name}.magnitude": (acc_scale / step).astype(np.float32),
            f"{name}.beta": np.maximum(np.rint(beta / unit), 1).astype(np.int32),
            f"{name}.gamma": np.rint(weighted / unit[:, None]).astype(np.uint8),
        }

    def _fusion(self, name: str, form: Format, s16: bool) -> IntegerTensors:
        mean = Format(form.scale / 2 ** mean_fraction_bits(s16))
        return {
            **self._attention(f"{name}.first", form, mean),
            **self._attention(f"{name}.second", form, mean),
        }

    def _attention(self, name: str, form: Format, mean: Format) -> IntegerTensors:
        """One attention of a fusion (SPEC §2.7)."""
        local_samples = np.maximum(self._samples.output(f"{name}.local1"), 0)
        local_hidden = u8_format(local_samples, self._importance([f"{name}.local2"]))
        global_peak = np.abs(self._samples.output(f"{name}.global1")).max(axis=1)
        global_hidden = Format(np.maximum(global_peak, 1e-6) * self._settings.headroom / S16_MAX)
        tensors: IntegerTensors = {}
        for part, source, hidden in (("local", form, local_hidden), ("global", mean, global_hidden)):
            down = self._matrix(f"{name}.{part}1", source)
            up = self._matrix(f"{name}.{part}2", hidden)
            tensors |= down.tensors(f"{name}.{part}1", down.scale / hidden.scale)
            tensors |= up.tensors(f"{name}.{part}2", up.scale * _SIGMOID_INPUT_UNITS)
        return tensors

    def _matrix(self, name: str, source: Format) -> Convolution:
        layer = self._layer(name)
        return quantise_convolution(values(layer.weight)[:, :, 0, 0], values(layer.bias), source.scale)


def sigmoid_table() -> IntegerTensors:
    """The logistic function less one half (SPEC §2.7)."""
    x = np.arange(128) / _SIGMOID_INPUT_UNITS
    table = np.rint(_SIGMOID_OUTPUT_UNITS * (1 / (1 + np.exp(-x)) - 0.5))
    return {"sigmoid": table.astype(np.uint8)}
