"""Rows, means, and what lies between points."""

import dataclasses
import math

import numpy as np
import pytest
from PIL import Image

from treenet_fast.errors import InvalidArgumentError, UnsupportedImageError
from treenet_fast.evaluation import metrics
from treenet_fast.evaluation.codecs import Coded, ImageCodec
from treenet_fast.evaluation.curve import Point, Row, at_rate, check, curve, images_in, means, measure
from treenet_fast.evaluation.nlpd import nlpd
from treenet_fast.evaluation.scores import MS_SSIM, NLPD, PSNR


class Coarse(ImageCodec):
    """Drops bits; a quality is the number of bits that stay, and the bytes are made up."""

    name, kind, qualities, parameters = "coarse", "peer", (4, 6), {}

    def code(self, image, quality, file=None):
        return Coded(image.size * quality / 8, image >> (8 - quality) << (8 - quality), {"encoding_time": 0.123456})


@pytest.fixture
def folder(tmp_path, photograph):
    for name, size in (("b.png", 170), ("a.png", 180)):
        Image.fromarray(photograph[:size, :200]).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_images_of_a_folder(folder):
    assert [path.name for path in images_in(folder)] == ["a.png", "b.png"]
    with pytest.raises(InvalidArgumentError, match="has no images"):
        images_in(folder / "none")


def test_row(photograph):
    image = photograph[:180, :200]
    decoded = image & 0b11111100
    row = measure(Coarse(), "a.png", image, 6, (PSNR, MS_SSIM, NLPD))
    assert row == Row(
        image="a.png",
        quality=6,
        bytes=180 * 200 * 3 * 6 / 8,
        bpp=18.0,
        values={
            "psnr": round(metrics.psnr(image, decoded), 4),
            "ms_ssim": round(metrics.ms_ssim(image, decoded), 6),
            "nlpd": round(nlpd(image, decoded), 6),
            "encoding_time": 0.12346,
        },
    )


def test_means():
    rows = [
        Row("a", 5, 100, 0.1, {"psnr": 30.0, "ms_ssim": 0.9}),
        Row("a", 2, 50, 0.05, {"psnr": 25.0, "ms_ssim": 0.8}),
        Row("b", 5, 300, 0.3, {"psnr": 32.0, "ms_ssim": 0.96}),
        Row("b", 2, 70, 0.07, {"psnr": 26.0, "ms_ssim": 0.84}),
    ]
    low, high = means(rows)
    assert dataclasses.asdict(low) == {
        "quality": 2,
        "bpp": pytest.approx(0.06),
        "values": pytest.approx({"psnr": 25.5, "ms_ssim": 0.82}),
    }
    assert (high.quality, high.bpp) == (5, pytest.approx(0.2))
    assert curve([high], MS_SSIM) == [(pytest.approx(0.2), pytest.approx(-10 * math.log10(0.07)))]


def test_curves_and_what_lies_between():
    values = [{"psnr": 26.0, "ms_ssim": 0.9, "nlpd": 0.3}, {"psnr": 30.0, "ms_ssim": 0.99, "nlpd": 0.1}]
    points = [Point(1, 0.1, values[0]), Point(2, 0.4, values[1])]
    assert curve(points, PSNR) == [(0.1, 26.0), (0.4, 30.0)]
    assert curve(points, MS_SSIM) == [(0.1, pytest.approx(10)), (0.4, pytest.approx(20))]
    assert curve(points, NLPD) == [(0.1, pytest.approx(0.7)), (0.4, pytest.approx(0.9))]
    assert at_rate(curve(points, PSNR), 0.2) == pytest.approx(28.0)  # half of the way in log rate
    assert at_rate(curve(points, PSNR), 0.4) == pytest.approx(30.0)
    assert at_rate(curve(points, PSNR), 0.09) is None
    assert at_rate(curve(points, PSNR), 0.41) is None


def test_images_that_cannot_be_measured(photograph, tmp_path):
    small, broken = tmp_path / "small.png", tmp_path / "broken.png"
    Image.fromarray(np.ascontiguousarray(photograph[:100])).save(small)
    broken.write_bytes(small.read_bytes()[:2000])
    with pytest.raises(InvalidArgumentError, match=r"small\.png: MS-SSIM is not defined on an image of 451x100"):
        check(small)
    check(small, [PSNR, NLPD])
    with pytest.raises(UnsupportedImageError, match=r"broken\.png"):
        check(broken)
    with pytest.raises(InvalidArgumentError, match="451x100"):
        measure(Coarse(), "small.png", photograph[:100], 4)
