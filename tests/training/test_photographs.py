"""Photographs: which are found, which are refused, and what a crop is."""

import numpy as np
import pytest
import torch
from PIL import Image

from treenet_fast.training.options import TrainingError
from treenet_fast.training.photographs import Crops, image_files, read_images


def save(path, height, width, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(path)


def test_files_of_all_below_in_order(tmp_path):
    for name in ("b.png", "a/c.JPG", "a/d.txt"):
        save(tmp_path / name.replace("txt", "webp"), 4, 4)
    (tmp_path / "notes.txt").write_text("no image")
    assert [file.name for file in image_files(tmp_path)] == ["c.JPG", "d.webp", "b.png"]


def test_folder_without_images(tmp_path):
    with pytest.raises(TrainingError, match="no images in it"):
        image_files(tmp_path)
    with pytest.raises(TrainingError, match="no such folder"):
        image_files(tmp_path / "missing")


def test_small_images_are_left_out(tmp_path):
    save(tmp_path / "small.png", 63, 200)
    save(tmp_path / "large.png", 64, 70)
    images = read_images(image_files(tmp_path), 64, tmp_path)
    assert [tuple(image.shape) for image in images] == [(3, 64, 70)]
    with pytest.raises(TrainingError, match="no image in it has 128x128"):
        read_images(image_files(tmp_path), 128, tmp_path)


def test_broken_image_is_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    with pytest.raises(TrainingError, match=r"broken\.jpg"):
        read_images(image_files(tmp_path), 64, tmp_path)


def test_crops_are_parts_of_the_images_or_their_mirror():
    image = torch.randint(256, (3, 70, 81), dtype=torch.uint8)
    crops = Crops([image], 64, 50, torch.device("cpu"), torch.Generator().manual_seed(0))
    batch = crops.next()
    assert batch.shape == (50, 3, 64, 64)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    windows = {
        (image[:, i : i + 64, j : j + 64].flip(2) if mirrored else image[:, i : i + 64, j : j + 64]).numpy().tobytes()
        for i in range(7)
        for j in range(18)
        for mirrored in (False, True)
    }
    found = {(crop * 255).round().to(torch.uint8).numpy().tobytes() for crop in batch}
    assert found <= windows
    assert len(found) > 20


def test_crops_follow_their_generator():
    images = [torch.randint(256, (3, 80, 80), dtype=torch.uint8) for _ in range(3)]
    generator = torch.Generator().manual_seed(1)
    crops = Crops(images, 64, 4, torch.device("cpu"), generator)
    crops.next()
    state = generator.get_state()
    expected = crops.next()
    generator.set_state(state)
    assert torch.equal(crops.next(), expected)


def test_large_images_get_more_crops():
    images = [torch.zeros(3, 64, 64, dtype=torch.uint8), torch.full((3, 192, 192), 255, dtype=torch.uint8)]
    crops = Crops(images, 64, 400, torch.device("cpu"), torch.Generator().manual_seed(0))
    share = float(crops.next()[:, 0, 0, 0].mean())
    assert share == pytest.approx(0.9, abs=0.05)
