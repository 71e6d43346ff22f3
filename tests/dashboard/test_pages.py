"""The pages in a browser: over runs that lie there, and over a training that goes on."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.support.browser import OpenTab
from tests.support.run_directories import make_run

from warpzone.dashboard.server import serving

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_run(tmp_path / "one", seed=1)
    make_run(tmp_path / "two", seed=2, lr=0.001, measured=0.7, updates=30)
    make_run(tmp_path / "camp" / "1-2", level="1-2", updates=900)
    return tmp_path


@pytest.fixture
def site(folder: Path) -> Iterator[str]:
    with serving(folder) as url:
        yield url


def listed(page: Page) -> list[str]:
    return page.locator(".runs tbody td.name a").all_inner_texts()


def chosen(page: Page) -> list[str]:
    return page.locator(".legend a").all_inner_texts()


def traces(page: Page, chart: str = "clear_rate") -> list[dict[str, object]]:
    """What plotly has drawn of a chart."""
    found: list[dict[str, object]] = page.evaluate(
        f"(document.querySelector('#chart-{chart} .plot').data ?? [])"
        ".map(t => ({name: t.name, x: [...t.x], y: [...t.y]}))"
    )
    return found


def expect_drawn(page: Page, count: int, chart: str = "clear_rate") -> None:
    """So many curves, with lines on the screen."""
    page.locator(f"#chart-{chart}").scroll_into_view_if_needed()
    expect(page.locator(f"#chart-{chart} .scatterlayer .trace .js-line")).to_have_count(count)


def test_runs_over_each_other_with_differences_and_results(site: str, open_tab: OpenTab) -> None:
    page = open_tab(site).page
    expect(page.locator(".runs tbody tr")).to_have_count(3)
    expect_drawn(page, 3)
    assert sorted(chosen(page)) == ["camp/1-2", "one", "two"]
    drawn = {str(trace["name"]): trace for trace in traces(page)}
    assert drawn["two"]["x"] == [1000 * (i + 1) for i in range(30)]
    settings = page.locator(".differences tbody tr")
    expect(settings).to_have_count(3)
    assert sorted(settings.locator("th").all_inner_texts()) == ["env.levels", "lr", "seed"]
    expect(page.locator(".results tbody tr")).to_have_count(2)
    expect(page.locator(".results tbody tr").first).to_contain_text("90 % 80 % – 90 %")
    page.get_by_label("all 32 levels").check()
    expect(page.locator(".results tbody tr")).to_have_count(32)
    # One run less: curves and tables follow, and the address says so.
    page.get_by_label("compare camp/1-2").uncheck()
    expect_drawn(page, 2)
    expect(settings).to_have_count(2)
    assert "camp" not in page.url
    page.reload()
    expect_drawn(page, 2)
    page.get_by_role("button", name="none", exact=True).click()
    expect(page.locator(".compared")).to_contain_text("Choose runs in the list.")


def test_time_as_the_axis(site: str, open_tab: OpenTab) -> None:
    page = open_tab(f"{site}/#/?run=two").page
    expect_drawn(page, 1)
    page.get_by_label("time", exact=True).check()
    expect(page.locator("#chart-clear_rate .xtitle")).to_contain_text("minutes")
    xs = traces(page)[0]["x"]
    assert isinstance(xs, list)
    assert xs[-1] == pytest.approx(30 / 60)


def test_the_list_is_sorted_and_filtered(site: str, folder: Path, open_tab: OpenTab) -> None:
    (folder / "bad").mkdir()
    (folder / "bad" / "config.json").write_text("{")
    page = open_tab(site).page
    expect(page.locator(".runs tbody tr")).to_have_count(4)
    best = page.locator("th").filter(has_text="best")
    best.get_by_role("button").click()
    expect(best).to_have_attribute("aria-sort", "descending")
    assert listed(page) == ["camp/1-2", "one", "two", "bad"]
    best.get_by_role("button").click()
    assert listed(page) == ["two", "camp/1-2", "one", "bad"]
    bad = page.locator(".runs tbody tr").filter(has_text="bad")
    expect(bad).to_contain_text("config.json is damaged or half-written")
    expect(bad.locator(".state").first).to_have_text("damaged")
    page.get_by_role("searchbox").fill("1-1 FINISHED")
    assert listed(page) == ["two", "one"]
    expect(page.locator(".list .note")).to_contain_text("2 of 4 runs")
    page.get_by_role("button", name="all", exact=True).click()
    expect(page.locator(".legend a")).to_have_count(2)


def test_with_the_keyboard_alone(site: str, open_tab: OpenTab) -> None:
    page = open_tab(site).page
    expect_drawn(page, 3)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.get_by_role("button", name="run", exact=True).press("Enter")
    assert listed(page) == ["camp/1-2", "one", "two"]
    boxes = page.locator(".runs tbody input")
    boxes.first.focus()
    page.keyboard.press("ArrowDown")
    expect(boxes.nth(1)).to_be_focused()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Space")
    expect_drawn(page, 2)
    assert "one" not in chosen(page)
    page.keyboard.press("End")
    expect(boxes.nth(2)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator(".runs tbody a").nth(2)).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="camp/1-2")).to_be_visible()
    curves = page.get_by_role("tab", name="Curves")
    expect(curves).to_have_attribute("aria-selected", "true")
    curves.focus()
    page.keyboard.press("End")
    last = page.get_by_role("tab").last
    expect(last).to_be_focused()
    expect(last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Home")
    expect(curves).to_have_attribute("aria-selected", "true")


def test_one_run(site: str, open_tab: OpenTab) -> None:
    page = open_tab(site).page
    page.get_by_role("link", name="camp/1-2").first.click()
    expect(page.locator(".facts")).to_contain_text("900,000 of 100,000")
    expect_drawn(page, 3, "best_x")  # the mean between the lowest and the highest
    expect(page.locator(".note").first).to_contain_text("mean of up to 4 updates")
    page.get_by_role("tab", name="Settings").click()
    expect(page.locator(".settings")).to_contain_text("env.noop_max")
    page.reload()  # the panel is in the address
    expect(page.locator(".settings")).to_contain_text("env.noop_max")
    page.get_by_role("tab", name="Results").click()
    expect(page.locator(".results")).to_contain_text("1-2")
    page.get_by_role("link", name="← all runs").click()
    expect_drawn(page, 3)


@pytest.mark.parametrize("width", [360, 390, 768, 1100, 1440])
def test_nothing_is_wider_than_the_screen(site: str, open_tab: OpenTab, width: int) -> None:
    page = open_tab(site, viewport={"width": width, "height": 844}).page
    expect(page.locator(".results")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.goto(f"{site}/#/run/camp%2F1-2?panel=settings")
    expect(page.locator(".settings")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_a_phone(site: str, open_tab: OpenTab) -> None:
    page = open_tab(site, **PHONE).page
    row = page.locator(".runs tbody tr").filter(has_text="two")
    for text in ("finished", "1-1", "tiles", "30,000", "70 %"):
        expect(row.get_by_text(text, exact=True).first).to_be_in_viewport()
    expect_drawn(page, 3, "kl")
    for button in page.get_by_role("button").all():
        box = button.bounding_box()
        assert box is None or box["height"] >= 24  # WCAG 2.2, target size


def test_dark_and_light(site: str, open_tab: OpenTab) -> None:
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    ink = "document.querySelector('#chart-clear_rate .plot').layout.font.color"
    light, dark = "rgb(246, 247, 249)", "rgb(18, 21, 26)"
    page = open_tab(site, color_scheme="dark").page
    expect_drawn(page, 3)
    assert page.evaluate(paper) == dark
    of_dark = page.evaluate(ink)
    button = page.locator("#theme")
    button.click()
    assert page.evaluate(paper) == light
    assert page.evaluate(ink) != of_dark
    page.reload()  # the choice is kept
    expect_drawn(page, 3)
    assert page.evaluate(paper) == light
    button.click()
    assert page.evaluate(paper) == dark
    button.click()
    expect(button).to_have_text(re.compile("system"))
    page.emulate_media(color_scheme="light")
    assert page.evaluate(paper) == light


def test_an_empty_folder_says_how_to_start_and_runs_come(tmp_path: Path, open_tab: OpenTab) -> None:
    with serving(tmp_path) as url:
        page = open_tab(url).page
        expect(page.locator("main")).to_contain_text("warpzone train 1-1")
        make_run(tmp_path / "first", updates=5)
        expect(page.locator(".runs tbody tr")).to_have_count(1)
        expect_drawn(page, 1)
        make_run(tmp_path / "second", updates=5)
        expect(page.locator(".runs tbody tr")).to_have_count(2)
        shutil.rmtree(tmp_path / "first")
        shutil.rmtree(tmp_path / "second")
        expect(page.locator("main")).to_contain_text("No runs yet")


def test_a_run_that_is_not_there_is_waited_for(site: str, folder: Path, open_tab: OpenTab) -> None:
    page = open_tab(f"{site}/#/run/later").page
    expect(page.locator("main")).to_contain_text("There is no run of that name here now")
    make_run(folder / "later")
    expect_drawn(page, 1, "best_x")


def test_the_end_of_the_dashboard_is_told(folder: Path, open_tab: OpenTab) -> None:
    with serving(folder) as url:
        tab = open_tab(url)
        expect_drawn(tab.page, 3)
    expect(tab.page.get_by_role("alert")).to_contain_text("The dashboard does not answer")
    # What the browser itself says of connections that are refused.
    tab.errors[:] = [text for text in tab.errors if "ERR_CONNECTION_REFUSED" not in text]


def test_a_hidden_page_asks_for_nothing(site: str, open_tab: OpenTab) -> None:
    tab = open_tab(site)
    expect_drawn(tab.page, 3)
    hide = "Object.defineProperty(document, 'hidden', {{configurable: true, get: () => {}}});"
    change = "document.dispatchEvent(new Event('visibilitychange'))"
    tab.page.evaluate(hide.format("true") + change)
    tab.page.wait_for_timeout(500)
    tab.requests.clear()
    tab.page.wait_for_timeout(5000)
    assert tab.requests == []
    tab.page.evaluate(hide.format("false") + change)
    tab.page.wait_for_timeout(500)
    assert tab.requests != []


def steps(page: Page, chart: str) -> list[float]:
    """Of the first curve of a chart."""
    drawn = traces(page, chart)
    return list(drawn[0]["x"]) if drawn else []  # type: ignore[call-overload]


def moving(page: Page, chart: str) -> bool:
    return len(steps(page, chart)) > 1


def wait_until(condition: Callable[[], bool]) -> None:
    """Not in the page, whose policy lets nobody evaluate text."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
def test_curves_move_while_a_training_runs(training: Path, open_tab: OpenTab) -> None:
    with serving(training.parent) as url:
        tab = open_tab(url)
        page = tab.page
        for chart in ("clear_rate", "best_x", "entropy", "kl", "steps_per_second"):
            page.locator(f"#chart-{chart}").scroll_into_view_if_needed()
            wait_until(partial(moving, page, chart))
        page.locator("#chart-best_x").scroll_into_view_if_needed()
        before = steps(page, "best_x")[-1]
        wait_until(lambda: steps(page, "best_x")[-1] > before)
        expect(page.locator("span.state")).to_have_text("running")
        # A second run beside it.
        if not (training.parent / "other").exists():
            make_run(training.parent / "other", seed=7)
        page.get_by_label("compare other").check()
        expect_drawn(page, 2, "best_x")
        expect(page.locator(".differences")).to_contain_text("seed")
        page.get_by_role("link", name="1-1-live").first.click()
        expect(page.locator(".facts")).to_contain_text("running")
        page.locator("#chart-entropy").scroll_into_view_if_needed()
        expect(page.locator("#chart-entropy output")).to_have_text(re.compile(r"^\d\.\d{3}$"))
