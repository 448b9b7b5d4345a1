import matplotlib
import pytest

from treenet_fast.evaluation import figures, plots
from treenet_fast.evaluation.curve import Row
from treenet_fast.evaluation.record import Entry, Record
from treenet_fast.evaluation.scores import MS_SSIM, NLPD, PSNR


@pytest.fixture
def record():
    rows = [Row("a.png", q, 9, q / 10, {"psnr": 25.0 + q, "ms_ssim": 0.9, "nlpd": 0.3}) for q in (1, 2, 3)]
    entries = [Entry("HEIC", "peer", {}, [1, 2, 3], rows), Entry("own", "model", {}, [1, 2, 3], rows)]
    return Record(["a.png"], {entry.codec: entry for entry in entries})


def test_lines_and_labels(record):
    left, middle, right = plots.figure(record, [PSNR, MS_SSIM, NLPD]).axes
    assert [line.get_label() for line in left.lines] == ["own", "HEIC"]
    assert left.lines[0].get_xydata().tolist() == [[0.1, 26.0], [0.2, 27.0], [0.3, 28.0]]
    assert right.lines[0].get_ydata().tolist() == pytest.approx([0.7] * 3)
    assert left.get_ylabel() == "RGB PSNR in dB (higher is better)"
    assert middle.get_ylabel() == "MS-SSIM, −10 log₁₀(1 − x) in dB (higher is better)"
    assert {axes.get_xlabel() for axes in (left, middle, right)} == {"bits per pixel (lower is better)"}


def test_an_end_of_the_axis(record):
    (axes,) = plots.figure(record, [PSNR], bpp_max=0.2).axes
    assert axes.lines[0].get_xdata().tolist() == [0.1, 0.2]
    assert axes.get_xlim() == (0, 0.2)


def test_files(record, tmp_path):
    for folder in ("once", "again"):
        with matplotlib.rc_context(figures.STYLE):
            figures.save(plots.figure(record, [PSNR]), tmp_path / folder / "rate.v1")
    for name in ("rate.v1.svg", "rate.v1.png"):
        once, again = ((tmp_path / folder / name).read_bytes() for folder in ("once", "again"))
        assert 3_000 < len(once) < 150_000
        assert once == again
    assert "HEIC" in (tmp_path / "once" / "rate.v1.svg").read_text()
