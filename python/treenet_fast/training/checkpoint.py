"""The checkpoint of a run: all that is needed to go on as if it had never stopped, each part a file of its own."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from treenet_fast.training.options import Options, TrainingError

#: The moving average as a checkpoint in half precision, which costs less than training's own noise: what is exported.
MASTER = "master.safetensors"

_FOLDER = "checkpoint"
_OPTIONS = "options.json"


@dataclass
class Progress:
    """Where a run stands.

    Attributes:
        step: steps done.
        seconds: of training.
        generators: states of each process's random generators.
        recipe: options that a resumed run has to keep.
        lambdas: of the gain points.
    """

    step: int
    seconds: float
    generators: list[dict[str, Any]]
    recipe: dict[str, Any]
    lambdas: tuple[float, ...]


@dataclass
class State:
    """Everything that training changes: state dictionaries, and the progress."""

    weights: dict[str, Any]
    average: dict[str, Any]
    optimiser: dict[str, Any]
    progress: Progress


_PARTS = ("weights", "average", "optimiser")


def write_options(folder: Path, options: Options) -> None:
    """Keep the options of a run in its folder, as JSON.

    Raises:
        OSError: the folder cannot be written.
    """
    (folder / _OPTIONS).write_text(json.dumps(asdict(options), indent=2, default=str) + "\n")


def options_of(folder: Path) -> dict[str, Any]:
    """The options of the run in a folder that another session of it takes over.

    Raises:
        TrainingError: there is no run in it.
    """
    try:
        values: dict[str, Any] = json.loads((folder / _OPTIONS).read_text())
    except (OSError, ValueError) as error:
        raise TrainingError(f"{folder}: no run to resume: {error}") from error
    known = {field.name for field in fields(Options)} - {"initial", "resume"}
    return {name: value for name, value in values.items() if name in known}


def exists(folder: Path) -> bool:
    """Whether a run's folder holds a checkpoint."""
    return _current(folder) is not None


def save(folder: Path, state: State) -> None:
    """Write a checkpoint into a run's folder: at every moment a whole one is there, the old or the new.

    Raises:
        TrainingError: the disk is full, or the folder cannot be written.
    """
    new, current, old = folder / f"{_FOLDER}.new", folder / _FOLDER, folder / f"{_FOLDER}.old"
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        for part in _PARTS:
            torch.save(getattr(state, part), new / f"{part}.pt")
        torch.save(vars(state.progress), new / "progress.pt")
        if current.exists():
            shutil.rmtree(old, ignore_errors=True)
            current.rename(old)
        new.rename(current)
    except (OSError, RuntimeError) as error:  # a full disk is the one or the other, depending on who writes
        shutil.rmtree(new, ignore_errors=True)
        raise TrainingError(f"{folder}: the checkpoint cannot be written: {error}") from error
    shutil.rmtree(old, ignore_errors=True)


def load(folder: Path, device: torch.device) -> State:
    """The checkpoint in a run's folder.

    Raises:
        TrainingError: there is none, or it cannot be read.
    """
    current = _current(folder)
    if current is None:
        raise TrainingError(f"{folder}: no checkpoint to resume from")
    try:
        parts = {part: torch.load(current / f"{part}.pt", device, weights_only=True) for part in _PARTS}
        progress = Progress(**torch.load(current / "progress.pt", "cpu", weights_only=True))
    except (OSError, RuntimeError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{current}: the checkpoint cannot be read: {error}") from error
    return State(**parts, progress=progress)


def _current(folder: Path) -> Path | None:
    """The whole checkpoint of a run: the old one if a run was killed between the two renamings of `save`."""
    return next((path for path in (folder / _FOLDER, folder / f"{_FOLDER}.old") if path.is_dir()), None)
