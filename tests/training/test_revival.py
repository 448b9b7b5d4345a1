"""Revival: dead channels of the latents carry something again, and the others what they carried."""

import pytest
import torch

from treenet_fast.model import TreeNet
from treenet_fast.training.revival import revive


@pytest.fixture
def model():
    """A network with three dead channels in its second latent."""
    torch.manual_seed(0)
    model = TreeNet().eval()
    with torch.no_grad():
        model.gain.log_encode += 2.0
        model.gain.log_decode -= 2.0
        for leaf in (2, 3):
            block = model.get_submodule(f"analysis.level3.{leaf}")
            for layer in (block.conv2, block.skip):
                layer.weight[4:7] = 0.0
    return model


def spread(model, images, b):
    quality = torch.tensor([100.0])
    return torch.cat([model.analyse(image[None], quality)[b][0].flatten(1) for image in images], 1).std(1)


def test_dead_channels(model, photograph):
    images = [torch.tensor(photograph[:128, k : k + 128]).permute(2, 0, 1) / 255 for k in (0, 128)]
    with torch.no_grad():
        before = [spread(model, images, b) for b in range(4)]
        assert [int((x < 0.3).sum()) for x in before] == [0, 3, 0, 0]
        assert revive(model, images) == 3
        after = [spread(model, images, b) for b in range(4)]
        lent = before[1][before[1] >= 0.3].sort().values[:3]
        assert torch.allclose(after[1][4:7], lent, rtol=1e-3)
        # Attention sees all channels of a latent, so the living ones of this one may move, but a little.
        assert torch.allclose(after[1][7:], before[1][7:], rtol=0.2)
        for b in (0, 2, 3):
            assert torch.equal(after[b], before[b])
        assert revive(model, images) == 0


def test_the_reconstruction_does_not_hear_them_yet(model, photograph):
    image = torch.tensor(photograph[:64, :64]).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        before = spread(model, [image[0]], 1)
        lenders = [int(k) for k in before.argsort() if before[k] >= 0.3][:3]
        revive(model, [image[0]])
        quality = torch.tensor([100.0])
        latents = model.analyse(image, quality)
        expected = model.synthesise(latents, quality)
        latents[1][:, 4:7] += 5.0
        assert torch.allclose(model.synthesise(latents, quality), expected, atol=1e-6)
    output = model(image, 100.0, "noise")
    scale = output.bottlenecks[1].scale
    assert torch.equal(scale[:, 4:7], scale[:, lenders])
    output.reconstruction.square().sum().backward()
    assert model.get_submodule("synthesis.level0.1").conv1.weight.grad[:, 4:7].abs().min() > 0


def test_a_latent_that_is_wholly_dead(model, photograph):
    image = torch.tensor(photograph[:64, :64]).permute(2, 0, 1) / 255
    with torch.no_grad():
        model.gain.log_encode[:, 32:64] = -20.0
        assert revive(model, [image]) == 32
        assert torch.allclose(spread(model, [image], 1), torch.tensor(2.0), rtol=1e-3)
    output = model(image[None], 100.0, "noise")
    assert torch.equal(output.bottlenecks[1].scale, torch.full_like(output.bottlenecks[1].scale, 2.0))
