"""`treenet-fast export`, and what it reads: what it refuses, and what is left of OUT then."""

import hashlib
import json

import numpy as np
import pytest
import torch
from PIL import Image

from treenet_fast import model_file
from treenet_fast.cli import main
from treenet_fast.errors import InvalidArgumentError, UnsupportedImageError
from treenet_fast.evaluation.codecs import Coded, ImageCodec
from treenet_fast.model import save_checkpoint
from treenet_fast.model_file import content_hash
from treenet_fast.quantise import QuantisedTreeNet, command, save_quantised
from treenet_fast.quantise.images import calibration_crops


def save(path, image):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy()).save(path)


@pytest.fixture(scope="module")
def quantised(network, photographs):
    return QuantisedTreeNet.from_float(network, photographs)


@pytest.fixture
def checkpoint(quantised, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_quantised(path, quantised)
    return path


@pytest.fixture
def out(tmp_path):
    """There before, and not to be lost."""
    path = tmp_path / "made.safetensors"
    path.write_bytes(b"before")
    return path


def export(*arguments):
    return main(["export", *map(str, arguments)])


def refused(out, capsys, *arguments):
    """The complaint of a run that leaves OUT alone."""
    assert export(*arguments) == 1
    assert out.read_bytes() == b"before"
    return capsys.readouterr().err


def test_float_checkpoint(network, photographs, out, tmp_path, capsys):
    save_checkpoint(tmp_path / "checkpoint.safetensors", network)
    for i, image in enumerate(photographs[:2]):
        save(tmp_path / f"images/{i}.png", image)
    arguments = (tmp_path / "checkpoint.safetensors", out)
    assert "name photographs with --calibrate" in refused(out, capsys, *arguments)
    arguments += ("--calibrate", tmp_path / "images", "--size", 48, "--crops")
    assert "2 images of at least 48x48" in refused(out, capsys, *arguments, 9)
    assert export(*arguments, 2) == 0
    made = model_file.load(out)
    assert made.name == "made"
    assert made.hash.hex() in capsys.readouterr().out


def test_quantised_checkpoint(quantised, checkpoint, out, tmp_path, capsys):
    assert "has number formats already" in refused(out, capsys, checkpoint, out, "--calibrate", tmp_path)
    assert export(checkpoint, out, "--name", "mine") == 0
    made = model_file.load(out)
    assert made.hash == content_hash(quantised.tensors())
    assert made.name == "mine"
    assert "evaluation" not in made.metadata


def test_outputs_that_are_refused(checkpoint, tmp_path, capsys):
    before = checkpoint.read_bytes()
    (tmp_path / "link").symlink_to(checkpoint)
    for name in (checkpoint.name, "link"):
        assert export(checkpoint, tmp_path / name) == 1
        assert "is the input" in capsys.readouterr().err
    assert checkpoint.read_bytes() == before
    assert export(checkpoint, tmp_path) == 1
    assert "is a folder" in capsys.readouterr().err
    assert export(checkpoint, tmp_path / "none" / "made.safetensors") == 1
    assert "none: no such folder" in capsys.readouterr().err


def test_evaluation_images_are_looked_at_first(checkpoint, out, make_photograph, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "load_quantised", lambda path: pytest.fail("the model was made before"))
    folder = tmp_path / "images"
    save(folder / "a.png", make_photograph(0, 161, 170))
    save(folder / "small.png", make_photograph(1, 160, 300))
    error = refused(out, capsys, checkpoint, out, "--evaluate", folder)
    assert "small.png: MS-SSIM is not defined on an image of 300x160" in error
    data = (folder / "a.png").read_bytes()
    (folder / "small.png").write_bytes(data[: len(data) // 2])
    assert "small.png: " in refused(out, capsys, checkpoint, out, "--evaluate", folder)


class Exact(ImageCodec):
    """Loses nothing."""

    kind = "peer"
    name = "exact"
    qualities = (1, 2)

    def __init__(self, *_):
        self.parameters = {"checkpoint SHA-256": "0"}

    def code(self, image, quality, file=None):
        return Coded(1000 * quality, image)


def no_constant(name):
    raise AssertionError(name)


def test_evaluation_is_kept(checkpoint, out, make_photograph, tmp_path, monkeypatch):
    for name, quality in (("FloatCodec", 50), ("TreeNetCodec", 60)):
        codec = getattr(command, name)
        monkeypatch.setattr(command, name, lambda made, codec=codec, quality=quality: codec(made, (quality,)))
    save(tmp_path / "images/a.png", make_photograph(0, 161, 170))
    assert export(checkpoint, out, "--evaluate", tmp_path / "images") == 0
    evaluation = json.loads(model_file.load(out).metadata["evaluation"], parse_constant=no_constant)
    assert evaluation["images"] == ["a.png"]
    assert evaluation["checkpoint SHA-256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert [point["quality"] for point in evaluation["integer"] + evaluation["float"]] == [60, 50]
    assert all(point["bpp"] > 0 and point["psnr"] > 0 for point in evaluation["integer"] + evaluation["float"])


def test_evaluation_without_any_error_is_json(checkpoint, out, make_photograph, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "FloatCodec", Exact)
    monkeypatch.setattr(command, "TreeNetCodec", Exact)
    save(tmp_path / "images/a.png", make_photograph(0, 161, 170))
    assert export(checkpoint, out, "--evaluate", tmp_path / "images") == 0
    evaluation = json.loads(model_file.load(out).metadata["evaluation"], parse_constant=no_constant)
    assert [point["psnr"] for point in evaluation["integer"]] == [None, None]


def test_failed_evaluation_leaves_the_output_alone(checkpoint, out, make_photograph, tmp_path, monkeypatch, capsys):
    class Fails(Exact):
        def code(self, image, quality, file=None):
            raise OSError("out of luck")

    monkeypatch.setattr(command, "FloatCodec", Fails)
    monkeypatch.setattr(command, "TreeNetCodec", Exact)
    save(tmp_path / "images/a.png", make_photograph(0, 161, 170))
    error = refused(out, capsys, checkpoint, out, "--evaluate", tmp_path / "images")
    assert error == "treenet-fast: out of luck\n"


def test_calibration_crops(make_photograph, tmp_path):
    images = {"a.PNG": make_photograph(0, 40, 50), "b/c.bmp": make_photograph(1, 41, 40)}
    for name, image in images.items():
        save(tmp_path / name, image)
    save(tmp_path / "small.png", make_photograph(2, 39, 80))
    crops = calibration_crops(tmp_path, 2, 40)
    assert [tuple(crop.shape) for crop in crops] == [(3, 40, 40)] * 2
    windows = [image[:, i : i + 40, j : j + 40] for image in images.values() for i in range(2) for j in range(11)]
    for crop in crops:
        assert any(window.shape == crop.shape and torch.allclose(window, crop) for window in windows)
    assert all(torch.equal(a, b) for a, b in zip(crops, calibration_crops(tmp_path, 2, 40), strict=True))


@pytest.mark.parametrize(
    ("count", "size", "message"),
    [(1, 16, "has 0 images"), (0, 16, "number of crops .* not 0"), (1, 0, "size .* not 0"), (1, -4, "size .* not -4")],
)
def test_calibration_that_is_refused(count, size, message, tmp_path):
    with pytest.raises(InvalidArgumentError, match=message):
        calibration_crops(tmp_path, count, size)


def test_calibration_names_what_it_cannot_read(tmp_path):
    Image.fromarray(np.zeros((20, 20, 4), np.uint8)).save(tmp_path / "clear.png")
    with pytest.raises(UnsupportedImageError, match=r"clear\.png: .* it has alpha"):
        calibration_crops(tmp_path, 1, 16)
