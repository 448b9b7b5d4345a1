"""The command `treenet-fast`; also `python -m treenet_fast`.

Exit status: 0 if all went well, 1 after an error, 2 for a wrong command line, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import TextIO

from PIL import Image, ImageOps

from treenet_fast import models
from treenet_fast._api import DEFAULT_MAX_PIXELS, Codec, info
from treenet_fast._output import write_whole
from treenet_fast._stream import StreamInfo
from treenet_fast._version import __version__
from treenet_fast.errors import OutputError, TreeNetError, UnsupportedImageError
from treenet_fast.image_files import files_below, opened
from treenet_fast.images import IMAGE_SUFFIXES, check_pixels

PROGRAM = "treenet-fast"
STREAM_SUFFIX = ".tnf"
_MAX_STREAM_BYTES = 27 + (1 << 28) - 1  # the longest header and the most it can announce (SPEC §8)


# Commands that live in modules of their own, which need more than the package does: where, what they do, and the extra
# that has what they need.
_NEED_MORE = {
    "train": ("treenet_fast.training.command", "train a network on a folder of photographs", "train"),
    "export": ("treenet_fast.quantise.command", "make a model file of a trained network", "train"),
    "eval": ("treenet_fast.evaluation.command", "compare the models with other codecs on a folder of images", "eval"),
    "report": ("treenet_fast.evaluation.report_command", "one page of HTML of what eval and latents found", "eval"),
    "latents": ("treenet_fast.evaluation.latents_command", "what each latent of an image holds and costs", "eval"),
    "complexity": ("treenet_fast.evaluation.complexity_command", "what the network computes, module by module", "eval"),
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # what could break a line, or a terminal


class CommandError(Exception):
    """What the command has to say before it gives up on a file; the message names the file."""


@dataclass(frozen=True)
class Job:
    source: Path
    target: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command with `arguments` (those of the process if None) and returns its exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        options = _parser(arguments[0] if arguments else None).parse_args(arguments)
        return int(options.run(options))
    except KeyboardInterrupt:
        return _complain("interrupted", status=130)
    except (CommandError, TreeNetError) as error:
        return _complain(str(error))
    except OSError as error:  # a path that the system cannot even look up
        return _complain(str(error) if error.filename is None else f"{error.filename}: {error.strerror}")
    except MemoryError:
        return _complain("out of memory: shrink the image")


def _parser(command: str | None) -> argparse.ArgumentParser:
    """The parser of the command line; the arguments of a command of `_NEED_MORE` are known if it is `command`."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Compress images to .tnf files and back.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("source", metavar="IN", type=Path, help="a file, or a folder")
    common.add_argument("target", metavar="OUT", help="a file, or a folder if IN is one")
    common.add_argument("--model", metavar="MODEL", help=f"{' or '.join(models.names())}, or a model file")
    common.add_argument("--threads", metavar="N", type=_whole_number, help="default: one a usable CPU, up to 16")
    common.add_argument("--device", metavar="D", help="cpu (the default), or cuda, cuda:0 and so on for a GPU")
    common.add_argument(
        "--max-pixels",
        metavar="N",
        type=_whole_number,
        default=DEFAULT_MAX_PIXELS,
        help="refuse larger images (default: %(default)s)",
    )

    compress = commands.add_parser("compress", parents=[common], help="images to .tnf files")
    compress.add_argument("--quality", metavar="Q", type=_quality, default=50, help="1 to 100 (default: %(default)s)")
    compress.set_defaults(run=_compress)

    decompress = commands.add_parser("decompress", parents=[common], help=".tnf files to images (folders: to PNG)")
    decompress.set_defaults(run=_decompress)

    show = commands.add_parser("info", help="what the header of a .tnf file says")
    show.add_argument("source", metavar="FILE", type=Path)
    show.add_argument("--json", action="store_true", help="print one JSON object")
    show.set_defaults(run=_info)

    for name, (_, text, _) in _NEED_MORE.items():
        needs_more = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if name == command:
            module = _command_module(name)
            module.add_arguments(needs_more)
            needs_more.set_defaults(run=module.run)
    return parser


def _command_module(name: str) -> ModuleType:
    module, _, extra = _NEED_MORE[name]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        hint = f"{name} needs {error.name}: pip install 'treenet-fast[{extra}]'"
        raise CommandError(hint) from error


def _whole_number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _quality(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 100")
    return int(text)


def _codec(options: argparse.Namespace) -> Codec:
    return Codec(options.model, threads=options.threads, max_pixels=options.max_pixels, device=options.device)


def _compress(options: argparse.Namespace) -> int:
    jobs = _jobs(options.source, options.target, IMAGE_SUFFIXES, STREAM_SUFFIX)
    codec = _codec(options)
    # Our limit, not Pillow's: it is checked before the pixels are read.
    Image.MAX_IMAGE_PIXELS = None

    def work(job: Job) -> bytes:
        image = _read_image(job.source, options.max_pixels)
        stream: bytes = codec.compress(image, options.quality)
        write_whole(job.target, stream)
        return stream

    return _run(options, jobs, work)


def _decompress(options: argparse.Namespace) -> int:
    jobs = _jobs(options.source, options.target, (STREAM_SUFFIX,), ".png")
    formats = {job.target: _image_format(job.target) for job in jobs}
    originals_at_risk = _is_own_folder(options.source, Path(options.target))
    codec = _codec(options)

    def work(job: Job) -> bytes:
        if originals_at_risk and job.target.exists():
            raise CommandError(f"{job.target}: exists, and may be the original; name another output for {job.source}")
        stream = _read_stream(job.source)
        image = codec.decompress(stream, output="pil")
        content = io.BytesIO()
        try:
            image.save(content, formats[job.target])
        except (OSError, ValueError) as error:
            raise CommandError(f"{job.target}: this format cannot hold the image: {error}") from error
        write_whole(job.target, content.getbuffer())
        return stream

    return _run(options, jobs, work)


def _info(options: argparse.Namespace) -> int:
    try:
        header = info(_read_stream(options.source))
    except TreeNetError as error:
        raise CommandError(f"{options.source}: {error}") from error
    if options.json:
        _say(json.dumps({**asdict(header), "bits_per_pixel": header.bits_per_pixel}))
    else:
        _say(_describe(header))
    return 0


def _describe(header: StreamInfo) -> str:
    rows = {
        "size": f"{header.width}x{header.height}{' grey' if header.grey else ''}",
        "quality": header.quality,
        "bytes": f"{header.bytes} ({header.bits_per_pixel:.3f} bpp), header {header.header_bytes}",
        "segments": header.segments,
        "model": header.model_id,
        "version": header.version,
    }
    return "\n".join(f"{name + ':':<10}{value}" for name, value in rows.items())


def _run(options: argparse.Namespace, jobs: list[Job], work: Callable[[Job], bytes]) -> int:
    """Does the jobs, one after another. `work` writes the target and returns the stream, read or written."""
    start = time.perf_counter()
    streams: list[StreamInfo] = []
    problems: list[str] = []
    bar = _ProgressBar(len(jobs)) if options.source.is_dir() and _is_terminal(sys.stderr) else None
    try:
        for job in jobs:
            if bar is not None:
                bar.show(job.source.name)
            try:
                streams.append(info(work(job)))
            except (CommandError, OutputError) as error:  # which name the file
                problems.append(str(error))
            except TreeNetError as error:
                problems.append(f"{job.source}: {error}")
            except OSError as error:
                problems.append(f"{job.source}: {error.strerror or error}")
            except MemoryError:
                problems.append(f"{job.source}: out of memory: shrink the image")
    finally:
        if bar is not None:
            bar.clear()
    if streams:
        size = sum(stream.bytes for stream in streams)
        pixels = sum(stream.width * stream.height for stream in streams)
        rates = f"{size} bytes, {8 * size / pixels:.3f} bpp, {time.perf_counter() - start:.2f} s"
        if options.source.is_dir():
            _say(f"{options.source} -> {Path(options.target)}: {len(streams)} of {len(jobs)} files, {rates}")
        else:
            _say(f"{jobs[0].source} -> {jobs[0].target}: {streams[0].width}x{streams[0].height}, {rates}")
    for problem in problems:
        _complain(problem)
    return 1 if problems else 0


def _jobs(source: Path, output: str, suffixes: tuple[str, ...], target_suffix: str) -> list[Job]:
    """One job for a file; for a folder one for each file in it, at any depth, with one of the suffixes.

    `output` is the argument as it was given: a slash at its end makes it a folder.

    Raises:
        CommandError: there is nothing to do, or an output would replace an input or another output.
    """
    target = Path(output)
    if not source.is_dir():
        if not source.exists():
            raise CommandError(f"{source}: no such file or folder")
        if target.is_dir() or output.endswith(("/", os.sep)):
            target = target / source.with_suffix(target_suffix).name
        if target.exists() and target.samefile(source):
            raise CommandError(f"{target}: is the input; name another output")
        if target.suffix.lower() in suffixes:
            raise CommandError(f"{target}: has the suffix of an input; name a {target_suffix} file as output")
        return [Job(source, target)]
    if target.exists() and not target.is_dir():
        raise CommandError(f"{target}: is no folder, but {source} is one; name a folder as output")
    files = files_below(source, suffixes)
    if not files:
        raise CommandError(f"{source}: holds no {', '.join(suffixes)} files")
    sources: dict[Path, Path] = {}
    for file in files:
        final = target / file.relative_to(source).with_suffix(target_suffix)
        if final in sources:
            raise CommandError(f"{file}: {sources[final].name} beside it would become {final.name} too; rename one")
        sources[final] = file
    return [Job(file, final) for final, file in sources.items()]


def _is_own_folder(source: Path, target: Path) -> bool:
    """Whether `target` is the folder `source`, or the one that the file `source` is in."""
    return target.is_dir() and target.samefile(source if source.is_dir() else source.parent)


def _read_image(path: Path, max_pixels: int) -> Image.Image:
    """The image, turned as its EXIF orientation says; of several frames the first."""
    try:
        with opened(path) as image:
            check_pixels(image.width, image.height, max_pixels)
            return ImageOps.exif_transpose(image)
    except UnsupportedImageError as error:  # it names the file already
        raise CommandError(str(error)) from error


def _read_stream(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_STREAM_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from error


def _image_format(path: Path) -> str:
    """Pillow's name of the format that the suffix stands for."""
    name = Image.registered_extensions().get(path.suffix.lower())
    if name is None or name not in Image.SAVE:
        raise CommandError(f"{path}: no image format to write has the suffix {path.suffix!r}; use .png, for one")
    return name


class _ProgressBar:
    """One line on a terminal's standard error, written over and over."""

    _WIDTH = 30

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0

    def show(self, name: str) -> None:
        """Draws the bar as another file, `name`, begins."""
        filled = self._WIDTH * self._done // self._total
        line = f"[{'#' * filled:<{self._WIDTH}}] {self._done}/{self._total} {name}"
        columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80  # some terminals do not know
        sys.stderr.write(f"\r\x1b[K{line[: columns - 1]}")
        sys.stderr.flush()
        self._done += 1

    def clear(self) -> None:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _say(text: str) -> None:
    if sys.stdout is None:  # closed before the command began
        return
    encoding = sys.stdout.encoding or "utf-8"  # names of files can hold what no encoding can
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except OSError as error:
        # What is left in the buffer would fail once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise CommandError(f"standard output: {error.strerror}") from error


def _complain(problem: str, status: int = 1) -> int:
    if sys.stderr is not None:  # closed before the command began
        print(f"{PROGRAM}: {_CONTROL.sub(' ', problem)}", file=sys.stderr)
    return status
