import numpy as np
import pytest
from PIL import Image

from treenet_fast.evaluation import sheet
from treenet_fast.evaluation.codecs import Jpeg
from treenet_fast.evaluation.curve import measure
from treenet_fast.evaluation.record import Record
from treenet_fast.evaluation.scores import NLPD, PSNR

WIDE = sheet.SIDE + 8


@pytest.fixture
def rows(photograph):
    return [measure(Jpeg(), "cat.png", photograph, quality, [PSNR]) for quality in (5, 40, 90)]


def test_nearest_quality_is_found_between_those_measured(photograph, rows):
    rates = {q: 8 * len(Jpeg().encode(photograph, q)) / photograph[:, :, 0].size for q in range(5, 91)}
    for bpp in (0.4, 0.8, 1.5):
        assert sheet.nearest(Jpeg(), photograph, rows, bpp) == min(rates, key=lambda q: abs(rates[q] - bpp))


@pytest.mark.parametrize(("bpp", "quality"), [(0.01, 5), (20.0, 90)])
def test_beyond_the_curve_its_end_is_nearest(photograph, rows, bpp, quality):
    assert sheet.nearest(Jpeg(), photograph, rows, bpp) == quality


def test_sheet(photograph, rows, tmp_path):
    path = tmp_path / "cat.png"
    Image.fromarray(photograph).save(path)
    record = Record(["cat.png"])
    record.missing(Jpeg())
    record.add("JPEG", rows)
    picture = np.asarray(sheet.sheet(record, [Jpeg()], [path], [PSNR, NLPD], 0.8))
    height, width, _ = photograph.shape
    top, left = (height - sheet.SIDE) // 2, (width - sheet.SIDE) // 2
    middle = np.s_[top : top + sheet.SIDE, left : left + sheet.SIDE]
    decoded = Jpeg().code(photograph, sheet.nearest(Jpeg(), photograph, rows, 0.8)).pixels
    assert picture.shape[1] == 2 * WIDE + 8
    assert np.array_equal(picture[8 : 8 + sheet.SIDE, 8:WIDE], photograph[middle])
    assert np.array_equal(picture[8 : 8 + sheet.SIDE, WIDE + 8 : 2 * WIDE], decoded[middle])
    assert (picture[8 + sheet.SIDE :] < 100).any(), "no text"


def test_images_are_spread_evenly(photograph, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(sheet, "_tiles", lambda record, codecs, path, metrics, bpp: shown.append(path.name) or [])
    monkeypatch.setattr(sheet, "_drawn", lambda rows: None)
    sheet.sheet(Record([]), [], [tmp_path / f"{i:02}.png" for i in range(24)], [], 0.2)
    assert shown == ["03.png", "09.png", "15.png", "21.png"]
