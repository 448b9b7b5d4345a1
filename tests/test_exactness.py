"""The reference and every native path of this machine agree to the bit; golden streams stay what they were."""

import itertools
import json
from pathlib import Path as File

import numpy as np
import pytest
import torch
from PIL import Image

import treenet_fast
from exactness import NO_LIMIT, Comparison, Path, same_tensors
from synthetic import synthetic_image, synthetic_integer_model
from treenet_fast import _native, models

GOLDEN = File(__file__).parent / "golden"
QUALITIES = (1, 25, 50, 75, 100)
THREADS = (1, 2, 4)


def all_paths():
    return [Path(isa, threads) for isa in _native.cpu_isas() for threads in THREADS]


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def comparisons():
    """Of the models in the package, and of a random one that saturates activations, uses every table, escapes often."""
    loaded = {name: models.load(name) for name in models.names()} | {"synthetic": synthetic_integer_model(0)}
    return {name: Comparison(model, all_paths()) for name, model in loaded.items()}


@pytest.fixture
def shipped(comparisons):
    return comparisons[models.DEFAULT]


@pytest.fixture
def stressed(comparisons):
    return comparisons["synthetic"]


def test_this_machine_runs_what_its_processor_has():
    """A path that dispatch loses would be a path that no test runs."""
    flags = File("/proc/cpuinfo")
    if not flags.exists():
        pytest.skip("needs /proc/cpuinfo to know better than the dispatcher")
    text = flags.read_text()
    names = set(next((line for line in text.splitlines() if line.startswith("flags")), "").split())
    expected = ["scalar"]
    if "avx2" in names:
        expected.append("avx2")
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"} <= names:
        expected.append("avx512vnni")
        if {"amx_tile", "amx_int8"} <= names:
            expected.append("amx")
    assert _native.cpu_isas() == expected


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("model", models.names())
def test_photograph(comparisons, photograph, model, quality):
    comparisons[model].run(photograph[80:176, 100:260], quality)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 7), (65, 63), (1, 1000), (1000, 1), (16, 400), (33, 17)])
def test_odd_sizes(shipped, stressed, height, width):
    image = synthetic_image(height, width, seed=height)
    shipped.run(image, 60)
    stressed.run(image, 60)


@pytest.mark.parametrize("quality", QUALITIES)
def test_stress(stressed, quality):
    stressed.run(synthetic_image(48, 80, seed=quality), quality)


def test_a_batch_is_its_images(thumbnail):
    images = [thumbnail, thumbnail[:20, ::-1].copy(), thumbnail[5:6, :9].copy()]
    batch = np.stack([thumbnail, thumbnail[::-1]])
    for isa in _native.cpu_isas():
        codec = treenet_fast.Codec(isa=isa, threads=2)
        streams = codec.compress(images, 40)
        assert streams == [codec.compress(image, 40) for image in images]
        assert codec.compress(batch, 40) == [codec.compress(image, 40) for image in batch]
        for one, many in zip(streams, codec.decompress(streams, "numpy"), strict=True):
            assert np.array_equal(codec.decompress(one, "numpy"), many)


def goldens():
    return json.loads((GOLDEN / "golden.json").read_text())


@pytest.mark.parametrize("entry", goldens(), ids=lambda entry: entry["stream"])
def test_golden_stream(comparisons, entry):
    """The committed stream, made from the committed image, decodes to the committed latents and pixels, everywhere."""
    with Image.open(GOLDEN / entry["image"]) as image:
        pixels = np.asarray(image)
    result = comparisons[entry["model"]].run(pixels, entry["quality"])
    assert result.stream == (GOLDEN / entry["stream"]).read_bytes()
    assert result.stream_sha256 == entry["stream_sha256"]
    assert result.latents_sha256 == entry["latents_sha256"]
    assert result.pixels_sha256 == entry["pixels_sha256"]


def test_golden_streams_hold_no_other_file():
    listed = {entry[kind] for entry in goldens() for kind in ("image", "stream")}
    assert {file.name for file in GOLDEN.iterdir()} == listed | {"golden.json", "make.py"}


# A defect of the present `ms-ssim`: from quality 5 to 6 it predicts y4 so much better that the example takes less, all
# else of it more. The next training should leave nothing here.
KNOWN_FALLS = {"ms-ssim": [(6, 1304, 1285)], "mse": []}


@pytest.mark.parametrize("model", models.names())
def test_quality_is_monotone_in_bytes(photograph, thumbnail, model):
    codec = treenet_fast.Codec(model=model)
    sizes = [len(codec.compress(photograph, quality)) for quality in range(1, 101)]
    falls = [
        (quality, before, after)
        for quality, (before, after) in enumerate(itertools.pairwise(sizes), start=2)
        if after < before
    ]
    assert falls == KNOWN_FALLS[model]
    # A thumbnail is a hundred bytes, written in words of two: neighbouring qualities may swap.
    sizes = [len(codec.compress(thumbnail, quality)) for quality in range(1, 101, 9)]
    assert sizes == sorted(sizes)


def test_traces_reject_a_difference(shipped, thumbnail):
    """The comparison itself notices a single bit."""
    path, codec = next(iter(shipped.codecs.items()))
    stream = codec.encode(thumbnail, 50, False)
    native = codec.trace_decode(stream, NO_LIMIT)
    expected = {name: torch.from_numpy(values.copy()) for name, values in native.items()}
    same_tensors(path, native, expected)
    expected["Yhat.2"][0, 0, 0] ^= 1
    with pytest.raises(AssertionError, match=r"Yhat\.2 differs"):
        same_tensors(path, native, expected)
