"""The README's tables say what the committed results say."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import tables

    yield tables
    del sys.modules["tables"]


def test_tables_are_current(tables):
    text = (ROOT / "README.md").read_text()
    assert tables.renewed(text) == text


def test_tables_follow_the_results(tables, tmp_path, monkeypatch):
    changed = tmp_path / "exactness.json"
    changed.write_text(tables.EXACTNESS.read_text().replace('"psnr": 2', '"psnr": 3'))
    monkeypatch.setattr(tables, "EXACTNESS", changed)
    text = (ROOT / "README.md").read_text()
    assert tables.renewed(text) != text
