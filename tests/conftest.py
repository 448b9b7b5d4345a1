from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import treenet_fast

EXAMPLE = Path(__file__).parents[1] / "examples" / "chelsea.png"


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
