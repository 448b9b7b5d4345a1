"""Names, dtypes and shapes of the tensors of an integer model, and what feeds each convolution (SPEC §9)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import DTypeLike

CHANNELS = 32
LATENTS = 4
QUALITIES = 100
GAUSSIAN_TABLES = 64
PRIOR_TABLES = LATENTS * CHANNELS
TABLE_WIDTH = 256  # up to 255 values and the escape (SPEC §7.1)
IMAGE_ZERO_POINT = 128  # SPEC §3
# The level of the synthesis whose outputs, and that of the fusion after it, are u8; other levels' are s16 (SPEC §6).
SYNTHESIS_U8_LEVEL = 2

TensorSpec = dict[str, tuple[np.dtype, tuple[int, ...]]]

# Input and output channels (before a shuffle) and kernel size of the convolutions of a bottleneck (SPEC §5).
BOTTLENECK_CONVOLUTIONS: dict[str, tuple[int, int, int]] = {
    **{f"hyper_analysis.{i}": (32, 32, 3) for i in range(5)},
    "hyper_synthesis.0": (32, 32, 3),
    "hyper_synthesis.1": (32, 128, 3),
    "hyper_synthesis.2": (32, 48, 3),
    "hyper_synthesis.3": (48, 192, 3),
    "hyper_synthesis.4": (48, 64, 3),
    "context": (32, 64, 5),
    "entropy_parameters.0": (128, 106, 1),
    "entropy_parameters.1": (106, 85, 1),
    "entropy_parameters.2": (85, 64, 1),
}

# Input and output channels of the matrices of one attention (SPEC §2.7).
ATTENTION_MATRICES = {"local1": (32, 8), "local2": (8, 32), "global1": (32, 8), "global2": (8, 32)}


def analysis_blocks() -> Iterator[tuple[int, str]]:
    """(level, name) of the residual downsampling blocks (SPEC §4)."""
    for level in range(4):
        for node in range(2**level):
            yield level, f"analysis.level{level}.{node}"


def synthesis_blocks() -> Iterator[tuple[int, str]]:
    """(level, name) of the residual upsampling blocks (SPEC §6)."""
    for level in range(4):
        for node in range(4 - level):
            yield level, f"synthesis.level{level}.{node}"


def analysis_fusions() -> Iterator[str]:
    """The fusions of pairs of leaves (SPEC §4)."""
    for latent in range(LATENTS):
        yield f"analysis.fusion.{latent}"


def synthesis_fusions() -> Iterator[tuple[int, str]]:
    """(level, name) of the fusions after the levels 0 to 2 of the synthesis (SPEC §6)."""
    for level in range(3):
        for node in range(3 - level):
            yield level, f"synthesis.fusion{level}.{node}"


def mean_fraction_bits(s16: bool) -> int:
    """`F`: the fraction bits of an attention's means of `s16` or `u8` activations (SPEC §2.7)."""
    return 0 if s16 else 6


@cache
def _spec() -> TensorSpec:
    spec: TensorSpec = {}

    def put(name: str, dtype: DTypeLike, *shape: int) -> None:
        spec[name] = (np.dtype(dtype), shape)

    def put_convolution(name: str, inputs: int, outputs: int, *kernel: int, multiplier: bool = True) -> None:
        put(f"{name}.weight", np.int8, outputs, inputs, *kernel)
        put(f"{name}.bias", np.int32, outputs)
        if multiplier:
            put(f"{name}.multiplier", np.float32, outputs)

    def put_block(name: str, inputs: int, up: bool) -> None:
        outputs = 4 * CHANNELS if up else CHANNELS
        put_convolution(f"{name}.conv1", inputs, outputs, 3, 3)
        if up:
            put(f"{name}.conv1.zero_point", np.int32, 1)
        put_convolution(f"{name}.conv2", CHANNELS, CHANNELS, 3, 3, multiplier=False)
        gdn = f"{name}.igdn" if up else f"{name}.gdn"
        put(f"{gdn}.numerator", np.float32, CHANNELS)
        put(f"{gdn}.magnitude", np.float32, CHANNELS)
        put(f"{gdn}.beta", np.int32, CHANNELS)
        put(f"{gdn}.gamma", np.uint8, CHANNELS, CHANNELS)
        kernel = (3, 3) if up else (1, 1)
        put_convolution(f"{name}.skip", inputs, outputs, *kernel)

    def put_fusion(name: str) -> None:
        for attention in ("first", "second"):
            for matrix, (inputs, outputs) in ATTENTION_MATRICES.items():
                put_convolution(f"{name}.{attention}.{matrix}", inputs, outputs)

    for level, name in analysis_blocks():
        put_block(name, 3 if level == 0 else CHANNELS, up=False)
    for name in analysis_fusions():
        put_fusion(name)
    for level, name in synthesis_blocks():
        put_block(name, CHANNELS, up=True)
        if level == SYNTHESIS_U8_LEVEL:
            put(f"{name}.zero_point", np.int32, 1)
    for _, name in synthesis_fusions():
        put_fusion(name)
    put_convolution("synthesis.output", CHANNELS, 3, 3, 3)
    for latent in range(LATENTS):
        for part, (inputs, outputs, kernel) in BOTTLENECK_CONVOLUTIONS.items():
            put_convolution(f"bottleneck.{latent}.{part}", inputs, outputs, kernel, kernel)
    put("gain.encode", np.float32, QUALITIES, PRIOR_TABLES)
    put("gain.decode", np.float32, QUALITIES, PRIOR_TABLES)
    put("sigmoid", np.uint8, 128)
    put("entropy.threshold", np.int32, GAUSSIAN_TABLES - 1)
    put("entropy.skip", np.int32, 1)
    put("entropy.scale", np.float32, GAUSSIAN_TABLES)
    for kind, tables in (("gaussian", GAUSSIAN_TABLES), ("prior", PRIOR_TABLES)):
        put(f"entropy.{kind}.offset", np.int32, tables)
        put(f"entropy.{kind}.count", np.int32, tables)
        put(f"entropy.{kind}.frequency", np.uint16, tables, TABLE_WIDTH)
    return spec


def tensor_spec() -> TensorSpec:
    """Dtype and shape of every tensor of an integer model, by name (SPEC §9)."""
    return dict(_spec())
