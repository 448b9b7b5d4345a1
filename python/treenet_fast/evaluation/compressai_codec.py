"""CompressAI's pretrained architectures, where their weights are on this machine."""

from __future__ import annotations

import struct
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from treenet_fast.errors import InvalidArgumentError, MissingWeightsError
from treenet_fast.evaluation.codecs import FileCodec
from treenet_fast.evaluation.libraries import library
from treenet_fast.evaluation.metrics import Pixels

_SIDE_MULTIPLE = 64
"""What the networks want a side to be a multiple of."""
_HEADER = struct.Struct("<BHHHHB")  # quality, height and width of the image and of z, how many strings
_LENGTH = struct.Struct("<I")


class CompressAiCodec(FileCodec):
    """One architecture of CompressAI's zoo; a quality is a network of its own.

    Its files hold what `compress` gives and what `decompress` needs: CompressAI has no format.

    Args:
        choice: the architecture, as in `compressai.zoo`, and ":ms-ssim" for the weights trained for that.
        device: where it runs; None for the CPU.

    Raises:
        InvalidArgumentError: there is no such architecture.
        MissingLibraryError: CompressAI is not installed.
        MissingWeightsError: PyTorch's hub has none of its weights on this machine.
    """

    kind = "peer"
    suffix = ".bin"
    quality_range = (1, 8)

    def __init__(self, choice: str, device: str | None = None) -> None:
        torch, self._zoo = library("torch"), library("compressai.zoo.image")
        self._architecture, _, metric = choice.partition(":")
        metric = metric or "mse"
        urls = self._zoo.model_urls.get(self._architecture, {}).get(metric)
        if urls is None:
            known = ", ".join(self._zoo.model_urls)
            raise InvalidArgumentError(f"CompressAI has no {self._architecture} trained for {metric}: it has {known}")
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        files = {quality: folder / PurePosixPath(url).name for quality, url in urls.items()}
        self._files = {quality: file for quality, file in files.items() if file.is_file()}
        if not self._files:
            first = min(urls)
            raise MissingWeightsError(
                f"the weights of CompressAI's {self._architecture} are not on this machine: {files[first]} and its "
                f"like are missing; {urls[first]} has them"
            )
        self.name = f"CompressAI {self._architecture} {metric}"
        self.qualities = tuple(sorted(self._files))
        self._device = torch.device(device or "cpu")
        self._networks: dict[int, Any] = {}
        self.parameters = {
            "compressai": version("compressai"),
            "torch": torch.__version__,
            "device": str(self._device),
            **{f"weights {quality}": self._files[quality].name for quality in self.qualities},
        }

    def encode(self, image: Pixels, quality: int) -> bytes:
        torch = library("torch")
        height, width, _ = image.shape
        bottom, right = (-side % _SIDE_MULTIPLE for side in (height, width))
        padded = np.pad(image, ((0, bottom), (0, right), (0, 0)), mode="edge")
        x = torch.tensor(padded, device=self._device).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            coded = self._network(quality).compress(x)
        strings = [batch[0] for batch in coded["strings"]]
        header = _HEADER.pack(quality, height, width, *coded["shape"], len(strings))
        return header + b"".join(_LENGTH.pack(len(string)) + string for string in strings)

    def decode(self, data: bytes) -> Pixels:
        torch = library("torch")
        quality, height, width, *shape, count = _HEADER.unpack_from(data)
        strings, at = [], _HEADER.size
        for _ in range(count):
            (length,) = _LENGTH.unpack_from(data, at)
            at += _LENGTH.size
            strings.append([data[at : at + length]])
            at += length
        with torch.inference_mode():
            x = self._network(quality).decompress(strings, tuple(shape))["x_hat"]
        pixels = (x[0, :, :height, :width].clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
        return np.asarray(pixels.cpu().numpy())

    def _network(self, quality: int) -> Any:
        if quality not in self._networks:
            if quality not in self._files:
                raise MissingWeightsError(f"the weights of {self.name} at quality {quality} are not on this machine")
            state = library("torch").load(self._files[quality], map_location="cpu", weights_only=True)
            network = self._zoo.model_architectures[self._architecture].from_state_dict(
                self._zoo.load_pretrained(state)
            )
            self._networks[quality] = network.to(self._device).eval()
        return self._networks[quality]
