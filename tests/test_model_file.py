"""Every check of SPEC §9, each on a copy of the shipped model with one thing wrong."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from treenet_fast import Codec, model_file, models
from treenet_fast.errors import ModelFileError


@pytest.fixture(scope="module")
def shipped():
    return models.load()


@pytest.fixture
def tensors(shipped):
    return {name: array.copy() for name, array in shipped.tensors.items()}


@pytest.fixture(scope="module")
def content():
    return models.path().read_bytes()


def with_header(content, change):
    """A model file's bytes with a changed header."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    change(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def test_shipped_model(shipped):
    assert shipped.name == models.DEFAULT
    assert shipped.metadata["hash"] == shipped.hash.hex() == model_file.content_hash(shipped.tensors).hex()
    assert shipped.tensors.keys() == model_file.tensor_spec().keys()
    with pytest.raises(ValueError, match="read-only"):
        shipped.tensors["sigmoid"][0] = 1


def test_agrees_with_the_safetensors_library(shipped, tmp_path):
    theirs = load_file(models.path())
    assert theirs.keys() == shipped.tensors.keys()
    for name, array in theirs.items():
        assert array.dtype == shipped.tensors[name].dtype
        np.testing.assert_array_equal(array, shipped.tensors[name])
    save_file(theirs, tmp_path / "theirs.safetensors", dict(shipped.metadata))
    assert model_file.load(tmp_path / "theirs.safetensors").hash == shipped.hash


def test_save_and_load(shipped, tmp_path):
    path = tmp_path / "model.safetensors"
    model_file.save(path, shipped.tensors, {"name": "copy", "note": "ü"})
    again = model_file.load(path)
    assert (again.name, again.metadata["note"], again.hash) == ("copy", "ü", shipped.hash)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_hash_is_of_names_types_shapes_and_data():
    # SHA-256 of b"a\0I32\0" + b"2\0", the eight bytes of a, b"b\0U8\0" + b"1,1\0" and the byte of b.
    tensors = {"b": np.array([[7]], np.uint8), "a": np.array([1, -1], np.int32)}
    expected = "c375edfd1ee9078e2cac1c96205a9b75ffc945aa587007bf8eb97683486735d5"
    assert model_file.content_hash(tensors).hex() == expected


def edit(name, index, value):
    def change(tensors):
        tensors[name][index] = value

    return change


def remove(tensors):
    del tensors["sigmoid"]


def add(tensors):
    tensors["foreign"] = np.zeros(1, np.int32)


def retype(tensors):
    tensors["sigmoid"] = tensors["sigmoid"].astype(np.int32)


def reshape(tensors):
    tensors["gain.encode"] = tensors["gain.encode"].reshape(128, 100)


def overflow(name, weight, bias):
    def change(tensors):
        tensors[f"{name}.weight"][0] = weight
        tensors[f"{name}.bias"][0] = bias

    return change


def unmask(tensors):
    tensors["bottleneck.2.context.weight"][5, 6, 1, 3] = 1


def steal(tensors):
    """A frequency below the minimum, the sum kept."""
    row = tensors["entropy.prior.frequency"][9]
    row[0] += row[1] - 31
    row[1] = 31


def spill(tensors):
    """A frequency after the escape, the sum kept."""
    row = tensors["entropy.gaussian.frequency"][0]
    row[200] = 1
    row[row.argmax()] -= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove, "1 tensors are missing, 'sigmoid'"),
        (add, "1 tensors do not belong to a model, 'foreign'"),
        (retype, "'sigmoid' is int32"),
        (reshape, r"'gain.encode' is float32 \[128, 100\]"),
        (edit("gain.decode", (3, 4), np.nan), "'gain.decode' has values outside"),
        (edit("gain.decode", (3, 4), np.inf), "'gain.decode' has values outside"),
        (edit("synthesis.output.multiplier", 1, 2.0**-41), "'synthesis.output.multiplier' has values outside"),
        (edit("analysis.level1.0.gdn.numerator", 1, -1.0), "numerator' has values outside"),
        (edit("analysis.level1.0.gdn.magnitude", 1, 2.0**21), "magnitude' has values outside"),
        (edit("analysis.level2.3.gdn.beta", 31, 0), "beta' has values outside"),
        (edit("synthesis.level3.0.igdn.beta", 31, 1 << 30), "beta' has values outside"),
        (edit("synthesis.level0.0.conv1.zero_point", 0, 256), "is outside 0..255"),
        (edit("synthesis.level2.0.zero_point", 0, -1), "is outside 0..255"),
        (edit("synthesis.level2.1.zero_point", 0, 0), "differs from that of the level's first node"),
        (overflow("bottleneck.1.hyper_analysis.2", 127, (1 << 31) - 1), "'bottleneck.1.hyper_analysis.2' can overflow"),
        (overflow("synthesis.output", 1, -(1 << 31)), "'synthesis.output' can overflow"),
        (
            overflow("synthesis.level1.2.skip", 127, (1 << 31) - 288 * 127 * 32768),
            "'synthesis.level1.2.skip' can overflow",
        ),
        (overflow("synthesis.fusion0.1.first.local1", 127, (1 << 31) - 32 * 127 * 65536), "local1' can overflow"),
        (overflow("synthesis.fusion2.0.second.global1", 127, (1 << 31) - 5000), "global1' can overflow"),
        (unmask, "'bottleneck.2.context.weight' has weights at masked taps"),
        (edit("sigmoid", 0, 1), "'sigmoid' should start with 0"),
        (edit("sigmoid", 60, 0), "'sigmoid' should start with 0"),
        (edit("sigmoid", 127, 129), "'sigmoid' should start with 0"),
        (edit("entropy.threshold", 7, 1), "'entropy.threshold' should ascend"),
        (edit("entropy.threshold", 0, 0), "'entropy.threshold' should ascend"),
        (edit("entropy.threshold", 62, 32768), "'entropy.threshold' should ascend"),
        (edit("entropy.skip", 0, 65), "'entropy.skip' is outside"),
        (edit("entropy.skip", 0, -1), "'entropy.skip' is outside"),
        (edit("entropy.gaussian.count", 0, 0), "'entropy.gaussian.count' has values outside"),
        (edit("entropy.prior.count", 0, 256), "'entropy.prior.count' has values outside"),
        (edit("entropy.prior.offset", 0, 32768), "makes a table reach beyond s16"),
        (edit("entropy.prior.offset", 0, -32769), "makes a table reach beyond s16"),
        (steal, "'entropy.prior.frequency' has a frequency below 32"),
        (spill, "'entropy.gaussian.frequency' has frequencies after an escape"),
        (edit("entropy.prior.frequency", (0, 0), 3333), "rows that do not add up to 65536"),
    ],
)
def test_rules(tensors, change, message):
    model_file.validate(tensors)
    change(tensors)
    with pytest.raises(ModelFileError, match=message):
        model_file.validate(tensors)


def test_entropy_scale_is_for_information_only(tensors, shipped, thumbnail):
    tensors["entropy.scale"][:] = np.nan
    model_file.validate(tensors)
    changed = Codec(model_file.IntegerModel(tensors, shipped.metadata, shipped.hash), threads=1)
    assert changed.compress(thumbnail) == Codec(shipped, threads=1).compress(thumbnail)


def test_a_broken_model_is_not_saved(tensors, tmp_path):
    tensors["sigmoid"][0] = 1
    with pytest.raises(ModelFileError, match="sigmoid"):
        model_file.save(tmp_path / "model.safetensors", tensors, {"name": "broken"})
    assert list(tmp_path.iterdir()) == []


def test_a_model_needs_a_name(shipped, tmp_path):
    with pytest.raises(ModelFileError, match="lacks 'name'"):
        model_file.save(tmp_path / "model.safetensors", shipped.tensors, {})


def set_metadata(key, value):
    return lambda header: header["__metadata__"].update({key: value})


def set_entry(name, key, value):
    return lambda header: header[name].update({key: value})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: b"", "only 0 bytes"),
        (lambda c: c[:7], "only 7 bytes"),
        (lambda c: c[:5000], "header is cut off"),
        (lambda c: c[:-1], "cut off"),
        (lambda c: c + b"\0", "1 bytes follow"),
        (lambda c: b"\x89PNG\r\n\x1a\n" + bytes(100), "header would have"),
        (lambda c: (2**63).to_bytes(8, "little") + c[8:], "header would have"),
        (lambda c: bytes(65 << 20), "larger than 64 MiB"),
        (lambda c: (8).to_bytes(8, "little") + b"[1, 2]  ", "not a JSON object"),
        (lambda c: (8).to_bytes(8, "little") + b'{"a": 1 ', "not JSON"),
        (lambda c: (4).to_bytes(8, "little") + b"\xff\xff\xff\xff", "not JSON"),
        (lambda c: (100_000).to_bytes(8, "little") + b"[" * 100_000, "not JSON"),
        (lambda c: (20).to_bytes(8, "little") + b'{"a": {}, "a": {}}  ', "a key appears twice"),
        (lambda c: with_header(c, set_metadata("note", 3)), "not a table of strings"),
        (lambda c: with_header(c, set_metadata("format", "pt")), "no integer model"),
        (lambda c: with_header(c, lambda h: h.pop("__metadata__")), "no integer model"),
        (lambda c: with_header(c, set_metadata("format_version", "2")), "format version is '2'"),
        (lambda c: with_header(c, lambda h: h["__metadata__"].pop("hash")), "lacks 'hash'"),
        (lambda c: with_header(c, set_metadata("hash", "0" * 64)), "do not have the hash"),
        (lambda c: with_header(c, set_entry("sigmoid", "dtype", "F64")), "dtype 'F64'"),
        (lambda c: with_header(c, set_entry("sigmoid", "shape", [-128])), "malformed shape"),
        (lambda c: with_header(c, set_entry("sigmoid", "shape", [127])), "do not fit its shape"),
        (lambda c: with_header(c, set_entry("sigmoid", "shape", [1 << 62, 1 << 62])), "do not fit its shape"),
        (lambda c: with_header(c, set_entry("sigmoid", "data_offsets", [0, 128])), "do not fit its shape or leave"),
        (lambda c: with_header(c, set_entry("sigmoid", "data_offsets", "ab")), "no valid data offsets"),
        (lambda c: with_header(c, lambda h: h.update(sigmoid=7)), "no valid data offsets"),
        (lambda c: c[:-1] + bytes([c[-1] ^ 1]), "do not have the hash"),
    ],
)
def test_damaged_files(content, tmp_path, damage, message):
    path = tmp_path / "model.safetensors"
    path.write_bytes(damage(content))
    with pytest.raises(ModelFileError, match=message) as caught:
        model_file.load(path)
    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ModelFileError, match=r"cannot read the model file .*missing"):
        model_file.load(tmp_path / "missing")
    with pytest.raises(ModelFileError, match="cannot read the model file"):
        model_file.load(tmp_path)
