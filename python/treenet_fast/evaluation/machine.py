"""What times were measured on."""

from __future__ import annotations

import platform
import re
from pathlib import Path


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The name of the processor, or where the system keeps it to itself its architecture."""
    found = None
    if cpuinfo.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(errors="replace"), re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()
