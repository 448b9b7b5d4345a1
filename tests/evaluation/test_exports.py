import json

import pytest

from treenet_fast.evaluation.curve import Row
from treenet_fast.evaluation.exports import write_compressai, write_tsv
from treenet_fast.evaluation.record import Entry, Record


@pytest.fixture
def record():
    rows = [
        Row("a.png", 1, 100, 0.1, {"psnr": 25.0, "ms_ssim": 0.88, "encoding_time": 0.5, "decoding_time": 0.25}),
        Row("b.png", 1, 300, 0.3, {"psnr": 27.0, "ms_ssim": 0.92, "encoding_time": 0.7, "decoding_time": 0.35}),
    ]
    estimate = Row("a.png", 2, 100.5, 0.1, {"psnr": 25.5, "ms_ssim": 0.89})
    full = Entry("JPEG XL", "peer", {"libjxl": "0.12"}, [1], rows)
    return Record(["a.png", "b.png"], {"JPEG XL": full, "net": Entry("net", "float", {}, [2], [estimate])})


def test_tsv(record, tmp_path):
    write_tsv(record, tmp_path / "results.tsv")
    assert (tmp_path / "results.tsv").read_text() == (
        "codec\timage\tquality\tbytes\tbpp\tpsnr\tms_ssim\tencoding_time\tdecoding_time\n"
        "JPEG XL\ta.png\t1\t100\t0.1\t25.0\t0.88\t0.5\t0.25\n"
        "JPEG XL\tb.png\t1\t300\t0.3\t27.0\t0.92\t0.7\t0.35\n"
        "net\ta.png\t2\t100.5\t0.1\t25.5\t0.89\t\t\n"
    )


def test_tsv_of_a_wild_name(tmp_path):
    entry = Entry("c", "peer", {}, [1], [Row("a\tb\n.png", 1, 1, 0.1, {})])
    write_tsv(Record(["a\tb\n.png"], {"c": entry}), tmp_path / "results.tsv")
    assert (tmp_path / "results.tsv").read_text().splitlines()[1:] == ["c\ta\\tb\\n.png\t1\t1\t0.1"]


def test_compressai(record, tmp_path):
    write_compressai(record, tmp_path / "compressai")
    (file,) = (tmp_path / "compressai").iterdir()
    assert file.name == "jpeg-xl.json"
    assert json.loads(file.read_text()) == {
        "name": "JPEG XL",
        "description": "Means over 2 images; libjxl 0.12",
        "results": {
            "quality": [1],
            "bpp": [pytest.approx(0.2)],
            "psnr-rgb": [26.0],
            "ms-ssim-rgb": [pytest.approx(0.9)],
            "encoding_time": [pytest.approx(0.6)],
            "decoding_time": [pytest.approx(0.3)],
        },
    }
