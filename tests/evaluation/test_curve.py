"""Rows, means and the record that keeps them."""

import dataclasses
import math

import numpy as np
import pytest
from PIL import Image

from treenet_fast.errors import InvalidArgumentError
from treenet_fast.evaluation import metrics
from treenet_fast.evaluation.codecs import Coded, ImageCodec
from treenet_fast.evaluation.curve import Point, Row, at_rate, images_in, means, measure, ms_ssim_curve, psnr_curve
from treenet_fast.evaluation.record import Record


class Coarse(ImageCodec):
    """Drops bits; a quality is the number of bits that stay, and the bytes are made up."""

    kind = "peer"

    def __init__(self, name="coarse", qualities=(4, 6), **parameters):
        self.name, self.qualities, self.parameters = name, qualities, parameters
        self.calls = []

    def code(self, image, quality):
        self.calls.append(quality)
        return Coded(image.size * quality / 8, image >> (8 - quality) << (8 - quality))


class InterruptedError(Exception):
    pass


@pytest.fixture
def folder(tmp_path, photograph):
    for name, size in (("b.png", 170), ("a.png", 180)):
        Image.fromarray(photograph[:size, :200]).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


@pytest.fixture
def paths(folder):
    return images_in(folder)


@pytest.fixture
def record(paths):
    return Record([path.name for path in paths])


def evaluate(record, codec, paths, save=lambda: None):
    record.evaluate(codec, paths, save, progress=lambda: None)
    return record.entries[codec.name]


def test_images_of_a_folder(paths, folder):
    assert [path.name for path in paths] == ["a.png", "b.png"]
    with pytest.raises(InvalidArgumentError, match="has no images"):
        images_in(folder / "none")


def test_row(paths, photograph):
    row = measure(Coarse(), paths[0], 6)
    image = photograph[:180, :200]
    decoded = image & 0b11111100
    assert row == Row(
        image="a.png",
        quality=6,
        bytes=180 * 200 * 3 * 6 / 8,
        bpp=18.0,
        psnr=round(metrics.psnr(image, decoded), 4),
        ms_ssim=round(metrics.ms_ssim(image, decoded), 6),
    )


def test_means():
    rows = [
        Row("a", 5, 100, 0.1, 30.0, 0.9),
        Row("a", 2, 50, 0.05, 25.0, 0.8),
        Row("b", 5, 300, 0.3, 32.0, 0.96),
        Row("b", 2, 70, 0.07, 26.0, 0.84),
    ]
    low, high = means(rows)
    assert dataclasses.astuple(low) == pytest.approx((2, 0.06, 25.5, 0.82))
    assert dataclasses.astuple(high) == pytest.approx((5, 0.2, 31.0, 0.93))
    assert high.ms_ssim_db == pytest.approx(-10 * math.log10(0.07))


def test_curves_and_what_lies_between():
    points = [Point(1, 0.1, 26.0, 0.9), Point(2, 0.4, 30.0, 0.99)]
    assert psnr_curve(points) == [(0.1, 26.0), (0.4, 30.0)]
    assert ms_ssim_curve(points) == [(0.1, pytest.approx(10)), (0.4, pytest.approx(20))]
    assert at_rate(psnr_curve(points), 0.2) == pytest.approx(28.0)  # half of the way in log rate
    assert at_rate(psnr_curve(points), 0.4) == pytest.approx(30.0)
    assert at_rate(psnr_curve(points), 0.09) is None
    assert at_rate(psnr_curve(points), 0.41) is None


def test_record_is_read_as_written(record, paths, tmp_path):
    evaluate(record, Coarse(version="1"), paths)
    record.extra["bd_rates"] = [{"codec": "coarse"}]
    record.save(tmp_path / "record.json")
    assert Record.load(tmp_path / "record.json") == record
    assert len((tmp_path / "record.json").read_text().splitlines()) < 30


def test_an_interrupted_run_goes_on(record, paths, tmp_path):
    file = tmp_path / "record.json"

    def save_and_stop():
        record.save(file)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        evaluate(record, Coarse(), paths, save_and_stop)
    codec = Coarse()
    entry = evaluate(Record.load(file), codec, paths)
    assert codec.calls == [6, 6]
    assert entry == evaluate(record, Coarse(), paths)


def test_other_parameters_start_anew(record, paths):
    entry = evaluate(record, Coarse(version="1"), paths)
    del entry.rows[2:]
    codec = Coarse(version="2")
    assert evaluate(record, codec, paths).parameters == {"version": "2"}
    assert codec.calls == [4, 4, 6, 6]


def test_other_qualities_keep_what_is_asked_for(record, paths):
    evaluate(record, Coarse(), paths)
    codec = Coarse(qualities=(3, 6))
    entry = evaluate(record, codec, paths)
    assert codec.calls == [3, 3]
    assert [(row.quality, row.image) for row in entry.rows] == [(q, name) for q in (3, 6) for name in record.images]
    assert entry.complete


def test_a_codec_takes_the_place_of_its_own_entry_only(record, paths):
    evaluate(record, Coarse(), paths)
    other = evaluate(record, Coarse("other"), paths)
    evaluate(record, Coarse(version="2"), paths)
    assert list(record.entries) == ["coarse", "other"]
    assert record.entries["coarse"].parameters == {"version": "2"}
    assert record.entries["other"] is other


def test_other_images(record, paths):
    with pytest.raises(InvalidArgumentError, match="of 2 other images"):
        evaluate(record, Coarse(), paths[:1])


def test_progress_counts_what_is_there(record, paths):
    entry = evaluate(record, Coarse(), paths)
    del entry.rows[2:]
    steps = []
    record.evaluate(Coarse(), paths, save=lambda: None, progress=lambda: steps.append(1))
    assert len(steps) == 4


def test_small_images(photograph, tmp_path):
    Image.fromarray(np.ascontiguousarray(photograph[:100])).save(tmp_path / "small.png")
    with pytest.raises(InvalidArgumentError, match="451x100"):
        measure(Coarse(), tmp_path / "small.png", 4)
