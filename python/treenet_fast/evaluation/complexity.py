"""The paper's two tables of complexity, counted from the float network, beside what the paper prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from treenet_fast.model import TreeNet
from treenet_fast.model.complexity import DECODER, ENCODER, complexity, left_out

PUBLISHED_MODULES = {
    "g_a": (6.86, 0.32),
    "g_s": (49.89, 0.86),
    "h_a": (0.37, 0.19),
    "h_s": (0.85, 0.68),
    "h_ep": (0.44, 0.03),
    "context": (0.80, 0.21),
}
"""kMAC per pixel and millions of parameters (arXiv 2512.16743), with the slips of `NOTES` put right."""

PUBLISHED_CODECS = {
    "TreeNet": (9.32, 51.08),
    "Factorized Prior": (36.84, 147.25),
    "Hyper Prior": (40.80, 149.89),
    "JPEG AI": (277.16, 218.83),
    "Color Learning": (128.89, 305.58),
    "SLIC": (93.52, 745.57),
}
"""kMAC per pixel of encoder and decoder, as that paper prints them."""

NOTES = (
    "The paper prints 0.80 kMAC/px in the row of h_ep and 0.44 in that of context; only the other way round, as above, "
    "do they fit the layers' sizes.",
    "The paper's 0.03 M parameters of h_ep are those of one bottleneck; its other rows are of all four, as ours are.",
    "The paper's fusions have batch norms, with 1280 parameters in g_a and 1920 in g_s; here they are folded away.",
    "The paper prints 51.08 kMAC/px for the decoder; its own rows add up to 51.98.",
)


@dataclass(frozen=True)
class ModuleRow:
    """One module; the published parameters are in millions."""

    module: str
    kmacs_per_pixel: float
    published_kmacs_per_pixel: float
    parameters: int
    published_parameters: float


@dataclass(frozen=True)
class CodecRow:
    """One codec, in kMAC per pixel."""

    codec: str
    encoder: float
    decoder: float
    both: float
    source: Literal["counted", "published", "sums of published rows"]


@dataclass(frozen=True)
class LeftOutRow:
    """Something that the paper does not count; operations are element-wise ones, in thousands."""

    what: str
    kmacs_per_pixel: float
    koperations_per_pixel: float
    parameters: int


@dataclass(frozen=True)
class Tables:
    """All that is known of the complexity of a network."""

    modules: list[ModuleRow]
    codecs: list[CodecRow]
    left_out: list[LeftOutRow]
    notes: tuple[str, ...] = NOTES


def tables(model: TreeNet) -> Tables:
    """The tables for a network."""
    counted, others = complexity(model), left_out(model)
    macs = {module: count.macs_per_pixel / 1000 for module, count in counted.items()}
    gdn = {module: macs[module] + others[f"GDN of {module}"].macs_per_pixel / 1000 for module in ("g_a", "g_s")}
    printed = {module: kmacs for module, (kmacs, _) in PUBLISHED_MODULES.items()}
    return Tables(
        [
            ModuleRow(module, macs[module], kmacs, counted[module].parameters, parameters)
            for module, (kmacs, parameters) in PUBLISHED_MODULES.items()
        ],
        [
            _sums("treenet_fast", macs, "counted"),
            _sums("treenet_fast with GDN", {**macs, **gdn}, "counted"),
            _sums("TreeNet", printed, "sums of published rows"),
            *(CodecRow(name, *sides, sum(sides), "published") for name, sides in PUBLISHED_CODECS.items()),
        ],
        [
            LeftOutRow(what, count.macs_per_pixel / 1000, count.operations_per_pixel / 1000, count.parameters)
            for what, count in others.items()
        ],
    )


def _sums(codec: str, macs: dict[str, float], source: Literal["counted", "sums of published rows"]) -> CodecRow:
    encoder, decoder = (sum(macs[module] for module in side) for side in (ENCODER, DECODER))
    return CodecRow(codec, encoder, decoder, encoder + decoder, source)
