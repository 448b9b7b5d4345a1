"""The float network's side of the benchmarks: the networks of an encoder and of a decoder, without entropy coding."""

import torch
from torch import Tensor

from treenet_fast.model import TreeNet
from treenet_fast.model.bottleneck import anchors


class Eager:
    """A network on a batch of images, in their precision, memory format and device."""

    def __init__(self, model: TreeNet, images: Tensor, quality: int) -> None:
        """`model` as the images are; `images`: floats `[N, 3, H, W]`, 0..1."""
        self.model = model
        self.images = images
        self.quality = torch.full((len(images),), quality, dtype=images.dtype, device=images.device)
        self.hyper_latents, self.latents = self.compress()

    @torch.inference_mode()
    def compress(self) -> tuple[list[Tensor], list[Tensor]]:
        """Hyper-latents and latents, and the entropy parameters of both passes."""
        latents = self.model.analyse(self.images, self.quality)
        hyper_latents = [b.hyper_analysis(y).round() for b, y in zip(self.model.bottleneck, latents, strict=True)]
        self.parameters(hyper_latents, latents)
        return hyper_latents, latents

    @torch.inference_mode()
    def decompress(self) -> Tensor:
        """The images."""
        return self.model.synthesise(self.parameters(self.hyper_latents, self.latents), self.quality)

    def parameters(self, hyper_latents: list[Tensor], latents: list[Tensor]) -> list[Tensor]:
        """Both passes of the context model; `latents` stand for what the entropy coder would give."""
        decoded = []
        for bottleneck, z, y in zip(self.model.bottleneck, hyper_latents, latents, strict=True):
            psi = bottleneck.hyper_synthesis(z)[:, :, : y.shape[2], : y.shape[3]]
            anchor = anchors(y)
            bottleneck.entropy_parameters(torch.cat((psi, torch.zeros_like(psi)), dim=1))
            context = bottleneck.context(y.round() * anchor) * (1 - anchor)
            bottleneck.entropy_parameters(torch.cat((psi, context), dim=1))
            decoded.append(y.round())
        return decoded
