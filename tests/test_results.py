"""The tables of the README and of docs/ say what the committed results say."""

from dataclasses import replace

import pytest

from treenet_fast import models
from treenet_fast.evaluation.curve import Row
from treenet_fast.evaluation.names import treenet_name
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


def row(image, quality, bpp, psnr, ms_ssim):
    return Row(image, quality, 100, bpp, {"psnr": psnr, "ms_ssim": ms_ssim})


@pytest.fixture
def two_codecs(tables, tmp_path, monkeypatch):
    """Two images: a model at two qualities, and a peer at one."""
    rows = [
        row("a.png", 1, 0.1, 25.0, 0.88),
        row("b.png", 1, 0.1, 27.0, 0.92),
        row("a.png", 100, 0.3, 29.0, 0.985),
        row("b.png", 100, 0.5, 31.0, 0.995),
    ]
    model = Entry("treenet_fast own", "model", {"model hash": "0123456789abcdef"}, [1, 100], rows)
    peer = Entry("peer", "peer", {}, [5], [row(f"{x}.png", 5, 0.15, 20.0, 0.8) for x in "ab"])
    path = tmp_path / "results.json"
    Record(["a.png", "b.png"], {entry.codec: entry for entry in (model, peer)}).save(path)
    monkeypatch.setattr(tables, "EVALUATION", path)


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


def curves(tmp_path, **codecs):
    """A file of codecs by name: their kind, and a factor on the rate of each quality."""
    entries = {}
    for name, (kind, factor) in codecs.items():
        rows = [row("a.png", q, factor * 0.05 * q, 24.0 + q, 1 - 0.5**q) for q in (1, 2, 3, 4)]
        entries[name] = Entry(name, kind, {}, [1, 2, 3, 4], rows)
    record = Record(["a.png"], entries, {"processes": 2, "processor": "A CPU"})
    record.save(tmp_path / "results.json")
    return record


def test_bd_rates(tables, tmp_path, monkeypatch):
    """The rate of each quality, and a tenth less at the same; the paper's rows below."""
    curves(tmp_path, HEIC=("peer", 1.0), own=("model", 0.9))
    monkeypatch.setattr(tables, "EVALUATION", tmp_path / "results.json")
    _, _, own, *published = tables.bd_rates().splitlines()
    assert own == "| own | HEIC | -10.0 % (25.0..28.0 dB) | -10.0 % (3.0..12.0 dB) |"
    assert len(published) == 7
    assert published[-1] == "| TreeNet (published) | BPG | -3.0 % | -32.1 % |"


def test_in_short(tables, tmp_path, monkeypatch):
    """A quarter more than one, a quarter fewer than the other."""
    name = treenet_name(models.DEFAULT)
    record = curves(tmp_path, **{name: ("model", 1.0)}, low=("peer", 0.8), high=("peer", 4 / 3))
    monkeypatch.setattr(tables, "EVALUATION", tmp_path / "results.json")
    assert tables.times() == "Not recorded yet."
    _, _, low, high, _ = tables.in_short().splitlines()
    assert low == "| low | 25 % more | 25 % more | – | – |"
    assert high == "| high | **25 % fewer** | **25 % fewer** | – | – |"

    entry = record.entries[name]
    seconds = {"encoding_time": 0.05, "decoding_time": 0.1}
    entry.rows = [replace(one, values={**one.values, **seconds}) for one in entry.rows]
    record.save(tmp_path / "results.json")
    *_, own = tables.in_short().splitlines()
    assert own == "| itself |  |  | 50.0 ms | 100.0 ms |"
    *_, times, _, machine = tables.times().splitlines()
    assert times == f"| {name} | 50.0 ms | 100.0 ms |"
    assert machine == "2 processes, each on a core of A CPU."
