"""The page that shows games, in a browser: exact frames, keys, the wall, phones, trouble."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from tests.views.episodes import CLEAR, OneRun, make_episode, pictures, random_buttons
from tests.views.serving import serving

import warpzone.views
from warpzone.game.console import PALETTE, Console
from warpzone.game.episode import Cartridge, Episode, begin
from warpzone.views.games import routes

STATIC = Path(warpzone.views.__file__).parent / "static"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>games</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<style>:root { --ink: #1b1b20; --paper: #f6f7f9; --card: #fff; --soft: #5b6470; --line: #dcdfe4;
  --accent: #0b62c4; --good: #1f7a34; --bad: #b3261e; color-scheme: light }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaee; --paper: #12151a; --card: #1b2027;
  --soft: #a3adba; --line: #343b46; --accent: #7db7ff; --good: #6fd48a; --bad: #ff8a80;
  color-scheme: dark } }
body { color: var(--ink); background: var(--paper); font: 16px system-ui; margin: 1rem }</style>
<main></main><script type="module">
import { mountGames } from "/static/player.js";
window.games = mountGames(document.querySelector("main"), { name: "run" });
</script>"""

STORED = "episodes/000001000-000.json"


def page_of(run: Path, env: dict[str, object] | None = None) -> Starlette:
    """The games of one run, and nothing else."""

    def home(request: Request) -> Response:
        return HTMLResponse(PAGE)

    mounts = [Route("/", home), Mount("/static", StaticFiles(directory=STATIC))]
    return Starlette(routes=[*routes(OneRun(run, env)), *mounts])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        assert os.environ.get("WARPZONE_NEED_CHROMIUM") != "1", "there is no Chromium"
        pytest.skip("there is no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def stored() -> dict[str, Episode]:
    return {
        STORED: make_episode(CLEAR, cleared=True),
        "episodes/000002000-003.json": make_episode(
            random_buttons(200, 1), level="4-1", step=2000, game=3
        ),
        "live/000.json": make_episode(random_buttons(300, 4), step=2500),
        "live/003.json": make_episode(random_buttons(260, 2), level="1-2", step=2500, game=3),
    }


@pytest.fixture
def run(tmp_path: Path, stored: dict[str, Episode]) -> Path:
    for file, episode in stored.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        episode.save(tmp_path / file)
    return tmp_path


@pytest.fixture
def page(browser: Browser, run: Path) -> Iterator[Page]:
    with serving(page_of(run)) as address:
        yield from opened(browser, address)


def opened(browser: Browser, address: str, **options: object) -> Iterator[Page]:
    """A page at that address that says nothing bad, and asks nobody else."""
    page = browser.new_page(**options)  # type: ignore[arg-type]
    page.set_default_timeout(15_000)
    trouble: list[str] = []
    own = (address, address.replace("http:", "ws:"), "data:")
    page.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith(own) else trouble.append(r.url))
    page.goto(address)
    yield page
    page.close()
    assert trouble == []


def canvas_pixels(page: Page, selector: str) -> np.ndarray:
    """uint8[height, width, 3] of a canvas."""
    text, width = page.evaluate(
        """selector => {
            const canvas = document.querySelector(selector);
            const { width, height } = canvas;
            const copy = new OffscreenCanvas(width, height);
            const context = copy.getContext("2d", { willReadFrequently: true });
            context.drawImage(canvas, 0, 0);
            const { data } = context.getImageData(0, 0, width, height);
            let text = "";
            for (let i = 0; i < data.length; i += 8192) {
                text += String.fromCharCode(...data.subarray(i, i + 8192));
            }
            return [btoa(text), width];
        }""",
        selector,
    )
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, width, 4)[..., :3]


GAME = ".stage .game"


def at(page: Page, place: int) -> None:
    expect(page.locator(GAME)).to_have_attribute("data-place", str(place))


def plays_on(page: Page, place: int) -> None:
    page.wait_for_function(
        "p => Number(document.querySelector('.stage .game').dataset.place) > p", arg=place
    )


def choose_kept(page: Page, text: str) -> None:
    page.locator(".shelf li", has_text=text).locator("button").click()
    page.wait_for_function(
        "text => document.querySelector('.stage .about').textContent.includes(text)", arg=text
    )
    page.locator(GAME).focus()


def test_the_scrubber_shows_the_very_frames_of_the_episode(
    page: Page, stored: dict[str, Episode]
) -> None:
    choose_kept(page, "step 1,000")
    page.keyboard.press("k")
    episode = stored[STORED]
    for place in [0, 1, 29, 30, 31, 500, 7, episode.frames, 643]:
        page.locator(".seek").fill(str(place))
        at(page, place)
        (expected,) = pictures(episode, [place])
        assert np.array_equal(canvas_pixels(page, GAME), PALETTE[expected])
    text = page.locator(".stage .time").inner_text()
    assert text == f"frame 643 of {episode.frames:,}"


def test_keys_pause_step_and_seek(page: Page, stored: dict[str, Episode]) -> None:
    choose_kept(page, "step 1,000")
    page.keyboard.press("Space")
    button = page.locator("[data-do=toggle]")
    expect(button).to_have_text("Play")
    page.keyboard.press("Home")
    at(page, 0)
    for _ in range(3):
        page.keyboard.press(".")
    at(page, 3)
    page.keyboard.press(",")
    at(page, 2)
    page.keyboard.press("ArrowRight")
    at(page, 62)
    page.keyboard.press("ArrowLeft")
    at(page, 2)
    page.keyboard.press("End")
    at(page, len(CLEAR))
    page.keyboard.press(".")
    at(page, len(CLEAR))
    page.keyboard.press("+")
    expect(page.locator(".stage select")).to_have_value("2")
    for _ in range(9):
        page.keyboard.press("-")
    expect(page.locator(".stage select")).to_have_value("0.1")
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    expect(button).to_have_text("Pause")
    page.locator(".seek").focus()
    page.keyboard.press(",")
    place = int(page.locator(".seek").input_value())
    page.keyboard.press("ArrowRight")  # the slider's own: one frame
    at(page, place + 1)
    assert page.locator(".filters select").evaluate(
        "e => (e.focus(), document.activeElement === e)"
    )
    page.keyboard.press(".")
    at(page, place + 1)


def test_pad_probabilities_and_value_are_those_of_the_decision(
    page: Page, stored: dict[str, Episode]
) -> None:
    choose_kept(page, "step 1,000")
    page.keyboard.press("k")
    episode = stored[STORED]
    decisions = episode.decisions
    assert decisions is not None
    for place in (1, 4, 5, 333):
        page.locator(".seek").fill(str(place))
        at(page, place)
        index = decisions.at(place)
        assert index is not None
        assert float(page.locator(".value output").inner_text()) == pytest.approx(
            float(decisions.values[index]), abs=0.006
        )
        shares = page.locator(".odds .share").all_inner_texts()
        expected = decisions.probabilities[index].astype(float)
        percent = [float(share.removesuffix(" %")) for share in shares]
        assert percent == pytest.approx(100 * expected, abs=0.51)
        chosen = page.locator(".odds .chosen .name").inner_text()
        assert chosen == decisions.action_names[decisions.actions[index]]
        lit = page.locator(".pad .lit").evaluate_all("keys => keys.map(k => k.dataset.button)")
        bits = {"A": 1, "B": 2, "left": 64, "right": 128, "down": 32}
        assert sum(bits[name] for name in lit) == episode.buttons[place - 1]
    page.keyboard.press("Home")
    at(page, 0)
    assert page.locator(".value output").inner_text() == "–"


def test_the_agents_map_lies_beside(page: Page, stored: dict[str, Episode]) -> None:
    choose_kept(page, "step 1,000")
    page.keyboard.press("k")
    page.locator(".seek").fill("200")
    at(page, 200)
    console = Console(engine="interpreter")
    begin(console, "1-1")
    for held in stored[STORED].buttons[:200]:
        console.step(held)
    tiles = console.tiles()
    shown = canvas_pixels(page, ".stage .sight")
    assert shown.shape == (13, 16, 3)
    assert np.array_equal((shown == [16, 18, 28]).all(2), ~tiles.any(0))
    assert np.array_equal((shown == 255).all(2), tiles[7] == 255)


def test_an_agent_of_pixels_sees_its_grey_picture(
    browser: Browser, run: Path, stored: dict[str, Episode]
) -> None:
    with serving(page_of(run, {"observation": "pixels"})) as address:
        for page in opened(browser, address):
            choose_kept(page, "step 1,000")
            page.keyboard.press("k")
            page.locator(".seek").fill("200")
            at(page, 200)
            console = Console(engine="interpreter")
            begin(console, "1-1")
            for held in stored[STORED].buttons[:200]:
                console.step(held)
            shown = canvas_pixels(page, ".stage .sight")
            assert np.array_equal(shown, np.repeat(console.grey()[..., None], 3, 2))


def test_the_wall_plays_the_games_that_are_played_now(page: Page, run: Path) -> None:
    expect(page.locator(".tile")).to_have_count(2)
    expect(page.locator(".tile").nth(0)).to_have_attribute("aria-pressed", "true")
    for tile in (0, 1):
        selector = f".wall li:nth-child({tile + 1}) .tile"
        page.wait_for_function(
            "s => Number(document.querySelector(s).dataset.place) > 20", arg=selector
        )
    at_first = canvas_pixels(page, ".wall .game")
    page.wait_for_timeout(500)
    assert not np.array_equal(at_first, canvas_pixels(page, ".wall .game"))
    page.locator(".tile").nth(1).click()
    expect(page.locator(".stage .about")).to_contain_text("Game 3 now · 1-2")
    page.wait_for_function(
        "() => Number(document.querySelector('.stage .game').dataset.place) > 20"
    )
    make_episode(CLEAR[:200]).save(run / "live" / "007.json")
    expect(page.locator(".tile")).to_have_count(3)
    (run / "live" / "000.json").unlink()
    expect(page.locator(".tile")).to_have_count(2)


def test_the_large_view_goes_on_to_what_the_game_plays_next(
    browser: Browser, tmp_path: Path
) -> None:
    (tmp_path / "live").mkdir()
    make_episode(CLEAR[:60]).save(tmp_path / "live" / "000.json")
    with serving(page_of(tmp_path)) as address:
        for page in opened(browser, address):
            at(page, 60)
            make_episode(CLEAR[:120]).save(tmp_path / "live" / "000.json")  # it went on
            at(page, 120)
            make_episode(random_buttons(80, 3), level="2-1").save(tmp_path / "live" / "000.json")
            expect(page.locator(".stage .about")).to_contain_text("2-1")
            at(page, 80)


def test_order_and_filter_of_the_kept(page: Page) -> None:
    steps = page.locator(".shelf .step")
    expect(steps).to_have_text(["step 2,000", "step 1,000"])
    page.locator(".filters select").select_option("best")
    expect(steps).to_have_text(["step 1,000", "step 2,000"])
    page.locator(".filters select").select_option("newest")
    page.get_by_label("clears only").check()
    expect(steps).to_have_text(["step 1,000"])


def test_trouble_with_one_file_is_said_and_the_rest_goes_on(page: Page, run: Path) -> None:
    expect(page.locator(".shelf li")).to_have_count(2)
    (run / "episodes" / "000003000-001.json").write_text('{"format": "warpzone epi')
    other = make_episode(CLEAR[:50], step=4000)
    other = other.model_copy(update={"rom": Cartridge(sha1="0" * 40, revision="another")})
    other.save(run / "episodes" / "000004000-001.json")
    bad = page.locator(".shelf li.bad")
    expect(bad).to_contain_text("cut short or damaged")
    bad.locator("button").click()
    expect(page.locator(".stage .trouble")).to_contain_text("cut short or damaged")
    page.locator(".shelf li", has_text="step 4,000").locator("button").click()
    expect(page.locator(".stage .trouble")).to_contain_text("another")
    (run / STORED).unlink()
    page.locator(".shelf li", has_text="step 1,000").locator("button").click()
    expect(page.locator(".stage .trouble")).to_contain_text("is gone")
    choose_kept(page, "step 2,000")
    expect(page.locator(".stage .trouble")).to_be_hidden()
    at(page, 200)


def test_a_run_without_games_says_so(browser: Browser, tmp_path: Path) -> None:
    with serving(page_of(tmp_path)) as address:
        for page in opened(browser, address):
            expect(page.locator(".now .none")).to_contain_text("no games to show")
            expect(page.locator(".stage")).to_be_hidden()


def test_nothing_is_asked_for_while_nobody_looks(page: Page) -> None:
    plays_on(page, 5)
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { value: true, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    place = page.locator(GAME).get_attribute("data-place")
    page.wait_for_timeout(400)
    assert page.locator(GAME).get_attribute("data-place") == place
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { value: false, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    page.wait_for_function(
        "place => document.querySelector('.stage .game').dataset.place !== place", arg=place
    )


def test_a_closed_panel_leaves_nothing(page: Page) -> None:
    expect(page.locator(".tile")).to_have_count(2)
    page.evaluate("() => window.games.close()")
    expect(page.locator("main > *")).to_have_count(0)
    page.wait_for_timeout(200)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(browser: Browser, run: Path, scheme: str) -> None:
    with serving(page_of(run)) as address:
        size = {"width": 390, "height": 844}
        for page in opened(browser, address, viewport=size, color_scheme=scheme):
            plays_on(page, 5)
            assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
            small = page.evaluate(
                """() => [...document.querySelectorAll("main button, main select")]
                    .filter(e => e.offsetParent && e.getBoundingClientRect().height < 39)
                    .map(e => e.textContent)"""
            )
            assert small == []
