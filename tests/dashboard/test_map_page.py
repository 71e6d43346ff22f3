"""The map in a browser: deaths where they are, kinds, traces, levels, keys, phones, trouble."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.support.browser import OpenTab, Tab, wait_for
from tests.support.endings import end, random_ends, write_ends
from tests.support.episodes import CLEAR, make_episode
from tests.support.run_directories import make_run

from warpzone.dashboard.server import serving
from warpzone.maps.episode_ends import NAME, OLD_NAME

OpenMap = Callable[..., Tab]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = make_run(tmp_path / "runs" / "run", env={"levels": {"1-1": 1.0, "1-2": 1.0}})
    write_ends(run, [end(x=500)] * 6 + [end(x=900, death=2)] * 2 + [end(cleared=True)])
    return run


@pytest.fixture
def open_map(run: Path, open_tab: OpenTab) -> Iterator[OpenMap]:
    """Opens the dashboard at the map of `run`."""
    with serving(run.parent) as url:
        yield lambda **settings: open_tab(f"{url}/#/run/run?panel=map", **settings)


def heat(page: Page, column: int, row: int, strip: int = 0) -> list[int]:
    """RGBA of one cell of the heat map."""
    found: list[int] = page.evaluate(
        """([strip, column, row]) => [...document.querySelectorAll(".strip canvas")[strip]
            .getContext("2d").getImageData(column, row, 1, 1).data]""",
        [strip, column, row],
    )
    return found


def test_deaths_are_shown_where_they_were(run: Path, open_map: OpenMap) -> None:
    page = open_map(viewport={"width": 1280, "height": 900}).page
    expect(page.locator(".strip").first).to_contain_text("8 of 9 ends here")
    assert heat(page, 31, 10)[3] == 255
    assert heat(page, 56, 12)[3] == 255
    assert heat(page, 31, 10) != heat(page, 56, 12)
    assert heat(page, 100, 5)[3] == 0
    assert page.locator(".strip").count() == 2
    picture = "document.querySelector('.strip img')"
    wait_for(page, f"{picture}.complete && {picture}.naturalWidth === 3328")
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
    expect(page.locator(".strip output").first).to_have_text("x 896 px: fell into a pit 2")


def test_it_follows_a_training(run: Path, open_map: OpenMap) -> None:
    page = open_map().page
    expect(page.locator(".strip").first).to_contain_text("8 of 9 ends here")
    focused = page.get_by_label("a pit")
    focused.focus()
    write_ends(run, [end(x=1500)] * 20)
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


def test_traces_can_be_seen_and_left_out(run: Path, open_map: OpenMap) -> None:
    (run / "episodes").mkdir()
    make_episode(CLEAR, cleared=True).save(run / "episodes/000001000-000.json")
    page = open_map().page
    line = page.locator(".traces polyline")
    expect(line).to_have_count(1)
    expect(page.locator(".map > p.note").last).to_contain_text("newest stored episodes")
    page.get_by_label("traces").uncheck()
    expect(line).to_have_count(0)
    page.get_by_label("traces").check()
    expect(line).to_have_count(1)


def test_keys_are_enough(run: Path, open_map: OpenMap) -> None:
    page = open_map(viewport={"width": 1000, "height": 800}).page
    scroller = page.locator(".scroller").first
    scroller.focus()
    page.keyboard.press("ArrowRight")
    wait_for(page, "document.querySelector('.scroller').scrollLeft > 0")
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "x 896 px"
    page.keyboard.press("Enter")
    expect(scroller).to_be_focused()
    expect(page.locator(".strip output").first).to_have_text("x 896 px: fell into a pit 2")
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


def test_a_phone_is_wide_enough(run: Path, open_map: OpenMap) -> None:
    page = open_map(viewport={"width": 360, "height": 740}).page
    expect(page.locator(".strip").first).to_contain_text("8 of 9 ends here")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_label("Size").select_option("fit")
    assert page.evaluate("document.querySelector('.scroller').scrollWidth") <= 360
    page.get_by_label("Size").select_option("2")
    assert page.evaluate("document.querySelector('.scroller').scrollWidth") == 2 * 3328


def test_nonsense_is_said(run: Path, open_map: OpenMap) -> None:
    with (run / NAME).open("a") as file:
        file.write("nonsense\n")
    page = open_map().page
    expect(page.locator(".map > p.note").last).to_contain_text("1 lines about ends of episodes")
    expect(page.locator(".strip").first).to_contain_text("8 of 9 ends here")


def test_a_missing_rom_is_told(
    run: Path, open_map: OpenMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARPZONE_ROM", str(run / "no.nes"))
    tab = open_map()
    expect(tab.page.locator("#panel [role=alert]")).to_contain_text("no.nes")
    assert all("422" in text for text in tab.errors)
    tab.errors.clear()


def test_a_run_without_ends_says_so(run: Path, open_map: OpenMap) -> None:
    (run / NAME).unlink()
    page = open_map().page
    expect(page.locator(".map > p.note").last).to_contain_text("No episode has ended")
    expect(page.locator(".strip")).to_have_count(2)


@pytest.mark.slow
def test_deaths_of_a_real_training_are_shown(training: Path, open_tab: OpenTab) -> None:
    with serving(training.parent) as url:
        page = open_tab(f"{url}/#/run/{training.name}?panel=map").page
        seen = page.locator(".strip .note").first
        expect(seen).to_contain_text("ends here", timeout=120_000)
        expect(seen).not_to_contain_text("no ends", timeout=120_000)
        before = seen.inner_text()
        expect(seen).not_to_have_text(before, timeout=60_000)  # it goes on
        shown = page.evaluate(
            """() => {
                const canvas = document.querySelector(".strip canvas");
                const { data, width } = canvas.getContext("2d")
                    .getImageData(0, 0, canvas.width, canvas.height);
                return [...data.keys()].filter((i) => i % 4 === 3 && data[i])
                    .map((i) => ((i - 3) / 4) % width);
            }"""
        )
    lines = [json.loads(line) for line in _ends(training).read_text().splitlines()[:-1]]
    columns = {(line["x"] + 8) // 16 for line in lines if not line["cleared"]}
    assert len(shown) > 0
    assert set(shown) <= columns


def _ends(run: Path) -> Path:
    """Returns the file that this version writes."""
    return next(run / name for name in (NAME, OLD_NAME) if (run / name).exists())
