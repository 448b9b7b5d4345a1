import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import treenet_fast

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "chelsea.png"


@pytest.fixture(scope="session")
def photograph():
    """u8 `[300, 451, 3]`; not to be written to."""
    with Image.open(EXAMPLE) as image:
        pixels = np.asarray(image)
    assert not pixels.flags.writeable
    return pixels


@pytest.fixture(scope="session")
def thumbnail(photograph):
    """u8 `[37, 50, 3]`: the photograph made small."""
    return photograph[4:300:8, 20:420:8].copy()


@pytest.fixture(scope="session")
def thumbnail_stream(thumbnail):
    return treenet_fast.compress(thumbnail)


@pytest.fixture
def benchmark_script():
    """Imports a module of benchmarks/ by name, anew for each test."""
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(ROOT / "benchmarks")):
            del sys.modules[name]
