"""The float TreeNet: what is trained, and what the integer model is made from."""

from treenet_fast.model.checkpoint import load_checkpoint, save_checkpoint
from treenet_fast.model.treenet import TreeNet, TreeNetOutput

__all__ = ["TreeNet", "TreeNetOutput", "load_checkpoint", "save_checkpoint"]
