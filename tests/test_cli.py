import json
import os
import pty
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import treenet_fast
from treenet_fast import cli
from treenet_fast.cli import main


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def photo(tmp_path, thumbnail):
    path = tmp_path / "photo.png"
    Image.fromarray(thumbnail).save(path)
    return path


@pytest.fixture
def tnf(tmp_path, thumbnail_stream):
    path = tmp_path / "photo.tnf"
    path.write_bytes(thumbnail_stream)
    return path


def run(*arguments):
    """The status of the command, that of a wrong command line included."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code


def process(*arguments, **options):
    command = [sys.executable, "-m", "treenet_fast", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


def one_complaint(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("treenet-fast: ")
    assert captured.err.endswith("\n")
    assert captured.err.count("\n") == 1
    return captured.err


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_compress_and_decompress(photo, thumbnail, thumbnail_stream, tmp_path, capsys):
    assert run("compress", "photo.png", "out.tnf") == 0
    assert (tmp_path / "out.tnf").read_bytes() == thumbnail_stream
    rates = rf"50x37, {len(thumbnail_stream)} bytes, {8 * len(thumbnail_stream) / thumbnail[:, :, 0].size:.3f} bpp, "
    out, err = capsys.readouterr()
    assert out.startswith(f"photo.png -> out.tnf: {rates}")
    assert out.endswith(" s\n")
    assert err == ""
    assert run("decompress", "out.tnf", "back.png") == 0
    assert capsys.readouterr().out.startswith(f"out.tnf -> back.png: {rates}")
    np.testing.assert_array_equal(
        np.asarray(Image.open("back.png")), treenet_fast.decompress(thumbnail_stream, output="numpy")
    )
    assert names(tmp_path) == ["back.png", "out.tnf", "photo.png"]


def test_quality_and_threads(photo, thumbnail, tmp_path):
    assert run("compress", "photo.png", "out.tnf", "--quality", 90, "--threads", 1) == 0
    assert (tmp_path / "out.tnf").read_bytes() == treenet_fast.compress(thumbnail, 90)


def test_grey(thumbnail, tmp_path):
    Image.fromarray(thumbnail[:, :, 0]).save("grey.png")
    assert run("compress", "grey.png", "grey.tnf") == 0
    assert run("decompress", "grey.tnf", "back.png") == 0
    assert Image.open("back.png").mode == "L"


def test_orientation_of_a_camera_is_applied(thumbnail, tmp_path):
    image = Image.fromarray(thumbnail)
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    image.save("turned.png", exif=exif)
    assert run("compress", "turned.png", "turned.tnf") == 0
    upright = np.rot90(thumbnail, -1)
    assert (tmp_path / "turned.tnf").read_bytes() == treenet_fast.compress(upright)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp", ".tif", ".ppm"])
def test_other_formats(tnf, suffix):
    assert run("decompress", "photo.tnf", f"back{suffix}") == 0
    assert Image.open(f"back{suffix}").size == (50, 37)
    assert run("compress", f"back{suffix}", "again.tnf") == 0


def test_outputs_are_replaced_whole(photo, thumbnail_stream, tmp_path):
    (tmp_path / "real.tnf").write_bytes(b"old")
    (tmp_path / "link.tnf").symlink_to("real.tnf")
    assert run("compress", "photo.png", "link.tnf") == 0
    assert (tmp_path / "link.tnf").is_symlink()
    assert (tmp_path / "real.tnf").read_bytes() == thumbnail_stream


def test_a_file_into_a_folder(photo, tmp_path):
    (tmp_path / "out").mkdir()
    assert run("compress", "photo.png", "out") == 0
    assert names(tmp_path / "out") == ["photo.tnf"]


def test_folders(thumbnail, tmp_path, capsys):
    (tmp_path / "in/deep").mkdir(parents=True)
    Image.fromarray(thumbnail).save("in/a.png")
    Image.fromarray(thumbnail).save("in/B.JPG")
    Image.fromarray(thumbnail[:10]).save("in/deep/c.bmp")
    (tmp_path / "in/notes.txt").write_text("no image")
    assert run("compress", "in", "out") == 0
    assert names(tmp_path / "out") == ["B.tnf", "a.tnf", "deep", "deep/c.tnf"]
    out, err = capsys.readouterr()
    assert out.startswith("in -> out: 3 of 3 files, ")
    assert err == ""  # no terminal, no progress bar
    assert run("decompress", "out", "back") == 0
    assert names(tmp_path / "back") == ["B.png", "a.png", "deep", "deep/c.png"]
    assert Image.open("back/deep/c.png").size == (50, 10)


def test_bad_files_of_a_folder_are_told_at_the_end(thumbnail, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(b"no image")
    Image.fromarray(thumbnail).save("in/b.png")
    Image.fromarray(thumbnail).convert("RGBA").save("in/c.png")
    assert run("compress", "in", "out") == 1
    assert names(tmp_path / "out") == ["b.tnf"]
    out, err = capsys.readouterr()
    assert out.startswith("in -> out: 1 of 3 files, ")
    first, second = err.splitlines()
    assert first.startswith("treenet-fast: in/a.png: ")
    assert second.startswith("treenet-fast: in/c.png: ")
    assert "alpha" in second


def test_progress_bar_on_a_terminal(thumbnail, tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(3):
        Image.fromarray(thumbnail).save(f"in/{i}.png")
    terminal, side = pty.openpty()
    command = [sys.executable, "-m", "treenet_fast", "compress", "in", "out"]
    with subprocess.Popen(command, stderr=side, stdout=subprocess.PIPE) as child:
        assert child.wait(120) == 0
    os.close(side)
    shown = os.read(terminal, 65536).decode()
    os.close(terminal)
    for i in range(3):
        assert f"{i}/3 {i}.png" in shown
    assert shown.endswith("\r\x1b[K")


def test_info(tnf, capsys):
    assert run("info", "photo.tnf") == 0
    rows = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    assert rows["size"].strip() == "50x37"
    assert rows["quality"].strip() == "50"
    assert run("info", "photo.tnf", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    header = treenet_fast.info(tnf.read_bytes())
    assert answer.pop("bits_per_pixel") == header.bits_per_pixel
    assert treenet_fast.StreamInfo(**answer) == header


def test_the_module_is_the_command(tnf):
    done = process("info", "photo.tnf", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["width"] == 50
    assert process("--version").stdout == f"treenet-fast {treenet_fast.__version__}\n"


STREAMS = {
    "empty": (lambda stream: b"", "empty"),
    "foreign": (lambda stream: b"\x89PNG\r\n", "not a TreeNet stream"),
    "newer version": (lambda stream: stream[:3] + b"\x02" + stream[4:], "upgrade"),
    "truncated": (lambda stream: stream[:-1], "truncated"),
    "damaged": (lambda stream: stream[:-1] + bytes([stream[-1] ^ 1]), "damaged"),
}


@pytest.mark.parametrize("case", STREAMS)
@pytest.mark.parametrize("command", [["decompress", "bad.tnf", "out.png"], ["info", "bad.tnf"]])
def test_bad_streams(case, command, tmp_path, thumbnail_stream, capsys):
    spoil, message = STREAMS[case]
    (tmp_path / "bad.tnf").write_bytes(spoil(thumbnail_stream))
    assert run(*command) == 1
    complaint = one_complaint(capsys)
    assert "bad.tnf: " in complaint
    assert message in complaint
    assert names(tmp_path) == ["bad.tnf"]


def test_bad_image_files(tmp_path, thumbnail, capsys):
    Image.fromarray(thumbnail.repeat(4, axis=0)).save("whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "header.png").write_bytes(content[:20])
    (tmp_path / "flipped.png").write_bytes(content[:60] + bytes([content[60] ^ 255]) + content[61:])
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.fromarray(thumbnail).convert("RGBA").save("alpha.png")
    Image.fromarray(thumbnail).convert("P").save("palette.png")
    Image.fromarray(thumbnail[:, :, 0].astype(np.uint16) * 257).save("deep.png")
    before = names(tmp_path)
    for name in before:
        if name != "whole.png":
            assert run("compress", name, "out.tnf") == 1
            assert f"{name}: " in one_complaint(capsys)
            assert names(tmp_path) == before


def test_missing_input(tmp_path, capsys):
    for command in (["compress", "absent.png", "out.tnf"], ["decompress", "absent.tnf", "out.png"]):
        assert run(*command) == 1
        assert "absent" in one_complaint(capsys)
    assert run("info", "absent.tnf") == 1
    assert "absent.tnf: No such file" in one_complaint(capsys)
    assert names(tmp_path) == []


def test_outputs_that_cannot_be(photo, tnf, tmp_path, capsys):
    before = names(tmp_path)
    for command, message in (
        (["compress", "photo.png", "photo.png"], "is the input"),
        (["compress", "photo.png", "photo.tnf/out.tnf"], "cannot be written"),
        (["compress", "photo.png", "/dev/null"], "no ordinary file"),
        (["compress", "photo.png", f"{'long' * 100}.tnf"], "File name too long"),
        (["decompress", "photo.tnf", "out.unknown"], "use .png"),
        (["decompress", "photo.tnf", "out"], "use .png"),
    ):
        assert run(*command) == 1
        assert message in one_complaint(capsys)
        assert names(tmp_path) == before


def test_image_beyond_a_format(tmp_path, capsys):
    (tmp_path / "wide.tnf").write_bytes(treenet_fast.compress(np.zeros((1, 16384), np.uint8)))
    assert run("decompress", "wide.tnf", "wide.webp") == 1  # WebP ends at 16383
    assert "wide.webp: this format cannot hold the image" in one_complaint(capsys)
    assert names(tmp_path) == ["wide.tnf"]


def test_folders_that_cannot_be(photo, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "twins").mkdir()
    Image.new("L", (4, 4)).save("twins/a.png")
    Image.new("L", (4, 4)).save("twins/a.bmp")
    before = names(tmp_path)
    for command, message in (
        (["compress", "empty", "out"], "empty: holds no .png"),
        (["decompress", "twins", "out"], "twins: holds no .tnf"),
        (["compress", "twins", "photo.png"], "photo.png: is no folder"),
        (["compress", "twins", "out"], "a.bmp beside it would become a.tnf too"),
    ):
        assert run(*command) == 1
        assert message in one_complaint(capsys)
        assert names(tmp_path) == before


def test_pixel_limit(photo, tnf, tmp_path, capsys):
    before = names(tmp_path)
    for command in (["compress", "photo.png", "out.tnf"], ["decompress", "photo.tnf", "out.png"]):
        assert run(*command, "--max-pixels", 1849) == 1
        assert "limit of 1849" in one_complaint(capsys)
        assert names(tmp_path) == before
        assert run(*command, "--max-pixels", 1850) == 0
        (tmp_path / command[2]).unlink()
        capsys.readouterr()


def test_model_file(photo, tmp_path, capsys):
    (tmp_path / "bad.safetensors").write_bytes(b"no model")
    for name in ("bad.safetensors", "absent.safetensors"):
        assert run("compress", "photo.png", "out.tnf", "--model", name) == 1
        assert name in one_complaint(capsys)


def test_instruction_set(photo, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TREENET_FAST_ISA", "sse9")
    assert run("compress", "photo.png", "out.tnf") == 1
    assert "TREENET_FAST_ISA is 'sse9'" in one_complaint(capsys)


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["explode"],
        ["compress", "photo.png"],
        ["compress", "photo.png", "out.tnf", "--quality", "0"],
        ["compress", "photo.png", "out.tnf", "--quality", "101"],
        ["compress", "photo.png", "out.tnf", "--quality", "good"],
        ["compress", "photo.png", "out.tnf", "--threads", "-1"],
        ["decompress", "photo.tnf", "out.png", "--quality", "50"],
    ],
)
def test_wrong_command_lines(command, photo, tmp_path, capsys):
    assert run(*command) == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]
    assert names(tmp_path) == ["photo.png"]


def test_standard_output_that_is_full(photo):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "treenet_fast", "compress", "photo.png", "out.tnf"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr == "treenet-fast: standard output: No space left on device\n"


@pytest.fixture
def interruptible():
    """Children can be interrupted, though a shell that runs the tests in its background has them ignore it."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


def test_interrupt(photograph, tmp_path, interruptible):
    (tmp_path / "in").mkdir()
    for i in range(200):
        os.link(_saved(photograph, tmp_path), f"in/{i}.bmp")
    command = [sys.executable, "-m", "treenet_fast", "compress", "in", "out"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        deadline = time.monotonic() + 60
        while not (tmp_path / "out").is_dir() and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert (out, err) == ("", "treenet-fast: interrupted\n")
    for name in names(tmp_path / "out"):
        assert name.endswith(".tnf")
        assert treenet_fast.info((tmp_path / "out" / name).read_bytes()).height == 300


def _saved(photograph, folder):
    path = folder / "photograph.bmp"
    if not path.exists():
        Image.fromarray(photograph).save(path)
    return path


@pytest.mark.parametrize(
    ("error", "message"), [(MemoryError(), "out of memory"), (OSError(5, "Input/output error"), "Input/output error")]
)
def test_files_of_a_folder_that_the_system_fails(error, message, thumbnail, tmp_path, capsys, monkeypatch):
    (tmp_path / "in").mkdir()
    for name in "abc":
        Image.fromarray(thumbnail).save(f"in/{name}.png")
    write = cli.write_whole

    def fail_on_a(path, content):
        if path.name == "a.tnf":
            raise error
        write(path, content)

    monkeypatch.setattr(cli, "write_whole", fail_on_a)
    assert run("compress", "in", "out") == 1
    assert names(tmp_path / "out") == ["b.tnf", "c.tnf"]
    assert capsys.readouterr().err.startswith(f"treenet-fast: in/a.png: {message}")


def test_system_errors_that_name_no_file(capsys, monkeypatch):
    def fail(*_):
        raise OSError("out of luck")

    monkeypatch.setattr(cli, "_read_stream", fail)
    assert run("info", "photo.tnf") == 1
    assert one_complaint(capsys) == "treenet-fast: out of luck\n"


def test_out_of_memory_while_an_image_is_read(photo, capsys, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(cli.ImageOps, "exif_transpose", fail)
    assert run("compress", "photo.png", "out.tnf") == 1
    assert "photo.png: out of memory" in one_complaint(capsys)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_standard_streams(closed, photo, thumbnail_stream, tmp_path):
    (tmp_path / "in").mkdir()
    photo.rename(tmp_path / "in" / "photo.png")
    for source, target, status in (
        ("in", "out", 0),
        ("in/photo.png", "photo.tnf", 0),
        ("absent.png", "out.tnf", 1),
    ):
        command = f'"$0" -m treenet_fast compress {source} {target} {closed}'
        done = subprocess.run(
            ["sh", "-c", command, sys.executable], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == status
        assert "Traceback" not in done.stderr
        if ">&-" in closed.split():
            assert done.stdout == ""
    assert (tmp_path / "photo.tnf").read_bytes() == thumbnail_stream
    assert (tmp_path / "out/photo.tnf").read_bytes() == thumbnail_stream


def test_longest_stream():
    assert cli._MAX_STREAM_BYTES == 27 + 2**28 - 1


@pytest.mark.parametrize("name", ["other.png", "other.JPG", "new.webp"])
def test_compress_does_not_replace_images(name, photo, tmp_path, capsys):
    (tmp_path / "other.png").write_bytes(b"an original")
    before = names(tmp_path)
    assert run("compress", "photo.png", name) == 1
    assert "name a .tnf file" in one_complaint(capsys)
    assert names(tmp_path) == before
    assert (tmp_path / "other.png").read_bytes() == b"an original"


@pytest.mark.parametrize("target", ["in", "./in/", "link"])
def test_decompress_in_place_does_not_replace_images(target, thumbnail, thumbnail_stream, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to("in")
    Image.fromarray(thumbnail).save("in/a.png")
    original = (tmp_path / "in/a.png").read_bytes()
    for name in "ab":
        (tmp_path / f"in/{name}.tnf").write_bytes(thumbnail_stream)
    assert run("decompress", "in", target) == 1
    assert "a.png: exists" in capsys.readouterr().err
    assert (tmp_path / "in/a.png").read_bytes() == original
    assert names(tmp_path / "in") == ["a.png", "a.tnf", "b.png", "b.tnf"]
    assert run("decompress", "in/a.tnf", target) == 1
    assert "a.png: exists" in one_complaint(capsys)
    assert run("decompress", "in/a.tnf", "in/a.png") == 0  # asked for by name


def test_a_slash_at_the_end_is_a_folder(photo, tmp_path):
    assert run("compress", "photo.png", "new/") == 0
    assert run("decompress", "new/photo.tnf", "back.png/") == 0
    assert names(tmp_path) == ["back.png", "back.png/photo.png", "new", "new/photo.tnf", "photo.png"]


def test_complaints_keep_names_as_they_are(tmp_path, capsys):
    (tmp_path / "two  spaces.tnf").write_bytes(b"")
    (tmp_path / "a\nb\x1b[1m.tnf").write_bytes(b"")
    assert run("info", "two  spaces.tnf") == 1
    assert "treenet-fast: two  spaces.tnf: " in one_complaint(capsys)
    assert run("info", "a\nb\x1b[1m.tnf") == 1
    assert "treenet-fast: a b [1m.tnf: " in one_complaint(capsys)
