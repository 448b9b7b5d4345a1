import numpy as np
import pytest
from PIL import Image

from treenet_fast.errors import RecordError, UnsupportedImageError
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
    tiles = sheet.tiles(record, [Jpeg()], [path], [PSNR, NLPD], 0.8)
    picture = np.asarray(sheet.drawn(tiles))
    height, width, _ = photograph.shape
    top, left = (height - sheet.SIDE) // 2, (width - sheet.SIDE) // 2
    middle = np.s_[top : top + sheet.SIDE, left : left + sheet.SIDE]
    decoded = Jpeg().code(photograph, sheet.nearest(Jpeg(), photograph, rows, 0.8)).pixels
    assert picture.shape[1] == 2 * WIDE + 8
    assert np.array_equal(picture[8 : 8 + sheet.SIDE, 8:WIDE], photograph[middle])
    assert np.array_equal(picture[8 : 8 + sheet.SIDE, WIDE + 8 : 2 * WIDE], decoded[middle])
    assert (picture[8 + sheet.SIDE :] < 100).any(), "no text"


@pytest.fixture
def crops(photograph):
    return [[sheet.Tile(photograph[:9, :7], ["original", "cat.png"]), sheet.Tile(photograph[:8, :8], ["<JPEG>"])]]


def test_tiles_are_read_as_written(crops, tmp_path):
    sheet.save(crops, 0.25, tmp_path / "comparison")
    ((first, second),), bpp = sheet.load(tmp_path / "comparison")
    assert bpp == 0.25
    assert (first.lines, second.lines) == (["original", "cat.png"], ["<JPEG>"])
    for found, saved in zip((first, second), crops[0], strict=True):
        np.testing.assert_array_equal(found.pixels, saved.pixels)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"bpp": 0.2}', '{"bpp": 0.2, "rows": [[]]}', '{"bpp": 0.2, "rows": [[[1]]]}']
)
def test_damaged_tiles(crops, tmp_path, content):
    sheet.save(crops, 0.25, tmp_path)
    (tmp_path / "tiles.json").write_text(content)
    with pytest.raises(RecordError, match=r"tiles\.json: is no"):
        sheet.load(tmp_path)


def test_a_crop_that_is_not_there(crops, tmp_path):
    sheet.save(crops, 0.25, tmp_path)
    (tmp_path / "1-2.png").unlink()
    with pytest.raises(UnsupportedImageError, match=r"1-2\.png: No such file"):
        sheet.load(tmp_path)


def test_images_are_spread_evenly(photograph, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(sheet, "_row", lambda record, codecs, path, metrics, bpp: shown.append(path.name) or [])
    sheet.tiles(Record([]), [], [tmp_path / f"{i:02}.png" for i in range(24)], [], 0.2)
    assert shown == ["03.png", "09.png", "15.png", "21.png"]
