"""The factorised density of the hyper-latents (Ballé et al., 2018, appendix 6.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from treenet_fast.model.bounds import lower_bound
from treenet_fast.model.effective import EffectiveModule, invert

LIKELIHOOD_MIN = 1e-9
_FILTERS = (1, 3, 3, 3, 1)
_INITIAL_SCALE = 10.0
# The ends of what softplus and tanh give in float32 for finite parameters; files of fewer digits hold 0 and 1.
_MATRIX_MIN = torch.finfo(torch.float32).tiny
_FACTOR_MAX = 1 - torch.finfo(torch.float32).eps / 2


class FactorisedPrior(EffectiveModule):
    """One density a channel, the derivative of a monotone network of one variable: softplus matrices, tanh factors."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.matrix, self.bias, self.factor = nn.ParameterList(), nn.ParameterList(), nn.ParameterList()
        layers = len(_FILTERS) - 1
        scale = _INITIAL_SCALE ** (1.0 / layers)
        for k in range(layers):
            inputs, outputs = _FILTERS[k], _FILTERS[k + 1]
            start = torch.tensor(1.0 / scale / outputs).expm1().log().item()
            self.matrix.append(nn.Parameter(torch.full((channels, outputs, inputs), start)))
            self.bias.append(nn.Parameter(torch.rand(channels, outputs, 1) - 0.5))
            if k < layers - 1:
                self.factor.append(nn.Parameter(torch.zeros(channels, outputs, 1)))

    def logits(self, x: Tensor) -> Tensor:
        """Logits of the cumulative distribution at `x`, `[channels, n]`."""
        h = x[:, None, :]
        for k, (matrix, bias) in enumerate(zip(self.matrix, self.bias, strict=True)):
            h = torch.matmul(F.softplus(matrix), h) + bias
            if k < len(self.factor):
                h = h + torch.tanh(self.factor[k]) * torch.tanh(h)
        return h[:, 0, :]

    def forward(self, z: Tensor) -> Tensor:
        """Probability of the unit interval around each value of `z`, `[N, channels, H, W]`; at least 1e-9."""
        flat = z.transpose(0, 1).reshape(z.shape[1], -1)
        lower, upper = self.logits(flat - 0.5), self.logits(flat + 0.5)
        # In the tail where both sigmoids are near 1 their difference is noise; mirrored, it is not.
        sign = -torch.sign(lower + upper).detach()
        likelihood = torch.abs(torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower))
        shape = (z.shape[1], z.shape[0], *z.shape[2:])
        return lower_bound(likelihood.reshape(shape).transpose(0, 1), LIKELIHOOD_MIN)

    def effective(self) -> dict[str, Tensor]:
        values = {f"matrix.{k}": F.softplus(matrix) for k, matrix in enumerate(self.matrix)}
        values |= {f"factor.{k}": torch.tanh(factor) for k, factor in enumerate(self.factor)}
        return values

    def set_effective(self, values: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for k, matrix in enumerate(self.matrix):
                value = values[f"matrix.{k}"].clamp_min(_MATRIX_MIN)
                matrix.copy_(invert(F.softplus, value + torch.log(-torch.expm1(-value)), value))
            for k, factor in enumerate(self.factor):
                value = values[f"factor.{k}"].clamp(-_FACTOR_MAX, _FACTOR_MAX)
                factor.copy_(invert(torch.tanh, torch.atanh(value), value))
