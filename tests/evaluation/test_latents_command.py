import sys

import numpy as np
import pytest
from PIL import Image

import treenet_fast
from treenet_fast.cli import main
from treenet_fast.errors import RecordError
from treenet_fast.evaluation.latents_command import SUMMARY, Summary
from treenet_fast.evaluation.metrics import psnr


@pytest.fixture
def photo(tmp_path, thumbnail, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(thumbnail).save("photo.png")


def test_files_and_table(photo, thumbnail, tmp_path, capsys):
    assert main(["latents", "photo.png", "-o", "below/out", "--quality", "70", "--model", "mse"]) == 0
    folder = tmp_path / "below" / "out"
    names = [f"{kind}-{b}.png" for kind in ("accumulative", "selective") for b in (1, 2, 3, 4)]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*names, "bits.npy", "propagation.png", "rates.png", "study.json"]
    )
    stream = treenet_fast.compress(thumbnail, 70, model="mse")
    with Image.open(folder / "accumulative-4.png") as image:
        np.testing.assert_array_equal(np.asarray(image), treenet_fast.decompress(stream, "numpy", model="mse"))
    bits = np.load(folder / "bits.npy")
    assert bits.shape == (4, 3, 4)
    assert bits.dtype == np.float64

    found = Summary.load(folder / SUMMARY)
    assert (found.image, found.width, found.height, found.quality, found.model) == ("photo.png", 50, 37, 70, "mse")
    assert found.psnr == sorted(found.psnr)
    assert found.psnr[3] == psnr(thumbnail, treenet_fast.decompress(stream, "numpy", model="mse"))
    assert found.bits["file"] == 8 * len(stream)
    assert sum(cost for name, cost in found.bits.items() if name[0] in "yz") == pytest.approx(bits.sum())

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "photo.png at quality 70 -> below/out"
    rows = [line.rsplit(maxsplit=4) for line in lines[3:]]
    assert [row[0].strip() for row in rows] == [
        *(f"{name}{b}" for b in (1, 2, 3, 4) for name in "yz"),
        "header, coder",
        "file",
    ]
    assert rows[-1][1:] == [str(len(stream)), f"{8 * len(stream) / (50 * 37):.4f}", "100.0", "%"]
    assert sum(int(row[1]) for row in rows[:8]) == pytest.approx(bits.sum() / 8, abs=4)
    assert sum(int(row[1]) for row in rows[:9]) == pytest.approx(len(stream), abs=4.5)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"image": "a.png"}'])
def test_a_damaged_summary(tmp_path, content):
    (tmp_path / SUMMARY).write_text(content)
    with pytest.raises(RecordError, match=r"study\.json: is no"):
        Summary.load(tmp_path / SUMMARY)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["photo.png", "-o", "photo.png"], "photo.png: is no folder"),
        (["photo.png", "-o", "out", "--quality", "0"], "quality is 0"),
        (["photo.png", "-o", "out", "--max-pixels", "1849"], "50x37 pixels, beyond the limit of 1849"),
        (["photo.png", "-o", "out", "--model", "none"], "none: "),
        (["none.png", "-o", "out"], "none.png: No such file"),
    ],
)
def test_bad_input(photo, tmp_path, capsys, arguments, complaint):
    assert main(["latents", *arguments]) == 1
    captured = capsys.readouterr()
    assert complaint in captured.err
    assert captured.out == ""
    assert not (tmp_path / "out").exists()


def test_without_matplotlib(photo, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["latents", "photo.png", "-o", "out"]) == 1
    assert "pip install matplotlib, or all of 'treenet-fast[eval]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_torch(capsys, monkeypatch):
    """As good as none: the command's module cannot be imported."""
    monkeypatch.setitem(sys.modules, "treenet_fast.evaluation.latents_command", None)
    assert main(["latents", "photo.png", "-o", "out"]) == 1
    assert capsys.readouterr().err.endswith("pip install 'treenet-fast[eval]'\n")
