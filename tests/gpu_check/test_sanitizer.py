"""The verdicts of compute-sanitizer."""

import dataclasses

import pytest


@pytest.mark.parametrize(
    ("summary", "status", "clean"),
    [
        ("ERROR SUMMARY: 0 errors", 0, True),
        ("RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)", 0, True),
        ("ERROR SUMMARY: 12 errors", 0, False),
        ("RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)", 0, False),
        ("ERROR SUMMARY: 0 errors", 1, False),
        ("nothing", 0, False),
    ],
)
def test_sanitizer(benchmark_script, session, fake_program, summary, status, clean):
    guards = 'echo "guards: $PYTORCH_NO_CUDA_MEMORY_CACHING$TREENET_FAST_CUDA_GUARDS"'
    program = fake_program("compute-sanitizer", f"========= {summary}", status, guards)
    verdicts = []
    benchmark_script("gpu.sanitizer").check(session, program, verdicts)
    assert [(verdict.tool, verdict.clean) for verdict in verdicts] == [("memcheck", clean), ("racecheck", clean)]
    assert (summary in verdicts[0].report) != clean
    assert clean or "--small-case --dry-run" in verdicts[1].report
    assert clean or "guards: 11" in verdicts[1].report


def test_sanitizer_that_takes_too_long(benchmark_script, session, tmp_path):
    session.scale = dataclasses.replace(session.scale, sanitizer_seconds=0.05)
    program = tmp_path / "compute-sanitizer"
    program.write_text("#!/bin/sh\nexec sleep 20\n")
    program.chmod(0o755)
    verdicts = []
    benchmark_script("gpu.sanitizer").check(session, str(program), verdicts)
    assert verdicts == []
    assert (None, "compute-sanitizer memcheck", "it took more than 0 s") in session.not_run


def test_the_sanitizers_case(script):
    assert script.main(["--dry-run", "--small-case"]) == 0
