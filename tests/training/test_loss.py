"""The loss, against its formula."""

import pytest
import torch
from pytorch_msssim import ms_ssim

from treenet_fast.model import TreeNet
from treenet_fast.training.loss import Terms, _constants, multi_scale_similarity, terms


def test_total():
    parts = Terms(torch.tensor([0.5, 1.0]), torch.tensor([100.0, 50.0]), torch.tensor([0.9, 0.95]))
    assert parts.total(torch.tensor([0.01, 0.02])).tolist() == pytest.approx([0.5 + 1.0 + 0.24, 1.0 + 1.0 + 0.24])
    assert parts.total(torch.tensor([0.01, 0.02]), 0.1).tolist() == pytest.approx([0.05 + 1.24, 0.1 + 1.24])
    plain = Terms(parts.bits_per_pixel, parts.squared_error, None)
    assert plain.total(torch.tensor([0.01, 0.02])).tolist() == pytest.approx([1.5, 2.0])


def test_terms_of_a_network():
    torch.manual_seed(0)
    model = TreeNet().eval()
    image = torch.rand(2, 3, 128, 128)
    output = model(image, 50.0, "round")
    parts = terms(output, image, "mixed")
    error = (255 * (output.reconstruction - image)).square()
    assert torch.allclose(parts.squared_error, error.mean(dim=(1, 2, 3)))
    assert torch.allclose(parts.bits_per_pixel, output.bits() / 128**2)
    assert torch.allclose(parts.ms_ssim, multi_scale_similarity(output.reconstruction, image))
    assert terms(output, image, "mse").ms_ssim is None


@pytest.mark.parametrize("size", [128, 192])
def test_similarity_of_like_and_unlike(size):
    torch.manual_seed(0)
    image = torch.nn.functional.interpolate(torch.rand(1, 3, size // 8, size // 8), scale_factor=8, mode="bilinear")
    noisy = (image + 0.1 * torch.randn_like(image)).clamp(0, 1)
    assert multi_scale_similarity(image, image).item() == pytest.approx(1)
    assert 0.3 < multi_scale_similarity(noisy, image).item() < 0.99


@pytest.mark.parametrize(("size", "window"), [(128, 7), (192, 11)])
def test_similarity_is_the_librarys(size, window):
    torch.manual_seed(0)
    image, other = torch.rand(2, 1, 3, size, size)
    expected = ms_ssim(image, other, data_range=1.0, size_average=False, win_size=window)
    assert torch.equal(multi_scale_similarity(image, other), expected)


def test_gradients_after_a_first_call_in_inference_mode():
    _constants.cache_clear()
    image = torch.rand(1, 3, 128, 128)
    with torch.inference_mode():
        multi_scale_similarity(image, image)
    leaf = torch.rand(1, 3, 128, 128, requires_grad=True)
    multi_scale_similarity(leaf, image).sum().backward()
    assert leaf.grad.abs().sum() > 0
