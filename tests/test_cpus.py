import os

import pytest

import treenet_fast
from treenet_fast import Codec, _cpus

V2 = "0::/system.slice/a.service\n"
V1 = "9:name=systemd:/\n4:cpuset:/a/b\n3:cpu,cpuacct:/a/b\n"
HYBRID = V1 + "0::/a/b\n"


def system(root, cgroup, files):
    """Files of a system, those of cgroups by their paths under the mount."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(cgroup)
    for name, text in files.items():
        file = root / "sys" / "fs" / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def v1(folder, quota, period="100000\n"):
    return {f"{folder}/cpu.cfs_quota_us": quota, f"{folder}/cpu.cfs_period_us": period}


QUOTAS = {
    "whole": (V2, {"system.slice/a.service/cpu.max": "200000 100000\n"}, 2),
    "rounded up": (V2, {"system.slice/a.service/cpu.max": "250000 100000\n"}, 3),
    "less than one": (V2, {"system.slice/a.service/cpu.max": "1000 100000\n"}, 1),
    "of a parent": (V2, {"system.slice/a.service/cpu.max": "max 100000\n", "system.slice/cpu.max": "30000 10000\n"}, 3),
    "the parent's is less": (
        V2,
        {"system.slice/a.service/cpu.max": "800000 100000\n", "system.slice/cpu.max": "400000 100000\n"},
        4,
    ),
    "the parent's is more": (
        V2,
        {"system.slice/a.service/cpu.max": "400000 100000\n", "system.slice/cpu.max": "800000 100000\n"},
        4,
    ),
    "a container's": ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
    "a container's, by its name outside": ("0::/docker/1234\n", {"cpu.max": "150000 100000\n"}, 2),
    "v1": (V1, v1("cpu/a/b", "250000\n"), 3),
    "v1, of a parent": (V1, v1("cpu/a/b", "-1\n") | v1("cpu/a", "50000\n", "10000\n") | v1("cpu", "-1\n"), 5),
    "v1, a container's, by its name outside": (V1, v1("cpu", "200000\n"), 2),
    "v1 beside v2": (HYBRID, v1("cpu/a/b", "200000\n") | {"unified/a/b/cgroup.procs": ""}, 2),
    "a colon in the name": ("0::/a:b\n", {"a:b/cpu.max": "200000 100000\n"}, 2),
}


@pytest.mark.parametrize("case", QUOTAS)
def test_quotas(case, tmp_path):
    cgroup, files, cpus = QUOTAS[case]
    assert _cpus.cgroup_quota(system(tmp_path, cgroup, files)) == cpus


NONE = {
    "v2": (V2, {"system.slice/a.service/cpu.max": "max 100000\n", "system.slice/cpu.max": "max 100000\n"}),
    "v1": (V1, v1("cpu/a/b", "-1\n")),
    "no files": (V2, {}),
    "v1 without a period": (V1, {"cpu/a/b/cpu.cfs_quota_us": "200000\n"}),
    "of a sibling": (V2, {"system.slice/b.service/cpu.max": "200000 100000\n"}),
    "of another controller": ("4:cpuset:/a\n", v1("cpu/a", "200000\n") | {"cpu.max": "200000 100000\n"}),
    "no cgroups": ("", {"cpu.max": "200000 100000\n"}),
    "odd cgroups": ("cpu\n0:/\n::\nx::/\n0::a\n", {"cpu.max": "200000 100000\n"}),
    "a name that no file has": ("0::/\0\n", {}),
    "one number": ("0::/\n", {"cpu.max": "200000\n"}),
    "three numbers": ("0::/\n", {"cpu.max": "200000 100000 1\n"}),
    "negative": ("0::/\n", {"cpu.max": "-200000 100000\n"}),
    "a fraction": ("0::/\n", {"cpu.max": "2.5 1\n"}),
    "words": ("0::/\n", {"cpu.max": "two CPUs\n"}),
    "no period": ("0::/\n", {"cpu.max": "200000 0\n"}),
    "nothing": ("0::/\n", {"cpu.max": ""}),
    "a folder": ("0::/\n", {"cpu.max/cpu.max": ""}),
}


@pytest.mark.parametrize("case", NONE)
def test_no_quota(case, tmp_path):
    assert _cpus.cgroup_quota(system(tmp_path, *NONE[case])) is None


def test_no_system(tmp_path):
    assert _cpus.cgroup_quota(tmp_path) is None


@pytest.mark.parametrize(("affinity", "quota", "cpus"), [(8, 2, 2), (2, 8, 2), (3, None, 3), (40, None, 40)])
def test_the_smaller_of_affinity_and_quota(affinity, quota, cpus, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(affinity)))
    monkeypatch.setattr(_cpus, "_own_quota", lambda: quota)
    assert _cpus.usable() == cpus
    assert treenet_fast.backend_info().threads == Codec().threads == min(cpus, 16)


def test_without_affinity_masks(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(_cpus, "_own_quota", lambda: None)
    for count, cpus in ((5, 5), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        assert _cpus.usable() == cpus
