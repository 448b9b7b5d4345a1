"""Pages of HTML as a test reads them."""

from html.parser import HTMLParser

VOID = {"meta", "img"}


class Page(HTMLParser):
    """Elements, attributes and text of a page, whose tags have to match.

    Attributes:
        elements: tag and attributes of each, in order.
        headings: level and text of each.
        text: all of it, but for the style.
    """

    def __init__(self, content):
        super().__init__()
        self.elements, self.headings, self.text = [], [], ""
        self._open = []
        self.feed(content.decode())
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("h1", "h2", "h3"):
            self.headings.append((int(tag[1]), ""))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" in self._open:
            assert "url(" not in data
            assert "@import" not in data
            return
        self.text += data
        if self._open and self._open[-1] in ("h1", "h2", "h3"):
            level, text = self.headings.pop()
            self.headings.append((level, text + data))

    def all(self, tag):
        """The attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def assert_self_contained(page):
    """Nothing is loaded from anywhere, and nothing runs."""
    assert not {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("srcset", "style")], (
            tag,
            attributes,
        )
        if "src" in attributes:
            assert tag == "img"
            assert attributes["src"].startswith("data:image/")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(attributes["href"].removeprefix("#") in ids for attributes in page.all("a"))
    assert all(attributes["alt"] for attributes in page.all("img"))
