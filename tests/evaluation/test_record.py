"""The record that keeps the measurements, and the one that is committed."""

import re
from pathlib import Path

import pytest

from treenet_fast import models
from treenet_fast.errors import InvalidArgumentError, RecordError
from treenet_fast.evaluation.codecs import ImageCodec
from treenet_fast.evaluation.curve import Row
from treenet_fast.evaluation.names import float_name
from treenet_fast.evaluation.record import Record

COMMITTED = Path(__file__).parents[2] / "benchmarks" / "results" / "evaluation.json"


class Named(ImageCodec):
    kind = "peer"

    def __init__(self, name="codec", qualities=(4, 6), **parameters):
        self.name, self.qualities, self.parameters = name, qualities, parameters

    def code(self, image, quality, file=None):
        raise NotImplementedError


def row(image, quality, **values):
    return Row(image, quality, 100 * quality, quality / 100, {"psnr": 20.0 + quality, **values})


@pytest.fixture
def record():
    return Record(["b.png", "a.png"], settings={"metrics": ["psnr"]}, run={"left out": []})


@pytest.fixture
def full(record):
    record.missing(Named())
    record.add("codec", [row(image, q) for image in ("a.png", "b.png") for q in (4, 6)])
    return record


def test_all_is_missing_at_first(record):
    assert record.missing(Named()) == {"b.png": [4, 6], "a.png": [4, 6]}
    assert record.complete() == []


def test_what_is_there_is_not_missing(record):
    record.missing(Named())
    record.add("codec", [row("a.png", 6), row("a.png", 4), row("b.png", 6)])
    assert record.missing(Named()) == {"b.png": [4]}
    assert record.complete() == []


def test_rows_have_an_order_of_their_own(full):
    (entry,) = full.complete()
    assert [(r.quality, r.image) for r in entry.rows] == [(4, "b.png"), (4, "a.png"), (6, "b.png"), (6, "a.png")]
    assert [point.bpp for point in entry.points()] == [0.04, 0.06]
    assert full.missing(Named()) == {}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Named(version="2"), "results of codec with other parameters, {} and not {'version': '2'}"),
        (Named(qualities=(4, 5)), "with other qualities, [4, 6] and not [4, 5]"),
    ],
)
def test_other_settings_are_refused(full, other, message):
    with pytest.raises(InvalidArgumentError, match=re.escape(message)):
        full.missing(other)


def test_record_is_read_as_written(full, tmp_path):
    file = tmp_path / "record.json"
    full.missing(Named("other"))
    full.add("other", [row("a.png", 4, encoding_time=0.5)])
    full.save(file)
    assert Record.load(file) == full
    assert len(file.read_text().splitlines()) < 40
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('{\n "images"', '{"images"} "images"', "is no JSON"),
        ('"columns"', '"rows"', "KeyError: 'columns'"),
        ('["b.png", "a.png"]', '"b.png"', "of another type"),
        ('{\n  "left out": []\n }', "[]", "of another type"),
        ('"left out": []', '"left out": "all"', "what the run was"),
        ('"left out": []', '"anchor": ["codec"]', "what the run was"),
        ('"peer"', '"mine"', "what 'codec' is"),
        ('"qualities": [4, 6]', '"qualities": [4, "6"]', "what 'codec' is"),
        ('["a.png", 6,', '["b.png", 6,', "rows of 'codec' are there twice"),
        ('["a.png", 6,', '["c.png", 6,', "of no image or quality"),
        ('["a.png", 6, 600, 0.06, 26.0]', '["a.png", 6, 600, 0.06, "26"]', "what is no number"),
        ('["a.png", 6, 600, 0.06, 26.0]', '["a.png", 6, 600, 0.06, NaN]', "what is no number"),
        ('["a.png", 6, 600, 0.06, 26.0]', '["a.png", 6, 600, 0, 26.0]', "no rate"),
        ('["a.png", 6, 600, 0.06, 26.0]', '["a.png", 6, 600, 0.06, null]', "different columns"),
        ('["a.png", 6, 600, 0.06, 26.0]', '["a.png", 6, 600, 0.06]', "ValueError"),
    ],
)
def test_a_damaged_record(full, tmp_path, old, new, message):
    file = tmp_path / "record.json"
    full.save(file)
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    with pytest.raises(RecordError, match=re.escape(message)):
        Record.load(file)


@pytest.fixture(scope="module")
def committed():
    return Record.load(COMMITTED)


def test_committed_results_are_whole(committed, tmp_path):
    assert committed.complete() == list(committed.entries.values())
    committed.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == COMMITTED.read_text()


def test_committed_rates_follow_from_sizes(committed):
    for entry in committed.entries.values():
        assert all(row.bpp == pytest.approx(8 * row.bytes / (768 * 512), abs=1e-5) for row in entry.rows)


@pytest.mark.parametrize("name", models.names())
def test_committed_results_are_of_the_models_in_the_package(committed, name):
    entry = committed.entries[f"treenet_fast {name}"]
    assert entry.parameters["model hash"] == models.load(name).hash.hex()
    assert float_name(entry.codec) in committed.entries
