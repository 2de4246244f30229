"""The page of `plait inspect`: curves over depth, cosines of pairs and maps of texts, in one file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.resources import files

import numpy as np

from plait.analysis.inspection import Inspection
from plait.selection.axes import Box, Scale
from plait.selection.labels import clip, encoder
from plait.selection.markup import Html, join, line, svg, tag, text

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""The page may load nothing and run nothing, whatever stands in it."""
STYLE = """
main > .lead { margin-top: 1.6rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem 2.5rem; }
.pictures figure { margin: .8rem 0; } .pictures .chart { min-width: 0; }
.curve { fill: none; stroke: var(--accent); stroke-width: 2; }
.point { fill: var(--accent); } .point.top { fill: var(--win); }
.together { fill: var(--win); fill-opacity: .55; } .apart { fill: var(--accent); fill-opacity: .45; }
.spot { fill: var(--muted); fill-opacity: .6; } .spot:hover { stroke: var(--ink); fill-opacity: 1; }
.g0 { fill: var(--r0); background: var(--r0); } .g1 { fill: var(--r1); background: var(--r1); }
.g2 { fill: var(--r2); background: var(--r2); } .g3 { fill: var(--r3); background: var(--r3); }
.g4 { fill: var(--s4); background: var(--s4); } .g5 { fill: var(--warn-rule); background: var(--warn-rule); }
.key .apart, .key .together, .key .spot { display: inline-block; width: .7rem; height: .7rem; margin-right: .4rem; }
.key .apart { background: var(--accent); } .key .together { background: var(--win); }
.key .spot { border-radius: 50%; background: var(--muted); }
.key .g0 { background: var(--r0); } .key .g1 { background: var(--r1); } .key .g2 { background: var(--r2); }
.key .g3 { background: var(--r3); } .key .g4 { background: var(--s4); } .key .g5 { background: var(--warn-rule); }
"""
COLOURS = 6
BINS = 40
"""Most bars of a histogram; with few pairs there are fewer, about the root of their number."""
MAPPED = 4
"""Layers whose cosines and maps are drawn: the first, the middle, the best and the last."""

MEANINGS = {
    "infonce": (
        "InfoNCE",
        "nats",
        "Loss of finding a misspelt copy of a text among all others. Low: typing matters less.",
    ),
    "dime": ("DiME", "nats", "What two misspelt copies of a text share beyond those of two texts. High is better."),
    "entropy": (
        "Entropy of a text's tokens",
        "share",
        "How evenly a text's token states spread. Low: much is compressed.",
    ),
    "text_entropy": ("Entropy of texts", "share", "How evenly the texts' vectors spread over directions."),
    "curvature": ("Curvature", "radians", "How sharply the path from token to token turns."),
    "norm": ("Norm", "length", "Mean length of a token state."),
    "anisotropy": ("Anisotropy", "cosine", "Mean cosine of tokens of different texts. Near 1: all point one way."),
}


def render(found: Inspection) -> str:
    """The page as HTML.

    Args:
        found: of `plait.analysis.inspect_layers`.
    """
    name = encoder(found.model)
    parts = [
        ("depth", "Over depth", [*_curves(found)]),
        ("pairs", "Cosines of pairs", [*_histograms(found)]),
        ("map", "Maps of texts", [*_maps(found)]),
        ("figures", "Figures", [_table(found)]),
    ]
    sections = [
        tag("section", tag("h2", title, id=key), *content, aria_labelledby=key) for key, title, content in parts
    ]
    contents = tag("nav", *(tag("a", title, href=f"#{key}") for key, title, _ in parts), aria_label="Sections")
    facts = tag("p", f"{len(found.texts)} texts, {found.layers[-1]} blocks, tokens averaged", class_="muted")
    title = f"{name} on {found.data}"
    header = tag("header", tag("p", "plait inspect", class_="kicker"), tag("h1", title), facts, contents)
    lead = tag("p", _verdict(found), class_="lead")
    css = files("plait.selection").joinpath("report.css").read_text(encoding="utf-8")
    head = join(
        [
            Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
            Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
            Html('<meta name="color-scheme" content="light dark">'),
            tag("title", f"plait inspect: {title}"),
            tag("style", Html(css + STYLE)),
        ]
    )
    body = tag("body", header, tag("main", lead, *sections, id="main"))
    return f"<!doctype html>\n{tag('html', tag('head', head), body, lang='en')}\n"


def _verdict(found: Inspection) -> str:
    score = found.curves["score"]
    best, last = float(score.max()), float(score[-1])
    labels = (
        "" if found.labelled else " The data has no labels that say which texts belong together: misspelt copies do."
    )
    if found.best == found.layers[-1]:
        return f"The last layer, {found.best}, tells pairs best: {best:.1f}.{labels}"
    return f"Layer {found.best} tells pairs best: {best:.1f}, where the last layer has {last:.1f}.{labels}"


def _curves(found: Inspection) -> Iterator[Html]:
    yield tag("p", "One point a layer; 0 is the embedding output. The marked one has the highest score.")
    pictures = [_figure(_curve(found, "score", "Score", "× 100"), f"Score: {found.score}.")]
    for name, (title, unit, meaning) in MEANINGS.items():
        pictures.append(_figure(_curve(found, name, title, unit), f"{title}. {meaning}"))
    yield tag("div", *pictures, class_="pictures")


WIDTH, HEIGHT = 420.0, 220.0
PLOT = Box(58, 12, 408, 176)


def _curve(found: Inspection, name: str, title: str, unit: str) -> Html:
    values = found.curves[name]
    across = Scale(found.layers[0] - 0.3, found.layers[-1] + 0.3, PLOT.left, PLOT.right)
    up = Scale.over(values.tolist(), PLOT.bottom, PLOT.top, 0.12)
    places = [(across(layer), up(float(value))) for layer, value in zip(found.layers, values, strict=True)]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dots = [
        tag(
            "circle",
            tag("title", f"layer {layer}: {_figure_text(float(value))}"),
            cx=x,
            cy=y,
            r=4.5 if layer == found.best else 3,
            class_="point top" if layer == found.best else "point",
        )
        for (x, y), layer, value in zip(places, found.layers, values, strict=True)
    ]
    description = (
        f"From {_figure_text(float(values[0]))} at layer {found.layers[0]} to {_figure_text(float(values[-1]))}."
    )
    return svg(
        f"curve-{name}",
        (WIDTH, HEIGHT),
        f"{title} ({unit}) by layer",
        description,
        *_frame(up, across, unit, "layer"),
        tag("path", d=path, class_="curve"),
        *dots,
    )


def _frame(up: Scale | None, across: Scale, title: str, under: str) -> list[Html]:
    """Grid and words around a picture; without ``up``, heights have no numbers."""
    drawn = []
    if up is not None:
        for value, words in up.ticks(4):
            drawn += [line(PLOT.left, up(value), PLOT.right, up(value), "grid")]
            drawn += [text(PLOT.left - 8, up(value) + 4, words, "end", "tick")]
    ticks = across.ticks(7)
    if under == "layer":
        ticks = [(value, f"{value:.0f}") for value, _ in ticks if value == int(value)]
    drawn += [text(across(value), PLOT.bottom + 18, words, "middle", "tick") for value, words in ticks]
    middle = (PLOT.top + PLOT.bottom) / 2
    turn = f"translate(12 {middle:.0f}) rotate(-90)"
    return [
        *drawn,
        line(PLOT.left, PLOT.bottom, PLOT.right, PLOT.bottom, "axis"),
        text((PLOT.left + PLOT.right) / 2, HEIGHT - 6, under, "middle", "title"),
        tag("text", title, transform=turn, text_anchor="middle", class_="title"),
    ]


def _histograms(found: Inspection) -> Iterator[Html]:
    yield tag(
        "p",
        f"Together: {found.pairs}. Apart: a text and one of another pair. The less the two overlap, the better cosines "
        "tell them apart.",
    )
    yield _key([("together", "together"), ("apart", "apart")])
    pictures = []
    for layer in _shown(found):
        pairs = found.similarities[layer]
        caption = f"Layer {layer}: separation {100 * pairs.separation:.1f} of 100."
        pictures.append(_figure(_histogram(layer, pairs.together, pairs.apart), caption))
    yield tag("div", *pictures, class_="pictures")


def _histogram(layer: int, together: np.ndarray, apart: np.ndarray) -> Html:
    both = np.concatenate([together, apart])
    bins = int(np.clip(np.sqrt(len(both)), 8, BINS))
    edges = np.linspace(both.min(), max(both.max(), both.min() + 1e-6), bins + 1)
    shares = [np.histogram(values, edges)[0] / len(values) for values in (together, apart)]
    across = Scale(float(edges[0]), float(edges[-1]), PLOT.left, PLOT.right)
    up = Scale(0, float(max(share.max() for share in shares)) * 1.05, PLOT.bottom, PLOT.top)
    bars = [
        tag("path", d=_steps(edges, share, across, up), class_=style)
        for share, style in zip(shares, ("together", "apart"), strict=True)
    ]
    description = f"Mean cosine {together.mean():.2f} of pairs that belong together, {apart.mean():.2f} of others."
    title = f"Cosines at layer {layer}"
    return svg(
        f"cosines-{layer}",
        (WIDTH, HEIGHT),
        title,
        description,
        *bars,
        *_frame(None, across, "share of pairs", "cosine"),
    )


def _steps(edges: np.ndarray, heights: np.ndarray, across: Scale, up: Scale) -> str:
    path = f"M{across(float(edges[0])):.1f} {up(0):.1f}"
    for edge, height in zip(edges[1:], heights, strict=True):
        path += f"V{up(float(height)):.1f}H{across(float(edge)):.1f}"
    return f"{path}V{up(0):.1f}Z"


def _maps(found: Inspection) -> Iterator[Html]:
    groups = [label for label, _ in Counter(label for label in found.labels if label).most_common(COLOURS)]
    more = len({label for label in found.labels if label}) - len(groups)
    yield tag(
        "p", "The texts' directions in the plane in which they differ most. A dot's text shows under the pointer."
    )
    if groups:
        rest = [("spot", f"{more} other labels")] if more > 0 else []
        yield _key([*((f"spot g{n}", clip(label, 30)) for n, label in enumerate(groups)), *rest])
    pictures = []
    for layer in _shown(found):
        first, second = found.shares[layer]
        caption = f"Layer {layer}: the two directions hold {100 * (first + second):.0f} % of the variance."
        pictures.append(_figure(_map(found, layer, groups), caption))
    yield tag("div", *pictures, class_="pictures")


def _map(found: Inspection, layer: int, groups: Sequence[str]) -> Html:
    points = found.points[layer]
    across = Scale.over(points[:, 0].tolist(), PLOT.left, PLOT.right)
    up = Scale.over(points[:, 1].tolist(), PLOT.bottom, PLOT.top)
    dots = []
    for (x, y), label, words in zip(points, found.labels, found.texts, strict=True):
        style = f"spot g{groups.index(label)}" if label in groups else "spot"
        tip = tag("title", f"{clip(words, 120)}{f' ({label})' if label else ''}")
        dots.append(tag("circle", tip, cx=across(float(x)), cy=up(float(y)), r=3, class_=style))
    title = f"Texts at layer {layer}"
    description = f"{len(points)} texts by their first two principal components."
    return svg(f"map-{layer}", (WIDTH, HEIGHT), title, description, *dots)


def _shown(found: Inspection) -> list[int]:
    """The first layer, the middle one, the best and the last."""
    layers = found.layers
    return sorted({layers[0], layers[len(layers) // 2], found.best, layers[-1]})[:MAPPED]


def _table(found: Inspection) -> Html:
    names = {"score": "Score", **{name: title for name, (title, _, _) in MEANINGS.items()}}
    head = tag(
        "tr",
        tag("th", "layer", scope="col"),
        *(tag("th", title, scope="col", class_="num") for title in names.values()),
    )
    rows = [
        tag(
            "tr",
            tag("th", f"{row['layer']:.0f}", scope="row"),
            *(tag("td", _figure_text(row[name]), class_="num") for name in names),
            class_="win" if row["layer"] == found.best else None,
        )
        for row in found.table()
    ]
    return tag("div", tag("table", tag("thead", head), tag("tbody", *rows)), class_="scroll", tabindex="0")


def _figure(picture: Html, caption: str) -> Html:
    return tag("figure", picture, tag("figcaption", caption))


def _key(items: Sequence[tuple[str, str]]) -> Html:
    entries = (tag("li", tag("span", "", class_=style, aria_hidden="true"), words) for style, words in items)
    return tag("ul", *entries, class_="key")


def _figure_text(value: float) -> str:
    return (f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}").replace("-", "−")
