"""Photographs: which are found, which are refused, and what a crop is."""

import struct

import numpy as np
import pytest
import torch
from PIL import Image

from treenet_fast.training import photographs
from treenet_fast.training.options import TrainingError
from treenet_fast.training.photographs import Crops, choose_images, find_images, read_images


def save(path, height, width, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(path)


def read(folder, least=64, quiet=False):
    return read_images(find_images(folder), least, folder, torch.device("cpu"), quiet)


def test_files_of_all_below_in_order(tmp_path):
    for name in ("b.png", "a/c.JPG", "a/d.webp"):
        save(tmp_path / name, 4, 4)
    (tmp_path / "notes.txt").write_text("no image")
    assert [file.name for file in find_images(tmp_path)] == ["c.JPG", "d.webp", "b.png"]


def test_folder_without_images(tmp_path):
    with pytest.raises(TrainingError, match="no images in it"):
        find_images(tmp_path)
    with pytest.raises(TrainingError, match="no such folder"):
        find_images(tmp_path / "missing")


def test_first_images_are_held_back(tmp_path):
    for name in "abc":
        save(tmp_path / f"{name}.png", 4, 4)
    files = find_images(tmp_path)
    assert choose_images(tmp_path, None, 1) == (files[1:], files[:1])
    with pytest.raises(TrainingError, match="3 images, of which 3 would be held back"):
        choose_images(tmp_path, None, 3)


def test_evaluation_images_are_not_trained_on(tmp_path):
    """Nor those that an evaluation has no need for, nor under another path."""
    for name in ("photos/a.png", "photos/val/b.png", "photos/val/c.png", "elsewhere/d.png"):
        save(tmp_path / name, 4, 4)
    photos = tmp_path / "photos"
    (photos / "link.png").symlink_to(tmp_path / "elsewhere" / "d.png")
    training, evaluation = choose_images(photos, photos / ".." / "photos" / "val", 1)
    assert [file.name for file in training] == ["a.png", "link.png"]
    assert [file.name for file in evaluation] == ["b.png"]
    training, _ = choose_images(photos, tmp_path / "elsewhere", 1)
    assert [file.name for file in training] == ["a.png", "b.png", "c.png"]
    with pytest.raises(TrainingError, match="all images in it are held back"):
        choose_images(photos / "val", photos, 1)


def test_small_images_are_left_out(tmp_path, capsys):
    save(tmp_path / "small.png", 63, 200)
    save(tmp_path / "large.png", 64, 70)
    assert [tuple(image.shape) for image in read(tmp_path)] == [(3, 64, 70)]
    assert "left out 1 of 2 images smaller than 64x64\n" in capsys.readouterr().err
    read(tmp_path, quiet=True)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(TrainingError, match="no image in it has 128x128"):
        read(tmp_path, 128)


def test_small_images_are_not_decoded(tmp_path):
    save(tmp_path / "large.png", 64, 64)
    save(tmp_path / "small.png", 60, 60)
    data = (tmp_path / "small.png").read_bytes()
    (tmp_path / "small.png").write_bytes(data[:60])
    assert len(read(tmp_path)) == 1


@pytest.mark.parametrize(("processes", "fits"), [("1", True), ("2", False)])
def test_memory_is_checked_before_it_is_filled(processes, fits, tmp_path, monkeypatch):
    for name in "ab":
        save(tmp_path / f"{name}.png", 64, 128)
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  900000 kB\nMemAvailable:  50 kB\n")  # 2 * 3 * 64 * 128 bytes are 48 KiB
    monkeypatch.setattr(photographs, "_MEMINFO", meminfo)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    if fits:
        assert len(read(tmp_path)) == 2
        return
    monkeypatch.setattr(photographs, "read_image", lambda file: pytest.fail("read before memory was checked"))
    with pytest.raises(TrainingError, match=r"2 images take 0\.0 GB, 0\.0 are free: name a smaller folder"):
        read(tmp_path)


def test_memory_of_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5 << 30, 8 << 30))
    assert photographs._free_memory(torch.device("cuda", 1)) == 1 << 30


def test_system_that_does_not_tell_its_memory(tmp_path, monkeypatch):
    save(tmp_path / "a.png", 64, 64)
    monkeypatch.setattr(photographs, "_MEMINFO", tmp_path / "missing")
    assert len(read(tmp_path)) == 1


def _broken_chunk(data):
    """A byte of the pixels' chunk's type: Pillow raises SyntaxError."""
    at = data.index(b"IDAT")
    return data[:at] + b"\0\0\0\0" + data[at + 4 :]


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: data[:20], _broken_chunk, lambda data: b"no image"]
)
def test_broken_image_is_named(damage, tmp_path):
    save(tmp_path / "good.png", 64, 64)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(tmp_path / "broken.png")
    (tmp_path / "broken.png").write_bytes(damage((tmp_path / "broken.png").read_bytes()))
    with pytest.raises(TrainingError, match=r"broken\.png: "):
        read(tmp_path)


@pytest.mark.parametrize("error", [SyntaxError, EOFError, IndexError, struct.error])
def test_whatever_a_decoder_raises_names_the_file(error, tmp_path, monkeypatch):
    save(tmp_path / "a.png", 64, 64)

    def fail(*_):
        raise error("of the decoder")

    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(TrainingError, match=r"a\.png: cannot be read .* of the decoder"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("mode", "message"), [("RGBA", "alpha"), ("LA", "alpha"), ("I;16", "more than 8 bits"), ("P", "transparent colour")]
)
def test_images_that_rgb_cannot_hold(mode, message, tmp_path):
    options = {"transparency": 0} if mode == "P" else {}
    Image.new(mode, (64, 64)).save(tmp_path / "a.png", **options)
    with pytest.raises(TrainingError, match=rf"a\.png: .*{message}"):
        read(tmp_path)


@pytest.mark.parametrize(("mode", "suffix"), [("P", "png"), ("L", "png"), ("1", "png"), ("CMYK", "jpg")])
def test_images_that_become_rgb(mode, suffix, tmp_path):
    Image.new("RGB", (64, 64), "white").convert(mode).save(tmp_path / f"a.{suffix}")
    (image,) = read(tmp_path)
    assert image.shape == (3, 64, 64)
    assert bool((image == 255).all())


def test_crops_are_parts_of_the_images_or_their_mirror():
    image = torch.randint(256, (3, 70, 81), dtype=torch.uint8)
    crops = Crops([image], 64, 50, torch.Generator().manual_seed(0))
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
    crops = Crops(images, 64, 4, generator)
    crops.next()
    state = generator.get_state()
    expected = crops.next()
    generator.set_state(state)
    assert torch.equal(crops.next(), expected)


def test_large_images_get_more_crops():
    images = [torch.zeros(3, 64, 64, dtype=torch.uint8), torch.full((3, 192, 192), 255, dtype=torch.uint8)]
    crops = Crops(images, 64, 400, torch.Generator().manual_seed(0))
    share = float(crops.next()[:, 0, 0, 0].mean())
    assert share == pytest.approx(0.9, abs=0.05)
