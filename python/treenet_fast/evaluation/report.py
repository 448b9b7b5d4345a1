"""One page of what `treenet-fast eval`, `latents` and `complexity` found, to be read from top to bottom.

What is not there is left out, and the page says so, and which command makes it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from treenet_fast import image_files, models
from treenet_fast.errors import RecordError
from treenet_fast.evaluation import comparison, complexity_command, latents_command, page, published, sheet
from treenet_fast.evaluation.codecs import Heic, JpegXl
from treenet_fast.evaluation.complexity import Tables
from treenet_fast.evaluation.latents_command import SUMMARY, Summary
from treenet_fast.evaluation.metrics import Pixels
from treenet_fast.evaluation.names import treenet_name
from treenet_fast.evaluation.page import Html, Section, bullets, element, join, paragraph
from treenet_fast.evaluation.record import Entry, Record
from treenet_fast.evaluation.scores import METRICS, Metric
from treenet_fast.evaluation.table import Table
from treenet_fast.model_layout import LATENTS

TITLE = "Image codecs: rate, distortion and time"

_KINDS = {"model": "integer model of treenet_fast", "float": "float network", "peer": "other codec"}
_THUMBNAIL = 480  # pixels of the longer side of an image of which there are many


@dataclass(frozen=True)
class Results:
    """What a report is made of.

    Attributes:
        folder: of `treenet-fast eval`.
        record: in it.
        studies: folders of `treenet-fast latents`.
        complexity: the tables of `treenet-fast complexity`.
    """

    folder: Path
    record: Record
    studies: Sequence[Path]
    complexity: Tables

    @property
    def metrics(self) -> list[Metric]:
        """Those that all codecs in tables and figures have."""
        points = [row.values for entry in self.record.complete() for row in entry.rows]
        return [metric for metric in METRICS.values() if all(metric.name in values for values in points)]

    @property
    def anchor(self) -> str | None:
        """The codec that the others' BD-rates are against, if the record names one that it has."""
        name = self.record.run.get("anchor")
        return name if name in {entry.codec for entry in self.record.complete()} else None

    @property
    def published(self) -> str | None:
        """The paper's set of images whose rows stand beside ours."""
        name = self.record.run.get("published")
        return name if name in published.BD_RATES else None

    def of_kind(self, kind: str) -> list[Entry]:
        """The codecs of a kind that were measured on all images."""
        return [entry for entry in self.record.complete() if entry.kind == kind]


def report(results: Results) -> bytes:
    """The page.

    Raises:
        RecordError: a file beside the record is damaged.
        UnsupportedImageError: a picture beside the record cannot be read.
        MissingLibraryError: bjontegaard is not installed.
    """
    parts = (_wins, _crops, _curves, _bd_rates, _like_rates, _times, _studies, _complexity, _notes, _settings)
    return page.document(TITLE, _lead(results), [part(results) for part in parts])


def _lead(results: Results) -> Html:
    record = results.record
    codecs = [entry.codec for entry in record.complete() if entry.kind != "float"]
    if results.of_kind("float"):
        codecs.append("float networks (whose rates are estimates)")
    coded = f"{_count(len(record.images), 'image')}, coded and decoded by {_listed(codecs)}."
    circumstances = [
        f"{word} {value}"
        for word, value in (("on", record.run.get("date")), ("with", record.settings.get("processor")))
        if value
    ]
    measured = ["bits per pixel", *(metric.title for metric in results.metrics), "the time to encode and to decode"]
    return join(
        paragraph(coded, " ", " ".join(["Measured", *circumstances]) + "." if circumstances else ""),
        paragraph(f"On this page: {_listed(measured)}."),
    )


def _wins(results: Results) -> Section:
    title = "Who wins where"
    own = results.of_kind("model")
    if not own or not results.of_kind("peer"):
        text = "For this `treenet-fast eval` has to have measured a model of treenet_fast and another codec."
        return Section("wins", title, paragraph(text))
    text = (
        "How many more (+) or fewer (−) bits treenet_fast needs than each other codec at equal quality: the "
        "Bjøntegaard delta rate, by each metric. Less is better. Below each is the range of quality that it is taken "
        "over, which is all that both codecs cover."
    )
    parts = []
    for model in own:
        table = comparison.versus_peers(results.record, model, results.metrics)
        verdicts = bullets(_verdict(results, model, metric) for metric in results.metrics)
        parts.append(element("div", element("h3", model.codec), verdicts, _table(table, f"BD-rates of {model.codec}")))
    return Section("wins", title, join(paragraph(text), element("div", *parts, class_="columns")))


def _verdict(results: Results, model: Entry, metric: Metric) -> str:
    """Which peers a model beats, in words."""
    deltas = [(peer.codec, comparison.compare(peer, model, metric)) for peer in results.of_kind("peer")]
    known = [(name, delta.percent) for name, delta in deltas if not isinstance(delta, str)]
    fewer, more = ([name for name, percent in known if (percent < 0) is less] for less in (True, False))
    without = [name for name, delta in deltas if isinstance(delta, str)]
    claims = (("fewer bits than", fewer), ("more bits than", more), ("not comparable with", without))
    return f"{metric.title}: {', '.join(f'{claim} {_listed(names)}' for claim, names in claims if names)}"


def _crops(results: Results) -> Section:
    title, folder = "The same crops at like rates", results.folder / "comparison"
    if not folder.exists():
        text = "There is no visual comparison: `treenet-fast eval` makes it when it runs on the same images again."
        return Section("crops", title, paragraph(text))
    rows, bpp = sheet.load(folder)
    parts = [
        paragraph(
            f"The middle of some images, each codec at the quality whose file is nearest to {bpp:g} bits per pixel; "
            "some cannot go as low. Sizes and scores are of the whole images. The pixels are as decoded."
        )
    ]
    for row in rows:
        name = row[0].lines[1] if len(row[0].lines) > 1 else ""
        tiles = [page.figure(_png(tile.pixels, _alt(tile, name)), *_lines(tile.lines)) for tile in row]
        parts += [element("h3", name), element("div", *tiles, class_="tiles")]
    return Section("crops", title, join(*parts))


def _alt(tile: sheet.Tile, name: str) -> str:
    return f"Crop of {name}: {tile.lines[0]}"


def _lines(lines: Sequence[str]) -> list[Html]:
    """Lines that may break at their commas alone."""
    found = []
    for line in lines:
        *firsts, last = line.split(", ")
        parts = [*(part for first in firsts for part in (element("span", f"{first},"), " ")), element("span", last)]
        found.append(element("span", *parts))
    return found


def _curves(results: Results) -> Section:
    found, missing = [], []
    for metric in results.metrics:
        file = results.folder / f"rate_distortion_{metric.name}.svg"
        if file.exists():
            alt = (
                f"Curves of {metric.quality_title} over bits per pixel, a line for each codec; tables below have values"
            )
            found.append(page.figure(_svg(file, alt), f"{metric.axis}, over bits per pixel"))
        else:
            missing.append(f"There are no curves of {metric.title}: `treenet-fast eval` draws them at its end.")
    return Section(
        "curves",
        "Curves of rate and distortion",
        join(
            paragraph("Means over the images at each quality. Up and to the left is better."),
            element("div", *found, class_="curves"),
            *map(paragraph, missing),
        ),
    )


def _bd_rates(results: Results) -> Section:
    title = "BD-rates"
    if results.anchor is None:
        text = "The record names no codec to hold all others against: `treenet-fast eval --anchor CODEC` does."
        return Section("bd-rates", title, paragraph(text))
    record, metrics = results.record, results.metrics
    parts = [
        paragraph(
            f"All codecs against {results.anchor}, and each integer model against its own float network where that was "
            "measured: more (+) or fewer (−) bits at equal quality, and the range of quality that this is taken over. "
            "Akima's interpolation of the logarithm of the rate, on the curves of means."
        ),
        _table(comparison.table(record, results.anchor, metrics), f"BD-rates measured here, against {results.anchor}"),
    ]
    if problems := comparison.problems(record, results.anchor, metrics):
        parts.append(bullets(problems))
    if results.published is not None:
        images = published.TITLES[results.published]
        caption = f"Published, not measured here: BD-rates on {images}, against {published.ANCHOR}"
        parts += [
            element("h3", "Published"),
            paragraph(
                "What the TreeNet paper (arXiv 2512.16743) prints: of other files, encoders and weights, and against "
                "another anchor. For orientation only."
            ),
            _table(comparison.published_table(results.published, metrics), caption),
        ]
    return Section("bd-rates", title, join(*parts))


def _like_rates(results: Results) -> Section:
    tables = [
        _table(comparison.like_rates(results.record, [metric]), f"{metric.title}, means over the images")
        for metric in results.metrics
    ]
    text = (
        "Between neighbouring qualities, linear in the logarithm of the rate, MS-SSIM in dB. A dash: no quality of the "
        "codec reaches that rate."
    )
    return Section("like-rates", "All codecs at like rates", join(paragraph(text), *tables))


def _times(results: Results) -> Section:
    settings = results.record.settings
    table = comparison.times(results.record)
    if not table.rows:
        return Section("times", "Times", paragraph("The record has no times: `treenet-fast eval` measures them."))
    device = settings.get("device", "cpu")
    text = (
        "Medians over all images and qualities, in memory, without the disk. A process keeps to one core, whatever "
        "threads a library would like, and codes its first image of a size once before, unmeasured. "
        f"{_processes(settings.get('processes'))}"
        f"{'' if device == 'cpu' else f' Networks ran on {device}.'}"
    )
    processor = settings.get("processor", "an unknown processor")
    return Section("times", "Times", join(paragraph(text), _table(table, f"One core of {processor}")))


def _processes(processes: object) -> str:
    if processes == 1:
        return "There was one process."
    return f"There were {processes or 'several'} processes at once, which share memory and caches."


def _studies(results: Results) -> Section:
    title = "The four latents"
    if not results.studies:
        text = (
            "There is no study here: `treenet-fast latents IMAGE -o FOLDER` makes one, which this page shows if the "
            "folder is in `latents` beside the record, or is named with `--latents`."
        )
        return Section("latents", title, paragraph(text))
    text = (
        "What the decoder makes of each latent alone, the others zero, and of the first one, two, three and all. Then "
        "where the bits of the file are, on one scale, in squares of 16x16 pixels."
    )
    return Section("latents", title, join(paragraph(text), *(_study(folder) for folder in results.studies)))


def _study(folder: Path) -> Html:
    found = Summary.load(folder / SUMMARY)
    alone = [
        page.figure(_thumbnail(folder / f"selective-{b}.png", f"The image from y{b} alone"), *_lines([f"y{b} alone"]))
        for b in range(1, LATENTS + 1)
    ]
    together = []
    for b, psnr in zip(range(1, LATENTS + 1), found.psnr, strict=True):
        name = "y1" if b == 1 else f"y1 to y{b}"
        image = _thumbnail(folder / f"accumulative-{b}.png", f"The image from {name}")
        together.append(page.figure(image, *_lines([name, f"PSNR {psnr:.2f} dB"])))
    alt = f"The image, and maps of the bits per pixel of y1 to y{LATENTS} at each position"
    chart = page.scrolling(_whole(folder / "rates.png", alt), alt)
    of = f"{found.image}, {found.width}x{found.height}, {found.model} at quality {found.quality}"
    return join(
        element("h3", of),
        element("div", *alone, *together, class_="tiles"),
        element("div", chart, class_="chart"),
        _table(latents_command.table(found), f"Where the bytes of the file are: {of}"),
    )


def _complexity(results: Results) -> Section:
    tables = [_table(table, title) for title, table in complexity_command.titled(results.complexity)]
    text = (
        "Multiply-accumulates (MAC) for each pixel of the image, and parameters: counted while the network runs, "
        "beside what the paper prints, marked as published."
    )
    return Section("complexity", "Complexity", join(paragraph(text), *tables, bullets(results.complexity.notes)))


def _notes(results: Results) -> Section:
    record = results.record
    notes = ["Sizes are those of real files, as the file system has them."]
    if results.of_kind("float"):
        notes.append(
            "Float networks have no files and no times: their rates are estimates, the information of their latents "
            "under their own probabilities."
        )
    if {treenet_name(name) for name in models.names()} & {entry.codec for entry in results.of_kind("model")}:
        notes.append(
            "The models in treenet_fast were trained for hours on two CPU cores and minutes on a GPU; the paper's, on "
            "150,000 photographs 450 times over."
        )
    if results.of_kind("peer"):
        notes.append(
            "The other codecs run at their usual settings: JPEG, WebP, AVIF and HEIC with 4:2:0 chroma, which costs "
            "them PSNR of RGB."
        )
    if JpegXl.name in {entry.codec for entry in results.of_kind("peer")}:
        notes.append("JPEG XL's encoder halves the resolution at qualities below 20, which bends its curve.")
    if results.anchor == Heic.name:
        notes.append("HEIC, by x265, stands for the paper's BPG: both are HEVC's intra coding.")
    notes.append("Images that were coded with loss before favour the codec that they were coded with.")
    if absent := [metric.title for metric in METRICS.values() if metric not in results.metrics]:
        notes.append(f"Not in this report: {_listed(absent)}.")
    left_out = [str(text) for text in record.run.get("left out", [])]
    left_out += [
        f"{entry.codec} is in no table or figure: it lacks images or qualities"
        for entry in record.entries.values()
        if entry not in record.complete()
    ]
    parts = [bullets(notes), element("h3", "Left out")]
    if left_out:
        parts.append(bullets(join(text) for text in left_out))
    elif "left out" in record.run:
        parts.append(paragraph("Nothing: all images and codecs that were asked for were measured."))
    else:
        parts.append(paragraph("The record does not say."))
    return Section("notes", "To be read with this", join(*parts))


def _settings(results: Results) -> Section:
    rows = []
    for entry in results.record.complete():
        parameters = ", ".join(f"{name} {_short(value)}" for name, value in entry.parameters.items())
        rows.append([entry.codec, _KINDS[entry.kind], ", ".join(map(str, entry.qualities)), parameters])
    table = _table(Table(["codec", "kind", "qualities", "versions and settings"], rows), "Codecs")
    images = element(
        "details",
        element("summary", f"{_count(len(results.record.images), 'image')}"),
        bullets(join(name) for name in results.record.images),
    )
    return Section("settings", "Codecs and images", join(table, images))


def _short(value: str) -> str:
    """Of a hash, its first digits."""
    return value[:8] if len(value) == 64 and set(value) <= set("0123456789abcdef") else value


def _table(table: Table, caption: str) -> Html:
    return page.table(*table, caption)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _listed(names: Iterable[str]) -> str:
    """One, two and three."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _svg(file: Path, alt: str) -> Html:
    content = file.read_bytes()
    try:
        ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise RecordError(f"{file}: is no SVG, or is damaged: {error}") from error
    return page.picture(content, "svg+xml", alt)


def _png(pixels: Pixels, alt: str) -> Html:
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(content, "PNG")
    height, width, _ = pixels.shape
    return page.picture(content.getvalue(), "png", alt, (width, height))


def _thumbnail(file: Path, alt: str) -> Html:
    """An image made small, which is enough for what it shows."""
    image = Image.fromarray(image_files.read(file))
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=90, subsampling=0)
    return page.picture(content.getvalue(), "jpeg", alt, image.size)


def _whole(file: Path, alt: str) -> Html:
    """A picture as it is, if it can be read."""
    with image_files.opened(file) as image:
        image.load()
        return page.picture(file.read_bytes(), "png", alt, image.size)
