"""The command `treenet-fast eval`, from images to tables and figures, and what it does with bad input."""

import json
import os
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from treenet_fast.cli import main
from treenet_fast.evaluation import perceptual, sheet, workers
from treenet_fast.evaluation.codecs import WebP
from treenet_fast.evaluation.record import Record

JPEG = ["--qualities", "jpeg=10,20,40,60"]


@pytest.fixture
def folder(tmp_path, photograph):
    folder = tmp_path / "images"
    folder.mkdir()
    for i, name in enumerate(("cat.png", "tac.png")):
        Image.fromarray(photograph[20 * i : 170 + 20 * i, :200]).save(folder / name)
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def in_process(monkeypatch):
    """Jobs are done in this process, which takes no time to start."""
    done = []

    def run(jobs, processes):
        for job in jobs:
            done.append((job.choice, job.image.name, job.qualities))
            yield job, workers.work(job)

    monkeypatch.setattr(workers, "run", run)
    return done


def evaluate(folder, out, *arguments):
    return main(["eval", str(folder), "--out", str(out), *map(str, arguments)])


def metrics(*names):
    return ["--metrics", *(names or ("psnr", "nlpd"))]


def test_whole(folder, out, capsys):
    """In processes: all outputs, which say the same."""
    arguments = ("--codecs", "mse", "jpeg", *JPEG, "mse=1,30,60,90", "--anchor", "jpeg", *metrics())
    assert evaluate(folder, out, *arguments) == 0
    table = capsys.readouterr().out
    assert "| treenet_fast mse | JPEG | " in table
    assert "| TreeNet (published) | BPG | -3.0 % | -33.3 % |" in table
    assert (out / "bd_rates.md").read_text() == table

    record = Record.load(out / "record.json")
    assert [entry.codec for entry in record.complete()] == ["treenet_fast mse", "JPEG"]
    assert record.run.pop("date") >= "2020-01-01"
    assert record.run == {"anchor": "JPEG", "published": "kodak", "left out": []}
    tiles, rate = sheet.load(out / "comparison")
    assert rate == 0.2
    assert [[tile.lines[0] for tile in row] for row in tiles] == [["original", "treenet_fast mse", "JPEG"]] * 2
    lines = [line.split("\t") for line in (out / "results.tsv").read_text().splitlines()]
    assert len(lines) == 1 + 2 * 2 * 4
    for codec, image, quality, size, bpp, *_ in lines[1:]:
        name = {"JPEG": f"jpeg/{quality}/{image}.jpg"}.get(codec, f"treenet_fast-mse/{quality}/{image}.tnf")
        assert int(size) == os.path.getsize(out / "files" / name)
        assert float(bpp) == round(8 * int(size) / (170 * 200), 5)

    curves = json.loads((out / "compressai" / "jpeg.json").read_text())["results"]
    assert curves["quality"] == [10, 20, 40, 60]
    rates = [float(line[4]) for line in lines[1:] if line[0] == "JPEG" and line[2] == "10"]
    assert curves["bpp"][0] == pytest.approx(np.mean(rates))
    assert all(0 < seconds < 60 for seconds in curves["encoding_time"] + curves["decoding_time"])
    figures = [f"rate_distortion_{metric}.{suffix}" for metric in ("nlpd", "psnr") for suffix in ("png", "svg")]
    pictures = sorted(path.name for path in out.iterdir() if path.suffix in (".png", ".svg"))
    assert pictures == ["comparison.png", *figures]


def test_a_second_run_goes_on(folder, out, in_process):
    arguments = ("--codecs", "jpeg", *JPEG, "--anchor", "jpeg", *metrics())
    assert evaluate(folder, out, *arguments) == 0
    file = out / "record.json"
    whole = file.read_text()
    content = json.loads(whole)
    content["codecs"][0]["rows"] = [row for row in content["codecs"][0]["rows"] if row[:2] != ["tac.png", 20]]
    file.write_text(json.dumps(content))
    in_process.clear()
    assert evaluate(folder, out, *arguments) == 0
    assert in_process == [("jpeg", "tac.png", (20,))]

    def timeless(record):
        return [(row.image, row.quality, row.bytes, row.values["psnr"]) for row in record.entries["JPEG"].rows]

    file.with_name("whole.json").write_text(whole)
    assert timeless(Record.load(file)) == timeless(Record.load(file.with_name("whole.json")))


def test_results_are_there_after_each_image_and_codec(folder, out, in_process, monkeypatch):
    work = workers.work

    def interrupted(job):
        if job.image.name == "tac.png":
            raise KeyboardInterrupt
        return work(job)

    monkeypatch.setattr(workers, "work", interrupted)
    assert evaluate(folder, out, "--codecs", "jpeg", *JPEG, "--anchor", "jpeg", *metrics()) == 130
    assert {row.image for row in Record.load(out / "record.json").entries["JPEG"].rows} == {"cat.png"}
    assert len((out / "results.tsv").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--metrics", "psnr"], "is of other metrics"),
        (["--jobs", "3"], "is of other processes"),
        (["--qualities", "jpeg=10,20,40"], "with other qualities"),
    ],
)
def test_other_settings_are_refused(folder, out, in_process, capsys, change, message):
    arguments = ["--codecs", "jpeg", *JPEG, "--anchor", "jpeg", "--jobs", "1", *metrics()]
    assert evaluate(folder, out, *arguments) == 0
    before = (out / "record.json").read_bytes()
    assert evaluate(folder, out, *arguments, *change) == 1
    assert message in capsys.readouterr().err
    assert (out / "record.json").read_bytes() == before


def test_another_image_of_the_same_name_is_refused(folder, out, in_process, capsys, photograph):
    arguments = ["--codecs", "jpeg", *JPEG, "--anchor", "jpeg", *metrics()]
    assert evaluate(folder, out, *arguments) == 0
    Image.fromarray(photograph[100:290, :200]).save(folder / "cat.png")
    assert evaluate(folder, out, *arguments) == 1
    assert "is of other images" in capsys.readouterr().err


def test_bad_input_is_named_and_the_rest_goes_on(folder, out, in_process, capsys, photograph, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    Image.fromarray(photograph[:100, :200]).save(folder / "small.png")
    (folder / "broken.png").write_bytes((folder / "cat.png").read_bytes()[:3000])
    codecs = ("--codecs", "jpeg", "jxl", "compressai:net", "--anchor", "jpeg")
    assert evaluate(folder, out, *codecs, *JPEG, *metrics("psnr", "ms-ssim")) == 1
    errors = capsys.readouterr().err
    assert "broken.png: " in errors
    assert "small.png: MS-SSIM is not defined on an image of 200x100" in errors
    assert "jxl: this needs the PyPI package pillow-jxl-plugin" in errors
    assert "compressai:net: " in errors
    record = Record.load(out / "record.json")
    assert record.images == ["cat.png", "tac.png"]
    assert sum("is not defined on" in text for text in record.run["left out"]) == 1
    assert len(record.run["left out"]) == 4
    assert [entry.codec for entry in record.complete()] == ["JPEG"]


def test_weights_that_are_not_there(folder, out, in_process, capsys, monkeypatch):
    """A note where the metric was not asked for, a problem where it was."""
    perceptual.load_lpips.cache_clear()
    perceptual.load_dists.cache_clear()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(out / "nothing"))
    arguments = ("--codecs", "jpeg", *JPEG, "--anchor", "jpeg")
    assert evaluate(folder, out, *arguments) == 0
    assert "without LPIPS: " in capsys.readouterr().err
    record = Record.load(out / "record.json")
    assert record.settings["metrics"] == ["psnr", "ms_ssim", "nlpd"]
    assert record.run["left out"][0].startswith("without LPIPS: ")
    assert evaluate(folder, out / "2", *arguments, *metrics("psnr", "lpips")) == 1
    assert "treenet-fast eval: lpips: " in capsys.readouterr().err


def test_a_codec_that_fails_on_an_image_is_left_out(folder, out, in_process, capsys, monkeypatch):
    def decode(self, data):
        raise OSError("broken inside")

    monkeypatch.setattr(WebP, "decode", decode)
    assert evaluate(folder, out, "--codecs", "jpeg", "webp", *JPEG, "--anchor", "jpeg", *metrics()) == 1
    errors = capsys.readouterr().err
    assert "webp: " in errors
    assert "cat.png: OSError: broken inside" in errors
    assert "WebP is left out of tables and figures" in errors
    assert not (out / "compressai" / "webp.json").exists()
    assert (out / "compressai" / "jpeg.json").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--codecs", "jpeg"], 1, "the anchor heic is not among the codecs: jpeg"),
        (["--codecs", "gif", "--anchor", "gif"], 1, "there is no codec 'gif'"),
        (["--codecs", "jpeg", "--anchor", "jpeg", "--qualities", "jpeg=0"], 1, "JPEG has qualities from 1 to 100"),
        (["--codecs", "jpeg", "--anchor", "jpeg", "--qualities", "webp=1"], 1, "qualities for webp, not among"),
        (["--qualities", "jpeg=low"], 2, "'jpeg=low' is not like"),
        (["--metrics", "vmaf"], 2, "invalid choice: 'vmaf'"),
        (["--jobs", "0"], 2, "no whole number from 1 on"),
    ],
)
def test_wrong_arguments(folder, out, capsys, arguments, status, message):
    try:
        assert evaluate(folder, out, *arguments) == status
    except SystemExit as stop:
        assert stop.code == status
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_library_of_the_last_step_is_missed_at_once(folder, out, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert evaluate(folder, out) == 1
    assert "pip install matplotlib, or all of 'treenet-fast[eval]'" in capsys.readouterr().err
    assert not out.exists()


def test_empty_folder(tmp_path, out, capsys):
    (tmp_path / "empty").mkdir()
    assert evaluate(tmp_path / "empty", out) == 1
    assert "empty has no images" in capsys.readouterr().err
