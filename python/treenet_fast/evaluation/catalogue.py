"""Codecs by the names that the command line has for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from treenet_fast import models
from treenet_fast.errors import InvalidArgumentError
from treenet_fast.evaluation.codecs import PEERS, FileCodec, ImageCodec, TreeNetCodec
from treenet_fast.evaluation.compressai_codec import CompressAiCodec
from treenet_fast.evaluation.libraries import library

PEER_OPTIONS = {peer.name.lower().replace("jpeg xl", "jxl"): peer for peer in PEERS}
FLOAT, COMPRESSAI = "float:", "compressai:"
DEFAULT = (*models.names(), *PEER_OPTIONS)


def make(choice: str, device: str | None = None, threads: int | None = None) -> ImageCodec:
    """The codec of a name.

    Args:
        choice: "jpeg" or another of `PEER_OPTIONS`; the name of a model in the package, or a model file; "float:" and
            the file of a float network; "compressai:" and one of its architectures, and ":ms-ssim" for the weights
            trained for that.
        device: where networks run, as for `treenet_fast.Codec`.
        threads: of this package's codec.

    Raises:
        InvalidArgumentError: there is no such codec.
        MissingLibraryError: its library is not installed.
        MissingWeightsError: its weights are not on this machine.
        ModelFileError: the file cannot be read, or holds no model.
    """
    if choice in PEER_OPTIONS:
        return PEER_OPTIONS[choice]()
    if choice.startswith(COMPRESSAI):
        return CompressAiCodec(choice.removeprefix(COMPRESSAI), device)
    if choice.startswith(FLOAT):
        library("torch")
        from treenet_fast.evaluation.float_network import FloatCodec

        return FloatCodec(Path(choice.removeprefix(FLOAT)))
    if choice not in models.names() and not Path(choice).exists():
        raise InvalidArgumentError(f"there is no codec {choice!r}: use {', '.join(DEFAULT)}, or a model file")
    return TreeNetCodec(models.resolve(choice), threads=threads, device=device)


def with_qualities(codec: ImageCodec, choice: str, qualities: Mapping[str | None, tuple[int, ...]]) -> ImageCodec:
    """The codec with the qualities asked for: by its name, or of None for all codecs; else with its own.

    Raises:
        InvalidArgumentError: the codec has no such quality.
    """
    wanted = qualities.get(choice, qualities.get(None, codec.qualities))
    low, high = codec.quality_range
    if not all(low <= quality <= high for quality in wanted):
        raise InvalidArgumentError(
            f"{codec.name} has qualities from {low} to {high}: not {', '.join(map(str, wanted))}"
        )
    codec.qualities = tuple(sorted(set(wanted)))
    return codec


def file_of(folder: Path, codec: FileCodec, quality: int, image: str) -> Path:
    """Where a compressed file is kept."""
    return folder / slug(codec.name) / str(quality) / f"{image}{codec.suffix}"


def slug(codec: str) -> str:
    """A codec's name as that of a file."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in codec.lower()).strip("-")
