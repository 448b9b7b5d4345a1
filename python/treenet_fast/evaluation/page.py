"""Pages of HTML that need nothing but themselves: pictures and style are in the file, and there are no scripts.

What is not `Html` is text, and is escaped wherever it becomes part of markup.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TypeAlias


class Html(str):
    """Markup."""


Content: TypeAlias = Html | str

# What a browser may load: nothing, but for pictures that are part of the page.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_NUMBER = re.compile(r"–|[+-]?[\d.]+( / [\d.]+)*( %| ms)?")
_DELTA = re.compile(r"([+-])([\d.]+ %)(?: \((.+)\))?")


@dataclass(frozen=True)
class Section:
    """A part of a page that its table of contents names.

    Attributes:
        name: of the anchor, an identifier.
        title: its heading.
        content: what is below that.
    """

    name: str
    title: str
    content: Html


def element(tag: str, *content: Content, **attributes: str) -> Html:
    """An element with an end tag; `class_` stands for class, `aria_label` for aria-label."""
    return Html(f"{_start(tag, attributes)}{join(*content)}</{tag}>")


def join(*content: Content) -> Html:
    """One after the other."""
    return Html("".join(part if isinstance(part, Html) else html.escape(part) for part in content))


def _start(tag: str, attributes: dict[str, str]) -> str:
    pairs = (f' {name.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for name, value in attributes.items())
    return f"<{tag}{''.join(pairs)}>"


def paragraph(*content: Content) -> Html:
    """A paragraph, in whose text `so` is code."""
    return element("p", *map(_with_code, content))


def bullets(items: Iterable[Content]) -> Html:
    """A list, in whose text `so` is code."""
    return element("ul", *(element("li", _with_code(item)) for item in items))


def _with_code(content: Content) -> Html:
    if isinstance(content, Html):
        return content
    parts = content.split("`")
    return join(*(element("code", part) if i % 2 else part for i, part in enumerate(parts)))


def picture(data: bytes, kind: str, alt: str, size: tuple[int, int] | None = None) -> Html:
    """An image of a kind such as "png", as part of the page; its size keeps its place before it is there."""
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    sides = {"width": str(size[0]), "height": str(size[1])} if size else {}
    return Html(_start("img", {"src": source, "alt": alt, **sides}))


def figure(image: Content, *caption: Content) -> Html:
    """An image, and what is below it."""
    return element("figure", image, element("figcaption", *caption))


def scrolling(content: Html, label: str) -> Html:
    """What may be wider than the page, and then scrolls by itself, with the keyboard, too."""
    return element("div", content, class_="scroll", role="region", aria_label=label, tabindex="0")


def table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> Html:
    """A table; delta rates such as "-3.0 % (26.0..32.0 dB)" are marked as less or more."""
    head = [
        element("th", cell, scope="col", **({"class": "text"} if i and any(_is_text(row[i]) for row in rows) else {}))
        for i, cell in enumerate(header)
    ]
    body = [element("tr", element("th", name, scope="row"), *map(_cell, cells)) for name, *cells in rows]
    content = (element("thead", element("tr", *head)), element("tbody", *body))
    return scrolling(element("table", element("caption", element("span", caption)), *content), caption)


def _is_text(cell: str) -> bool:
    return not (_NUMBER.fullmatch(cell) or _DELTA.fullmatch(cell))


def _cell(text: str) -> Html:
    delta = _DELTA.fullmatch(text)
    if delta is None:
        return element("td", text, **({"class": "text"} if _is_text(text) else {}))
    sign, percent, extent = delta.groups()
    # A minus sign is as wide as a plus.
    parts = [sign.replace("-", "−") + percent, *([element("small", extent)] if extent else [])]
    return element("td", *parts, class_="less" if sign == "-" else "more")


def document(title: str, lead: Html, sections: Sequence[Section]) -> bytes:
    """The whole file: UTF-8, where what UTF-8 cannot hold is a character reference."""
    contents = [element("li", element("a", section.title, href=f"#{section.name}")) for section in sections]
    body = [
        element("header", element("h1", title), lead),
        element("nav", element("h2", "Contents"), element("ol", *contents), aria_label="Contents"),
        element(
            "main",
            *(element("section", element("h2", s.title), s.content, id=s.name) for s in sections),
        ),
    ]
    head = [
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(_start("meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY})),
        element("title", title),
        element("style", Html(resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8"))),
    ]
    page = element("html", element("head", *head), element("body", *body), lang="en")
    return f"<!doctype html>\n{page}\n".encode(errors="xmlcharrefreplace")
