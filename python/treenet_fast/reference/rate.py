"""What the symbols of an image should cost, for a stream to be held against.

Two measures: `information_content` is under the model's own distributions, without tables, and says what the tables of
SPEC §7.1 lose against them; `coded_bits` is under those tables, symbol by symbol, and says where a stream's bytes go.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from treenet_fast.model_file import IntegerModel
from treenet_fast.model_layout import LATENTS, TABLE_WIDTH

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


def symbol_bits(symbols: Tensor, tables: Tensor, model: IntegerModel) -> NDArray[np.float64]:
    """What each symbol costs under its table (SPEC §7.1).

    An escape costs its frequency, and 8 bits for each byte of its number (§7.3).

    symbols: any shape, integers; tables: of a shape that broadcasts to it, the tables' indices.
    """
    values = symbols.cpu().numpy().astype(np.int64)
    index = np.broadcast_to(tables.cpu().numpy(), values.shape)
    all_tables = entropy_tables(model.tensors)
    offset = np.array([table.offset for table in all_tables])
    count = np.array([table.count for table in all_tables])
    cost = np.zeros((len(all_tables), TABLE_WIDTH))
    for i, table in enumerate(all_tables):
        cost[i, : table.count + 1] = 16 - np.log2(table.frequency)

    k = values - offset[index]
    escaped = (k < 0) | (k >= count[index])
    bits: NDArray[np.float64] = cost[index, np.where(escaped, count[index], k)]
    for place in zip(*np.nonzero(escaped), strict=True):
        bits[place] += 8 * len(leb128(escape_number(int(values[place]), all_tables[index[place]])))
    return bits


@dataclass(frozen=True)
class LatentBits:
    """The bits of one latent, symbol by symbol."""

    latent: NDArray[np.float64]
    """``[h, w, 32]``; 0 where the symbol is skipped."""
    hyper_latent: NDArray[np.float64]
    """``[⌈h/4⌉, ⌈w/4⌉, 32]``"""

    def sum(self) -> float:
        """All of them."""
        return float(self.latent.sum() + self.hyper_latent.sum())


def coded_bits(trace: Mapping[str, Tensor], model: IntegerModel) -> list[LatentBits]:
    """What the coded symbols of a trace (of the encoder or the decoder) cost, for each of the four latents."""
    result = []
    for b in range(LATENTS):
        index = trace[f"index.{b}"]
        coded = _coded(index, model)
        latent = np.zeros(coded.shape)
        latent[coded.cpu().numpy()] = symbol_bits(trace[f"S.{b}"][coded], index[coded], model)
        result.append(LatentBits(latent, _hyper_latent_bits(trace, b, model)))
    return result


def information_content(trace: Mapping[str, Tensor], model: IntegerModel) -> float:
    """The bits that the coded symbols of a trace (of the encoder or the decoder) carry; skipped ones carry none.

    The latents' are those of a normal distribution of the scale itself; the hyper-latents have none but their tables.
    """
    bits = 0.0
    for b in range(LATENTS):
        coded = _coded(trace[f"index.{b}"], model)
        bits += float(gaussian_bits(trace[f"S.{b}"][coded], trace[f"scale.{b}"][coded]).sum())
        bits += float(_hyper_latent_bits(trace, b, model).sum())
    return bits


def _coded(index: Tensor, model: IntegerModel) -> Tensor:
    """bool: where a symbol is coded, that is not skipped (SPEC §5)."""
    return index >= int(model.tensors["entropy.skip"][0])


def _hyper_latent_bits(trace: Mapping[str, Tensor], b: int, model: IntegerModel) -> NDArray[np.float64]:
    tables = GAUSSIAN_TABLES + PRIOR_CHANNELS * b + torch.arange(PRIOR_CHANNELS)
    return symbol_bits(trace[f"Z.{b}"], tables, model)
