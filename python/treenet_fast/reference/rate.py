"""What the symbols of an image should cost: their information content under the model's own probabilities.

The float-precision twin of the tables of SPEC §7.1. A stream should not be much longer than this, nor can it be much
shorter.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from treenet_fast.model_file import IntegerModel

from .entropy_tables import GAUSSIAN_TABLES, PRIOR_CHANNELS, entropy_tables
from .leb128 import leb128
from .rans import escape_number

SCALE_UNIT = 256
SMALLEST_DEVIATION = 0.11


def gaussian_bits(symbols: Tensor, scales: Tensor) -> Tensor:
    """-log2 of the probability of each symbol's unit interval under a normal distribution of mean 0: float64.

    symbols: any shape; scales: the same shape, standard deviations in units of 1/256, raised to 0.11 where below.
    """
    deviation = (scales.to(torch.float64) / SCALE_UNIT).clamp(min=SMALLEST_DEVIATION)
    distance = symbols.to(torch.float64).abs()
    # In the lower tail, where the logarithms keep their precision: log(exp(far_end) - exp(near_end)) with near > far.
    near = torch.special.log_ndtr((0.5 - distance) / deviation)
    far = torch.special.log_ndtr((-0.5 - distance) / deviation)
    nats: Tensor = near + torch.log1p(-torch.exp(far - near))
    return -nats / math.log(2)


def _hyper_latent_bits(trace: Mapping[str, Tensor], tensors: Mapping[str, NDArray[Any]]) -> float:
    """Under the frequencies of the prior's tables; an escape costs its frequency and 8 bits for each of its bytes."""
    tables = entropy_tables(tensors)[GAUSSIAN_TABLES:]
    bits = 0.0
    for b in range(4):
        for c in range(PRIOR_CHANNELS):
            table = tables[PRIOR_CHANNELS * b + c]
            values, occurrences = np.unique(trace[f"Z.{b}"][:, :, c].cpu().numpy(), return_counts=True)
            for value, occurrence in zip(values.tolist(), occurrences.tolist(), strict=True):
                k = value - table.offset
                escaped = not 0 <= k < table.count
                cost = 16 - math.log2(table.frequency[table.count if escaped else k])
                if escaped:
                    cost += 8 * len(leb128(escape_number(value, table)))
                bits += occurrence * cost
    return bits


def information_content(trace: Mapping[str, Tensor], model: IntegerModel) -> float:
    """The bits that the coded symbols of a trace (of the encoder or the decoder) carry; skipped ones carry none."""
    skip = int(model.tensors["entropy.skip"][0])
    bits = _hyper_latent_bits(trace, model.tensors)
    for b in range(4):
        coded = trace[f"index.{b}"] >= skip
        bits += float(gaussian_bits(trace[f"S.{b}"][coded], trace[f"scale.{b}"][coded]).sum())
    return bits
