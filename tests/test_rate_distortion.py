"""benchmarks/rate_distortion.py and its figure, on a small folder; and that the committed results are whole."""

import functools

import pytest
import torch
from PIL import Image

from treenet_fast import models
from treenet_fast.evaluation.codecs import Heic, Jpeg
from treenet_fast.evaluation.float_network import float_name
from treenet_fast.evaluation.record import Record
from treenet_fast.model import TreeNet, save_checkpoint

QUALITIES = (1, 30, 60, 100)


@pytest.fixture
def script(benchmark_script):
    return benchmark_script("rate_distortion")


@pytest.fixture
def results(script):
    return Record.load(script.RESULTS)


@pytest.fixture
def folder(tmp_path, photograph):
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(photograph[:170, :200]).save(folder / "cat.png")
    return folder


@pytest.fixture
def few_qualities(script, monkeypatch):
    """Two peers only, and four qualities of each codec."""
    monkeypatch.setattr(script, "PEERS", (Jpeg, Heic))
    monkeypatch.setattr(Jpeg, "qualities", Jpeg.qualities[::3])
    monkeypatch.setattr(Heic, "qualities", Heic.qualities[::3])
    for codec in ("TreeNetCodec", "FloatCodec"):
        monkeypatch.setattr(script, codec, functools.partial(getattr(script, codec), qualities=QUALITIES))


def test_command(script, few_qualities, folder, tmp_path, capsys):
    out, checkpoint = tmp_path / "out.json", tmp_path / "mse.safetensors"
    torch.manual_seed(0)
    save_checkpoint(checkpoint, TreeNet())
    common = [str(folder), "--out", str(out), "--threads", "1"]
    assert script.main([*common, "--peers"]) == 0
    assert script.main([*common, "--model", "mse", "--checkpoint", str(checkpoint)]) == 0
    record = Record.load(out)
    model = "treenet_fast mse"
    assert list(record.entries) == ["JPEG", "HEIC", model, float_name(model)]
    assert [entry.kind for entry in record.entries.values()] == ["peer", "peer", "model", "float"]
    assert all(entry.complete for entry in record.entries.values())
    found = {(x["anchor"], x["codec"], x["metric"]) for x in record.extra["bd_rates"]}
    anchored = [(float_name(model), model), *(("HEIC", codec) for codec in record.entries if codec != "HEIC")]
    assert found == {(*pair, metric) for pair in anchored for metric in ("PSNR", "MS-SSIM")}
    assert "treenet_fast mse\n    1: 0." in capsys.readouterr().out


def test_unknown_model(script, folder, tmp_path, capsys):
    assert script.main([str(folder), "--out", str(tmp_path / "results.json"), "--model", "no-such-model"]) == 1
    assert "no-such-model" in capsys.readouterr().err


def test_errors(script, tmp_path, capsys):
    assert script.main([str(tmp_path), "--peers"]) == 1
    assert "has no images" in capsys.readouterr().err


def test_committed_results_are_whole(script, results):
    for entry in results.entries.values():
        assert entry.complete, entry.codec
        assert len(entry.rows) == len(entry.qualities) * len(results.images)
    for committed, computed in zip(results.extra["bd_rates"], script.bd_rates(results), strict=True):
        assert committed == pytest.approx(computed)


def test_committed_rates_follow_from_sizes(results):
    for entry in results.entries.values():
        assert all(row.bpp == pytest.approx(8 * row.bytes / (768 * 512), abs=1e-5) for row in entry.rows)


def test_figure(benchmark_script, results, tmp_path):
    script, figures = benchmark_script("plot_rate_distortion"), benchmark_script("figures")
    figures.save(script.figure(results), tmp_path / "figure")
    for suffix in (".svg", ".png"):
        assert 5_000 < (tmp_path / "figure").with_suffix(suffix).stat().st_size < 150_000
    svg = (tmp_path / "figure.svg").read_text()
    assert all(name in svg for name in results.entries)


@pytest.mark.parametrize("name", models.names())
def test_committed_results_are_of_the_models_in_the_package(results, name):
    entry = results.entries[f"treenet_fast {name}"]
    assert entry.parameters["model hash"] == models.load(name).hash.hex()
    assert float_name(entry.codec) in results.entries
