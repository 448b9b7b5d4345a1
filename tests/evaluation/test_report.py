"""The report: what is on the page, what is said where something is missing, and that it needs nothing but itself."""

import json
import re
import shutil
import subprocess
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from pages import Page, assert_self_contained
from treenet_fast.cli import main
from treenet_fast.evaluation import comparison, report, sheet
from treenet_fast.evaluation.curve import Row
from treenet_fast.evaluation.latents_command import SUMMARY, Summary
from treenet_fast.evaluation.names import float_name, treenet_name
from treenet_fast.evaluation.record import Entry, Record
from treenet_fast.evaluation.scores import PSNR

EVIL = "<i>&\"'`"
OWN = treenet_name("ms-ssim")
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect id="a" width="9" height="9"/></svg>'


def entry(name, kind, factor, **parameters):
    """Rates that double with every quality and 2 dB, times a factor."""
    rows = []
    for q in (1, 2, 3, 4):
        values = {"psnr": 24.0 + 2 * q, "ms_ssim": 1 - 0.5**q, "nlpd": 0.4 - 0.05 * q}
        if kind != "float":
            values |= {"encoding_time": 0.2, "decoding_time": 0.1 * factor}
        rows.append(Row(EVIL, q, 10, factor * 0.05 * 2**q, values))
    return Entry(name, kind, parameters, [1, 2, 3, 4], rows)


@pytest.fixture
def record():
    entries = [
        entry(OWN, "model", 0.9, **{"model hash": "0123456789abcdef" * 4}),
        entry(float_name(OWN), "float", 0.8),
        entry("HEIC", "peer", 1.0),
        entry("WebP", "peer", 0.6, webp=EVIL),
    ]
    settings = {"metrics": ["psnr", "ms_ssim", "nlpd"], "processor": "A CPU", "processes": 2, "device": "cpu"}
    run = {"date": "2026-01-02", "anchor": "HEIC", "published": "kodak", "left out": [f"broken {EVIL}"]}
    return Record([EVIL], {one.codec: one for one in entries}, settings, run)


@pytest.fixture
def folder(record, tmp_path):
    """As `treenet-fast eval` leaves it, and two studies."""
    folder = tmp_path / "results"
    pixels = np.full((6, 8, 3), 90, np.uint8)
    tiles = [[sheet.Tile(pixels, ["original", EVIL, "8x6"]), sheet.Tile(pixels, [EVIL, "0.2 bpp, 9 bytes"])]]
    for name in ("one", "two"):
        study = folder / "latents" / name
        study.mkdir(parents=True)
        for picture in [f"{kind}-{b}" for kind in ("selective", "accumulative") for b in (1, 2, 3, 4)]:
            Image.fromarray(pixels).save(study / f"{picture}.png")
        Image.new("RGBA", (20, 5)).save(study / "rates.png")
        bits = {"y1": 60.0, "z1": 20.0, "header, coder": 16.0, "file": 96.0}
        found = Summary(f"{name} {EVIL}", 8, 6, 50, "ms-ssim", [10.0, 11.0, 12.0, 34.5678], bits)
        (study / SUMMARY).write_text(json.dumps(asdict(found)))
    record.save(folder / "record.json")
    sheet.save(tiles, 0.2, folder / "comparison")
    for metric in ("psnr", "ms_ssim", "nlpd"):
        (folder / f"rate_distortion_{metric}.svg").write_text(SVG)
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "below" / "report.html"


@pytest.fixture
def made(folder, out):
    """Makes the page and reads it."""

    def make(*arguments):
        assert main(["report", str(folder), "-o", str(out), *map(str, arguments)]) == 0
        return Page(out.read_bytes())

    return make


def section(page, title, following):
    """The text of a section, from its title to the next one's."""
    text = page.text.split("Codecs and images", 1)[1]  # after the table of contents
    return text.split(title, 1)[1].split(following, 1)[0]


def test_self_contained(made, out):
    page = made()
    assert_self_contained(page)
    assert len(page.all("img")) == 2 + 3 + 2 * (8 + 1)
    assert len(page.all("table")) == 1 + 2 + 3 + 1 + 2 + 3 + 1
    levels = [level for level, _ in page.headings]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.all("html") == [{"lang": "en"}]
    assert b"<i>" not in out.read_bytes()


def test_what_comes_from_files_is_escaped(made):
    """And nothing of it is lost: in names of images and codecs, settings, and what was left out."""
    page = made()
    assert "i" not in {tag for tag, _ in page.elements}
    assert f"1 image{EVIL}" in page.text
    assert f"webp {EVIL}" in page.text
    assert f"broken {EVIL}" in page.text
    assert f"one {EVIL}, 8x6, ms-ssim at quality 50" in page.text
    assert f"Crop of {EVIL}: {EVIL}" in [image["alt"] for image in page.all("img")]


def test_lead(made):
    text = made().text
    assert f"1 image, coded and decoded by {OWN}, HEIC, WebP and float networks (whose rates are" in text
    assert "Measured on 2026-01-02 with A CPU." in text


def test_who_wins(made):
    """0.9 times the bits of HEIC, and half as many again as those of WebP."""
    text = section(made(), "Who wins where", "The same crops")
    assert "PSNR: fewer bits than HEIC, more bits than WebP" in text
    assert text.count("−10.0 %") == text.count("+50.0 %") == 3
    assert "26.0..32.0 dB" in text


def test_bd_rates_and_published_ones(made):
    page = made()
    text = section(page, "BD-rates", "All codecs at like rates")
    assert f"{OWN}{float_name(OWN)}+12.5 %" in text
    assert "WebPHEIC−40.0 %" in text
    measured, published = text.split("Published", 1)
    assert "BPG" not in measured
    assert "TreeNet (published)BPG−3.0 %−32.1 %−33.3 %" in published
    assert "BD-rates on Kodak, against BPG" in published


def test_like_rates_times_and_latents(made, record):
    page = made()
    rows = comparison.like_rates(record, [PSNR]).rows
    text = section(page, "All codecs at like rates", "Times")
    assert all("".join(row) in text for row in rows)
    text = section(page, "Times", "The four latents")
    assert f"{OWN}200.0 ms90.0 ms" in text
    assert "There were 2 processes at once" in text
    assert float_name(OWN) not in text
    text = section(page, "The four latents", "Complexity")
    assert text.count("PSNR 34.57 dB") == 2
    assert text.count("y181.250062.5 %") == text.count("file122.0000100.0 %") == 2


def test_complexity_and_notes(made):
    page = made()
    assert "TreeNet, published9.3251.0860.40" in page.text
    text = section(page, "To be read with this", "Left out")
    for note in ("rates are estimates", "4:2:0", "trained for hours", "stands for the paper's BPG", "LPIPS and DISTS"):
        assert note in text
    assert "model hash 01234567" in page.text
    assert "0123456789" not in page.text


def test_what_is_missing_is_said(made, folder, record):
    for name in ("comparison", "latents"):
        shutil.rmtree(folder / name)
    (folder / "rate_distortion_nlpd.svg").unlink()
    record.run = {}
    del record.entries[OWN].rows[2:]
    del record.entries[float_name(OWN)]
    record.save(folder / "record.json")
    page = made()
    assert_self_contained(page)
    assert len(page.all("img")) == 2
    for text in (
        "measured a model of treenet_fast and another codec",
        "no visual comparison: treenet-fast eval makes it",
        "no curves of NLPD: treenet-fast eval draws them",
        "names no codec to hold all others against: treenet-fast eval --anchor",
        "treenet-fast latents IMAGE -o FOLDER makes one",
        f"{OWN} is in no table or figure",
    ):
        assert text in page.text
    assert "published)" not in page.text


def test_why_a_bd_rate_is_missing(made, folder, record):
    heic = record.entries["HEIC"]
    heic.qualities, heic.rows = [1, 2, 3], heic.rows[:3]
    record.save(folder / "record.json")
    text = made().text
    assert "no BD-rate of WebP against HEIC in PSNR: the anchor curve has 3 points" in text
    assert "PSNR: more bits than WebP, not comparable with HEIC" in text


def test_float_networks_alone(made, folder, record):
    for name in (OWN, "HEIC", "WebP"):
        del record.entries[name]
    record.save(folder / "record.json")
    text = made().text
    assert "coded and decoded by float networks" in text
    assert "The record has no times" in text


def test_studies_by_name(made, folder, tmp_path):
    (folder / "latents" / "two").rename(tmp_path / "elsewhere")
    assert "two <i>" not in made().text
    text = made("--latents", tmp_path / "elsewhere").text
    assert "two <i>" in text
    assert "one <i>" not in text


@pytest.mark.parametrize(
    ("path", "content", "complaint"),
    [
        ("record.json", None, "record.json: is not there: name the output folder of treenet-fast eval"),
        ("record.json", "{", "record.json: is no JSON"),
        ("record.json", "{}", "record.json: is no record of an evaluation"),
        ("record.json", '{"images": [], "columns": [], "codecs": []}', "no codec was measured on all images"),
        ("comparison/tiles.json", "[]", "tiles.json: is no list of crops"),
        ("comparison/1-2.png", "", "1-2.png: is no image"),
        ("rate_distortion_psnr.svg", "<svg>", "rate_distortion_psnr.svg: is no SVG"),
        ("latents/one/study.json", "{}", "study.json: is no summary of a study"),
        ("latents/one/rates.png", "", "rates.png: is no image"),
        ("latents/one/selective-2.png", None, "selective-2.png: No such file"),
    ],
)
def test_damage(folder, out, capsys, path, content, complaint):
    """One line, and no page."""
    (folder / path).unlink()
    if content is not None:
        (folder / path).write_text(content)
    assert main(["report", str(folder), "-o", str(out)]) == 1
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert not out.parent.exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-o", "record.json"], "name an .html file"),
        (["-o", "results/record.json/a.html"], "results/record.json/a.html: cannot be written"),
        (["-o", "folder.html"], "folder.html: is no ordinary file"),
        (["--latents", "none"], "none: has no study.json"),
    ],
)
def test_wrong_arguments(folder, tmp_path, monkeypatch, capsys, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.html").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert main(["report", "results", *arguments]) == 1
    assert complaint in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_failure_leaves_the_page_that_was_there(folder, out, monkeypatch, capsys):
    out.parent.mkdir()
    out.write_text("before")
    (folder / "record.json").write_text("{}")
    assert main(["report", str(folder), "-o", str(out)]) == 1
    assert out.read_text() == "before"
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize("width", [320, 375, 1280])
def test_in_a_browser(made, out, tmp_path, width):
    """No wider than the screen, and all pictures are seen: from a page around it, as its policy lets no script run."""
    made()
    outer = tmp_path / "outer.html"
    inner = out.read_text().replace("&", "&amp;").replace('"', "&quot;")
    outer.write_text(
        f"""<iframe srcdoc="{inner}" style="width: {width}px; height: 800px; border: 0"></iframe>
        <script>addEventListener("load", () => {{
          const page = document.querySelector("iframe").contentDocument;
          const seen = [...page.images].filter((image) => image.naturalWidth > 0);
          const {{scrollWidth, clientWidth}} = page.documentElement;
          document.title = `${{scrollWidth - clientWidth}} too wide, ${{seen.length}} pictures`;
        }});</script>"""
    )
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [CHROMIUM, *options, "--virtual-time-budget=5000", "--dump-dom", outer.as_uri()]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert re.findall(r"<title>(.*)</title>", found.split("</iframe>")[0])[:1] == ["0 too wide, 23 pictures"]


def test_names_are_listed():
    assert [report._listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
