"""The models in the package are made from the checkpoints under weights/."""

from pathlib import Path

import numpy as np
import pytest

from treenet_fast import models
from treenet_fast.quantise import load_quantised

WEIGHTS = Path(__file__).parents[2] / "weights"


@pytest.mark.parametrize("name", models.names())
def test_model_is_made_from_its_checkpoint(name):
    """But for the last bit of an exponential or a logarithm, in which PyTorch's builds may differ."""
    made = load_quantised(WEIGHTS / f"{name}.safetensors").tensors()
    shipped = models.load(name).tensors
    assert made.keys() == shipped.keys()
    for tensor, expected in shipped.items():
        if expected.dtype.kind == "f":
            assert np.allclose(made[tensor], expected, rtol=1e-5), tensor
        else:
            difference = np.abs(made[tensor].astype(np.int64) - expected)
            assert difference.max() <= 1, tensor
            assert np.count_nonzero(difference) <= max(2, difference.size // 1000), tensor


@pytest.mark.parametrize("name", models.names())
def test_log_of_its_training(name):
    lines = (WEIGHTS / f"{name}.csv").read_text().splitlines()
    assert lines[0].startswith("kind,step,images,seconds,quality,loss")
    assert lines[-1].startswith("evaluate,")


def test_checkpoints_stay_small():
    assert all(file.stat().st_size < 6_000_000 for file in WEIGHTS.glob("*.safetensors"))
