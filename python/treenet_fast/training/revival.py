"""Channels of latents that carry nothing, started anew.

Early in training a channel whose information does not yet pay for its bits goes to zero, and its analysis weights with
it: no gradient leads back, though later the channel would pay. Such a channel gets fresh analysis weights; what reads
it starts from zero, so that the reconstruction is at first what it was. A living channel lends it its spread, and the
scales that its entropy model predicts: they follow the quality, which a constant would take long to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from treenet_fast.model import TreeNet
from treenet_fast.model.blocks import ResidualDown, ResidualUp
from treenet_fast.model.bottleneck import Bottleneck
from treenet_fast.model.gains import QUALITY_MAX
from treenet_fast.model_layout import CHANNELS, LATENTS

#: A channel with a smaller standard deviation at the highest quality, in quantisation steps, nearly always rounds to 0.
DEAD_BELOW = 0.3
#: The standard deviation, and the scale, of the channels of a latent in which none is alive.
START_SPREAD = 2.0


@torch.no_grad()
def revive(model: TreeNet, images: Sequence[Tensor]) -> int:
    """Start the dead channels of all latents anew and return how many there were.

    Args:
        model: the network, which is changed.
        images: `[3, H, W]` each, 0..1, on the network's device: those that a channel is measured on.
    """
    before = _spread(model, images)
    dead = [(spread < DEAD_BELOW).nonzero()[:, 0] for spread in before]
    lenders = [_lenders(spread, len(channels)) for spread, channels in zip(before, dead, strict=True)]
    for b in range(LATENTS):
        for leaf in (2 * b, 2 * b + 1):
            _renew_analysis(_leaf(model, leaf), dead[b])
        _silence(model, b, dead[b])
        _lend_scales(cast(Bottleneck, model.bottleneck[b]), dead[b], lenders[b])
    for b, spread in enumerate(_spread(model, images)):
        wanted = before[b][lenders[b]] if len(lenders[b]) else START_SPREAD
        factor = (wanted / spread[dead[b]].clamp_min(1e-20)).log()
        model.gain.log_encode[:, CHANNELS * b + dead[b]] += factor
        model.gain.log_decode[:, CHANNELS * b + dead[b]] -= factor
    return sum(map(len, dead))


def _lenders(spread: Tensor, count: int) -> Tensor:
    """`count` living channels, in turn from the smallest spread on; none if all are dead."""
    order = spread.argsort()
    living = order[spread[order] >= DEAD_BELOW]
    return living.repeat(-(-count // max(1, len(living))))[:count]


def _spread(model: TreeNet, images: Sequence[Tensor]) -> list[Tensor]:
    """Standard deviations at the highest quality, `[32]` for each latent, in quantisation steps."""
    values: list[list[Tensor]] = [[] for _ in range(LATENTS)]
    for image in images:
        for b, y in enumerate(model.analyse(image[None], image.new_full((1,), QUALITY_MAX))):
            values[b].append(y[0].flatten(1))
    return [torch.cat(parts, dim=1).std(dim=1) for parts in values]


def _leaf(model: TreeNet, leaf: int) -> ResidualDown:
    return cast(ResidualDown, model.get_submodule(f"analysis.level3.{leaf}"))


def _renew_analysis(leaf: ResidualDown, channels: Tensor) -> None:
    """Fresh weights for output channels of a leaf, as large as those of the others; nothing else is disturbed."""
    for layer in (leaf.conv2, leaf.skip):
        fresh = torch.empty_like(layer.weight)
        nn.init.normal_(fresh, std=layer.weight[0].numel() ** -0.5)
        layer.weight[channels] = fresh[channels]
        assert layer.bias is not None
        layer.bias[channels] = 0.0
    effective = leaf.gdn.effective()
    beta, gamma = effective["beta"].clone(), effective["gamma"].clone()
    beta[channels] = 1.0
    gamma[:, channels] = 0.0
    gamma[channels] = 0.0
    gamma[channels, channels] = 0.1
    leaf.gdn.set_effective({"beta": beta, "gamma": gamma})


def _silence(model: TreeNet, b: int, channels: Tensor) -> None:
    """What reads channels of latent `b` starts from zero."""
    fusion = model.get_submodule(f"analysis.fusion.{b}")
    synthesis = cast(ResidualUp, model.get_submodule(f"synthesis.level0.{b}"))
    bottleneck = cast(Bottleneck, model.bottleneck[b])
    readers: list[nn.Module] = [synthesis.conv1, synthesis.skip, bottleneck.hyper_analysis[0], bottleneck.context]
    for attention in ("first", "second"):
        readers += [fusion.get_submodule(f"{attention}.{part}") for part in ("local1", "global1")]
    for reader in readers:
        cast(Tensor, reader.weight)[:, channels] = 0.0


def _lend_scales(bottleneck: Bottleneck, channels: Tensor, lenders: Tensor) -> None:
    """Means of zero for `channels`, and the scales of `lenders`; constant ones if there are none."""
    last = bottleneck.entropy_parameters[-1]
    weight, bias = cast(Tensor, last.weight), cast(Tensor, last.bias)
    weight[channels], bias[channels] = 0.0, 0.0
    scales = CHANNELS + channels
    if len(lenders):
        weight[scales], bias[scales] = weight[CHANNELS + lenders], bias[CHANNELS + lenders]
    else:
        weight[scales], bias[scales] = 0.0, START_SPREAD
