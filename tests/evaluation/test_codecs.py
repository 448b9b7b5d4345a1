"""Every codec: real files, honest sizes, qualities that mean something."""

import io
import os
import sys

import numpy as np
import pytest
import torch
from PIL import Image, features

import treenet_fast
from treenet_fast import models
from treenet_fast.errors import InvalidArgumentError, MissingLibraryError
from treenet_fast.evaluation.codecs import PEERS, Avif, Heic, Jpeg, JpegXl, TreeNetCodec
from treenet_fast.evaluation.float_network import SKIP_BELOW, FloatCodec
from treenet_fast.evaluation.metrics import psnr
from treenet_fast.evaluation.names import float_name
from treenet_fast.model import TreeNet, load_checkpoint, save_checkpoint


def own():
    return TreeNetCodec(models.load())


@pytest.fixture(params=[own, *PEERS], ids=lambda make: make.__name__)
def codec(request):
    return request.param()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoints") / "random.safetensors"
    torch.manual_seed(1)
    save_checkpoint(path, TreeNet())
    return path


def test_files(codec, photograph, tmp_path):
    quality = codec.qualities[-1]
    file = tmp_path / f"file{codec.suffix}"
    coded = codec.code(photograph, quality, file)
    assert coded.bytes == os.path.getsize(file) == codec.code(photograph, quality).bytes
    assert file.read_bytes() == codec.encode(photograph, quality)
    assert coded.seconds.keys() == {"encoding_time", "decoding_time"}
    assert all(0 < seconds < 60 for seconds in coded.seconds.values())
    assert coded.pixels.dtype == np.uint8
    assert coded.pixels.shape == photograph.shape
    assert np.array_equal(coded.pixels, codec.decode(file.read_bytes()))
    assert psnr(photograph, coded.pixels) > 24


def test_rate_and_distortion_rise_with_quality(codec, photograph):
    assert list(codec.qualities) == sorted(set(codec.qualities))
    assert codec.quality_range[0] <= codec.qualities[0] < codec.qualities[-1] <= codec.quality_range[1]
    worst, best = (codec.code(photograph, codec.qualities[i]) for i in (0, -1))
    assert worst.bytes < best.bytes
    assert psnr(photograph, worst.pixels) < psnr(photograph, best.pixels)


def test_parameters_are_names_and_versions(codec):
    assert codec.parameters
    assert all(isinstance(x, str) and x for item in codec.parameters.items() for x in item)


def test_own_files_are_streams(photograph):
    codec = own()
    assert treenet_fast.info(codec.encode(photograph, 60)).quality == 60
    assert codec.parameters["model hash"] == models.load().hash.hex()


def test_jpeg_has_half_the_chroma(photograph):
    with Image.open(io.BytesIO(Jpeg().encode(photograph, 30))) as image:
        assert [sampling[1:3] for sampling in image.layer] == [(2, 2), (1, 1), (1, 1)]


def test_float_network(checkpoint, thumbnail):
    codec = FloatCodec(checkpoint)
    coded = codec.code(thumbnail, 40)
    x = torch.tensor(thumbnail).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        output = load_checkpoint(checkpoint, SKIP_BELOW)(x, 40.0, rounding="round")
    assert coded.bytes == pytest.approx(float(output.bits()[0]) / 8)
    expected = np.clip(np.rint(255 * output.reconstruction[0].permute(1, 2, 0).numpy()), 0, 255)
    assert coded.pixels.dtype == np.uint8
    assert np.abs(coded.pixels - expected).max() <= 1e-9
    assert (codec.kind, codec.name) == ("float", float_name("treenet_fast random"))
    assert not coded.seconds


def test_an_estimate_has_no_file(checkpoint, thumbnail, tmp_path):
    with pytest.raises(InvalidArgumentError, match="has no files"):
        FloatCodec(checkpoint).code(thumbnail, 40, tmp_path / "file")


def test_missing_pillow_heif(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingLibraryError, match="pip install pillow-heif"):
        Heic()


def test_missing_jpeg_xl(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    with pytest.raises(MissingLibraryError, match="pip install pillow-jxl-plugin"):
        JpegXl()


def test_missing_avif(monkeypatch):
    monkeypatch.setattr(features, "check", lambda feature: False)
    with pytest.raises(MissingLibraryError, match=r"has no AVIF: pip install 'Pillow>=11.3'"):
        Avif()
