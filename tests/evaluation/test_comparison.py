"""BD-rates of records: pairs, cells, and the paper's rows beside them."""

from dataclasses import replace

import pytest

from treenet_fast.evaluation import markdown
from treenet_fast.evaluation.comparison import like_rates, pairs, problems, published_table, table, times, versus_peers
from treenet_fast.evaluation.curve import Row
from treenet_fast.evaluation.names import float_name
from treenet_fast.evaluation.published import BD_RATES
from treenet_fast.evaluation.record import Entry, Record
from treenet_fast.evaluation.scores import NLPD, PSNR

OWN = "treenet_fast own"


def entry(name, factor, qualities=(1, 2, 3, 4)):
    """Rates that double with every quality and 2 dB, times a factor."""
    rows = [
        Row("a.png", q, 10, factor * 0.05 * 2**q, {"psnr": 24.0 + 2 * q, "nlpd": 0.4 - 0.05 * q}) for q in qualities
    ]
    return Entry(name, "peer", {}, list(qualities), rows)


@pytest.fixture
def record():
    entries = [entry(OWN, 0.9), entry(float_name(OWN), 0.8), entry("HEIC", 1.0), entry("short", 1.0, (1, 2, 3))]
    return Record(["a.png"], {one.codec: one for one in entries})


def test_pairs(record):
    found = [(anchor.codec, test.codec) for anchor, test in pairs(record, "HEIC")]
    assert found == [(float_name(OWN), OWN), ("HEIC", OWN), ("HEIC", float_name(OWN)), ("HEIC", "short")]


def test_incomplete_codecs_are_left_out(record):
    del record.entries[OWN].rows[2:]
    assert [test.codec for _, test in pairs(record, "HEIC")] == [float_name(OWN), "short"]


def test_table(record):
    header, _, *rows = markdown.table(*table(record, "HEIC", [PSNR, NLPD])).splitlines()
    assert header == "| codec | against | BD-rate, PSNR | BD-rate, NLPD |"
    assert rows[0] == f"| {OWN} | {float_name(OWN)} | +12.5 % (26.0..32.0 dB) | +12.5 % (0.650..0.800) |"
    assert rows[1] == f"| {OWN} | HEIC | -10.0 % (26.0..32.0 dB) | -10.0 % (0.650..0.800) |"
    assert rows[3] == "| short | HEIC | – | – |"
    assert len(rows) == 4


def test_published_rows_are_marked(record):
    rows = table(record, "HEIC", [PSNR, NLPD], "kodak").rows[4:]
    assert len(rows) == 7
    assert all(codec.endswith(" (published)") and anchor == "BPG" for codec, anchor, *_ in rows)
    assert rows[-1] == ["TreeNet (published)", "BPG", "-3.0 %", "-33.3 %"]


def test_published_rates_by_set():
    assert BD_RATES["clic"]["TreeNet"] == {"psnr": -13.34, "ms_ssim": -35.05, "nlpd": -38.17, "lpips": -13.72}
    assert BD_RATES["tecnick"]["VTM"]["lpips"] == -17.65
    assert BD_RATES["kodak"]["JPEG AI"]["ms_ssim"] == -37.51


def test_problems_say_why(record):
    first, second = problems(record, "HEIC", [PSNR, NLPD])
    assert first == "no BD-rate of short against HEIC in PSNR: the test curve has 3 points: use at least 4"
    assert "in NLPD" in second


def test_against_each_peer(record):
    """The same numbers as with the peer for an anchor."""
    model = record.entries[OWN]
    model.kind = record.entries[float_name(OWN)].kind = "model"
    header, rows = versus_peers(record, model, [PSNR])
    assert header == ["against", "PSNR"]
    assert rows == [["HEIC", "-10.0 % (26.0..32.0 dB)"], ["short", "–"]]


def test_published_table_by_set():
    header, rows = published_table("tecnick", [PSNR])
    assert header == ["codec", "against", "BD-rate, PSNR"]
    assert rows[0] == ["VTM (published)", "BPG", "-28.9 %"]


def test_like_rates(record):
    """HEIC has 26 dB at 0.1 bpp, and 2 dB more with each doubling."""
    header, rows = like_rates(record, [PSNR, NLPD], (0.1, 0.2, 0.05))
    assert header == ["PSNR / NLPD at", "0.1 bpp", "0.2 bpp", "0.05 bpp"]
    assert rows[2] == ["HEIC", "26.00 / 0.3500", "28.00 / 0.3000", "–"]


def test_times_are_medians(record):
    """Of those that have them: a float network has none."""
    heic = record.entries["HEIC"]
    seconds = [0.1, 0.3, 9.0, 0.2]
    heic.rows = [
        replace(row, values={**row.values, "encoding_time": x, "decoding_time": x / 100})
        for row, x in zip(heic.rows, seconds, strict=True)
    ]
    assert times(record) == (["codec", "encode", "decode"], [["HEIC", "250.0 ms", "2.5 ms"]])
