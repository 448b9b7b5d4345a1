"""What a loader checks of an integer model's tensors (SPEC §9).

The arithmetic is exact only while accumulators stay inside 32 bits and every `f32` value stays normal; the limits here
make sure of that for any input. An implementation may rely on them and need not check again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from treenet_fast.errors import ModelFileError
from treenet_fast.model_layout import (
    BOTTLENECK_CONVOLUTIONS,
    GAUSSIAN_TABLES,
    IMAGE_ZERO_POINT,
    LATENTS,
    PRIOR_TABLES,
    SYNTHESIS_U8_LEVEL,
    TABLE_WIDTH,
    analysis_blocks,
    analysis_fusions,
    mean_fraction_bits,
    synthesis_blocks,
    synthesis_fusions,
    tensor_spec,
)

Tensors = Mapping[str, NDArray[Any]]

ACCUMULATOR_LIMIT = 1 << 31
S16_BOUND = 32768  # the largest magnitude of an s16 activation
FLOAT_RANGE = (2.0**-40, 2.0**20)
MIN_FREQUENCY = 32
FREQUENCY_SUM = 1 << 16


def validate(tensors: Tensors) -> None:
    """Make every check of SPEC §9 on tensors, the file's hash aside.

    Raises:
        ModelFileError: naming the first tensor that breaks a rule, and the rule.
    """
    _check_names_and_shapes(tensors)
    _check_floats(tensors)
    _check_zero_points(tensors)
    _check_normalisations(tensors)
    _check_accumulators(tensors)
    _check_context_mask(tensors)
    _check_sigmoid(tensors)
    _check_scale_index(tensors)
    _check_tables(tensors, "gaussian", GAUSSIAN_TABLES)
    _check_tables(tensors, "prior", PRIOR_TABLES)


def context_mask() -> NDArray[np.bool_]:
    """`bool [5, 5]`: the taps at which the context convolution may have weights (SPEC §5)."""
    rows, columns = np.indices((5, 5))
    mask: NDArray[np.bool_] = (rows + columns) % 2 == 1
    return mask


def _fail(name: str, rule: str) -> ModelFileError:
    return ModelFileError(f"tensor {name!r} {rule}")


def _check_names_and_shapes(tensors: Tensors) -> None:
    spec = tensor_spec()
    missing = sorted(spec.keys() - tensors.keys())
    if missing:
        raise ModelFileError(f"{len(missing)} tensors are missing, {missing[0]!r} the first")
    foreign = sorted(tensors.keys() - spec.keys())
    if foreign:
        raise ModelFileError(f"{len(foreign)} tensors do not belong to a model, {foreign[0]!r} the first")
    for name, (dtype, shape) in spec.items():
        array = tensors[name]
        if array.dtype != dtype or array.shape != shape:
            found = f"{array.dtype} {list(array.shape)}"
            raise _fail(name, f"is {found} and should be {dtype} {list(shape)}")


def _check_floats(tensors: Tensors) -> None:
    low, high = FLOAT_RANGE
    for name, array in tensors.items():
        in_range = (array >= low) & (array <= high)  # false for NaN
        if array.dtype == np.float32 and name != "entropy.scale" and not bool(np.all(in_range)):
            raise _fail(name, "has values outside 2^-40..2^20")


def _check_zero_points(tensors: Tensors) -> None:
    for name, array in tensors.items():
        if name.endswith(".zero_point") and not 0 <= int(array[0]) <= 255:
            raise _fail(name, "is outside 0..255")
    for level, block in synthesis_blocks():
        name = f"{block}.zero_point"
        if level == SYNTHESIS_U8_LEVEL and int(tensors[name][0]) != _u8_level_zero_point(tensors):
            raise _fail(name, "differs from that of the level's first node")


def _u8_level_zero_point(tensors: Tensors) -> int:
    return int(tensors[f"synthesis.level{SYNTHESIS_U8_LEVEL}.0.zero_point"][0])


def _check_normalisations(tensors: Tensors) -> None:
    for name, array in tensors.items():
        if name.endswith("gdn.beta") and not bool(np.all((array >= 1) & (array < 1 << 30))):
            raise _fail(name, "has values outside 1..2^30 - 1")


def _u8_bound(zero_point: int) -> int:
    return max(zero_point, 255 - zero_point)


def _synthesis_bound(tensors: Tensors, level: int) -> int:
    """The largest magnitude of outputs of a level of the synthesis, or of the fusions after it."""
    return _u8_bound(_u8_level_zero_point(tensors)) if level == SYNTHESIS_U8_LEVEL else S16_BOUND


def _check_accumulators(tensors: Tensors) -> None:
    for level, block in analysis_blocks():
        _check_block(tensors, block, _u8_bound(IMAGE_ZERO_POINT) if level == 0 else S16_BOUND, S16_BOUND)
    for block in analysis_fusions():
        _check_fusion(tensors, block, S16_BOUND, s16=True)
    for level, block in synthesis_blocks():
        hidden = _u8_bound(int(tensors[f"{block}.conv1.zero_point"][0]))
        _check_block(tensors, block, S16_BOUND if level == 0 else _synthesis_bound(tensors, level - 1), hidden)
    for level, block in synthesis_fusions():
        _check_fusion(tensors, block, _synthesis_bound(tensors, level), level != SYNTHESIS_U8_LEVEL)
    _check_rows(tensors, "synthesis.output", _synthesis_bound(tensors, 3))
    for latent in range(LATENTS):
        for part in BOTTLENECK_CONVOLUTIONS:
            _check_rows(tensors, f"bottleneck.{latent}.{part}", S16_BOUND)


def _check_block(tensors: Tensors, block: str, bound: int, hidden: int) -> None:
    _check_rows(tensors, f"{block}.conv1", bound)
    _check_rows(tensors, f"{block}.conv2", hidden)
    _check_rows(tensors, f"{block}.skip", bound)


def _check_fusion(tensors: Tensors, block: str, bound: int, s16: bool) -> None:
    for attention, input_bound in (("first", 2 * bound), ("second", bound)):
        prefix = f"{block}.{attention}"
        _check_rows(tensors, f"{prefix}.global1", input_bound << mean_fraction_bits(s16))
        _check_rows(tensors, f"{prefix}.global2", 32767)
        _check_rows(tensors, f"{prefix}.local1", input_bound)
        _check_rows(tensors, f"{prefix}.local2", 255)


def _check_rows(tensors: Tensors, name: str, bound: int) -> None:
    """`|bias| + bound * Σ|weight| < 2^31` in every row: no accumulator overflows, whatever the order of its sum."""
    weight = tensors[f"{name}.weight"].astype(np.int64)
    bias = tensors[f"{name}.bias"].astype(np.int64)
    sums = np.abs(bias) + bound * np.abs(weight).reshape(len(weight), -1).sum(axis=1)
    if bool(np.any(sums >= ACCUMULATOR_LIMIT)):
        raise ModelFileError(f"convolution {name!r} can overflow a 32-bit accumulator")


def _check_context_mask(tensors: Tensors) -> None:
    for latent in range(LATENTS):
        name = f"bottleneck.{latent}.context.weight"
        if bool(np.any(tensors[name][:, :, ~context_mask()])):
            raise _fail(name, "has weights at masked taps")


def _check_sigmoid(tensors: Tensors) -> None:
    table = tensors["sigmoid"].astype(np.int64)
    if table[0] != 0 or bool(np.any(np.diff(table) < 0)) or table[-1] > 128:
        raise _fail("sigmoid", "should start with 0, ascend and end at most at 128")


def _check_scale_index(tensors: Tensors) -> None:
    threshold = tensors["entropy.threshold"].astype(np.int64)
    if bool(np.any(np.diff(threshold) < 0)) or threshold[0] < 1 or threshold[-1] > 32767:
        raise _fail("entropy.threshold", "should ascend within 1..32767")
    if not 0 <= int(tensors["entropy.skip"][0]) <= GAUSSIAN_TABLES:
        raise _fail("entropy.skip", f"is outside 0..{GAUSSIAN_TABLES}")


def _check_tables(tensors: Tensors, kind: str, tables: int) -> None:
    offset = tensors[f"entropy.{kind}.offset"].astype(np.int64)
    count = tensors[f"entropy.{kind}.count"].astype(np.int64)
    name = f"entropy.{kind}.frequency"
    frequency = tensors[name].astype(np.int64)
    if bool(np.any((count < 1) | (count > TABLE_WIDTH - 1))):
        raise _fail(f"entropy.{kind}.count", f"has values outside 1..{TABLE_WIDTH - 1}")
    if bool(np.any((offset < -32768) | (offset + count - 1 > 32767))):
        raise _fail(f"entropy.{kind}.offset", "makes a table reach beyond s16")
    used = np.arange(TABLE_WIDTH) <= count[:, None]  # the values and the escape
    if bool(np.any(frequency[used] < MIN_FREQUENCY)):
        raise _fail(name, f"has a frequency below {MIN_FREQUENCY}")
    if bool(np.any(frequency[~used])):
        raise _fail(name, "has frequencies after an escape")
    if bool(np.any(frequency.sum(axis=1) != FREQUENCY_SUM)):
        raise _fail(name, f"has rows that do not add up to {FREQUENCY_SUM}")
