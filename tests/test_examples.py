"""What the documentation shows is run: the README's commands and Python, and the examples in docstrings."""

import doctest
import importlib
import pkgutil
import re
import shutil
from pathlib import Path

import pytest

import treenet_fast
from treenet_fast.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)


def test_readme_python(clone, capsys):
    (program,) = blocks("python")
    exec(compile(program, "README.md", "exec"), {})
    assert re.fullmatch(r"451x300 at quality 60: \d\.\d\d bits per pixel\n", capsys.readouterr().out)


def test_readme_says_what_the_first_command_prints(clone, capsys):
    first, *_ = blocks("sh")
    command = first.split("treenet-fast ")[1].split()
    assert main(command) == 0
    (shown,) = re.findall(r"^examples/chelsea\.png -> .*$", README, re.MULTILINE)
    seconds = re.compile(r"\d+\.\d\d s$")
    assert seconds.sub("", capsys.readouterr().out.strip()) == seconds.sub("", shown)


def test_the_checks_run_the_first_two_commands():
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    for block in blocks("sh")[:2]:
        (command,) = block.splitlines()
        assert command in script


MODULES = [module.name for module in pkgutil.walk_packages(treenet_fast.__path__, "treenet_fast.")]


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
