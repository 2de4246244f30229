"""HTML and SVG as nested calls; whatever is not `Html` already is escaped, so that no data can become markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
"""Control characters, which a terminal would obey, and lone surrogates, which no file can hold."""


class Html(str):
    """Text that is markup."""

    __slots__ = ()


def escape(text: str) -> Html:
    """The text as markup that shows it.

    >>> escape("<b> & co")
    '&lt;b&gt; &amp; co'
    """
    return text if isinstance(text, Html) else Html(html.escape(clean(text)))


def clean(text: str) -> str:
    r"""The text without what neither a page nor a terminal should be given.

    >>> clean("a\x1b[2J")
    'a�[2J'
    """
    return _UNSAFE.sub("\ufffd", text)


def join(parts: Iterable[str], between: str = "") -> Html:
    """Parts one after the other."""
    return Html(escape(between).join(escape(part) for part in parts))


def tag(name: str, *children: str, **attributes: str | float | None) -> Html:
    """An element.

    Args:
        name: of the element.
        children: text (escaped) or `Html`.
        attributes: a trailing ``_`` is dropped, others become ``-``; None leaves the attribute out.

    >>> tag("td", "a < b", class_="num", data_v=1.5)
    '<td class="num" data-v="1.5">a &lt; b</td>'
    """
    written = (
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{''.join(written)}>{join(children)}</{name}>")


def svg(name: str, size: tuple[float, float], title: str, description: str, *children: str) -> Html:
    """A picture with a name and a description for those who cannot see it.

    Args:
        name: unique on the page; the ids are made from it.
        size: width and height in units of the drawing.
        title: what the picture is.
        description: what it shows, in a sentence.
        children: elements.
    """
    width, height = size
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-desc"),
        *children,
        class_="chart",
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def text(x: float, y: float, words: str, anchor: str = "start", class_: str | None = None) -> Html:
    """Words in a picture."""
    return tag("text", words, x=x, y=y, text_anchor=None if anchor == "start" else anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    """A straight line in a picture."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def cell(content: str, class_: str | None = None) -> Html:
    """A table cell with words."""
    return tag("td", content, role="cell", class_=class_)


def number(content: str, value: float, label: str) -> Html:
    """A table cell with a number; ``label`` stands before it where a narrow screen has no room for columns."""
    return tag("td", content, role="cell", class_="num", data_v=f"{value:.9g}", data_label=label)


def table(caption: str, heads: Sequence[str], rows: Iterable[Html], class_: str = "stack") -> Html:
    """A table in a region that scrolls sideways by itself.

    Args:
        caption: what the table shows; also the region's name.
        heads: column titles; one that ends in "#" stands over numbers.
        rows: `tag("tr", …)` elements.
        class_: "stack" becomes a list of cards on a narrow screen; "sortable" may be added.
    """
    head = tag("thead", tag("tr", *map(_title, heads), role="row"), role="rowgroup")
    body = tag("tbody", *rows, role="rowgroup")
    whole = tag("table", tag("caption", caption), head, body, class_=class_, role="table")
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _title(head: str) -> Html:
    words = head if isinstance(head, Html) else head.removesuffix("#")
    return tag("th", words, scope="col", role="columnheader", class_="num" if head.endswith("#") else None)


def _number(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.1f}".removesuffix(".0")
