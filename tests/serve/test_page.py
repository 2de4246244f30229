"""The page in a real browser: by mouse, keyboard and touch, light and dark, on a desk and on a phone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plait.step import Composite
from plait.store.table import Record, Table
from tests.serve.running import Server
from tests.store.makers import TEXTS

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt install chromium"),
]
SHOTS = Path(__file__).parents[2] / "artefacts" / "serve"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
DESK, PHONE = {"width": 1360, "height": 900}, {"width": 390, "height": 844}
HOSTILE = '<img src=x onerror="window.broken = 1"><script>window.broken = 1</script> over the lazy dog'
KEY = "key-of-the-page"
CONTRAST = """() => {
  const channel = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const read = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const colour = read(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.checkVisibility() || node.closest(".hidden, .skip")) continue;
    const [a, b] = [light(read(getComputedStyle(node).color)), light(ground(node))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.outerHTML.slice(0, 80)]);
  }
  return found;
}"""
UNNAMED = """() => [...document.querySelectorAll("button, input, select, canvas, [role=group], section, dialog")]
  .filter((one) => one.checkVisibility() && !(one.getAttribute("aria-label") || one.labels?.length
    || one.getAttribute("aria-labelledby") || (one.tagName === "BUTTON" && one.textContent.trim())))
  .map((one) => one.outerHTML.slice(0, 80))"""
VIEW = "() => import('/map.js').then(({ atlas }) => ({ x: atlas.x, y: atlas.y, zoom: atlas.zoom, now: atlas.current }))"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def server(recipe: Composite, tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    Table.create(folder / "hostile", recipe, [Record(HOSTILE, '"><b>id</b>', {"<i>field</i>": "<u>value</u>"}), *TEXTS])
    indexes = [f"--index={path}" for path in (tables / "first", tables / "second", folder / "hostile")]
    with Server(folder, str(recipe), "--name", "tiny", *indexes) as found:
        yield found


Open = Callable[..., Any]


@pytest.fixture
def visit(browser: Any, server: Server) -> Iterator[Open]:
    """Opens the page; afterwards nothing may have been fetched elsewhere, refused by its policy, or gone wrong."""
    contexts, errors = [], []

    def visit(url: str = server.url, view: dict[str, int] = DESK, allowed: str = "nothing", **more: Any) -> Any:
        context = browser.new_context(viewport=view, reduced_motion="reduce", **more)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("request", lambda one: one.url.startswith((url, "data:")) or errors.append(one.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console", lambda line: line.type == "error" and str(allowed) not in line.text and errors.append(line.text)
        )
        page.goto(url)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert errors == []


def ask(page: Any, query: str) -> None:
    page.get_by_role("searchbox").fill(query)
    page.keyboard.press("Enter")
    page.locator(".hit").first.wait_for()
    until(page, "!document.querySelector('#columns').hasAttribute('aria-busy')")


def until(page: Any, condition: str) -> None:
    """Wait for it; the browser's own way to wait would have to evaluate a string, which the page's policy forbids."""
    deadline = time.monotonic() + 15
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(20)


def ready(page: Any) -> Any:
    until(page, "document.querySelector('#map').getAttribute('aria-label')")
    return page


def shot(page: Any, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(100)
    page.screenshot(path=SHOTS / f"{name}.png")


def test_two_collections_stand_side_by_side(visit: Open) -> None:
    page = ready(visit())
    shot(page, "start")
    ask(page, "rain in the north")
    columns = page.locator(".column")
    assert columns.count() == 2
    assert [columns.nth(n).locator(".recipe").text_content().split(" | ")[1] for n in (0, 1)] == [
        "MeanPool()",
        "MaxPool()",
    ]
    first = columns.nth(0).locator(".hit").first
    assert TEXTS[3] in first.locator(".text").text_content()
    assert {mark.lower() for mark in first.locator("mark").all_text_contents()} == {"rain", "north"}
    scores = [float(text) for text in columns.nth(0).locator(".score").all_text_contents()]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 10
    ids = [columns.nth(n).locator(".id").all_text_contents() for n in (0, 1)]
    both = len(set(ids[0]) & set(ids[1]))
    assert f"{both} in both" in page.locator("#status").text_content()
    assert columns.nth(0).locator(".elsewhere.only").count() == 10 - both
    shot(page, "results-light")


def test_another_collection_can_be_chosen(visit: Open) -> None:
    page = ready(visit())
    ask(page, "dog")
    page.get_by_label("Collection B").select_option("hostile")
    until(page, "document.querySelectorAll('.column.b .recipe')[0].textContent.includes('MeanPool')")
    assert page.locator(".column.b .hit").count() == 6


def test_texts_are_inserted_as_text(visit: Open) -> None:
    page = ready(visit())
    ask(page, "<script>window.broken = 1</script> lazy dog")
    page.get_by_label("Collection B").select_option("hostile")
    card = page.locator(".column.b .hit", has_text="onerror")
    card.wait_for()
    assert card.locator(".text").text_content() == HOSTILE
    assert card.locator("img, script, b b, i, u").count() == 0
    assert '"><b>id</b>' in card.text_content()
    assert "<i>field</i>" in card.text_content()
    assert page.evaluate("window.broken") is None
    page.locator("#shown").select_option("hostile")
    until(page, "document.querySelector('#map').getAttribute('aria-label').includes('hostile')")
    card.hover()
    until(page, "document.querySelector('#point').textContent.includes('onerror')")
    assert page.locator("#point *").count() == 0


def test_filters_narrow_the_results(visit: Open) -> None:
    page = ready(visit())
    ask(page, "something")
    with page.expect_response("**/search"):
        page.get_by_role("combobox", name="topic").select_option("weather")
    until(page, "document.querySelectorAll('.column.a .hit').length === 8")
    assert all("topic weather" in text for text in page.locator(".column.a .tags").all_text_contents())
    with page.expect_response("**/search"):
        page.get_by_role("combobox", name="copy").select_option("3")
    until(page, "document.querySelectorAll('.column.a .hit').length === 1")
    assert page.locator(".column.a .id").text_content() == "weather-3-3"
    with page.expect_response("**/search"):
        page.get_by_role("combobox", name="topic").select_option("any")
    until(page, "document.querySelectorAll('.column.a .hit').length === 5")


def test_everything_is_done_with_the_keyboard(visit: Open) -> None:
    page = ready(visit())
    assert page.evaluate("document.activeElement.id") == "query"
    page.keyboard.type("enzyme substrate")
    page.keyboard.press("Enter")
    page.locator(".hit").first.wait_for()
    reached = []
    for _ in range(90):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("(document.activeElement.id || document.activeElement.textContent).slice(0, 30)"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert reached[-1] == "" or outline != "none", reached[-1]
        if reached[-1] == "map":
            break
    assert {"theme", "k", "Similar", "shown", "colour", "map"} <= set(reached)
    before = page.evaluate(VIEW)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("+")
    after = page.evaluate(VIEW)
    assert (after["x"] > before["x"], after["y"] < before["y"], after["zoom"] > before["zoom"]) == (True, True, True)
    assert after["now"] >= 0
    marked = page.locator("#point").text_content()
    shot(page, "map-by-keyboard")
    page.keyboard.press("0")
    assert page.evaluate(VIEW)["zoom"] == 1
    marked = page.locator("#point").text_content()
    with page.expect_response("**/search"):
        page.keyboard.press("Enter")
    assert page.get_by_role("searchbox").input_value().startswith(marked[:40])
    page.locator("#theme").focus()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "query"


def test_the_map_is_moved_by_the_mouse(visit: Open) -> None:
    page = ready(visit())
    box = page.locator("#map").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = page.evaluate(VIEW)
    page.mouse.move(*middle)
    page.mouse.wheel(0, -400)
    until(page, f"({VIEW})().then((view) => view.zoom > 2)")
    page.mouse.down()
    page.mouse.move(middle[0] + 80, middle[1] + 50, steps=4)
    page.mouse.up()
    after = page.evaluate(VIEW)
    assert after["x"] < before["x"]
    assert after["y"] > before["y"]
    assert page.locator(".hit").count() == 0  # a drag picks nothing
    page.get_by_role("button", name="Show all").click()
    x, y = page.evaluate("import('/map.js').then(({ atlas }) => atlas.at(7))")
    page.mouse.move(box["x"] + x, box["y"] + y)
    until(page, "document.querySelector('#point').textContent.includes('Case')")
    with page.expect_response("**/search"):
        page.mouse.click(box["x"] + x, box["y"] + y)
    page.locator(".hit").first.wait_for()


def test_the_map_is_moved_by_touch(visit: Open) -> None:
    page = ready(visit(view=PHONE, has_touch=True, is_mobile=True))
    page.get_by_role("button", name="Zoom in").tap()
    until(page, f"({VIEW})().then((view) => view.zoom > 1)")
    page.get_by_role("button", name="Show all").tap()
    until(page, f"({VIEW})().then((view) => view.zoom === 1)")
    box = page.locator("#map").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": px, "y": py, "id": n} for n, (px, py) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    before = page.evaluate(VIEW)
    fingers("touchStart", (x, y))
    for far in (20, 40, 60):
        fingers("touchMove", (x, y + far))
    fingers("touchEnd")
    after = page.evaluate(VIEW)
    assert (after["zoom"], after["y"] > before["y"]) == (1, True)
    px, py = page.evaluate("import('/map.js').then(({ atlas }) => atlas.at(7))")
    with page.expect_response("**/search"):
        page.touchscreen.tap(box["x"] + px, box["y"] + py)
    page.locator(".hit").first.wait_for()
    page.locator("#map").scroll_into_view_if_needed()
    box = page.locator("#map").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    fingers("touchStart", (x - 20, y), (x + 20, y))
    for far in (40, 60, 80):
        fingers("touchMove", (x - far, y), (x + far, y))
    fingers("touchEnd")
    assert page.evaluate(VIEW)["zoom"] > 1.5
    assert page.evaluate("visualViewport.scale") == 1  # the page itself stays as it is


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "view"), [("desk", DESK), ("phone", PHONE)])
def test_it_can_be_read(visit: Open, scheme: str, name: str, view: dict[str, int]) -> None:
    page = ready(visit(view=view, color_scheme=scheme, has_touch=name == "phone"))
    shot(page, f"start-{name}-{scheme}")
    ask(page, "cats and dogs and rain")
    shot(page, f"results-{name}-{scheme}")
    low = [(round(ratio, 2), what) for ratio, what in page.evaluate(CONTRAST) if ratio < 4.5]
    assert low == []
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    small = "(one) => one.checkVisibility() && one.getBoundingClientRect().height < 24"
    assert page.evaluate(f"[...document.querySelectorAll('button, select, input')].filter({small}).length") == 0


def test_light_and_dark_follow_the_system_until_somebody_chooses(visit: Open) -> None:
    def ground(page: Any) -> int:
        return sum(
            int(part) for part in page.evaluate("getComputedStyle(document.body).backgroundColor")[4:-1].split(",")
        )

    page = ready(visit(color_scheme="dark"))
    button = page.get_by_role("button", name="Dark colours")
    assert ground(page) < 200
    assert button.get_attribute("aria-pressed") == "true"
    page.emulate_media(color_scheme="light")
    assert ground(page) > 600
    page.emulate_media(color_scheme="dark")
    button.click()
    assert ground(page) > 600
    assert button.get_attribute("aria-pressed") == "false"
    page.reload()
    assert ground(ready(page)) > 600


def test_a_search_can_be_kept_as_a_link(visit: Open) -> None:
    page = ready(visit())
    ask(page, "brown fox")
    assert page.url.endswith("#q=brown+fox")
    other = page.context.new_page()
    other.goto(page.url)
    other.locator(".hit").first.wait_for()
    assert other.get_by_role("searchbox").input_value() == "brown fox"
    other.get_by_role("searchbox").fill("")
    other.keyboard.press("Enter")
    until(other, "document.querySelectorAll('.hit').length === 0")
    assert other.url == f"{page.url.partition('#')[0]}"


def test_a_key_is_asked_for_and_kept_in_the_tab(visit: Open, recipe: Composite, tables: Path, tmp_path: Path) -> None:
    with Server(tmp_path, str(recipe), "--index", tables / "first", keys=KEY) as server:
        page = visit(server.url, allowed="401")
        page.get_by_role("dialog").wait_for()
        shot(page, "key")
        page.get_by_role("textbox", name="Key").fill("wrong")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="does not know this API key").wait_for()
        page.get_by_role("textbox", name="Key").fill(KEY)
        page.keyboard.press("Enter")
        ask(ready(page), "fox")
        assert page.locator(".column").count() == 1
        assert KEY not in page.url
        assert KEY not in page.evaluate("JSON.stringify(localStorage) + document.cookie")
        page.reload()
        page.locator(".hit").first.wait_for()


def test_what_goes_wrong_is_said(visit: Open, recipe: Composite, tables: Path, tmp_path: Path) -> None:
    with Server(tmp_path, str(recipe), "--index", tables / "first") as server:
        page = ready(visit(server.url, allowed="ERR_CONNECTION_REFUSED"))
        ask(page, "fox")
        server.stop()
        page.get_by_role("searchbox").fill("dog")
        page.keyboard.press("Enter")
        alert = page.get_by_role("alert")
        alert.wait_for()
        assert "does not answer" in alert.text_content()
        assert page.locator("#columns[aria-busy]").count() == 0


def test_without_a_collection_it_says_how_to_get_one(visit: Open, recipe: Composite, tmp_path: Path) -> None:
    with Server(tmp_path, str(recipe)) as server:
        page = visit(server.url)
        page.get_by_text("--index FOLDER").wait_for()
        shot(page, "no-collection")
