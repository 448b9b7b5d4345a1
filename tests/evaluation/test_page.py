"""The building blocks of a page."""

import base64

from pages import Page, assert_self_contained
from treenet_fast.evaluation.page import (
    Html,
    Section,
    bullets,
    document,
    element,
    figure,
    join,
    paragraph,
    picture,
    table,
)

EVIL = "<script>alert('&\"')</script>"


def test_text_is_escaped_and_markup_is_not():
    assert element("p", EVIL) == "<p>&lt;script&gt;alert(&#x27;&amp;&quot;&#x27;)&lt;/script&gt;</p>"
    assert element("p", element("b", "1 < 2"), class_='"') == '<p class="&quot;"><b>1 &lt; 2</b></p>'
    assert element("div", aria_label="x") == '<div aria-label="x"></div>'
    assert join("<", Html("<br>")) == "&lt;<br>"


def test_code():
    assert paragraph("run `a <b>` now") == "<p>run <code>a &lt;b&gt;</code> now</p>"
    assert bullets(["`a`", join("`b`")]) == "<ul><li><code>a</code></li><li>`b`</li></ul>"


def test_picture():
    found = picture(b"12", "png", 'a "cat"', (4, 3))
    assert found == '<img src="data:image/png;base64,MTI=" alt="a &quot;cat&quot;" width="4" height="3">'


def test_table():
    found = table(["codec", "of", "BD-rate"], [[EVIL, "a-b", "-3.0 % (26.0..32.0 dB)"], ["x", "1.5", "+1.0 %"]], "All")
    page = Page(found.encode())
    assert "alert" not in {tag for tag, _ in page.elements}
    assert page.text == f"AllcodecofBD-rate{EVIL}a-b−3.0 %26.0..32.0 dBx1.5+1.0 %"
    assert [cell.get("class") for cell in page.all("td")] == ["text", "less", None, "more"]
    assert [cell["scope"] for cell in page.all("th")] == ["col"] * 3 + ["row"] * 2
    assert page.all("div") == [{"class": "scroll", "role": "region", "aria-label": "All", "tabindex": "0"}]


def test_document():
    image = figure(picture(b"3", "png", "alt"), "caption")
    content = document(EVIL, paragraph("lead \ud800"), [Section("a", "A & B", image), Section("b", "B", join())])
    page = Page(content)
    assert_self_contained(page)
    assert content.startswith(b'<!doctype html>\n<html lang="en">')
    assert page.headings == [(1, EVIL), (2, "Contents"), (2, "A & B"), (2, "B")]
    assert [link["href"] for link in page.all("a")] == ["#a", "#b"]
    policy = next(meta for meta in page.all("meta") if "http-equiv" in meta)
    assert policy["content"].startswith("default-src 'none'; img-src data:")
    assert base64.b64encode(b"3").decode() in content.decode()
