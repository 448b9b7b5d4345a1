"""What benchmarks/record.py and its suites make of what they measured."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def record(benchmark_script):
    return benchmark_script("record")


def a_test(name, median, minimum, **info):
    return {"fullname": name, "group": "compress", "stats": {"median": median, "min": minimum}, "extra_info": info}


def test_merged(record):
    """A test that was not in all runs is there with those that it was in."""
    first = [a_test("a", 3.0, 2.0, side="avx2"), a_test("b", 9.0, 8.0, side="scalar")]
    others = [[a_test("a", 5.0, 1.5, side="avx2")], [a_test("a", 4.0, 3.5, side="avx2")]]
    assert record.merged([first, *others]) == [
        {"task": "compress", "side": "avx2", "seconds": 4.0, "best": 1.5, "runs": [3.0, 5.0, 4.0]},
        {"task": "compress", "side": "scalar", "seconds": 9.0, "best": 8.0, "runs": [9.0]},
    ]


def test_merged_with_the_float_network_in_turn(record):
    """The ratio is of one run's medians, then the median of the runs."""
    runs = [
        [a_test("a", 2.0, 1.0, eager=[8.0, 6.0, 99.0])],
        [a_test("a", 5.0, 1.0, eager=[30.0, 10.0, 5.0])],
        [a_test("a", 1.0, 1.0, eager=[7.0, 7.0, 7.0])],
    ]
    (row,) = record.merged(runs)
    assert row["eager"] == [8.0, 10.0, 7.0]
    assert row["faster"] == 4.0


def test_a_quick_run_has_no_results(record, capsys):
    with pytest.raises(SystemExit):
        record.main([str(record.RESULTS / "epyc"), "--quick"])
    assert "no results to keep" in capsys.readouterr().err


def test_unknown_suite(record, capsys):
    with pytest.raises(SystemExit):
        record.main(["results", "sped"])
    assert "there is no suite sped; there are speed, kernels" in capsys.readouterr().err


def test_a_suite_is_no_folder(record, capsys):
    with pytest.raises(SystemExit):
        record.main(["kernels", "scaling"])
    assert "the machine's folder comes first" in capsys.readouterr().err


def test_machines_do_not_mix(record, capsys):
    with pytest.raises(SystemExit):
        record.main([str(record.RESULTS), "kernels"])
    assert "a folder of its own" in capsys.readouterr().err


def test_what_fails_is_said(record, benchmark_script, monkeypatch, tmp_path, capsys):
    """The other suites are recorded all the same."""
    rows = [{"isa": "avx2", "side": 128, "instructions_per_pixel": 1234.4}]
    monkeypatch.setitem(record.SUITES, "instructions", lambda options: rows)

    def fail(options):
        raise record.NotRecordedError("no module")

    monkeypatch.setitem(record.SUITES, "kernels", fail)
    monkeypatch.setattr(record, "commit", lambda: "0" * 40)
    assert record.main([str(tmp_path), "kernels", "instructions"]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["instructions.json"]
    printed = capsys.readouterr()
    assert "| `avx2` | 1234 |" in printed.out
    assert printed.err == "not recorded: kernels: no module\n"


def test_no_valgrind(record, benchmark_script, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="valgrind is not installed"):
        benchmark_script("instructions").measure(None)


def test_counted(benchmark_script):
    counted = benchmark_script("instructions").counted
    assert counted("==7== \n==7== I   refs:      1,234,567\n") == 1234567
    with pytest.raises(ValueError, match="counted nothing"):
        counted("valgrind: no such tool")


def test_memory(benchmark_script):
    memory = benchmark_script("scaling").memory
    status = "VmHWM:\t    2048 kB\nVmRSS:\t      16 kB\n"
    assert (memory(status, "VmHWM"), memory(status, "VmRSS")) == (2 << 20, 16 << 10)
    with pytest.raises(ValueError, match="on Linux"):
        memory("", "VmHWM")


def test_picture(benchmark_script, tmp_path):
    """The photograph, then its mirror image, then itself again, either way."""
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    Image.fromarray(pixels).save(tmp_path / "small.png")
    made = benchmark_script("pictures").picture(tmp_path / "small.png", 8, 5)
    np.testing.assert_array_equal(made, pixels[[0, 1, 1, 0, 0]][:, [0, 1, 2, 2, 1, 0, 0, 1]])


@pytest.mark.parametrize(("target", "quality"), [(0, 0), (354, 25), (356, 26), (1100, 100), (9999, 100)])
def test_nearest_quality(benchmark_script, target, quality):
    script = benchmark_script("bench_codec")
    assert script.nearest_quality(lambda quality: 100 + 10 * quality, target, 0, 100) == quality
