"""How many CPUs this process may use: of those that it is confined to, as many as it is given the time of."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

# A quota and its period in microseconds; without a quota there is "max" (v2) or -1 (v1) in its place.
_QUOTA = re.compile(r"([0-9]{1,18})\s+([0-9]{1,18})\s*")


def usable() -> int:
    """The CPUs of the affinity mask, or fewer where a quota of the process's cgroup allows fewer at a time."""
    # Not every system has affinity masks.
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _own_quota()
    return cpus if quota is None else min(cpus, quota)


@cache  # it is asked for with each call that has no codec, and quotas hardly ever change
def _own_quota() -> int | None:
    return cgroup_quota(Path("/"))


def cgroup_quota(root: Path) -> int | None:
    """The least quota of CPUs among the cgroup of this process and its parents, rounded up; None if there is none.

    What cannot be read, or is not as the kernel writes it, is no quota.

    Args:
        root: of the system's files.
    """
    found = [_QUOTA.fullmatch(text) for text in _quotas(root)]
    cpus = [-(-int(quota[1]) // int(quota[2])) for quota in found if quota and int(quota[2])]
    return max(1, min(cpus)) if cpus else None


def _quotas(root: Path) -> Iterator[str]:
    """Quotas and periods as they are written; of cgroups that a container does not see, nothing."""
    mount = root / "sys" / "fs" / "cgroup"
    for line in _content(root / "proc" / "self" / "cgroup").split("\n"):
        hierarchy = re.fullmatch(r"[0-9]+:([^:]*):/(.*)", line)
        if hierarchy is None:
            continue
        controllers, names = hierarchy[1].split(","), hierarchy[2].split("/")
        if controllers == [""]:  # v2
            for folder in _with_parents(mount, names):
                yield _content(folder / "cpu.max")
        elif "cpu" in controllers:
            for folder in _with_parents(mount / "cpu", names):
                yield f"{_content(folder / 'cpu.cfs_quota_us')} {_content(folder / 'cpu.cfs_period_us')}"


def _with_parents(mount: Path, names: list[str]) -> Iterator[Path]:
    for depth in range(len(names) + 1):
        yield mount.joinpath(*names[:depth])


def _content(file: Path) -> str:
    try:
        return os.fsdecode(file.read_bytes())
    except (OSError, ValueError):  # a path that no file has
        return ""
