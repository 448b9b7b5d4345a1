"""benchmarks/learning_curve.py on logs whose fit is known."""

import csv
import json
import math

import pytest

COLUMNS = ("kind", "step", "images", "seconds", "quality", "loss", "bpp", "mse", "psnr", "ms_ssim", "learning_rate")


@pytest.fixture
def script(benchmark_script):
    return benchmark_script("learning_curve")


def write_log(path, loss, steps):
    """Evaluations at `steps` whose mean loss over two qualities is `loss(step)`, and a training report for each."""
    rows = []
    for step in steps:
        rows.append({"kind": "train", "step": step, "loss": loss(step) + 0.3})
        for quality, offset in ((1, -0.25), (100, 0.25)):
            psnr = 25 + quality / 50 + math.log2(step) / 10
            rows.append(
                {
                    "kind": "evaluate",
                    "step": step,
                    "quality": quality,
                    "loss": loss(step) + offset,
                    "bpp": 0.1 + quality / 400,
                    "psnr": psnr,
                }
            )
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_command(script, tmp_path, capsys):
    """Straight from step 2000 on, and something else before it, which the fit leaves out."""
    log = write_log(
        tmp_path / "mse.csv",
        lambda step: 2.0 - 0.125 * math.log2(step / 1000) + (step < 2000),
        range(500, 8001, 500),
    )
    out, figure = tmp_path / "out.json", tmp_path / "figure"
    assert script.main([str(log), str(log), "--out", str(out), "--figure", str(figure)]) == 0
    first, second = json.loads(out.read_text())
    assert first == second
    assert first["log"] == "mse"
    assert first["slope"] == pytest.approx(-0.125)
    assert first["residual"] == pytest.approx(0, abs=1e-9)
    assert (first["first_step"], first["last_step"], first["evaluations"]) == (2000, 8000, 13)
    assert first["loss"] == pytest.approx(1.625)
    assert first["slope_percent"] == pytest.approx(-100 * 0.125 / 1.625)
    assert first["extrapolated"] == {"16000": pytest.approx(1.5), "32000": pytest.approx(1.375)}
    assert "mse: loss 1.6250 after 8000 steps; -0.1250 (-7.69 %) with every doubling" in capsys.readouterr().out
    for suffix in (".svg", ".png"):
        assert 5_000 < figure.with_suffix(suffix).stat().st_size < 200_000


@pytest.mark.parametrize("steps", [(), (1000,), (10, 20, 1000, 2000)])
def test_too_few_evaluations(script, steps, tmp_path, capsys):
    log = write_log(tmp_path / "mse.csv", lambda step: 1.0, steps)
    assert script.main([str(log), "--out", str(tmp_path / "out.json")]) == 1
    assert "a fit needs three" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()
