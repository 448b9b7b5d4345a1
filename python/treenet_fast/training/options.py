"""What a training run leaves to choose."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from treenet_fast.errors import TreeNetError
from treenet_fast.model.bottleneck import Rounding

Loss = Literal["mse", "mixed"]
Optimiser = Literal["soap", "adam"]
Precision = Literal["float32", "bfloat16"]

#: A multiple of what the hyper-latents are smaller by than the image.
CROP_MULTIPLE = 64


CHOICES = {"loss": Loss, "rounding": Rounding, "optimiser": Optimiser, "precision": Precision}


class TrainingError(TreeNetError):
    """What keeps a training run from starting or going on; the message says what to do."""


@dataclass(frozen=True)
class Options:
    """A training run.

    Attributes:
        images: a folder of photographs, searched with all below it.
        out: the folder of the run: checkpoint, log and TensorBoard events.
        initial: a float checkpoint to start from; None starts from random weights.
        resume: go on from the checkpoint in `out`.
        evaluation: a folder of images to evaluate on, which are not trained on where they lie below `images`; None
            holds back the first `evaluation_images` of `images`. Of a large image the middle 768x768 are taken.
        evaluation_images: how many images an evaluation takes.
        evaluate_every: steps between evaluations.
        loss: `"mse"`, or `"mixed"`: l1 * MSE + 240 * l1 * (1 - MS-SSIM), as the paper has it.
        lambdas: the weights l1 of the gain points; None keeps those of the initial checkpoint or the default.
        quantised: train the network as the integer codec computes it.
        revive: start channels of the latents that carry nothing anew, see `revival`.
        rounding: how latents become integers, see `model.bottleneck.Rounding`.
        steps: how many steps the whole run has.
        batch: crops a step, on each device.
        crop: width and height of a crop, a multiple of 64.
        learning_rate: at its plateau.
        warm_up: steps from zero to the plateau.
        rate_warm_up: steps in which the rate's share of the loss grows from a tenth to the whole: what does not pay for
            its bits yet has time to learn to.
        decay: last steps of the run, from the plateau linearly to zero.
        optimiser: `"soap"` or `"adam"`.
        refine_every: steps between two refinements of SOAP's bases, the part of it that a GPU is slow at.
        clip: the largest norm of the gradient.
        average: decay of the moving average of the weights, which is what is evaluated and exported.
        precision: of the transforms; entropy models are always float32.
        compiled: run the float network through `torch.compile`.
        graph: run each step's forward and backward pass as a CUDA graph, see `graph`. It is the same training.
        device: `"cpu"`, `"cuda"`, `"cuda:1"`; None takes a GPU if there is one.
        threads: of PyTorch on a CPU; None leaves its choice.
        seed: of initial weights, crops and noise.
        save_every: steps between checkpoints.
        report_every: steps between rows of the log.
    """

    images: Path
    out: Path
    initial: Path | None = None
    resume: bool = False
    evaluation: Path | None = None
    evaluation_images: int = 8
    evaluate_every: int = 1000
    loss: Loss = "mse"
    lambdas: tuple[float, ...] | None = None
    quantised: bool = False
    revive: bool = False
    rounding: Rounding = "straight_through"
    steps: int = 100_000
    batch: int = 16
    crop: int = 256
    learning_rate: float = 5e-4
    warm_up: int = 100
    rate_warm_up: int = 0
    decay: int = 20_000
    optimiser: Optimiser = "soap"
    refine_every: int = 10
    clip: float = 1.0
    average: float = 0.999
    precision: Precision = "float32"
    compiled: bool = False
    graph: bool = False
    device: str | None = None
    threads: int | None = None
    seed: int = 0
    save_every: int = 1000
    report_every: int = 50

    def __post_init__(self) -> None:
        self._convert()
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in get_args(allowed):
                raise TrainingError(f"{name} is one of {', '.join(get_args(allowed))}, not {getattr(self, name)!r}")
        for name in (
            "steps",
            "batch",
            "evaluation_images",
            "evaluate_every",
            "save_every",
            "report_every",
            "refine_every",
        ):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.threads is not None and self.threads < 1:
            raise TrainingError(f"threads must be at least 1, not {self.threads}")
        if self.crop < CROP_MULTIPLE or self.crop % CROP_MULTIPLE:
            raise TrainingError(f"crop must be a multiple of {CROP_MULTIPLE}, not {self.crop}")
        if self.loss == "mixed" and self.crop < 2 * CROP_MULTIPLE:
            raise TrainingError("MS-SSIM has five scales, which need a crop of at least 128")
        if self.rate_warm_up < 0:
            raise TrainingError(f"rate_warm_up must be at least 0, not {self.rate_warm_up}")
        if self.warm_up < 0 or self.decay < 0 or self.warm_up + self.decay > self.steps:
            raise TrainingError(f"warm_up and decay, {self.warm_up} + {self.decay}, must fit into {self.steps} steps")
        if not self.learning_rate > 0 or not self.clip > 0:
            raise TrainingError("learning_rate and clip must be above 0")
        if not 0 <= self.average < 1:
            raise TrainingError(f"average must be in 0..1, and below 1, not {self.average}")
        if self.lambdas is not None and (
            len(self.lambdas) < 2 or min(self.lambdas) <= 0 or sorted(set(self.lambdas)) != list(self.lambdas)
        ):
            raise TrainingError("lambdas must be two or more positive numbers that rise")
        if self.quantised and self.precision != "float32":
            raise TrainingError("a quantised network has integers of 16 bits and more: train it in float32")
        if self.quantised and self.compiled:
            raise TrainingError("a quantised network cannot be compiled: leave out one of the two")
        if self.graph and self.compiled:
            raise TrainingError("a compiled network is not recorded as a graph: leave out one of the two")
        if self.revive and self.initial is None and not self.resume:
            raise TrainingError("revive needs an initial checkpoint: random weights have no dead channels")
        if self.resume and self.initial is not None:
            raise TrainingError("a run is resumed from its own checkpoint: leave out the initial one")

    def _convert(self) -> None:
        """Paths, whole numbers and finite floats from whatever stands for them, numpy's kinds included."""
        for field in fields(self):
            value = getattr(self, field.name)
            kind = str(field.type).removesuffix(" | None")
            if value is None and field.default is None:
                continue
            try:
                if kind == "Path":
                    value = Path(value)
                elif kind == "int":
                    value = operator.index(value)
                elif kind == "float":
                    value = _finite(value)
                elif field.name == "lambdas":
                    value = tuple(_finite(x) for x in value)
            except (TypeError, ValueError) as error:
                raise TrainingError(f"{field.name} is {value!r}, which is no {kind}") from error
            object.__setattr__(self, field.name, value)

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of `step`, counted from 0: linear warm-up, plateau, linear decay."""
        factor = 1.0
        if step < self.warm_up:
            factor = (step + 1) / self.warm_up
        elif step >= self.steps - self.decay:
            factor = (self.steps - step) / self.decay
        return self.learning_rate * factor

    def rate_share_at(self, step: int) -> float:
        """The factor of the rate in the loss at `step`, counted from 0."""
        return min(1.0, 0.1 + 0.9 * step / self.rate_warm_up) if self.rate_warm_up else 1.0


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number
