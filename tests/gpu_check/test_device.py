"""Traces of the device under test, and of the CPU in its place."""

import os

import pytest
import torch


def test_calls_are_told_apart_by_markers(benchmark_script):
    device = benchmark_script("gpu.device")
    marker = f"at::cuda::(anonymous namespace)::{device.MARKER}(long)"
    names = ["lost", marker, "a", "b", marker, marker, "a"]
    calls = device.in_calls([device.Activity(name, 1.0) for name in names])
    assert [[activity.name for activity in call] for call in calls] == [["a", "b"], [], ["a"]]


def traced(session, device, monkeypatch, calls):
    """The trace of calls of these names and seconds."""
    marker = device.Activity(device.MARKER, 1.0)
    seen = [activity for call in calls for activity in (marker, *(device.Activity(*each) for each in call))]
    monkeypatch.setattr(session.device, "_profiled", lambda work, calls: seen)
    return session.device.trace(lambda: None)


def test_a_trace_is_of_the_last_calls(session, benchmark_script, monkeypatch):
    device = benchmark_script("gpu.device")
    calls = [[("a", i), ("b", 10 * i), ("a", 100 * i)] for i in (1, 2, 3, 5, 4)]
    calls[3] = [("b", 50), ("a", 5), ("a", 500)]  # of another stream
    found = traced(session, device, monkeypatch, [[], [("a", 9)], *calls])
    assert found == [device.Activity("a", 3), device.Activity("b", 30), device.Activity("a", 300)]


@pytest.mark.parametrize(
    ("calls", "why"),
    [
        ([[("a", 1)]] * 4, "saw 1, 1, 1, 1 kernels and copies, not 5 equal calls"),
        ([[("a", 1)]] * 4 + [[("b", 1)]], "not 5 equal calls"),
        ([[("a", 1)]] * 4 + [[("a", 1)] * 2], "saw 1, 1, 1, 1, 2 kernels"),
        ([[]] * 7, "saw 0, 0, 0, 0, 0 kernels"),
        ([], "saw no kernels"),
        ([[("a", 1), ("b", 2)]] * 6 + [[("a", 1), ("b", 0.0)]], "has no times of some kernels"),
    ],
)
def test_traces_that_cannot_be(session, benchmark_script, monkeypatch, calls, why):
    with pytest.raises(RuntimeError, match=why):
        traced(session, benchmark_script("gpu.device"), monkeypatch, calls)


def test_the_stand_in_is_traced(session):
    assert "aten::ones" in [activity.name for activity in session.device.trace(lambda: torch.ones(2))]


@pytest.mark.parametrize("before", [None, "1"])
def test_the_environment_is_as_it_was(session, benchmark_script, monkeypatch, before):
    variable = benchmark_script("gpu.device").GRAPHS
    monkeypatch.delenv(variable, raising=False)
    if before:
        monkeypatch.setenv(variable, before)
    with session.device.one_by_one():
        assert os.environ[variable] == "0"
    assert os.environ.get(variable) == before
