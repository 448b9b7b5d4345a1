"""The package is installed first, where that is asked for."""

import re

import torch

PTXAS = """\
ptxas info    : Compiling entry function '_ZN7treenet4cuda12fused_kernelEi' for 'sm_90'
ptxas info    : Function properties for _ZN7treenet4cuda12fused_kernelEi
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 96 registers, used 1 barriers"""


def test_build(script, benchmark_script, monkeypatch, tmp_path, fake_program, capfd):
    build = benchmark_script("gpu.build")
    command = build.pip(dry_run=True)
    assert command[1:4] == ["-m", "pip", "install"]
    assert command[-1] == str(build.ROOT)
    assert {"--no-build-isolation", "--no-deps", "cmake.define.TREENET_CUDA=ON"} < set(command)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    assert "cmake.define.CMAKE_CUDA_ARCHITECTURES=90-real" in build.pip(dry_run=False)

    script_of_next = tmp_path / "next.py"
    script_of_next.write_text("import sys\nprint('goes on with', *sys.argv[1:])\nsys.exit(7)\n")
    monkeypatch.setattr(build, "SCRIPT", script_of_next)
    monkeypatch.setattr(build, "pip", lambda dry_run: [fake_program("pip", PTXAS)])
    assert script.main(["--build", "--dry-run", "--minutes", "3"]) == 7
    shown = capfd.readouterr().out
    assert re.search(r"sm_90 +fused_kernel +96 +0 +0 +0 +0\n", shown)
    assert re.search(r"goes on with --dry-run --minutes 3 --minutes (2\.\d\d|3\.00)\n", shown)

    monkeypatch.setattr(build, "pip", lambda dry_run: [fake_program("pip", "no compiler", status=1)])
    assert script.main(["--build", "--dry-run"]) == 1
    assert "no compiler\n\nerror: the package could not be installed" in capfd.readouterr().err
