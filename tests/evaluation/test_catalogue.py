import pytest
import torch

from treenet_fast import models
from treenet_fast.errors import InvalidArgumentError, ModelFileError
from treenet_fast.evaluation.catalogue import DEFAULT, PEER_OPTIONS, make, slug, with_qualities
from treenet_fast.evaluation.codecs import Jpeg, JpegXl
from treenet_fast.model import TreeNet, save_checkpoint


def test_names():
    assert list(PEER_OPTIONS) == ["jpeg", "webp", "avif", "heic", "jxl"]
    assert set(DEFAULT) == {*models.names(), *PEER_OPTIONS}
    assert isinstance(make("jxl"), JpegXl)
    assert make("mse").parameters["model hash"] == models.load("mse").hash.hex()


def test_files(tmp_path):
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "mse.safetensors", TreeNet())
    assert make(f"float:{tmp_path / 'mse.safetensors'}").kind == "float"
    assert make(str(models.path("ms-ssim"))).name == "treenet_fast ms-ssim"
    with pytest.raises(ModelFileError):
        make(str(tmp_path / "mse.safetensors"))


def test_unknown_codec():
    with pytest.raises(InvalidArgumentError, match=r"there is no codec 'gif': use .*jpeg"):
        make("gif")


def test_qualities():
    assert with_qualities(Jpeg(), "jpeg", {}).qualities == Jpeg.qualities
    assert with_qualities(Jpeg(), "jpeg", {None: (30, 10, 10)}).qualities == (10, 30)
    assert with_qualities(Jpeg(), "jpeg", {None: (30,), "jpeg": (5,)}).qualities == (5,)
    with pytest.raises(InvalidArgumentError, match="JPEG has qualities from 1 to 100: not 0, 5"):
        with_qualities(Jpeg(), "jpeg", {None: (0, 5)})


def test_slugs():
    assert slug("treenet_fast ms-ssim, float (estimate)") == "treenet_fast-ms-ssim--float--estimate"
