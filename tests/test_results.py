"""The tables of the README and of docs/ say what the committed results say."""

import pytest

from treenet_fast.evaluation.curve import Row
from treenet_fast.evaluation.record import Entry, Record


@pytest.fixture
def tables(benchmark_script):
    return benchmark_script("tables")


def test_tables_are_current(tables):
    for page in tables.PAGES:
        assert tables.renewed(page) == page.read_text()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"information_bytes": 1', '"information_bytes": 2'),
        ('"information_bytes"', '"differs": "pixels", "information_bytes"'),
    ],
)
def test_tables_follow_the_results(tables, tmp_path, monkeypatch, old, new):
    changed = tmp_path / "exactness.json"
    changed.write_text(tables.EXACTNESS.read_text().replace(old, new))
    monkeypatch.setattr(tables, "EXACTNESS", changed)
    assert tables.renewed(tables.README) != tables.README.read_text()


@pytest.fixture
def two_codecs(tables, tmp_path, monkeypatch):
    """A model at two qualities on two images, and a peer at one on one."""
    rows = [
        Row("a.png", 1, 100, 0.1, 25.0, 0.88),
        Row("b.png", 1, 100, 0.1, 27.0, 0.92),
        Row("a.png", 100, 400, 0.3, 29.0, 0.985),
        Row("b.png", 100, 400, 0.5, 31.0, 0.995),
    ]
    model = Entry("treenet_fast own", "model", {"model hash": "0123456789abcdef"}, [1, 100], rows)
    peer = Entry("peer", "peer", {}, [5], [Row("a.png", 5, 100, 0.15, 20.0, 0.8)])
    bd_rates = [
        {"codec": "treenet_fast own", "anchor": "peer", "metric": "PSNR", "percent": -12.34, "low": 26, "high": 30.05},
        {"codec": "treenet_fast own", "anchor": "peer", "metric": "MS-SSIM", "problem": "no quality in common"},
    ]
    path = tmp_path / "results.json"
    Record(["a.png", "b.png"], {entry.codec: entry for entry in (model, peer)}, {"bd_rates": bd_rates}).save(path)
    monkeypatch.setattr(tables, "RATE_DISTORTION", path)


def test_rate_and_distortion(tables, two_codecs):
    assert tables.rate_and_distortion() == (
        "`treenet_fast own` (model 01234567):\n\n"
        "| quality | bits per pixel | RGB PSNR | MS-SSIM |\n"
        "| --- | --- | --- | --- |\n"
        "| 1 | 0.100 | 26.00 dB | 0.9000 |\n"
        "| 100 | 0.400 | 30.00 dB | 0.9900 |"
    )


def test_like_rates(tables, two_codecs):
    """From 10 to 20 dB of MS-SSIM and 26 to 30 dB of PSNR over two doublings of the rate."""
    _, _, own, peer = tables.like_rates().splitlines()
    cells = own.strip("| ").split(" | ")
    assert cells[0] == "treenet_fast own"
    assert [cells[i] for i in (1, 3, 5)] == ["26.00 / 0.9000", "28.00 / 0.9684", "30.00 / 0.9900"]
    assert peer == "| peer | – | – | – | – | – |"


def test_bd_rates(tables, two_codecs):
    *_, row = tables.bd_rates().splitlines()
    assert row == "| treenet_fast own | peer | -12.3 % (26.0..30.1 dB) | – |"
