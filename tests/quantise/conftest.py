import pytest
import torch

from treenet_fast.model import TreeNet


def photograph(seed, height=64, width=64):
    """`[3, height, width]`, 0..1: smooth colours, an edge and a little noise, each value an 8-bit level."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 5, 5, generator=generator)
    image = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)[0]
    image[:, :, width // 3 :] *= 0.6
    image += 0.02 * torch.randn(image.shape, generator=generator)
    return (image.clamp(0, 1) * 255).round() / 255


@pytest.fixture(scope="session")
def make_photograph():
    """`photograph`."""
    return photograph


@pytest.fixture(scope="session")
def photographs():
    """Four of `[3, 64, 64]`."""
    return [photograph(seed) for seed in range(4)]


@pytest.fixture(scope="session")
def network():
    """A random TreeNet; not to be changed."""
    torch.manual_seed(3)
    return TreeNet().eval()
