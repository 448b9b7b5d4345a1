"""benchmarks/gpu_check.py where there is no GPU: the CPU stands in for one."""

import pytest


@pytest.fixture
def script(benchmark_script):
    return benchmark_script("gpu_check")


@pytest.fixture
def run(benchmark_script):
    return benchmark_script("gpu.run")


@pytest.fixture
def session(run):
    return run.Session.start(run.StandIn(run.LAUNCHES), run.TINY, None, minutes=60)


@pytest.fixture
def only(run, monkeypatch):
    """Restricts the command to some of its sections, or to other ones that begin with an empty list."""
    everything = run.sections

    def choose(*names, **others):
        def some(session):
            known = everything(session)
            return {name: known[name] for name in names} | {name: ([], work) for name, work in others.items()}

        monkeypatch.setattr(run, "sections", some)

    return choose


@pytest.fixture
def fake_program(tmp_path):
    """Makes a program that prints its arguments, runs a command, and prints an output."""

    def make(name, output, status=0, command="true"):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\necho \"$@\"\n{command}\ncat <<'END'\n{output}\nEND\nexit {status}\n")
        path.chmod(0o755)
        return str(path)

    return make
