"""Training of the float network, and of the quantised one: `treenet-fast train`, or `train()` from Python."""

from treenet_fast.training.options import Options
from treenet_fast.training.trainer import train

__all__ = ["Options", "train"]
