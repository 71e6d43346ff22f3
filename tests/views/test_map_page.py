"""The map in a browser: deaths where they are, kinds, traces, levels, keys, phones, trouble."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from tests.views.endings import OneRun, end, random_ends, write_ends
from tests.views.episodes import CLEAR, make_episode
from tests.views.serving import serving

import warpzone.views
from warpzone.game.rom import Rom
from warpzone.views.ends import NAME
from warpzone.views.level_map import routes

STATIC = Path(warpzone.views.__file__).parent / "static"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>map</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="/static/map.css">
<style>:root { --ink: #1b1b20; --soft: #555; --line: #ccc; --card: #fff; color-scheme: light dark }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececf0; --soft: #aaa; --line: #444; --card: #17171b }
}
[hidden] { display: none !important }
body { color: var(--ink); background: var(--card); font: 16px system-ui; margin: 1rem }</style>
<main></main><script type="module">
import { mountMap } from "/static/map.js";
window.map = mountMap(document.querySelector("main"), { name: "run" });
await window.map.update();
</script>"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        assert os.environ.get("WARPZONE_NEED_CHROMIUM") != "1", "there is no Chromium"
        pytest.skip("there is no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_ends(tmp_path, [end(x=500)] * 6 + [end(x=900, death=2)] * 2 + [end(cleared=True)])
    return tmp_path


@contextmanager
def opened(
    browser: Browser, run: Path, rom: Rom | Path, may_fail: bool = False, **options: Any
) -> Iterator[Page]:
    """The map's page, which says nothing bad and asks nobody else."""
    mounts = [
        Route("/", lambda request: HTMLResponse(PAGE)),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    library = OneRun(run, {"levels": {"1-1": 1.0, "1-2": 1.0}})
    with serving(Starlette(routes=[*routes(library, rom), *mounts])) as address:
        page = browser.new_page(**options)
        page.set_default_timeout(15_000)
        trouble: list[str] = []
        page.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on(
            "request",
            lambda r: None if r.url.startswith((address, "data:")) else trouble.append(r.url),
        )
        page.goto(address)
        yield page
        page.close()
    assert may_fail or trouble == []


def heat(page: Page, column: int, row: int, strip: int = 0) -> list[int]:
    """RGBA of one cell of the heat map."""
    found: list[int] = page.evaluate(
        """([strip, column, row]) => [...document.querySelectorAll(".strip canvas")[strip]
            .getContext("2d").getImageData(column, row, 1, 1).data]""",
        [strip, column, row],
    )
    return found


def test_deaths_are_shown_where_they_were(browser: Browser, run: Path, rom: Rom) -> None:
    with opened(browser, run, rom, viewport={"width": 1280, "height": 900}) as page:
        expect(page.locator(".strip").first).to_contain_text("8 of 9 ends here")
        assert heat(page, 31, 10)[3] == 255
        assert heat(page, 56, 12)[3] == 255
        assert heat(page, 31, 10) != heat(page, 56, 12)
        assert heat(page, 100, 5)[3] == 0
        assert page.locator(".strip").count() == 2
        image = page.locator(".strip img").first
        assert image.evaluate("image => image.complete && image.naturalWidth") == 3328
        room = page.locator(".strip").nth(1)
        expect(room).to_be_hidden()
        page.get_by_label("places where nothing").check()
        expect(room).to_be_visible()
        expect(room).to_contain_text("no ends here")
        # Kinds can be left out, and what is left has the whole range of colours.
        assert page.locator(".kinds label").count() == 3
        hottest = heat(page, 31, 10)
        page.get_by_label("an enemy").uncheck()
        assert heat(page, 31, 10)[3] == 0
        assert heat(page, 56, 12) == hottest
        expect(page.locator(".strip").first).to_contain_text("2 of 9 ends here")
        page.get_by_label("cleared").check()
        assert heat(page, 19, 10)[3] == 255
        page.get_by_role("checkbox", name="heat map").uncheck()
        assert heat(page, 56, 12)[3] == 0
        # What is under the pointer is said.
        page.get_by_role("checkbox", name="heat map").check()
        page.locator(".scroller").first.evaluate("element => (element.scrollLeft = 600)")
        stage = page.locator(".stage").first
        box = stage.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 904 * box["width"] / 3328, box["y"] + 200 / 208 * box["height"])
        expect(page.locator(".strip output").first).to_have_text("x 896 px: a pit 2")


def test_it_follows_a_training(browser: Browser, run: Path, rom: Rom) -> None:
    with opened(browser, run, rom) as page:
        expect(page.locator(".strip").first).to_contain_text("8 of 9 ends here")
        focused = page.get_by_label("a pit")
        focused.focus()
        write_ends(run, [end(x=1500)] * 20)
        page.evaluate("map.update()")
        expect(page.locator(".strip").first).to_contain_text("28 of 29 ends here")
        assert heat(page, 94, 10)[3] == 255
        expect(focused).to_be_focused()
        ends = [line for line in random_ends(400, level="1-2", area=3) if line["x"] < 2800]
        write_ends(run, ends[:200])
        page.get_by_role("combobox", name="Ends").select_option("100")
        page.get_by_role("combobox", name="Level").select_option("1-2")
        expect(page.locator(".strip").first).to_contain_text("of 100 ends here")
        assert page.locator(".strip").count() == 3
        page.get_by_role("combobox", name="Ends").select_option("")
        expect(page.locator(".strip").first).to_contain_text("of 200 ends here")
        page.get_by_role("combobox", name="Level").select_option("1-1")
        expect(page.locator(".strip").first).to_contain_text("28 of 29 ends here")


def test_traces_can_be_seen_and_left_out(browser: Browser, run: Path, rom: Rom) -> None:
    (run / "episodes").mkdir()
    make_episode(CLEAR, cleared=True).save(run / "episodes/000001000-000.json")
    with opened(browser, run, rom) as page:
        line = page.locator(".traces polyline")
        expect(line).to_have_count(1)
        expect(page.locator(".map > p.note").last).to_contain_text("newest stored episodes")
        page.get_by_label("traces").uncheck()
        expect(line).to_have_count(0)
        page.get_by_label("traces").check()
        expect(line).to_have_count(1)


def test_keys_are_enough(browser: Browser, run: Path, rom: Rom) -> None:
    with opened(browser, run, rom, viewport={"width": 1000, "height": 800}) as page:
        scroller = page.locator(".scroller").first
        scroller.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("document.querySelector('.scroller').scrollLeft > 0")
        page.locator("summary").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "x 896 px"
        page.keyboard.press("Enter")
        expect(scroller).to_be_focused()
        expect(page.locator(".strip output").first).to_have_text("x 896 px: a pit 2")
        expect(page.locator(".mark").first).to_be_visible()
        left, right = page.evaluate(
            """() => {
                const [mark, scroller] = [".mark", ".scroller"].map((name) =>
                    document.querySelector(name).getBoundingClientRect());
                return [mark.left - scroller.left, scroller.right - mark.right];
            }"""
        )
        assert left > 0
        assert right > 0


def test_a_phone_is_wide_enough(browser: Browser, run: Path, rom: Rom) -> None:
    with opened(browser, run, rom, viewport={"width": 360, "height": 740}) as page:
        expect(page.locator(".strip").first).to_contain_text("8 of 9 ends here")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.get_by_label("Size").select_option("fit")
        assert page.evaluate("document.querySelector('.scroller').scrollWidth") <= 360
        page.get_by_label("Size").select_option("2")
        assert page.evaluate("document.querySelector('.scroller').scrollWidth") == 2 * 3328


def test_trouble_is_said_and_passes(browser: Browser, run: Path, rom: Rom) -> None:
    whole = (run / NAME).read_bytes()
    (run / NAME).unlink()
    (run / NAME).mkdir()
    with opened(browser, run, rom, may_fail=True) as page:
        expect(page.get_by_role("alert")).to_contain_text("cannot be read")
        (run / NAME).rmdir()
        (run / NAME).write_bytes(whole + b"nonsense\n")
        page.evaluate("map.update()")
        expect(page.get_by_role("alert")).to_be_hidden()
        expect(page.locator(".map > p.note").last).to_contain_text("1 lines of ends.jsonl")
    with opened(browser, run, run / "no.nes", may_fail=True) as page:
        expect(page.get_by_role("alert")).to_contain_text("no.nes")


def test_a_run_without_ends_says_so(browser: Browser, tmp_path: Path, rom: Rom) -> None:
    with opened(browser, tmp_path, rom) as page:
        expect(page.locator(".map > p.note").last).to_contain_text("No episode has ended")
        expect(page.locator(".strip")).to_have_count(2)
