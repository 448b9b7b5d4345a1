"""The training loop: it learns, resumes to the same state, and says what is wrong."""

import csv
import os
import pickle
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from treenet_fast import Codec, reference
from treenet_fast.cli import main
from treenet_fast.model import TreeNet, load_checkpoint, save_checkpoint
from treenet_fast.model_file import load
from treenet_fast.quantise import load_quantised
from treenet_fast.training import Options, train, trainer
from treenet_fast.training.options import TrainingError
from treenet_fast.training.soap import Soap

EXAMPLE = Path(__file__).parents[2] / "examples" / "chelsea.png"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    with Image.open(EXAMPLE) as image:
        for k in range(5):
            image.crop((70 * k, 40, 70 * k + 128, 168)).save(folder / f"{k}.png")
    return folder


@pytest.fixture
def options(photographs, tmp_path):
    return Options(
        photographs,
        tmp_path / "run",
        steps=4,
        batch=2,
        crop=64,
        warm_up=1,
        decay=1,
        evaluation_images=1,
        evaluate_every=4,
        save_every=2,
        report_every=1,
        device="cpu",
        threads=1,
    )


def rows(folder):
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_same(a, b):
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        for one, two in zip(a, b, strict=True):
            assert_same(one, two)
    else:
        assert a == b


def states_equal(first, second):
    a, b = load_checkpoint(first).effective_state(), load_checkpoint(second).effective_state()
    assert a.keys() == b.keys()
    return all(torch.equal(a[name], b[name]) for name in a)


def test_resumed_run_is_the_run_that_never_stopped(options, tmp_path):
    whole = train(options)
    stopped = replace(options, out=tmp_path / "stopped")
    # Killed one step after a checkpoint, by a signal that nothing can handle.
    killed = """
import os, pickle, signal, sys
from treenet_fast.training import train, trainer
step = trainer._Run._one_step
def interrupted(run):
    if run._step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(run)
trainer._Run._one_step = interrupted
train(pickle.loads(bytes.fromhex(sys.argv[1])))
"""
    child = subprocess.run([sys.executable, "-c", killed, pickle.dumps(stopped).hex()], timeout=300)
    assert child.returncode == -signal.SIGKILL
    resumed = train(replace(stopped, resume=True))
    assert states_equal(whole, resumed)
    for name in ("weights.pt", "average.pt", "optimiser.pt"):
        one, two = (
            torch.load(path.parent / "checkpoint" / name, weights_only=True, map_location="cpu")
            for path in (whole, resumed)
        )
        assert_same(one, two)
    same = [{k: v for k, v in row.items() if "second" not in k} for row in rows(whole.parent)]
    assert same == [{k: v for k, v in row.items() if "second" not in k} for row in rows(resumed.parent)]
    assert [row["step"] for row in same if row["kind"] == "train"] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_amid_a_step(options, tmp_path, monkeypatch, number):
    """The step is finished first: the checkpoint is that of a run that never stopped."""
    whole = train(options)
    stopped = replace(options, out=tmp_path / "stopped")
    step = Soap.step
    handler = signal.getsignal(number)

    def interrupted(optimiser):
        if optimiser.param_groups[0]["lr"] and not (stopped.out / "checkpoint").exists():
            os.kill(os.getpid(), number)
        return step(optimiser)

    monkeypatch.setattr(Soap, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(stopped)
    monkeypatch.undo()
    assert signal.getsignal(number) == handler
    assert [row["step"] for row in rows(stopped.out) if row["kind"] == "train"] == ["1"]
    assert states_equal(whole, train(replace(stopped, resume=True)))


def test_it_learns(options):
    train(replace(options, steps=30, crop=64, warm_up=5, decay=10, learning_rate=2e-3, average=0.0, evaluate_every=30))
    evaluations = [row for row in rows(options.out) if row["kind"] == "evaluate" and row["quality"] == "50"]
    assert [row["step"] for row in evaluations] == ["0", "30"]
    assert float(evaluations[1]["loss"]) < 0.7 * float(evaluations[0]["loss"])


@pytest.mark.parametrize("change", [{"loss": "mixed", "crop": 128}, {"optimiser": "adam"}, {"rounding": "noise"}])
def test_variants(options, change):
    master = train(replace(options, steps=2, **change))
    assert not states_equal(master, _start(options))


def _start(options):
    torch.manual_seed(options.seed)
    path = options.out / "start.safetensors"
    save_checkpoint(path, TreeNet())
    return path


def test_revival(options, tmp_path, capfd):
    start = tmp_path / "start.safetensors"
    torch.manual_seed(0)
    model = TreeNet()
    with torch.no_grad():
        for leaf in (0, 1):
            block = model.get_submodule(f"analysis.level3.{leaf}")
            block.conv2.weight[3], block.skip.weight[3] = 0.0, 0.0
    save_checkpoint(start, model)
    train(replace(options, initial=start, revive=True, rate_warm_up=2))
    assert "channels of the latents are started anew" in capfd.readouterr().err
    assert rows(options.out)[-1]["step"] == "4"


def test_lower_precision_trains_too(options):
    master = train(replace(options, steps=2, precision="bfloat16"))
    assert all(torch.isfinite(x).all() for x in load_checkpoint(master).effective_state().values())


def test_other_lambdas_keep_the_gains_of_a_checkpoint(options, tmp_path):
    torch.manual_seed(0)
    model = TreeNet((0.001, 0.01))
    start = tmp_path / "start.safetensors"
    save_checkpoint(start, model)
    lambdas = (0.0001, 0.001, 0.01)
    master = train(replace(options, steps=1, warm_up=0, decay=0, learning_rate=1e-9, initial=start, lambdas=lambdas))
    gain = load_checkpoint(master).gain
    assert gain.lambdas == lambdas
    assert torch.allclose(gain.log_encode[1:], model.gain.log_encode, atol=2e-3)
    beyond = 2 * model.gain.log_encode[0] - model.gain.log_encode[1]
    assert torch.allclose(gain.log_encode[0], beyond, atol=2e-3)


def test_quantised_network_resumes_and_becomes_a_model(options, tmp_path):
    """From a few steps of training to a compressed image."""
    start = tmp_path / "start.safetensors"
    torch.manual_seed(0)
    save_checkpoint(start, TreeNet())
    quantised = replace(options, initial=start, quantised=True, learning_rate=1e-4)
    whole = train(quantised)
    part = replace(quantised, out=tmp_path / "part")
    train(replace(part, steps=2, decay=0))
    # The last step of the shorter run had another learning rate; so had its schedule, were it any longer.
    resumed = train(replace(part, initial=None, resume=True))
    assert states_equal(whole, resumed)
    network = load_quantised(resumed)
    assert load_quantised(whole).format_state().keys() == network.format_state().keys()
    model = tmp_path / "model.safetensors"
    assert main(["export", str(resumed), str(model)]) == 0
    tensors = network.tensors()
    assert all(np.array_equal(array, tensors[name]) for name, array in load(model).tensors.items())
    with Image.open(EXAMPLE) as image:
        codec = Codec(model, threads=1)
        data = codec.compress(image.crop((100, 100, 148, 132)), 50)
        assert np.array_equal(codec.decompress(data, "numpy"), reference.decompress(data, "numpy", model=model))


def test_run_of_several_processes(options, photographs):
    arguments = [str(photographs), str(options.out), "--device", "cpu", "--threads", "1"]
    arguments += [
        "--steps",
        "2",
        "--batch",
        "1",
        "--crop",
        "64",
        "--warm-up",
        "0",
        "--decay",
        "0",
        "--evaluation-images",
        "1",
    ]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*command, "-m", "treenet_fast", "train", *arguments], check=True, timeout=300)
    assert rows(options.out)[-1]["images"] == "4"
    subprocess.run(
        [*command, "-m", "treenet_fast", "train", *arguments, "--steps", "3", "--resume"], check=True, timeout=300
    )
    assert rows(options.out)[-1]["images"] == "6"


def test_refusals(options, photographs, tmp_path):
    train(replace(options, steps=2))
    with pytest.raises(TrainingError, match="holds a run already"):
        train(options)
    with pytest.raises(TrainingError, match="done 2 steps already"):
        train(replace(options, steps=2, resume=True))
    with pytest.raises(TrainingError, match="trained with batch=2, not 3"):
        train(replace(options, batch=3, resume=True))
    with pytest.raises(TrainingError, match="no checkpoint to resume"):
        train(replace(options, out=tmp_path / "new", resume=True))
    with pytest.raises(TrainingError, match="5 would be held back"):
        train(replace(options, out=tmp_path / "new", evaluation_images=5))
    with pytest.raises(TrainingError, match="no image in it has 192x192"):
        train(replace(options, out=tmp_path / "new", crop=192))
    with pytest.raises(TrainingError, match="'tpu' is no device"):
        train(replace(options, out=tmp_path / "new", device="tpu"))
    with pytest.raises(TrainingError, match="not on 'meta'"):
        train(replace(options, out=tmp_path / "new", device="meta"))
    if not torch.cuda.is_available():
        with pytest.raises(TrainingError, match="no GPU"):
            train(replace(options, out=tmp_path / "new", device="cuda"))


def test_command_resumes_with_the_options_of_before(options, photographs, capsys):
    train(replace(options, steps=2, decay=0, seed=7, lambdas=np.geomspace(0.001, 0.01, 3)))
    assert main(["train", str(photographs), str(options.out), "--resume", "--steps", "3"]) == 0
    assert "master.safetensors" in capsys.readouterr().out
    assert rows(options.out)[-1]["images"] == "6"
    assert main(["train", str(photographs), str(options.out), "--resume", "--steps", "4", "--seed", "8"]) == 1
    assert "trained with seed=7, not 8" in capsys.readouterr().err


def test_resumed_on_other_images(options, photographs, tmp_path):
    folder = tmp_path / "photographs"
    shutil.copytree(photographs, folder)
    train(replace(options, images=folder, steps=2, decay=0))
    (folder / "0.png").unlink()
    with pytest.raises(TrainingError, match="other images"):
        train(replace(options, images=folder, resume=True))


def test_log_that_was_cut_off(options):
    train(replace(options, steps=2, decay=0))
    with (options.out / "log.csv").open("a") as file:
        file.write("train,3,6,1.5\ntrain,4")
    train(replace(options, resume=True))
    assert [row["step"] for row in rows(options.out) if row["kind"] == "train"] == ["1", "2", "3", "4"]


def test_checkpoint_that_cannot_be_written(options, monkeypatch):
    def full(*arguments):
        raise RuntimeError("[enforce fail at inline_container.cc] . unexpected pos")

    train(replace(options, steps=2, decay=0))
    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainingError, match="cannot be written"):
        train(replace(options, resume=True))
    monkeypatch.undo()
    train(replace(options, resume=True))


def test_damaged_checkpoint(options):
    train(options)
    path = options.out / "checkpoint" / "optimiser.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="cannot be read"):
        train(replace(options, steps=6, resume=True))


def test_divergence_keeps_the_last_checkpoint(options, monkeypatch):
    step = trainer._Run._one_step

    def diverges(run):
        result = step(run)
        return result * float("nan") if run._step == 2 else result

    monkeypatch.setattr(trainer._Run, "_one_step", diverges)
    with pytest.raises(TrainingError, match="diverged before step 3"):
        train(options)
    monkeypatch.undo()
    train(replace(options, resume=True))
    assert rows(options.out)[-1]["step"] == "4"


def test_grey_images_are_trained_on(options, tmp_path):
    folder = tmp_path / "grey"
    folder.mkdir()
    for k in range(3):
        Image.fromarray(np.random.default_rng(k).integers(0, 256, (64, 64), np.uint8)).save(folder / f"{k}.png")
    train(replace(options, images=folder, steps=1, warm_up=0, decay=0))
    assert rows(options.out)[-1]["step"] == "1"


def test_graph_needs_a_gpu(options):
    with pytest.raises(TrainingError, match="graph needs a GPU"):
        train(replace(options, graph=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that this PyTorch can use")
@pytest.mark.parametrize("quantised", [False, True])
def test_graph_is_the_same_training(options, tmp_path, quantised):
    options = replace(options, device="cuda", loss="mixed", crop=128, quantised=quantised, rate_warm_up=3)
    train(options)
    train(replace(options, out=tmp_path / "graph", graph=True))
    losses = [
        [float(row["loss"]) for row in rows(out) if row["kind"] == "train"] for out in (options.out, tmp_path / "graph")
    ]
    # Sums of gradients on a GPU are in no fixed order.
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
