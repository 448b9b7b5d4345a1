"""Jobs: what they give, what they keep, and what they say when something goes wrong."""

import os

import pytest
from PIL import Image

from treenet_fast.errors import BackendError
from treenet_fast.evaluation import workers
from treenet_fast.evaluation.catalogue import file_of
from treenet_fast.evaluation.codecs import Jpeg
from treenet_fast.evaluation.workers import Job


@pytest.fixture
def image(tmp_path, photograph):
    path = tmp_path / "cat.png"
    Image.fromarray(photograph[:170, :200]).save(path)
    return path


@pytest.fixture
def job(image, tmp_path):
    return Job("jpeg", None, image, (10, 30), ("psnr", "nlpd"), tmp_path / "files")


def test_rows_are_of_the_files_that_stay(job):
    outcome = workers.work(job)
    assert outcome.problem is None
    assert [row.quality for row in outcome.rows] == [10, 30]
    for row in outcome.rows:
        file = file_of(job.files, Jpeg(), row.quality, "cat.png")
        assert row.bytes == os.path.getsize(file)
        assert row.bpp == round(8 * os.path.getsize(file) / (170 * 200), 5)
        assert list(row.values) == ["psnr", "nlpd", "encoding_time", "decoding_time"]
        with Image.open(file) as kept:
            assert (kept.format, kept.size) == ("JPEG", (200, 170))


def test_the_first_image_of_a_size_warms_up(job, monkeypatch):
    calls = []
    monkeypatch.setattr(workers, "_warm", set())
    encode = Jpeg.encode
    monkeypatch.setattr(Jpeg, "encode", lambda self, image, q: calls.append(q) or encode(self, image, q))
    workers.work(job)
    workers.work(job)
    assert calls == [10, 10, 30, 10, 30]


def test_a_failing_encoder_is_named_and_what_came_before_stays(job, monkeypatch):
    def encode(self, image, quality, encode=Jpeg.encode):
        if quality == 30:
            raise RuntimeError("broken inside")
        return encode(self, image, quality)

    monkeypatch.setattr(Jpeg, "encode", encode)
    outcome = workers.work(job)
    assert [row.quality for row in outcome.rows] == [10]
    assert outcome.problem == f"jpeg: {job.image}: RuntimeError: broken inside"


def test_an_image_that_went_away(job):
    job.image.unlink()
    assert "cat.png" in workers.work(job).problem


def test_processes(job, image, tmp_path):
    """The same rows as in this process, but for the time; each process keeps to one CPU."""
    jobs = [job, Job("webp", None, image, (20,), ("psnr",), tmp_path / "files")]
    for done, outcome in workers.run(jobs, 2):
        expected = workers.work(done).rows
        for row, other in zip(outcome.rows, expected, strict=True):
            assert (row.bytes, row.values["psnr"]) == (other.bytes, other.values["psnr"])


def test_a_process_that_dies(job):
    death = Job("jpeg", None, Death(), (10,), ("psnr",), job.files)
    with pytest.raises(BackendError, match="a process died"):
        list(workers.run([death], 1))


class Death:
    """Ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (1,)
