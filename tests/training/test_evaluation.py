"""Evaluation during training: which part of an image, and which measures."""

import numpy as np
import pytest
import torch
from PIL import Image

from treenet_fast.model import TreeNet
from treenet_fast.training.evaluation import evaluate, read_middles
from treenet_fast.training.options import TrainingError


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return TreeNet()


def save(path, height, width):
    """Every row and every column has a colour of its own."""
    rows, columns = np.indices((height, width))
    Image.fromarray(np.stack((rows % 251, columns % 241, rows // 251), 2).astype(np.uint8)).save(path)
    return path


def pixels(seed, height, width):
    return torch.randint(256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_large_images_are_cut_to_their_middle(tmp_path):
    files = [save(tmp_path / "a.png", 1000, 90), save(tmp_path / "b.png", 769, 800), save(tmp_path / "c.png", 70, 70)]
    images = read_middles(files, "mse")
    assert [tuple(image.shape) for image in images] == [(3, 768, 90), (3, 768, 768), (3, 70, 70)]
    assert images[0][:, 0, 0].tolist() == [116, 0, 0]
    assert images[1][:, 0, 0].tolist() == [0, 16, 0]
    assert images[0].untyped_storage().nbytes() == images[0].numel()


def test_mixed_loss_needs_images_for_ms_ssim(tmp_path):
    files = [save(tmp_path / "large.png", 128, 128), save(tmp_path / "small.png", 300, 127)]
    with pytest.raises(TrainingError, match=r"small\.png: 127x300 pixels are too few"):
        read_middles(files, "mixed")
    assert len(read_middles(files[:1], "mixed")) == 1
    assert len(read_middles(files, "mse")) == 2


def test_broken_image_is_named(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(TrainingError, match=r"broken\.png"):
        read_middles([tmp_path / "broken.png"], "mse")


def test_ms_ssim_only_where_all_images_have_it(model):
    large, small = pixels(0, 128, 130), pixels(1, 64, 300)
    assert "ms_ssim" in evaluate(model, [large], 50.0, "mixed")
    alone, both = evaluate(model, [large], 50.0, "mse"), evaluate(model, [large, small], 50.0, "mse")
    assert "ms_ssim" in alone
    assert "ms_ssim" not in both
    assert both["mse"] != alone["mse"]
    assert model.training
