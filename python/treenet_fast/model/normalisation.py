"""Generalised divisive normalisation (GDN) and its inverse."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from treenet_fast.model.bounds import lower_bound
from treenet_fast.model.effective import EffectiveModule, invert

_BETA_MIN = 1e-6
# Values are kept as square roots of themselves plus a pedestal: near zero, where a plain square root would have no
# gradient, they still move (Ballé et al., 2017).
_PEDESTAL = 2.0**-36


class GDN(EffectiveModule):
    """`y = v / sqrt(beta + gamma v²)`, or with `inverse` `y = v * sqrt(beta + gamma v²)`, on `[N, channels, H, W]`."""

    def __init__(self, channels: int, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta = nn.Parameter(_to_root(torch.ones(channels)))
        self.gamma = nn.Parameter(_to_root(0.1 * torch.eye(channels)))

    def forward(self, v: Tensor) -> Tensor:
        beta, gamma = _from_root(self.beta, _BETA_MIN), _from_root(self.gamma, 0.0)
        norm = F.conv2d(v * v, gamma[:, :, None, None], beta)
        return v * (torch.sqrt(norm) if self.inverse else torch.rsqrt(norm))

    def effective(self) -> dict[str, Tensor]:
        return {"beta": _from_root(self.beta, _BETA_MIN), "gamma": _from_root(self.gamma, 0.0)}

    def set_effective(self, values: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for root, minimum, value in (
                (self.beta, _BETA_MIN, values["beta"]),
                (self.gamma, 0.0, values["gamma"]),
            ):
                root.copy_(invert(partial(_from_root, minimum=minimum), _to_root(value), value))


def _to_root(x: Tensor) -> Tensor:
    return torch.sqrt(x.clamp_min(0.0) + _PEDESTAL)


def _from_root(root: Tensor, minimum: float) -> Tensor:
    return lower_bound(root, (minimum + _PEDESTAL) ** 0.5) ** 2 - _PEDESTAL
