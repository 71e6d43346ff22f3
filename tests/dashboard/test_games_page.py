"""The page that shows games, in a browser: exact frames, keys, the wall, phones, trouble."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from tests.support.browser import OpenTab, wait_for
from tests.support.episodes import CLEAR, make_episode, make_run_with, pictures, random_buttons

from warpzone.dashboard.server import serving
from warpzone.episodes.format import Episode, RomIdentity, TrainingPlayer
from warpzone.episodes.replay import begin
from warpzone.nes.console import PALETTE, Console
from warpzone.smb.observations import grey, tiles
from warpzone.training import TrainConfig

Show = Callable[..., Page]

STORED = "episodes/000001000-000.json"


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
    return make_run_with(tmp_path / "run", stored)


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def show(servers: ExitStack, open_tab: OpenTab) -> Show:
    """`show(run, **settings of the context)`: the games of a run."""

    def show_(run: Path, **settings: Any) -> Page:
        address = servers.enter_context(serving(run.parent))
        return open_tab(f"{address}/#/run/{run.name}?panel=games", **settings).page

    return show_


@pytest.fixture
def page(run: Path, show: Show) -> Page:
    return show(run)


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
    wait_for(
        page, "p => Number(document.querySelector('.stage .game')?.dataset.place) > p", arg=place
    )


def choose_kept(page: Page, text: str) -> None:
    page.locator(".games .episodes li", has_text=text).first.locator("button").click()
    wait_for(
        page, "text => document.querySelector('.stage .about').textContent.includes(text)", arg=text
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
    button = page.locator(".toggle")
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
    expect(button).to_have_text("Play")  # and so the slider is where the step has led
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
    tile_map = tiles(console)
    shown = canvas_pixels(page, ".stage .observation")
    assert shown.shape == (13, 16, 3)
    assert np.array_equal((shown == [16, 18, 28]).all(2), ~tile_map.any(0))
    assert np.array_equal((shown == 255).all(2), tile_map[7] == 255)


def test_an_agent_of_pixels_sees_its_grey_picture(
    tmp_path: Path, show: Show, stored: dict[str, Episode]
) -> None:
    page = show(make_run_with(tmp_path / "run", stored, "pixels"))
    choose_kept(page, "step 1,000")
    page.keyboard.press("k")
    page.locator(".seek").fill("200")
    at(page, 200)
    console = Console(engine="interpreter")
    begin(console, "1-1")
    for held in stored[STORED].buttons[:200]:
        console.step(held)
    shown = canvas_pixels(page, ".stage .observation")
    assert np.array_equal(shown, np.repeat(grey(console)[..., None], 3, 2))


def test_the_wall_plays_the_games_that_are_played_now(page: Page, run: Path) -> None:
    expect(page.locator(".tile")).to_have_count(2)
    expect(page.locator(".now h3")).to_have_text("Played last")
    expect(page.locator(".tile").nth(0)).to_have_attribute("aria-pressed", "true")
    for tile in (0, 1):
        selector = f".wall li:nth-child({tile + 1}) .tile"
        wait_for(page, "s => Number(document.querySelector(s)?.dataset.place) > 20", arg=selector)
    at_first = canvas_pixels(page, ".wall .game")
    page.wait_for_timeout(500)
    assert not np.array_equal(at_first, canvas_pixels(page, ".wall .game"))
    page.locator(".tile").nth(1).click()
    expect(page.locator(".stage .about")).to_contain_text("Game 3 · 1-2")
    wait_for(page, "() => Number(document.querySelector('.stage .game')?.dataset.place) > 20")
    make_episode(CLEAR[:200]).save(run / "live" / "007.json")
    expect(page.locator(".tile")).to_have_count(3)
    (run / "live" / "000.json").unlink()
    expect(page.locator(".tile")).to_have_count(2)


def test_the_large_view_goes_on_to_what_the_game_plays_next(tmp_path: Path, show: Show) -> None:
    run = make_run_with(tmp_path / "run", {"live/000.json": make_episode(CLEAR[:60])})
    page = show(run)
    at(page, 60)
    make_episode(CLEAR[:120]).save(run / "live" / "000.json")  # it went on
    at(page, 120)
    make_episode(random_buttons(80, 3), level="2-1").save(run / "live" / "000.json")
    expect(page.locator(".stage .about")).to_contain_text("2-1")
    at(page, 80)


def test_order_and_filter_of_the_kept(page: Page) -> None:
    steps = page.locator(".games .episodes .step")
    expect(steps).to_have_text(["step 2,000", "step 1,000"])
    page.locator(".filters select").select_option("best")
    expect(steps).to_have_text(["step 1,000", "step 2,000"])
    page.locator(".filters select").select_option("newest")
    page.get_by_label("clears only").check()
    expect(steps).to_have_text(["step 1,000"])


def test_trouble_with_one_file_is_said_and_the_rest_goes_on(page: Page, run: Path) -> None:
    expect(page.locator(".games .episodes li")).to_have_count(2)
    (run / "episodes" / "000003000-001.json").write_text('{"format": "warpzone epi')
    other = make_episode(CLEAR[:50], step=4000)
    other = other.model_copy(update={"rom": RomIdentity(sha1="0" * 40, revision="another")})
    other.save(run / "episodes" / "000004000-001.json")
    bad = page.locator(".games .episodes li.bad")
    expect(bad).to_contain_text("cut short or damaged")
    bad.locator("button").click()
    expect(page.locator(".stage .trouble")).to_contain_text("cut short or damaged")
    page.locator(".games .episodes li", has_text="step 4,000").locator("button").click()
    expect(page.locator(".stage .trouble")).to_contain_text("another")
    (run / STORED).unlink()
    page.locator(".games .episodes li", has_text="step 1,000").locator("button").click()
    expect(page.locator(".stage .trouble")).to_contain_text("is gone")
    choose_kept(page, "step 2,000")
    expect(page.locator(".stage .trouble")).to_be_hidden()
    at(page, 200)


def test_a_run_without_games_says_so(tmp_path: Path, show: Show) -> None:
    page = show(make_run_with(tmp_path / "run", {}))
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
    wait_for(
        page, "place => document.querySelector('.stage .game')?.dataset.place !== place", arg=place
    )


def test_another_panel_leaves_nothing_of_this_one(page: Page) -> None:
    expect(page.locator(".tile")).to_have_count(2)
    page.get_by_role("tab", name="Settings").click()
    expect(page.locator(".settings")).to_be_visible()
    expect(page.locator(".games, .tile, .stage")).to_have_count(0)
    page.get_by_role("tab", name="Games").click()
    plays_on(page, 5)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(run: Path, show: Show, scheme: str) -> None:
    size = {"width": 390, "height": 844}
    page = show(run, viewport=size, color_scheme=scheme)
    plays_on(page, 5)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    small = page.evaluate(
        """() => [...document.querySelectorAll(".games button, .games select")]
            .filter(e => e.offsetParent && e.getBoundingClientRect().height < 39)
            .map(e => e.textContent)"""
    )
    assert small == []


@pytest.mark.slow
def test_the_games_of_a_training_are_shown_while_it_runs(training: Path, show: Show) -> None:
    deadline = time.monotonic() + 120
    watched = TrainConfig().watched_games
    while len(list(training.glob("live/*.json"))) < watched or not list(
        training.glob("episodes/*.json")
    ):
        assert time.monotonic() < deadline, "the training wrote no episodes"
        time.sleep(0.2)
    page = show(training)
    page.set_default_timeout(60_000)
    expect(page.locator(".now h3")).to_have_text("Playing now")
    expect(page.locator(".tile")).to_have_count(watched)
    plays_on(page, 30)
    wait_for(page, "() => [...document.querySelectorAll('.tile')].every(t => t.dataset.place > 20)")
    assert len(np.unique(canvas_pixels(page, GAME).reshape(-1, 3), axis=0)) > 3
    assert page.locator(".odds .chosen").count() == 1
    # By and by the game that is large is followed by what it plays later.
    before = page.locator(".stage .about").inner_text()
    page.locator(".stage select").select_option("4")
    wait_for(
        page, "before => document.querySelector('.stage .about').textContent !== before", arg=before
    )
    file = sorted(training.glob("episodes/*.json"))[-1]
    episode = Episode.load(file)
    assert isinstance(episode.player, TrainingPlayer)
    choose_kept(page, f"step {episode.player.step:,}")
    page.keyboard.press("k")
    shown = page.evaluate(
        "() => document.querySelector('.games .episodes [aria-pressed=true]').dataset.file"
    )
    episode = Episode.load(training / shown)
    for place in (0, episode.frames // 2, episode.frames):
        page.locator(".seek").fill(str(place))
        at(page, place)
        (expected,) = pictures(episode, [place])
        assert np.array_equal(canvas_pixels(page, GAME), PALETTE[expected])
