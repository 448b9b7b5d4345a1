"""The command `treenet-fast train`."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from treenet_fast.training import checkpoint
from treenet_fast.training.environment import local_rank
from treenet_fast.training.options import CHOICES, Options
from treenet_fast.training.trainer import train

_HELP = {
    "initial": "float checkpoint to start from (default: random weights)",
    "resume": "go on from the checkpoint in OUT, with its options where no others are given",
    "evaluation": "folder of images to evaluate on (default: the first few of IMAGES, which are then held back)",
    "evaluation_images": "how many images an evaluation takes",
    "evaluate_every": "steps between evaluations",
    "loss": "mse, or mixed with 240 times 1 - MS-SSIM",
    "lambdas": "weights of the gain points, rising, with commas between (default: the checkpoint's)",
    "quantised": "train the network as the integer codec computes it",
    "revive": "start channels of the latents that carry nothing anew",
    "rounding": "how latents become integers",
    "steps": "steps of the whole run",
    "batch": "crops a step, on each device",
    "crop": "width and height of a crop",
    "learning_rate": "at its plateau",
    "warm_up": "steps up to the plateau",
    "rate_warm_up": "steps in which the rate's share of the loss grows from a tenth to the whole",
    "decay": "last steps, in which the learning rate falls to zero",
    "optimiser": "soap or adam",
    "refine_every": "steps between refinements of SOAP's bases",
    "clip": "largest norm of the gradient",
    "average": "decay of the moving average of the weights",
    "precision": "of the transforms on the device",
    "compiled": "run the float network through torch.compile",
    "graph": "run each step as a CUDA graph, the same training in less time",
    "device": "cpu, cuda, cuda:1 (default: a GPU if there is one)",
    "threads": "of PyTorch on a CPU",
    "seed": "of weights, crops and noise",
    "save_every": "steps between checkpoints",
    "report_every": "steps between rows of the log",
}
_TYPES: dict[str, Any] = {"initial": Path, "evaluation": Path, "threads": int, "device": str}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One argument for each field of `Options`; those that are not given are left out of the result."""
    parser.add_argument("images", metavar="IMAGES", type=Path, help="a folder of photographs, and all below it")
    parser.add_argument("out", metavar="OUT", type=Path, help="the folder of the run: checkpoint and logs")
    for field in fields(Options):
        if field.name not in _HELP:
            continue
        flag, text = "--" + field.name.replace("_", "-"), _HELP[field.name]
        if isinstance(field.default, bool):
            parser.add_argument(flag, action="store_true", default=argparse.SUPPRESS, help=text)
            continue
        if field.default is not None:
            text += f" (default: {field.default})"
        keywords: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text}
        if field.name in CHOICES:
            keywords["choices"] = get_args(CHOICES[field.name])
        elif field.name == "lambdas":
            keywords["type"] = _numbers
        else:
            keywords["type"] = _TYPES.get(field.name, type(field.default))
        parser.add_argument(flag, **keywords)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} are no numbers with commas between") from None


def run(arguments: argparse.Namespace) -> int:
    """Train with the parsed arguments; the exit status."""
    known = {field.name for field in fields(Options)}
    given = {name: value for name, value in vars(arguments).items() if name in known}
    # A run that is resumed keeps the options that it was started with, but for those that are given anew.
    before = checkpoint.options_of(arguments.out) if given.get("resume") else {}
    master = train(Options(**{**before, **given}))
    if not local_rank():
        print(f"{master}: the network; `treenet-fast export` makes a model file of it")
    return 0
