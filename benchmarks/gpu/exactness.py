"""The device's bytes and pixels against the CPU's: equal, in every way of asking for them."""

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import treenet_fast
from gpu.images import named_images, photographs
from gpu.session import Session, summary
from treenet_fast import TreeNetError, models

THREADS = 4
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "planar": lambda image: image.contiguous(),
    "channels last": lambda image: image.permute(1, 2, 0).contiguous().permute(2, 0, 1),
    "every second row, every third column": lambda image: image.repeat_interleave(2, 1).repeat_interleave(3, 2)[
        :, ::2, ::3
    ],
    "part of a larger image": lambda image: torch.nn.functional.pad(image, (3, 2, 1, 4))[:, 1:-4, 3:-2],
    "one channel thrice": lambda image: image[:1].expand(3, -1, -1),
    "floats": lambda image: image.float() / 255,
}


@dataclass
class Kind:
    """Cases of one kind, and those of them whose bytes or pixels differ."""

    name: str
    cases: int = 0
    differs: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Exactness:
    """One codec a model on each side."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.device = session.device
        self.cpu = {name: treenet_fast.Codec(name) for name in models.names()}
        self.ours = {name: session.device.codec(name) for name in models.names()}

    def run(self) -> list[Kind]:
        """All kinds; what there was no time for is noted in the session."""
        kinds = []
        for name, cases in (
            ("images", self.images),
            ("sizes", self.sizes),
            ("batches", self.batches),
            ("grey images", self.grey),
            ("layouts in memory", self.layouts),
            ("arrays and PIL images", self.other_kinds),
            ("a stream of its own", self.streams),
            ("several threads", self.threads),
        ):
            kind, begin = Kind(name), time.monotonic()
            for case, equal in cases():
                kind.cases += 1
                if not equal:
                    kind.differs.append(case)
                if self.session.late():
                    self.session.skip(f"exactness: {name}, after {kind.cases} cases", "no time was left")
                    break
            kind.seconds = round(time.monotonic() - begin, 1)
            kinds.append(kind)
            print(f"{name}: {kind.cases - len(kind.differs)} of {kind.cases} equal", flush=True)
        return kinds

    def same(self, model: str, images: Tensor, quality: int) -> bool:
        """Whether both sides give the same bytes of an image or a batch on the device, and the same pixels of these.

        An error is a difference, too: where entropy parameters differ, a stream seems damaged.
        """
        try:
            return self._same(model, images, quality)
        except TreeNetError as error:
            print(f"{model}, {list(images.shape)}, quality {quality}: {summary(error)}", flush=True)
            return False

    def _same(self, model: str, images: Tensor, quality: int) -> bool:
        streams = self.cpu[model].compress(images.cpu(), quality)
        if self.ours[model].compress(images, quality) != streams:
            return False
        pixels = self.cpu[model].decompress(streams, "torch")
        found = self.device.decompress(self.ours[model], streams)
        pairs = zip(found, pixels, strict=True) if isinstance(streams, list) else [(found, pixels)]
        return all(ours.device == self.device.torch and torch.equal(ours.cpu(), theirs) for ours, theirs in pairs)

    def put(self, image: Tensor) -> Tensor:
        return image.to(self.device.torch)

    def images(self) -> Iterator[tuple[str, bool]]:
        scale = self.session.scale
        found = named_images(self.session.folder, scale.images, *scale.sizes["Kodak"])
        for model, (name, image), quality in itertools.product(models.names(), found.items(), scale.qualities):
            yield f"{name}, {model}, quality {quality}", self.same(model, self.put(image), quality)

    def sizes(self) -> Iterator[tuple[str, bool]]:
        for i, (height, width) in enumerate(self.session.scale.odd_sizes):
            image = photographs(height, width, 1)[0]
            for model, quality in zip(models.names(), self._qualities(i), strict=False):
                yield f"{width}x{height}, {model}, quality {quality}", self.same(model, self.put(image), quality)

    def batches(self) -> Iterator[tuple[str, bool]]:
        for height, width, count in self.session.scale.odd_batches:
            images = photographs(height, width, count)
            for model in models.names():
                name = f"{count} of {width}x{height}, {model}"
                yield name, self.same(model, self.put(images), 60)
                streams = [
                    self.cpu[model].compress(image, quality)
                    for image, quality in zip(images, itertools.cycle(self.session.scale.qualities), strict=False)
                ]
                decoded = self.device.decompress(self.ours[model], streams)
                expected = self.cpu[model].decompress(streams, "torch")
                same = all(torch.equal(a.cpu(), b) for a, b in zip(decoded, expected, strict=True))
                yield f"{name}, of several qualities", same

    def grey(self) -> Iterator[tuple[str, bool]]:
        for model, (height, width) in itertools.product(models.names(), self.session.scale.odd_sizes[-3:]):
            image = photographs(height, width, 1)[0, 1:2]
            yield f"{width}x{height}, {model}", self.same(model, self.put(image), 80)

    def layouts(self) -> Iterator[tuple[str, bool]]:
        image = photographs(*self.session.scale.odd_sizes[-1], 1)[0]
        for model, (name, make) in itertools.product(models.names(), LAYOUTS.items()):
            yield f"{name}, {model}", self.same(model, make(self.put(image)), 40)

    def other_kinds(self) -> Iterator[tuple[str, bool]]:
        """Images that are not on the device, and that are not wanted there."""
        image = photographs(*self.session.scale.odd_sizes[-1], 1)[0].permute(1, 2, 0).numpy()
        for model, (kind, given) in itertools.product(
            models.names(), {"numpy": image, "pil": Image.fromarray(image)}.items()
        ):
            stream = self.cpu[model].compress(image, 20)
            found, pixels = (codec[model].decompress(stream, kind) for codec in (self.ours, self.cpu))
            same = type(found) is type(pixels) and np.array_equal(np.asarray(found), np.asarray(pixels))
            yield f"{kind}, {model}", same and self.ours[model].compress(given, 20) == stream

    def streams(self) -> Iterator[tuple[str, bool]]:
        """Pixels that are still being computed as they are given, and used at once as they come."""
        height, width = self.session.scale.sizes["Kodak"]
        image = photographs(height, width, 1)[0]
        for model in models.names():
            stream = self.cpu[model].compress(255 - image, 50)
            with self.device.stream():
                busy = torch.rand(1024, 1024, device=self.device.torch)
                for _ in range(self.session.scale.busy):
                    busy = busy @ busy.softmax(0)
                late = 255 - self.put(image) + (busy.sum() * 0).to(torch.uint8)
                found = self.ours[model].compress(late, 50)
                pixels = 255 - self.device.decompress(self.ours[model], found)
            self.device.synchronise()
            expected = 255 - self.cpu[model].decompress(stream, "torch")
            yield model, found == stream and torch.equal(pixels.cpu(), expected)

    def threads(self) -> Iterator[tuple[str, bool]]:
        """A codec that many threads use at once, each on a stream of its own."""
        cases = [
            (model, size, quality)
            for i, size in enumerate(self.session.scale.odd_sizes)
            for model, quality in zip(models.names(), self._qualities(i), strict=False)
        ]

        def work(case: tuple[str, tuple[int, int], int]) -> bool:
            model, (height, width), quality = case
            with self.device.stream():
                return self.same(model, self.put(photographs(height, width, 1)[0]), quality)

        with ThreadPoolExecutor(THREADS) as pool:
            for (model, (height, width), quality), equal in zip(cases, pool.map(work, cases), strict=True):
                yield f"{width}x{height}, {model}, quality {quality}", equal

    def _qualities(self, i: int) -> tuple[int, ...]:
        """Other qualities for each i."""
        qualities = self.session.scale.qualities
        return tuple(qualities[(i + k) % len(qualities)] for k in range(len(qualities)))
