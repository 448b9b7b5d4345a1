"""CompressAI's architectures: what is said where they or their weights lack, and files, with a network that stands in.

CompressAI itself is no dependency of the tests: it wants an old numpy.
"""

import importlib.metadata
import sys
import types

import numpy as np
import pytest
import torch

from treenet_fast.errors import InvalidArgumentError, MissingLibraryError, MissingWeightsError
from treenet_fast.evaluation.compressai_codec import CompressAiCodec


class Network(torch.nn.Module):
    """Sends every eighth pixel, and its own offset; two strings, as a hyperprior has."""

    @classmethod
    def from_state_dict(cls, state):
        network = cls()
        network.offset = state["offset"]
        return network

    def compress(self, x):
        assert x.shape[2] % 64 == x.shape[3] % 64 == 0
        small = (x[:, :, ::8, ::8] * 255).round().byte()
        return {
            "strings": [[small.numpy().tobytes()], [b"z"]],
            "shape": torch.Size([x.shape[2] // 64, x.shape[3] // 64]),
        }

    def decompress(self, strings, shape):
        assert strings[1] == [b"z"]
        small = np.frombuffer(strings[0][0], np.uint8).reshape(1, 3, 8 * shape[0], 8 * shape[1])
        x = torch.tensor(small) / 255 + self.offset
        return {"x_hat": x.repeat_interleave(8, 2).repeat_interleave(8, 3)}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    zoo = types.ModuleType("compressai.zoo.image")
    names = {1: "net-1-abc.pth.tar", 3: "net-3-def.pth.tar"}
    zoo.model_urls = {"net": {"mse": {quality: f"https://models.example/{name}" for quality, name in names.items()}}}
    zoo.model_architectures = {"net": Network}
    zoo.load_pretrained = lambda state: state
    monkeypatch.setitem(sys.modules, "compressai.zoo.image", zoo)
    for name in ("compressai", "compressai.zoo"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    known = importlib.metadata.version
    monkeypatch.setattr(
        "treenet_fast.evaluation.compressai_codec.version", lambda p: "1.2.8" if p == "compressai" else known(p)
    )
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def test_files(hub, photograph):
    torch.save({"offset": torch.tensor(2 / 255)}, hub / "net-3-def.pth.tar")
    codec = CompressAiCodec("net")
    assert (codec.name, codec.qualities) == ("CompressAI net mse", (3,))
    image = photograph[:70, :100]
    coded = codec.code(image, 3)
    assert coded.bytes == 10 + 4 + 3 * 16 * 16 + 4 + 1
    expected = image[::8, ::8].astype(int).repeat(8, 0).repeat(8, 1)[:70, :100] + 2
    assert np.array_equal(coded.pixels, expected.clip(0, 255))


def test_missing_weights_are_not_fetched(hub, photograph):
    with pytest.raises(MissingWeightsError, match=r"net-1-abc.*missing; https://models.example/net-1-abc"):
        CompressAiCodec("net")
    torch.save({"offset": torch.tensor(0.0)}, hub / "net-3-def.pth.tar")
    with pytest.raises(MissingWeightsError, match="at quality 1"):
        CompressAiCodec("net").encode(photograph, 1)


@pytest.mark.parametrize("choice", ["other", "net:ms-ssim"])
def test_unknown_architecture(hub, choice):
    with pytest.raises(InvalidArgumentError, match="it has net"):
        CompressAiCodec(choice)


def test_missing_compressai(monkeypatch):
    monkeypatch.setitem(sys.modules, "compressai.zoo.image", None)
    with pytest.raises(MissingLibraryError, match=r"pip install compressai$"):
        CompressAiCodec("bmshj2018-factorized")
