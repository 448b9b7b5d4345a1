"""The device's bytes and pixels against the CPU's: equal, in every way of asking for them."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import treenet_fast
from gpu.differences import Difference, Run, by_reference, on_the_cpu, on_the_device
from gpu.images import named_images, photographs
from gpu.session import Session, summary
from treenet_fast import TreeNetError, models
from treenet_fast.images import to_u8

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


Explain = Callable[[], Difference | None]


@dataclass
class Case:
    """One comparison; `explain` finds the tensor in which the two sides first differ, if any does."""

    name: str
    equal: bool
    explain: Explain


@dataclass
class Kind:
    """Cases of one kind, and those of them whose bytes or pixels differ.

    Attributes:
        first: of the first of these, the first tensor that differs, in words and as it was found.
    """

    name: str
    cases: int = 0
    differs: list[str] = field(default_factory=list)
    first: tuple[str, Difference | None] | None = None
    seconds: float = 0.0


class Exactness:
    """One codec a model on each side."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.device = session.device
        self.cpu = {name: treenet_fast.Codec(name) for name in models.names()}
        self.ours = {name: session.device.codec(name) for name in models.names()}

    def run(self, kinds: list[Kind]) -> None:
        """Adds all kinds; what there was no time for is noted in the session."""
        folder = self.session.folder
        images = f"images of {folder.name}" if folder else "photographs made from the example"
        for name, cases in (
            (images, self.images),
            ("sizes", self.sizes),
            ("batches", self.batches),
            ("grey images", self.grey),
            ("layouts in memory", self.layouts),
            ("arrays and PIL images", self.other_kinds),
            ("a stream of its own", self.streams),
            ("several threads", self.threads),
            ("all tensors, against the PyTorch reference", self.reference),
            ("the PyTorch reference on the device", self.reference_on_the_device),
        ):
            kind, begin = Kind(name), time.monotonic()
            kinds.append(kind)
            for case in cases():
                kind.cases += 1
                if not case.equal:
                    kind.differs.append(case.name)
                    if kind.first is None:
                        kind.first = explained(case.explain)
                        print(f"{name}: {case.name} differs: {kind.first[0]}", flush=True)
                if self.session.late():
                    self.session.skip(f"exactness: {name}, after {kind.cases} cases", "no time was left")
                    break
            kind.seconds = round(time.monotonic() - begin, 1)
            self.session.keep()
            print(f"{name}: {kind.cases - len(kind.differs)} of {kind.cases} equal", flush=True)

    def case(self, name: str, model: str, images: Tensor, quality: int) -> Case:
        """An image or a batch on the device, both ways."""
        singles = images if images.ndim == 4 else [images]
        explain = partial(self.first_difference, model, [(image, quality) for image in singles])
        return Case(name, self.same(model, images, quality), explain)

    def first_difference(self, model: str, images: Iterable[tuple[Tensor, int]]) -> Difference | None:
        """Of the first of some images with their qualities, each by itself, that differs anywhere."""
        for image, quality in images:
            (pixels,) = to_u8([image.permute(1, 2, 0)])
            expected = on_the_cpu(self.cpu[model], pixels, quality)
            found = on_the_device(self.device, self.ours[model], pixels, quality, expected.stream)
            if difference := found.first_difference(expected):
                return difference
        return None

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

    def images(self) -> Iterator[Case]:
        scale = self.session.scale
        found = named_images(self.session.folder, scale.images, *scale.sizes["Kodak"])
        for model, (name, image), quality in itertools.product(models.names(), found.items(), scale.qualities):
            yield self.case(f"{name}, {model}, quality {quality}", model, self.put(image), quality)

    def sizes(self) -> Iterator[Case]:
        for i, (height, width) in enumerate(self.session.scale.odd_sizes):
            image = photographs(height, width, 1)[0]
            for model, quality in zip(models.names(), self._qualities(i), strict=False):
                yield self.case(f"{width}x{height}, {model}, quality {quality}", model, self.put(image), quality)

    def batches(self) -> Iterator[Case]:
        for height, width, count in self.session.scale.odd_batches:
            images = photographs(height, width, count)
            for model in models.names():
                name = f"{count} of {width}x{height}, {model}"
                yield self.case(name, model, self.put(images), 60)
                given = list(zip(images, itertools.cycle(self.session.scale.qualities), strict=False))
                streams = [self.cpu[model].compress(image, quality) for image, quality in given]
                decoded = self.device.decompress(self.ours[model], streams)
                expected = self.cpu[model].decompress(streams, "torch")
                same = all(torch.equal(a.cpu(), b) for a, b in zip(decoded, expected, strict=True))
                there = [(self.put(image), quality) for image, quality in given]
                yield Case(f"{name}, of several qualities", same, partial(self.first_difference, model, there))

    def grey(self) -> Iterator[Case]:
        for model, (height, width) in itertools.product(models.names(), self.session.scale.odd_sizes[-3:]):
            image = photographs(height, width, 1)[0, 1:2]
            yield self.case(f"{width}x{height}, {model}", model, self.put(image), 80)

    def layouts(self) -> Iterator[Case]:
        image = photographs(*self.session.scale.odd_sizes[-1], 1)[0]
        for model, (name, make) in itertools.product(models.names(), LAYOUTS.items()):
            yield self.case(f"{name}, {model}", model, make(self.put(image)), 40)

    def other_kinds(self) -> Iterator[Case]:
        """Images that are not on the device, and that are not wanted there."""
        image = photographs(*self.session.scale.odd_sizes[-1], 1)[0].permute(1, 2, 0).numpy()
        for model, (kind, given) in itertools.product(
            models.names(), {"numpy": image, "pil": Image.fromarray(image)}.items()
        ):
            stream = self.cpu[model].compress(image, 20)
            found, pixels = (codec[model].decompress(stream, kind) for codec in (self.ours, self.cpu))
            same = type(found) is type(pixels) and np.array_equal(np.asarray(found), np.asarray(pixels))
            same &= self.ours[model].compress(given, 20) == stream
            there = self.put(torch.from_numpy(image).permute(2, 0, 1))
            yield Case(f"{kind}, {model}", same, partial(self.first_difference, model, [(there, 20)]))

    def streams(self) -> Iterator[Case]:
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
            same = found == stream and torch.equal(pixels.cpu(), expected)
            yield Case(model, same, partial(self.first_difference, model, [(late, 50)]))

    def threads(self) -> Iterator[Case]:
        """A codec that many threads use at once, each on a stream of its own."""
        cases = [
            (model, size, quality)
            for i, size in enumerate(self.session.scale.odd_sizes)
            for model, quality in zip(models.names(), self._qualities(i), strict=False)
        ]

        def work(case: tuple[str, tuple[int, int], int]) -> Case:
            model, (height, width), quality = case
            with self.device.stream():
                image = self.put(photographs(height, width, 1)[0])
                return self.case(f"{width}x{height}, {model}, quality {quality}", model, image, quality)

        with ThreadPoolExecutor(THREADS) as pool:
            yield from pool.map(work, cases)

    def reference(self) -> Iterator[Case]:
        """Bytes, pixels and all tensors that both have, against SPEC's other implementation."""
        for model, image, quality, expected in self._by_reference:

            def find(model=model, image=image, quality=quality, expected=expected) -> Run:
                return on_the_device(self.device, self.ours[model], self.put(image), quality, expected.stream)

            yield self._runs(model, image, quality, find, expected)

    def reference_on_the_device(self) -> Iterator[Case]:
        """That implementation, which is of PyTorch's functions, on the device and on the CPU."""
        for model, image, quality, expected in self._by_reference:
            find = partial(by_reference, model, self.device.torch, image, quality, expected.stream)
            try:
                yield self._runs(model, image, quality, find, expected)
            except (RuntimeError, TypeError) as error:  # PyTorch lacks a function there, or memory
                self.session.skip(f"the PyTorch reference on the device, {_size(image)}", summary(error))

    @cached_property
    def _by_reference(self) -> list[tuple[str, Tensor, int, Run]]:
        """Models, images `[H, W, 3]` and qualities, and the PyTorch reference's runs, which take long."""
        found = []
        for i, (height, width) in enumerate(self.session.scale.reference_sizes):
            model, quality = models.names()[i % len(models.names())], self._qualities(i)[-1]
            image = photographs(height, width, 1)[0].permute(1, 2, 0).contiguous()
            found.append((model, image, quality, by_reference(model, "cpu", image, quality)))
        return found

    def _runs(self, model: str, image: Tensor, quality: int, find: Callable[[], Run], expected: Run) -> Case:
        def explain() -> Difference | None:
            return find().first_difference(expected)

        try:
            found = find()
            same = found.stream == expected.stream and found.first_difference(expected) is None
        except TreeNetError:
            same = False
        return Case(f"{_size(image)}, {model}, quality {quality}", same, explain)

    def _qualities(self, i: int) -> tuple[int, ...]:
        """Other qualities for each i."""
        qualities = self.session.scale.qualities
        return tuple(qualities[(i + k) % len(qualities)] for k in range(len(qualities)))


def explained(explain: Explain) -> tuple[str, Difference | None]:
    """What there is to say of a case that differs."""
    try:
        difference = explain()
    except (TreeNetError, RuntimeError) as error:  # the device's fault may be for good
        return f"its tensors cannot be had: {summary(error)}", None
    if difference is None:
        return "by itself, and its kernels launched one by one, none of its tensors does", None
    return str(difference), difference


def _size(image: Tensor) -> str:
    height, width, _ = image.shape
    return f"{width}x{height}"
