"""The command without a GPU: a dry run of all of it, its sections, and the record that it writes."""

import json

import pytest
import torch


def test_dry_run(script, benchmark_script, tmp_path, capsys):
    """Every section is gone through, all is equal, and the tables can be made from what is written."""
    out = tmp_path / "gpu.json"
    assert script.main(["--dry-run", "--minutes", "60", "--commit", "0123456789abcdef", "--out", str(out)]) == 0
    assert "a dry run: nothing is shown" in capsys.readouterr().out
    record = json.loads(out.read_text())
    assert record["dry_run"]
    assert list(record["seconds"]) == [
        *("exactness", "paths", "throughput", "blocks", "sanitizer", "counters", "compiled_blocks", "compiled"),
    ]
    assert record["seconds"].keys() < record.keys()
    assert all(kind["cases"] > 0 for kind in record["exactness"])
    assert {entry["what"] for entry in record["not_run"]} <= {
        *("floors by arithmetic", "compute-sanitizer", "hardware counters"),
    }
    for row in record["blocks"]["stages"]:
        sides = ["treenet_fast", "floor"]
        if row["stage"] != "symbols":
            sides += ["float16 channels_last", "float32"]
        assert all(row[side] > 0 for side in sides)
    assert {call["task"] for call in record["blocks"]["calls"]} == {"compress", "decompress"}
    assert len(record["compiled_blocks"]) == len(record["blocks"]["stages"]) - 2
    assert all(row["float16 channels_last, compiled"] > 0 for row in record["compiled_blocks"])
    report = benchmark_script("gpu.report")
    text = report.in_short(record) + report.kernels(record)
    assert "| several threads | 6 of 6 |" in text
    assert "| decompress: synthesis.level3 and output | " in text
    assert "| compress: hyper analysis | " in text
    assert "float16 channels_last, `torch.compile` |" in text
    assert text.endswith("commit 0123456789.")


def test_a_dry_run_has_no_results(script):
    with pytest.raises(SystemExit):
        script.main(["--dry-run", "--out", str(script.RESULTS)])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu(script, capsys):
    assert script.main([]) == 1
    assert "no CUDA device" in capsys.readouterr().err


def test_a_section_that_fails_leaves_the_others(script, only, tmp_path, capsys):
    def fail(found):
        found.append("before")
        raise RuntimeError("an illegal memory access was encountered\nand more")

    only("throughput", paths=fail, later=lambda found: found.append(1))
    out = tmp_path / "gpu.json"
    assert script.main(["--dry-run", "--minutes", "60", "--out", str(out)]) == 1
    why = "RuntimeError: an illegal memory access was encountered"
    assert f"WRONG: paths broke off: {why}" in capsys.readouterr().err
    record = json.loads(out.read_text())
    assert {"section": "paths", "what": "paths", "why": why} in record["not_run"]
    assert (record["paths"], record["later"]) == (["before"], [1])


def test_nothing_is_begun_when_the_time_is_up(script, only, tmp_path):
    out = tmp_path / "gpu.json"
    script.main(["--dry-run", "--minutes", "0", "--out", str(out)])
    record = json.loads(out.read_text())
    assert not record["seconds"]
    assert {"section": "exactness", "what": "exactness", "why": "no time was left"} in record["not_run"]


def record_of(section, **changes):
    record = {"dry_run": False, "commit": "0123", "device": {"name": "GPU"}, "model": "mse", "quality": 50}
    return record | {"limits": {}, "seconds": {section: 1.0}, section: [section], "not_run": []} | changes


def test_sections_of_one_commit_and_device_are_merged(run):
    old = record_of("exactness", seconds={"exactness": 5.0, "paths": 6.0}, paths=["old"])
    notes = [{"section": name, "what": str(name), "why": "because"} for name in (None, "exactness", "paths")]
    new = record_of("exactness", seconds={}, limits={"bytes": 1.0})
    assert run.merged(old | {"not_run": notes}, new) == old | {"not_run": notes[1:]}


@pytest.mark.parametrize(
    "change", [{"commit": "4567"}, {"device": {"name": "other"}}, {"dry_run": True}, {"quality": 60}, {"model": "x"}]
)
def test_other_records_are_not_merged(run, change):
    with pytest.raises(ValueError, match=f"another {next(iter(change))}"):
        run.merged(record_of("exactness", **change), record_of("paths"))


def test_records_of_no_known_commit_are_not_merged(run):
    with pytest.raises(ValueError, match="another commit"):
        run.merged(record_of("exactness", commit=None), record_of("paths", commit=None))


def test_only(script, only, tmp_path, capsys):
    def later(found):
        found.append(len(calls))
        calls.append(1)

    calls, out = [], tmp_path / "gpu.json"
    only("exactness", later=later)
    command = ["--dry-run", "--minutes", "60", "--commit", "0123", "--out", str(out), "--only"]
    assert script.main([*command, "later"]) == 0
    assert json.loads(out.read_text())["later"] == [0]
    assert script.main([*command, "exactness,later"]) == 0
    record = json.loads(out.read_text())
    assert (record["later"], record["seconds"].keys()) == ([1], {"exactness", "later"})
    assert script.main([*command, "exactness"]) == 0
    record = json.loads(out.read_text())
    assert (record["later"], record["seconds"].keys()) == ([1], {"exactness", "later"})
    assert [entry["what"] for entry in record["not_run"]] == ["floors by arithmetic"]
    assert script.main([*command, "later", "--minutes", "0"]) == 0
    record = json.loads(out.read_text())
    assert (record["later"], record["seconds"].keys()) == ([1], {"exactness", "later"})
    assert record["not_run"][-1] == {"section": "later", "what": "later", "why": "no time was left"}
    assert script.main([*command, "later"]) == 0
    record = json.loads(out.read_text())
    assert (record["later"], len(record["not_run"])) == ([2], 1)
    before = out.read_text()
    assert script.main(["--dry-run", "--commit", "4567", "--out", str(out), "--only", "later"]) == 1
    assert "another commit (0123, not 4567)" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        script.main([*command, "latest"])
    assert "there is no section 'latest': use exactness, later" in capsys.readouterr().err
    assert out.read_text() == before
