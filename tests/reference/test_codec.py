"""The reference codec end to end, on the model that ships and on a synthetic one."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from synthetic import synthetic_image, synthetic_integer_model
from treenet_fast import models, reference
from treenet_fast.errors import (
    CorruptStreamError,
    EmptyStreamError,
    ImageTooLargeError,
    InvalidArgumentError,
    ModelFileError,
    NewerVersionError,
    TreeNetError,
    TruncatedStreamError,
    WrongModelError,
)
from treenet_fast.model_file import IntegerModel, save
from treenet_fast.reference import container, rans
from treenet_fast.reference import segments as segment_module
from treenet_fast.reference.arithmetic import LIMITS
from treenet_fast.reference.rans import SegmentDecoder
from treenet_fast.reference.trace import Trace

SIZES = [(1, 1), (7, 5), (16, 16), (33, 16), (63, 65), (1, 300), (130, 3)]


@pytest.fixture(scope="module", params=["shipped", "synthetic"])
def model(request: pytest.FixtureRequest) -> IntegerModel:
    return models.load() if request.param == "shipped" else synthetic_integer_model(0)


@pytest.fixture(scope="module")
def synthetic() -> IntegerModel:
    return synthetic_integer_model(0)


@pytest.fixture(scope="module")
def stream(synthetic: IntegerModel) -> bytes:
    data: bytes = reference.compress(synthetic_image(20, 30), 40, model=synthetic)
    return data


def resealed(data: bytes) -> bytes:
    """The stream with its first checksum made right."""
    return data[:4] + struct.pack("<I", zlib.crc32(data[8:])) + data[8:]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("quality", [1, 60, 100])
def test_the_decoder_has_what_the_encoder_had(model: IntegerModel, size: tuple[int, int], quality: int) -> None:
    image = synthetic_image(*size)
    data = reference.compress(image, quality, model=model)
    encoder = reference.trace_encode(image, quality, model=model)
    decoder = reference.trace_decode(data, model=model)
    shared = encoder.keys() & decoder.keys()
    assert shared == {f"{n}.{b}" for n in ("Z", "psi", "mean", "scale", "index", "S", "Yhat") for b in range(4)}
    for name in shared:
        assert torch.equal(encoder[name], decoder[name]), name
    assert decoder["pixels"].shape == (*size, 3)
    assert np.array_equal(reference.decompress(data, "numpy", model=model), decoder["pixels"].numpy())


def test_traces(synthetic: IntegerModel) -> None:
    image = synthetic_image(40, 70)
    encoder = reference.trace_encode(image, 50, model=synthetic)
    decoder = reference.trace_decode(reference.compress(image, 50, model=synthetic), model=synthetic)
    nodes = [f"analysis.level{k}.{i}" for k in range(4) for i in range(2**k)]
    assert set(nodes) < encoder.keys()
    assert {f"{name}.{b}" for name in ("analysis.fusion", "Y") for b in range(4)} < encoder.keys()
    nodes = [f"synthesis.level{k}.{i}" for k in range(4) for i in range(4 - k)]
    fusions = [f"synthesis.fusion{k}.{i}" for k in range(3) for i in range(3 - k)]
    assert {*nodes, *fusions, "X.0", "X.3"} < decoder.keys()
    assert encoder["analysis.level0.0"].shape == (24, 40, 32)
    assert encoder["analysis.level3.7"].dtype == torch.int16
    assert decoder["synthesis.level2.1"].dtype == torch.uint8
    assert encoder["Y.2"].shape == decoder["X.2"].shape == (3, 5, 32)
    assert decoder["Z.1"].shape == (1, 2, 32)
    assert decoder["psi.3"].shape == (3, 5, 64)
    assert decoder["index.0"].dtype == torch.uint8
    assert decoder["synthesis.fusion2.0"].shape == (24, 40, 32)


def test_pixels_follow_from_the_last_node(synthetic: IntegerModel) -> None:
    """Quality and image matter: no step is left out, and none sees another image."""
    a, b = (reference.compress(synthetic_image(32, 32, seed), 50, model=synthetic) for seed in (1, 2))
    assert a != b
    assert a != reference.compress(synthetic_image(32, 32, 1), 51, model=synthetic)
    assert a == reference.compress(synthetic_image(32, 32, 1), 50, model=synthetic)


def test_the_synthetic_model_stresses_the_codec(synthetic: IntegerModel) -> None:
    """Activations that fill their types, saturation, every kind of table, skips and escapes."""
    image = synthetic_image(96, 128)
    data = reference.compress(image, 50, model=synthetic)
    trace = reference.trace_encode(image, 50, model=synthetic) | reference.trace_decode(data, model=synthetic)
    for name, values in trace.items():
        if name.startswith(("analysis", "synthesis")):
            low, high = LIMITS[values.dtype]
            assert values.to(torch.float32).std() > (high - low) / 16, name
            saturated = float(((values == low) | (values == high)).to(torch.float32).mean())
            assert saturated < 0.3, name
    tensors = synthetic.tensors
    assert all(array.min() == -128 and array.max() == 127 for n, array in tensors.items() if n.endswith("conv1.weight"))
    indices = torch.cat([trace[f"index.{b}"].flatten() for b in range(4)])
    assert len(torch.bincount(indices).nonzero()) == 64
    assert (indices < int(tensors["entropy.skip"][0])).any()
    escapes = 0
    for b in range(4):
        for c in range(32):
            k = trace[f"Z.{b}"][:, :, c].to(torch.int32) - int(tensors["entropy.prior.offset"][32 * b + c])
            escapes += int(((k < 0) | (k >= int(tensors["entropy.prior.count"][32 * b + c]))).sum())
    assert escapes > 10


def test_segments_are_independent_of_each_other(synthetic: IntegerModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small segments stand in for a large image."""
    image = synthetic_image(200, 90)
    whole = reference.trace_encode(image, 50, model=synthetic)
    monkeypatch.setattr(segment_module, "SEGMENT_POSITIONS", 2)
    data = reference.compress(image, 50, model=synthetic)
    _, payload = container.read_stream(data, 1 << 20)
    assert len(container.split_payload(payload, 4)) == 4
    decoder = reference.trace_decode(data, model=synthetic)
    for b in range(4):
        assert torch.equal(decoder[f"S.{b}"], whole[f"S.{b}"])
        assert torch.equal(decoder[f"Z.{b}"], whole[f"Z.{b}"])


def test_a_tall_image_has_two_segments(synthetic: IntegerModel) -> None:
    image = synthetic_image(128 * 64 + 1, 1)
    data = reference.compress(image, 1, model=synthetic)
    _, payload = container.read_stream(data, 1 << 20)
    first, second = container.split_payload(payload, 2)
    assert first[0] == 1
    assert second[0] == 0
    encoder = reference.trace_encode(image, 1, model=synthetic)
    _, latents = reference.api.codec(synthetic).decode_latents(data, 1 << 20, Trace())
    for b in range(4):
        assert torch.equal(latents[b].permute(1, 2, 0), encoder[f"Yhat.{b}"])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same(model: IntegerModel) -> None:
    image = synthetic_image(70, 90)
    data = reference.compress(image, 50, model=model)
    assert reference.compress(image, 50, model=model, device="cuda") == data
    cpu = reference.trace_encode(image, 50, model=model) | reference.trace_decode(data, model=model)
    gpu = reference.trace_encode(image, 50, model=model, device="cuda")
    gpu |= reference.trace_decode(data, model=model, device="cuda")
    assert cpu.keys() == gpu.keys()
    for name, values in cpu.items():
        assert torch.equal(values, gpu[name].cpu()), name


def test_batches_and_lists(synthetic: IntegerModel) -> None:
    batch = np.stack([synthetic_image(18, 20, seed) for seed in range(3)])
    streams = reference.compress(batch, 30, model=synthetic)
    assert streams == [reference.compress(image, 30, model=synthetic) for image in batch]
    assert streams == reference.compress(list(batch), 30, model=synthetic)
    assert reference.compress(list(batch[:1]), 30, model=synthetic) == streams[:1]
    images = reference.decompress(streams, "numpy", model=synthetic)
    for image, data in zip(images, streams, strict=True):
        assert np.array_equal(image, reference.decompress(data, "numpy", model=synthetic))


def test_grey(synthetic: IntegerModel) -> None:
    grey = synthetic_image(20, 18)[:, :, 1]
    data = reference.compress(grey, 70, model=synthetic)
    coloured = reference.compress(np.repeat(grey[:, :, None], 3, axis=2), 70, model=synthetic)
    assert data[12] == coloured[12] | 128
    assert data[13:] == coloured[13:]
    pixels = reference.trace_decode(data, model=synthetic)["pixels"].to(torch.int64).tolist()
    expected = [[(2 * sum(pixel) + 3) // 6 for pixel in row] for row in pixels]
    decoded = reference.decompress(data, "numpy", model=synthetic)
    assert decoded.shape == grey.shape
    assert decoded.tolist() == expected
    assert reference.decompress(data, "torch", model=synthetic).shape == (1, 20, 18)


def test_models_by_path_and_by_default(tmp_path: Path, synthetic: IntegerModel) -> None:
    image = synthetic_image(9, 9)
    path = tmp_path / "model.safetensors"
    save(path, synthetic.tensors, {"name": "synthetic"})
    assert reference.compress(image, model=path) == reference.compress(image, model=synthetic)
    assert reference.compress(image) == reference.compress(image, 50, model=models.path())
    with pytest.raises(ModelFileError):
        reference.compress(image, model=tmp_path / "none.safetensors")


@pytest.mark.parametrize("quality", [0, 101, -1, 50.0, "50", True, None])
def test_quality_out_of_range(synthetic: IntegerModel, quality: object) -> None:
    with pytest.raises(InvalidArgumentError, match="1 to 100"):
        reference.compress(synthetic_image(8, 8), quality, model=synthetic)  # type: ignore[arg-type]


def test_numpy_quality(synthetic: IntegerModel) -> None:
    image = synthetic_image(8, 8)
    assert reference.compress(image, np.int64(7), model=synthetic) == reference.compress(image, 7, model=synthetic)


def test_bad_input(synthetic: IntegerModel, stream: bytes) -> None:
    def decompress(data: object, **options: int) -> object:
        return reference.decompress(data, model=synthetic, **options)  # type: ignore[arg-type]

    decompress(stream, max_pixels=600)
    with pytest.raises(ImageTooLargeError):
        decompress(stream, max_pixels=599)
    with pytest.raises(EmptyStreamError):
        decompress(b"")
    with pytest.raises(TruncatedStreamError):
        decompress(stream[:-1])
    with pytest.raises(CorruptStreamError):
        decompress(stream + b"\x00")
    with pytest.raises(NewerVersionError):
        decompress(stream[:3] + b"\x02" + stream[4:])
    with pytest.raises(InvalidArgumentError):
        decompress("a path")
    with pytest.raises(WrongModelError):
        reference.decompress(stream, model=synthetic_integer_model(1))
    with pytest.raises(InvalidArgumentError):
        reference.trace_encode(np.zeros((2, 8, 8, 3), np.uint8), model=synthetic)


def test_every_flipped_byte_is_noticed(synthetic: IntegerModel, stream: bytes) -> None:
    for position in range(len(stream)):
        flipped = bytearray(stream)
        flipped[position] ^= 1 + position % 255
        with pytest.raises(TreeNetError):
            reference.decompress(bytes(flipped), model=synthetic)


def test_damage_under_a_right_checksum_is_noticed(synthetic: IntegerModel, stream: bytes) -> None:
    """What the first checksum misses, the entropy coder's checks or the checksum of the symbols find."""
    start = len(stream) - len(container.read_stream(stream, 1 << 20)[1])
    positions = range(start, len(stream), len(stream) // 40)
    for position in positions:
        flipped = bytearray(stream)
        flipped[position] ^= 1 << position % 8
        with pytest.raises(CorruptStreamError):
            reference.decompress(resealed(bytes(flipped)), model=synthetic)


def test_other_symbols_than_those_that_were_coded_are_noticed(
    synthetic: IntegerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(rans, "symbols_crc", lambda symbols, crc=0: 0x12345678)
        data = reference.compress(synthetic_image(20, 30), 40, model=synthetic)
    with pytest.raises(CorruptStreamError, match="checksum of the decoded symbols"):
        reference.decompress(data, model=synthetic)


def test_a_decoder_that_is_not_finished_says_so(synthetic: IntegerModel, stream: bytes) -> None:
    coder = reference.api.codec(synthetic)
    _, payload = container.read_stream(stream, 1 << 20)
    with pytest.raises(CorruptStreamError, match="left over"):
        SegmentDecoder(coder.tables, payload).finish()
