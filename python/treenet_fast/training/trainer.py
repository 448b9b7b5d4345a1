"""The training loop."""

from __future__ import annotations

import hashlib
import math
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from treenet_fast.model import TreeNet, load_checkpoint, save_checkpoint
from treenet_fast.model.gains import DEFAULT_LAMBDAS, QUALITY_MAX, QUALITY_MIN, resample
from treenet_fast.model_layout import CHANNELS, LATENTS
from treenet_fast.quantise import QuantisedTreeNet, is_quantised, load_quantised, save_quantised
from treenet_fast.training import checkpoint
from treenet_fast.training.environment import Processes, choose_device, processes, settings, stop_requests
from treenet_fast.training.evaluation import EVALUATION_QUALITIES, evaluate, read_middles
from treenet_fast.training.graph import Pass, RecordedPass
from treenet_fast.training.log import Log, Row
from treenet_fast.training.loss import terms
from treenet_fast.training.options import Options, TrainingError
from treenet_fast.training.photographs import Crops, choose_images, find_images, read_images
from treenet_fast.training.revival import revive
from treenet_fast.training.soap import Soap

# What a run that is resumed has to keep.
_RECIPE = (
    "loss",
    "quantised",
    "rate_warm_up",
    "rounding",
    "batch",
    "crop",
    "learning_rate",
    "optimiser",
    "refine_every",
    "clip",
    "average",
    "seed",
)

# Of the learning rate of number formats: their gradients are small and mostly noise, and at the weights' own rate or
# beyond it the gap between integers and floats grew again after 60 steps of training.
_SCALE_FACTOR = 0.1
# Images, and their largest side, from which the number formats of a quantised network start.
_CALIBRATION_IMAGES, _CALIBRATION_SIDE = 64, 256
_REVIVAL_IMAGES = 16


def train(options: Options) -> Path:
    """Train a network and return the path of its checkpoint, the moving average of the weights.

    It is a float checkpoint (`treenet_fast.model`), with the number formats beside if the network is quantised
    (`treenet_fast.quantise`).

    Under `torchrun` every process trains on its own crops and gradients are averaged over all.

    Raises:
        TrainingError: the options do not fit the images, the device or the checkpoint; training diverged.
        ModelFileError: the initial checkpoint cannot be read.
    """
    device = choose_device(options)
    with processes(device) as together, settings(options), stop_requests() as stop:
        return _Run(options, device, together, stop).run()


def _moving_average(decay: float) -> Any:
    return get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]


class _Run:
    """A run in one process."""

    def __init__(self, options: Options, device: torch.device, together: Processes, stop: threading.Event) -> None:
        self._options = options
        self._device = device
        self._processes = together
        self._stop = stop
        if not options.resume and checkpoint.exists(options.out):
            raise TrainingError(f"{options.out} holds a run already: resume it, or name another folder")
        if together.first:
            options.out.mkdir(parents=True, exist_ok=True)
        # Every process has its own crops and noise.
        own_seed = options.seed * 1000 + together.rank
        self._generator = torch.Generator().manual_seed(own_seed)
        torch.manual_seed(options.seed)
        self._read_images()
        resumed = checkpoint.load(options.out, self._device) if options.resume else None
        if resumed is not None:
            self._check(resumed.progress)
        if options.graph and (device.type != "cuda" or together.count > 1):
            raise TrainingError("graph needs a GPU, and one process: leave it out")
        self._model = self._network(resumed.progress if resumed else None)
        self._model.to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        torch.manual_seed(own_seed)
        self._parameters = list(self._model.parameters())
        self._optimiser: torch.optim.Optimizer = (
            Soap(self._groups(), refine_every=options.refine_every)
            if options.optimiser == "soap"
            else torch.optim.Adam(self._groups(), betas=(0.9, 0.99), fused=True)
        )
        self._average = AveragedModel(self._model, multi_avg_fn=_moving_average(options.average))
        self._step, self._seconds = 0, 0.0
        if resumed is not None:
            self._resume(resumed)
        forward: nn.Module = self._model
        if options.compiled:
            forward = torch.compile(forward)  # type: ignore[assignment]
        self._forward = DistributedDataParallel(forward) if together.count > 1 else forward
        run = self._forward_and_backward
        self._pass: Pass = RecordedPass(run) if options.graph else run

    def _groups(self) -> list[dict[str, Any]]:
        """The parameters, with the factor of their learning rate."""
        scales = list(self._model.format_parameters()) if isinstance(self._model, QuantisedTreeNet) else []
        known = {id(scale) for scale in scales}
        weights = [parameter for parameter in self._parameters if id(parameter) not in known]
        groups: list[dict[str, Any]] = [{"params": weights, "factor": 1.0}]
        return groups + ([{"params": scales, "factor": _SCALE_FACTOR}] if scales else [])

    def _read_images(self) -> None:
        options = self._options
        files, evaluation = choose_images(options.images, options.evaluation, options.evaluation_images)
        self._evaluation = read_middles(evaluation, options.loss)
        images = read_images(files, options.crop, options.images, self._device, quiet=not self._processes.first)
        spread = torch.linspace(0, len(images) - 1, min(len(images), _CALIBRATION_IMAGES)).long()
        corners = (images[int(k)][:, :_CALIBRATION_SIDE, :_CALIBRATION_SIDE] for k in spread)
        self._calibration = [corner.cpu() / 255 for corner in corners]
        self._crops = Crops(images, options.crop, options.batch, self._generator)

    def _network(self, resumed: checkpoint.Progress | None) -> TreeNet | QuantisedTreeNet:
        """The network to train; all values of one that is resumed come with its checkpoint."""
        options = self._options
        if resumed is not None:
            model = TreeNet(resumed.lambdas)
            return (QuantisedTreeNet(model) if options.quantised else model).train()
        if options.initial is None:
            model = TreeNet(options.lambdas or DEFAULT_LAMBDAS)
        elif options.quantised and is_quantised(options.initial) and not options.revive and options.lambdas is None:
            return load_quantised(options.initial).train()
        else:
            model = load_checkpoint(options.initial)
            if options.lambdas is not None:
                model.gain = resample(model.gain, options.lambdas)
        images = self._calibration
        if options.revive:
            revived = revive(model, images[:_REVIVAL_IMAGES])
            if self._processes.first:
                tqdm.write(f"{revived} of {LATENTS * CHANNELS} channels of the latents are started anew", sys.stderr)
        return (QuantisedTreeNet.from_float(model, images) if options.quantised else model).train()

    def run(self) -> Path:
        log = Log(self._options.out, self._step) if self._processes.first else None
        if log is not None:
            checkpoint.write_options(self._options.out, self._options)
        try:
            self._train(log)
        finally:
            if log is not None:
                log.close()
        return self._options.out / checkpoint.MASTER

    def _train(self, log: Log | None) -> None:
        """Train until the last step, or until a stop is asked for: then with a checkpoint and KeyboardInterrupt."""
        options = self._options
        bar = tqdm(total=options.steps, initial=self._step, unit="step", disable=log is None, smoothing=0.05)
        with bar:
            if self._step == 0:
                self._evaluate(log, bar)
            began = time.monotonic() - self._seconds
            sums, reported, reported_at = torch.zeros(4, device=self._device), self._step, time.monotonic()
            while self._step < options.steps:
                sums += self._one_step()
                self._step += 1
                bar.update()
                stops = self._processes.any(self._stop.is_set())
                last = self._step == options.steps
                saves = self._step % options.save_every == 0 or last or stops
                if self._step % options.report_every == 0 or saves:
                    now = time.monotonic()
                    self._seconds = now - began
                    row = self._report(sums / (self._step - reported), self._step - reported, now - reported_at)
                    sums, reported, reported_at = torch.zeros_like(sums), self._step, now
                    bar.set_postfix_str(f"{row.bpp:.3f} bpp, {row.psnr:.2f} dB, {row.images_per_second:.1f} images/s")
                    if log is not None:
                        log.write(row)
                if self._step % options.evaluate_every == 0 or last:
                    paused = time.monotonic()
                    self._evaluate(log, bar)
                    pause = time.monotonic() - paused
                    began, reported_at = began + pause, reported_at + pause
                if saves:
                    self._save()
                if stops and not last:
                    raise KeyboardInterrupt

    def _one_step(self) -> Tensor:
        """Train on one batch; sums of loss, bits a pixel, squared error and the gradient's norm, `[4]`."""
        options = self._options
        rate = options.learning_rate_at(self._step)
        for group in self._optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        image = self._crops.next()
        # One quality from each of as many equal parts of the range: less noise than independent ones.
        parts = torch.randperm(options.batch, generator=self._generator)
        position = (parts + torch.rand(options.batch, generator=self._generator)) / options.batch
        quality = QUALITY_MIN + (QUALITY_MAX - QUALITY_MIN) * position
        if self._device.type == "cuda":
            quality = quality.pin_memory().to(self._device, non_blocking=True)
        share = torch.full((), options.rate_share_at(self._step), device=self._device)
        means = self._pass(image, quality, share)
        self._optimiser.step()
        self._average.update_parameters(self._model)
        return means

    def _forward_and_backward(self, image: Tensor, quality: Tensor, rate_share: Tensor) -> Tensor:
        """Leave the batch's gradients, clipped, in the parameters; what `_one_step` gives."""
        options = self._options
        self._optimiser.zero_grad()
        # A graph keeps no copies of weights from one pass to the next.
        with torch.autocast(
            self._device.type, torch.bfloat16, options.precision == "bfloat16", cache_enabled=not options.graph
        ):
            output = self._forward(image, quality, options.rounding)
        parts_of_loss = terms(output, image, options.loss)
        loss = parts_of_loss.total(self._model.gain.rate_weight(quality), rate_share).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._parameters, options.clip)
        means = (parts_of_loss.bits_per_pixel.mean(), parts_of_loss.squared_error.mean())
        return torch.stack([loss, *means, norm]).detach()

    def _report(self, means: Tensor, steps: int, seconds: float) -> Row:
        loss, bpp, mse, norm = self._processes.mean(means).tolist()
        # Looked at here and not at every step, for which a GPU would have to be waited for; always before a checkpoint.
        if not math.isfinite(norm):
            raise TrainingError(
                f"training diverged before step {self._step}; the last checkpoint is kept: start from it at a lower "
                "learning rate"
            )
        count = self._options.batch * self._processes.count
        return Row(
            "train",
            self._step,
            self._step * count,
            self._seconds,
            loss=loss,
            bpp=bpp,
            mse=mse,
            psnr=10 * math.log10(255**2 / max(mse, 1e-10)),
            learning_rate=self._options.learning_rate_at(self._step - 1),
            images_per_second=steps * count / seconds,
            gradient=norm,
        )

    def _evaluate(self, log: Log | None, bar: tqdm[None]) -> None:
        """Evaluate in the first process, which has the log; the others wait for its next step."""
        if log is None:
            return
        bar.set_postfix_str("evaluating")
        for quality in EVALUATION_QUALITIES:
            # Training goes on with the same noise whether or when there was an evaluation.
            with torch.random.fork_rng([self._device] if self._device.type == "cuda" else []):
                means = evaluate(self._averaged(), self._evaluation, quality, self._options.loss)
            count = self._options.batch * self._processes.count
            log.write(Row("evaluate", self._step, self._step * count, self._seconds, quality, **means))

    def _averaged(self) -> TreeNet | QuantisedTreeNet:
        averaged = self._average.module
        assert isinstance(averaged, TreeNet | QuantisedTreeNet)
        return averaged

    def _save(self) -> None:
        """Write the checkpoint and the float master; each process keeps its own generators."""
        generators = {"crops": self._generator.get_state(), "noise": torch.get_rng_state()}
        if self._device.type == "cuda":
            generators["cuda"] = torch.cuda.get_rng_state(self._device)
        gathered = self._processes.gather(generators)
        if not self._processes.first:
            return
        # The network first: a run that has its last checkpoint has its network too.
        averaged, path, note = self._averaged(), self._options.out / checkpoint.MASTER, f"{self._step} steps"
        if isinstance(averaged, QuantisedTreeNet):
            save_quantised(path, averaged, note, half=True)
        else:
            save_checkpoint(path, averaged, note, half=True)
        state = checkpoint.State(
            weights=self._model.state_dict(),
            average=self._average.state_dict(),
            optimiser=self._optimiser.state_dict(),
            progress=checkpoint.Progress(
                self._step,
                self._seconds,
                gathered,
                recipe=self._recipe(),
                lambdas=self._model.gain.lambdas,
            ),
        )
        checkpoint.save(self._options.out, state)

    def _recipe(self) -> dict[str, Any]:
        """What has to stay for a run to go on as if it had never stopped."""
        options = self._options
        digest = hashlib.sha256()
        for file in find_images(options.images):
            digest.update(f"{file.relative_to(options.images)} {file.stat().st_size}\n".encode())
        return {name: getattr(options, name) for name in _RECIPE} | {
            "images": digest.hexdigest(),
            "device": self._device.type,
        }

    def _check(self, progress: checkpoint.Progress) -> None:
        """Refuse to go on with what would be neither the old run nor a new one."""
        options = self._options
        asked = self._recipe()
        was = {"refine_every": 10, **progress.recipe}  # runs from before that was an option
        if options.lambdas is not None:
            asked["lambdas"], was["lambdas"] = options.lambdas, progress.lambdas
        if asked["images"] != was["images"]:
            raise TrainingError(f"{options.out} was trained on other images than those now in {options.images}")
        for name, value in asked.items():
            if value != was[name]:
                raise TrainingError(f"{options.out} was trained with {name}={was[name]!r}, not {value!r}")
        count = len(progress.generators)
        if count != self._processes.count:
            raise TrainingError(f"{options.out} was trained by {count} processes, not {self._processes.count}")
        if progress.step >= options.steps:
            raise TrainingError(f"{options.out} has done {progress.step} steps already: ask for more than these")

    def _resume(self, state: checkpoint.State) -> None:
        self._model.load_state_dict(state.weights)
        self._average.load_state_dict(state.average)
        self._optimiser.load_state_dict(state.optimiser)
        self._step, self._seconds = state.progress.step, state.progress.seconds
        mine = state.progress.generators[self._processes.rank]
        self._generator.set_state(mine["crops"])
        torch.set_rng_state(mine["noise"])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(mine["cuda"], self._device)
