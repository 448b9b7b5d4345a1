"""The bottlenecks and gains in integers (SPEC §4 to §6)."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from treenet_fast.model import TreeNet
from treenet_fast.model.bottleneck import CheckerboardConvolution
from treenet_fast.model.gains import QUALITY_MAX, QUALITY_MIN
from treenet_fast.model_layout import BOTTLENECK_CONVOLUTIONS, LATENTS
from treenet_fast.quantise.calibration import Samples
from treenet_fast.quantise.convolutions import Convolution, IntegerTensors, quantise_convolution
from treenet_fast.quantise.entropy import SCALE_UNITS
from treenet_fast.quantise.formats import Format, s16_format
from treenet_fast.quantise.settings import Settings
from treenet_fast.quantise.transforms import from_subpixels, leaky, to_subpixels, values

LATENT_UNITS = 64  # of `Y`, `M` and `Ŷ` in SPEC §4, §5

_SUBPIXEL = ("hyper_synthesis.1", "hyper_synthesis.3")
_WITHOUT_LEAKY = ("hyper_analysis.4", "hyper_synthesis.4", "context", "entropy_parameters.2")


class BottleneckQuantiser:
    """Makes the tensors of the bottlenecks from a float network and samples of its values."""

    def __init__(self, model: TreeNet, samples: Samples, settings: Settings) -> None:
        self._model = model
        self._samples = samples
        self._settings = settings

    def tensors(self) -> IntegerTensors:
        """Tensors of all bottlenecks."""
        result: IntegerTensors = {}
        for b in range(LATENTS):
            result |= self._bottleneck(f"bottleneck.{b}")
        return result

    def _bottleneck(self, name: str) -> IntegerTensors:
        tensors: IntegerTensors = {}
        latent = Format(np.full(32, 1 / LATENT_UNITS))
        symbols = Format(np.ones(32))
        formats: dict[str, Format] = {}
        for part in BOTTLENECK_CONVOLUTIONS:
            stack, _, index = part.partition(".")
            if part in ("hyper_analysis.0", "context"):
                source = latent
            elif part == "hyper_synthesis.0":
                source = symbols
            elif part == "entropy_parameters.0":
                both = [formats["hyper_synthesis.4"].scale, formats["context"].scale]
                source = Format(np.concatenate(both))
            else:
                source = formats[f"{stack}.{int(index) - 1}"]
            layer = self._convolution(f"{name}.{part}", source)
            formats[part] = self._output_format(name, part)
            scale = to_subpixels(formats[part].scale) if part in _SUBPIXEL else formats[part].scale
            tensors |= layer.tensors(f"{name}.{part}", layer.scale / scale)
        return tensors

    def _output_format(self, name: str, part: str) -> Format:
        if part == "hyper_analysis.4":
            return Format(np.ones(32))  # Z counts in whole steps
        if part == "entropy_parameters.2":
            return Format(np.repeat([1 / LATENT_UNITS, 1 / SCALE_UNITS], 32))
        samples = self._samples.output(f"{name}.{part}")
        if part in _SUBPIXEL:
            samples = from_subpixels(samples)
        if part not in _WITHOUT_LEAKY:
            samples = leaky(samples)
        return s16_format(samples, self._settings.headroom)

    def _convolution(self, name: str, source: Format) -> Convolution:
        layer = self._model.get_submodule(name)
        if isinstance(layer, CheckerboardConvolution):
            weight = layer.effective()["weight"]
        else:
            assert isinstance(layer, nn.Conv2d)
            weight = layer.weight
        assert isinstance(layer.bias, torch.Tensor)
        return quantise_convolution(values(weight), values(layer.bias), source.scale)


def gain_tensors(model: TreeNet, fused: list[Format], synthesis_inputs: list[Format]) -> IntegerTensors:
    """Gains of all qualities: from the fused leaves to `Y`, and from `Ŷ` to the inputs of the synthesis."""
    quality = torch.arange(QUALITY_MIN, QUALITY_MAX + 1, dtype=torch.float64)
    leaf_scale = np.concatenate([form.scale for form in fused])
    input_scale = np.concatenate([form.scale for form in synthesis_inputs])
    encode = values(model.gain.encode(quality))[:, :, 0, 0] * leaf_scale * LATENT_UNITS
    decode = values(model.gain.decode(quality))[:, :, 0, 0] / LATENT_UNITS / input_scale
    return {"gain.encode": encode.astype(np.float32), "gain.decode": decode.astype(np.float32)}
