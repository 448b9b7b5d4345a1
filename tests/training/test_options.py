"""Options of a training run: what is refused, and the learning rate."""

from pathlib import Path

import numpy as np
import pytest

from treenet_fast.training.options import Options, TrainingError

FOLDERS = Path("photographs"), Path("run")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"loss": "psnr"}, "loss is one of mse, mixed"),
        ({"optimiser": "sgd"}, "optimiser is one of"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"crop": 100}, "multiple of 64"),
        ({"crop": 0}, "multiple of 64"),
        ({"crop": 64, "loss": "mixed"}, "at least 128"),
        ({"steps": 10, "warm_up": 6, "decay": 5}, "must fit into 10 steps"),
        ({"learning_rate": 0.0}, "above 0"),
        ({"clip": float("nan")}, "clip is nan"),
        ({"average": 1.0}, "average must be"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"steps": 1.5}, "steps is 1.5, which is no int"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'"),
        ({"initial": 3}, "initial is 3, which is no Path"),
        ({"lambdas": (0.01, float("inf"))}, "lambdas is"),
        ({"lambdas": 0.01}, "lambdas is"),
        ({"quantised": True, "compiled": True}, "cannot be compiled"),
        ({"graph": True, "compiled": True}, "not recorded"),
        ({"refine_every": 0}, "refine_every must be at least 1"),
        ({"lambdas": (0.01,)}, "two or more"),
        ({"lambdas": (0.02, 0.01)}, "rise"),
        ({"lambdas": (0.0, 0.01)}, "positive"),
        ({"quantised": True, "precision": "bfloat16"}, "train it in float32"),
        ({"revive": True}, "needs an initial checkpoint"),
        ({"rate_warm_up": -1}, "rate_warm_up must be"),
        ({"resume": True, "initial": Path("a.safetensors")}, "its own checkpoint"),
    ],
)
def test_refused(change, problem):
    with pytest.raises(TrainingError, match=problem):
        Options(*FOLDERS, **change)


def test_what_stands_for_paths_and_numbers():
    options = Options("photographs", "run", steps=np.int64(50_000), lambdas=np.geomspace(0.001, 0.1, 3))
    assert options == Options(*FOLDERS, steps=50_000, lambdas=(0.001, 0.01, 0.1))
    assert all(type(x) is float for x in options.lambdas)
    assert type(options.steps) is int


def test_learning_rate():
    options = Options(*FOLDERS, steps=10, warm_up=4, decay=4, learning_rate=0.8)
    rates = [options.learning_rate_at(step) for step in range(10)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.8, 0.6, 0.4, 0.2])


def test_share_of_the_rate():
    options = Options(*FOLDERS, rate_warm_up=10)
    assert [options.rate_share_at(step) for step in (0, 5, 10, 11)] == pytest.approx([0.1, 0.55, 1, 1])
    assert Options(*FOLDERS).rate_share_at(0) == 1
