"""The tables beside what the paper prints, and the command that prints them."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from treenet_fast.cli import main
from treenet_fast.evaluation.complexity import NOTES, PUBLISHED_CODECS, PUBLISHED_MODULES, tables
from treenet_fast.model import TreeNet
from treenet_fast.model.blocks import convolution
from treenet_fast.model_layout import CHANNELS


@pytest.fixture(scope="module")
def counted():
    return tables(TreeNet())


def codec(counted, name, source):
    (row,) = (row for row in counted.codecs if (row.codec, row.source) == (name, source))
    return row


def test_modules_are_near_the_published_ones(counted):
    for row in counted.modules:
        kmacs, millions = PUBLISHED_MODULES[row.module]
        assert row.published_kmacs_per_pixel == kmacs
        assert row.kmacs_per_pixel == pytest.approx(kmacs, abs=0.0075)
        assert row.published_parameters == millions
        bottlenecks = 4 if row.module == "h_ep" else 1
        assert row.parameters / 1e6 == pytest.approx(bottlenecks * millions, abs=bottlenecks * 0.0115)


def test_what_the_notes_say(counted):
    rows = {row.module: row for row in counted.modules}
    assert "0.80 kMAC/px in the row of h_ep and 0.44 in that of context" in NOTES[0]
    assert (f"{rows['context'].kmacs_per_pixel:.2f}", f"{rows['h_ep'].kmacs_per_pixel:.2f}") == ("0.80", "0.44")
    assert "51.08" in NOTES[-1]
    assert PUBLISHED_CODECS["TreeNet"][1] == 51.08
    assert "51.98" in NOTES[-1]
    summed = codec(counted, "TreeNet", "sums of published rows")
    assert (summed.encoder, summed.decoder) == pytest.approx((9.32, 51.98))


def test_codecs(counted):
    own = codec(counted, "treenet_fast", "counted")
    assert (own.encoder, own.decoder, own.both) == pytest.approx((9.33, 51.99, 61.32), abs=0.01)
    gdn = {row.what: row.kmacs_per_pixel for row in counted.left_out if row.what.startswith("GDN")}
    whole = codec(counted, "treenet_fast with GDN", "counted")
    assert whole.encoder == pytest.approx(own.encoder + gdn["GDN of g_a"])
    assert whole.decoder == pytest.approx(own.decoder + gdn["GDN of g_s"])
    # The paper's own sum, of which TreeNet's 60.4 are 87.82 % less
    assert codec(counted, "JPEG AI", "published").both == pytest.approx(495.99)
    assert 1 - codec(counted, "TreeNet", "published").both / 495.99 == pytest.approx(0.8782, abs=1e-4)


def test_a_changed_layer_changes_the_tables(counted):
    model = TreeNet()
    model.bottleneck[2].context = convolution(CHANNELS, 2 * CHANNELS, 3)  # in the place of 5x5
    changed = tables(model)
    fewer = 2 * CHANNELS * CHANNELS * (5 * 5 - 3 * 3)
    before, after = ({row.module: row for row in table.modules} for table in (counted, changed))
    assert after["context"].parameters == before["context"].parameters - fewer
    assert after["context"].kmacs_per_pixel == pytest.approx(before["context"].kmacs_per_pixel - fewer / 256 / 1000)
    for side in ("encoder", "decoder"):
        old, new = (getattr(codec(table, "treenet_fast", "counted"), side) for table in (counted, changed))
        assert new == pytest.approx(old - fewer / 256 / 1000)
    assert codec(changed, "SLIC", "published") == codec(counted, "SLIC", "published")


def test_command(counted, tmp_path, capsys):
    assert main(["complexity", "--json", str(tmp_path / "complexity.json")]) == 0
    assert json.loads((tmp_path / "complexity.json").read_text()) == json.loads(json.dumps(asdict(counted)))
    lines = capsys.readouterr().out.splitlines()
    assert ["g_s", "49.886", "49.89", "0.857", "0.86"] in [line.split() for line in lines]
    assert "JPEG AI, published                277.16   218.83  495.99" in lines
    assert "treenet_fast, counted               9.33    51.99   61.32" in lines
    assert ["GDN", "of", "g_s", "1.8480", "0.1680", "–"] in [line.split() for line in lines]
    assert lines[-len(NOTES) :] == [f"- {note}" for note in NOTES]


def test_the_documentation_shows_what_the_command_prints(capsys):
    assert main(["complexity"]) == 0
    page = Path(__file__).parents[2] / "docs" / "studies.md"
    assert f"```text\n{capsys.readouterr().out}```\n" in page.read_text()


def test_json_that_cannot_be_written(tmp_path, capsys):
    assert main(["complexity", "--json", str(tmp_path / "none" / "complexity.json")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "No such file or directory" in captured.err
