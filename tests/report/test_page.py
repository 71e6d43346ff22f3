"""A run as one file: what is in it, that it needs nothing else, and what is wrong with a run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.support.agents import write_agent
from tests.support.browser import wait_for
from tests.support.endings import end, random_ends, write_ends
from tests.support.episodes import make_episode, random_buttons
from typer.testing import CliRunner

from warpzone.cli.app import app
from warpzone.errors import ConfigError, FileError, RomError
from warpzone.nes.rom import Rom
from warpzone.report import clips
from warpzone.report import page as report
from warpzone.report.page import measured, write_report
from warpzone.report.sections import MOST_BYTES
from warpzone.runs.library import Run
from warpzone.runs.metrics import Metrics
from warpzone.training import resolve
from warpzone.training.evaluation import wilson

CONFIG = resolve(
    "tiles", env={"levels": {"1-1": 1.0, "1-2": 1.0}}, eval_episodes=40, lr=0.001, gamma=0.9
)


def test_a_described_game_has_no_report(tmp_path: Path) -> None:
    config = resolve("pixels", game={"name": "catch"})
    (tmp_path / "config.json").write_text(config.model_dump_json())
    with pytest.raises(ConfigError, match=r"plays catch. `warpzone dashboard` shows"):
        write_report(tmp_path, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def make_run(path: Path, *, agent: bool = True, finished: bool = True) -> Path:
    """A run directory as training leaves it."""
    path.mkdir()
    (path / "config.json").write_text(CONFIG.model_dump_json())
    rows: list[dict[str, Any]] = [
        {
            "step": 8192 * i,
            "rollout/clear_rate": i / 30,
            "rollout/best_x": 100.0 * i,
            "losses/entropy": 2 - i / 20,
        }
        for i in range(1, 31)
    ]
    rate = {"eval/clear_rate": 0.5, "eval/clear_rate/1-1": 0.75, "eval/clear_rate/1-2": 0.25}
    rows.append({"step": 8192 * 30, **rate, "eval/mean_progress/1-1": 2500.0})
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    status: dict[str, Any] = {"state": "running", "step": 245_760}
    if finished:
        level = {"episodes": 40, "mean_progress": 2800.0}
        status |= {"state": "finished", "best_clear_rate": 0.6}
        status["measured"] = {
            "1-1": level | {"clear_rate": 0.9, "ci95": wilson(36, 40), "mean_frames": 2100.0},
            "1-2": level | {"clear_rate": 0.0, "ci95": wilson(0, 40), "mean_frames": None},
        }
    (path / "status.json").write_text(json.dumps(status))
    write_ends(path, [*random_ends(50), end(x=500), end(x=500), end(x=500)])
    (path / "episodes").mkdir()
    make_episode(random_buttons(120, 1), step=4096).save(path / "episodes/000004096-000.json")
    if agent:
        write_agent(path / "best.safetensors", steps=245_760)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "1-1+1-2 <b>seed&0")


@pytest.fixture(scope="module")
def written(run: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clips, "TRIES", 1)  # none will clear
        written = write_report(run, run / "report.html", films=1)
    assert written.missing == []
    assert written.size == written.path.stat().st_size < MOST_BYTES
    return written.path


def opened(browser: Browser, file: Path, **options: Any) -> Iterator[Page]:
    """The file as a page, which says nothing bad and asks nobody for anything."""
    page = browser.new_page(**options)
    trouble: list[str] = []
    page.on("console", lambda m: trouble.append(m.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on(
        "request",
        lambda r: (
            None if r.url == file.as_uri() or r.url.startswith("data:") else trouble.append(r.url)
        ),
    )
    page.goto(file.as_uri())
    yield page
    page.close()
    assert trouble == []


@pytest.fixture
def page(browser: Browser, written: Path) -> Iterator[Page]:
    yield from opened(browser, written, viewport={"width": 1200, "height": 900})


def section(page: Page, title: str) -> Any:
    return page.locator("section").filter(has=page.get_by_role("heading", name=title))


def test_it_shows_clear_rates_with_intervals(page: Page) -> None:
    expect(page.locator("h1")).to_have_text("1-1+1-2 <b>seed&0")
    expect(page.locator(".facts")).to_contain_text("45.0% on average")
    first, second = (
        row.inner_text() for row in section(page, "Clear rates").locator("tbody tr").all()
    )
    low, high = wilson(36, 40)
    assert re.split(r"\s*\t\s*", first) == [
        "1-1", "90.0%", f"{low:.1%} – {high:.1%}", "40", "34.9 s", "2,800 px",
    ]  # fmt: skip
    assert "0.0%" in second


def test_it_shows_what_differs_from_the_preset_first(page: Page) -> None:
    settings = section(page, "Settings")
    rows = [
        row.inner_text().split("\t") for row in settings.locator("tbody").first.locator("tr").all()
    ]
    assert sorted([part.strip() for part in row] for row in rows) == [
        ["env.levels", "1-1, 1-2", "1-1"],
        ["eval_episodes", "40", "100"],
        ["gamma", "0.9", "0.97"],
        ["lr", "0.001", "0.002"],
    ]
    settings.locator("summary").click()
    expect(settings.locator("details")).to_contain_text("gae_lambda")


def test_it_shows_curves_and_where_it_comes_from(page: Page, rom: Rom) -> None:
    assert section(page, "Curves").locator("svg").count() == 3
    origin = section(page, "Where it comes from")
    expect(origin).to_contain_text(rom.sha1)
    expect(origin.locator("pre")).to_contain_text("warpzone train 1-1,1-2")
    expect(origin.locator("pre")).to_contain_text("gamma=0.9")
    assert section(page, "What is missing").count() == 0


def test_its_map_shows_deaths_and_changes_levels(page: Page) -> None:
    strip = page.locator(".strip").first
    expect(strip).to_contain_text("of 53 ends here")
    picture = "document.querySelector('.strip img')"
    wait_for(page, f"{picture}.complete && {picture}.naturalWidth === 3328")
    alpha = page.evaluate(
        "document.querySelector('canvas').getContext('2d').getImageData(31, 10, 1, 1).data[3]"
    )
    assert alpha == 255
    assert page.locator(".traces polyline").count() >= 1
    page.get_by_role("combobox", name="Level").select_option("1-2")
    expect(page.locator(".strip").first).to_contain_text("no ends here")
    wait_for(page, f"{picture}.complete && {picture}.naturalWidth === 3072")


def test_its_films_play(page: Page) -> None:
    videos = section(page, "Films").locator("video")
    expect(videos).to_have_count(2)
    expect(section(page, "Films")).to_contain_text("1-1, early in training: step 4,096")
    expect(section(page, "Films")).to_contain_text("tiles agent, 245,760 steps")
    for place in range(2):
        size = page.evaluate(
            """async place => {
                const video = document.querySelectorAll("video")[place];
                await video.play();
                while (video.currentTime < 0.3) await new Promise((r) => setTimeout(r, 50));
                return [video.videoWidth, video.videoHeight, video.duration];
            }""",
            place,
        )
        assert size[:2] == [512, 480]
        assert size[2] > 1


def test_a_phone_and_paper_are_wide_enough(browser: Browser, written: Path) -> None:
    for options in ({"width": 360, "height": 740}, {"width": 1000, "height": 800}):
        for page in opened(browser, written, viewport=options, color_scheme="dark"):
            assert page.evaluate("document.documentElement.scrollWidth") <= options["width"]
            page.emulate_media(media="print")
            assert page.evaluate("document.documentElement.scrollWidth") <= options["width"]
            assert page.evaluate("getComputedStyle(document.body).color") == "rgb(28, 32, 38)"


def test_a_run_that_has_just_begun_has_a_report(tmp_path: Path, browser: Browser) -> None:
    run = tmp_path / "new"
    run.mkdir()
    (run / "config.json").write_text(CONFIG.model_dump_json())
    done = CliRunner().invoke(app, ["report", str(run)])
    assert done.exit_code == 0, done.output
    text = done.output.replace("\n", " ")
    assert "left out: No films of the agent: " in text
    assert "no ends of episodes" in text
    for page in opened(browser, run / "report.html"):
        expect(section(page, "Clear rates")).to_contain_text("not been measured yet")
        expect(section(page, "Curves")).to_contain_text("learnt nothing yet")
        expect(section(page, "Films")).to_contain_text("no films")
        expect(section(page, "What is missing")).to_contain_text("No films of the agent")
        assert str(tmp_path) not in page.content()
        expect(page.locator(".strip").first).to_be_visible()


def test_without_a_rom_there_is_still_a_report(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(rom: object) -> Rom:
        raise RomError("no ROM was found")

    monkeypatch.setattr(report, "open_rom", none)
    written = write_report(run, tmp_path / "report.html")
    assert written.missing == ["No maps and no films: no ROM was found"]
    text = written.path.read_text()
    assert "There is no map." in text
    assert "90.0%" in text
    with pytest.raises(RomError):
        write_report(run, tmp_path / "other.html", rom=tmp_path / "no.nes")


def test_films_that_are_too_large_are_left_out(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "TRIES", 1)
    monkeypatch.setattr(report, "MOST_BYTES", 260_000)
    written = write_report(run, tmp_path / "report.html", films=0)
    assert "There are no films. They were not asked for." in written.path.read_text()
    assert written.missing == []
    written = write_report(run, tmp_path / "report.html", films=1)
    assert any("No room" in line for line in written.missing)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["report", "nothing"], "holds no run"),
        (["report", "RUN", "-o", "report.pdf"], "must end in .html"),
        (["report", "RUN", "-o", "nowhere/report.html"], "there is no folder 'nowhere'"),
        (["report", "RUN", "--rom", "no.nes"], "no.nes"),
    ],
)
def test_the_command_tells_what_is_wrong(
    arguments: list[str], text: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [str(run) if word == "RUN" else word for word in arguments])
    assert done.exit_code == 2
    assert text in done.output.replace("\n", " ")
    assert not [*tmp_path.iterdir()]


def test_a_full_disk_keeps_the_report_before(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "report.html"
    file.write_text("an older one")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="No space left"):
        write_report(run, file, films=0)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert file.read_text() == "an older one"


def test_a_folder_is_no_place_for_it(run: Path, tmp_path: Path) -> None:
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(ConfigError, match="folder"):
        write_report(run, tmp_path / "folder.html")


def test_half_written_metrics_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", agent=False)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('[]\n{"step": NaN}\n{"step": 250000, "rollout/clear_rate": NaN}\n{"step": 25')
    text = write_report(run, tmp_path / "report.html", films=0).path.read_text()
    assert "from 3% to 100%, at most 100%" in text


def test_rates_of_a_run_that_goes_on_are_those_it_wrote_down(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", agent=False, finished=False)
    metrics = Metrics(run / "metrics.jsonl")
    metrics.refresh()
    found = measured(Run(run, "run"), CONFIG, metrics)
    assert {level: result.clear_rate for level, result in found.items()} == {
        "1-1": 0.75,
        "1-2": 0.25,
    }
    assert found["1-1"].ci95 == wilson(30, 40)
    assert found["1-1"].mean_progress == 2500
    for damaged in ("{", "[]", "3", '{"measured": 5}', '{"measured": {"1-1": {}}}'):
        (run / "status.json").write_text(damaged)
        assert measured(Run(run, "run"), CONFIG, metrics)["1-1"] == found["1-1"]
    (run / "status.json").unlink()
    assert measured(Run(run, "run"), CONFIG, metrics)["1-2"].clear_rate == 0.25


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
def test_what_is_wrong_with_a_run_is_told_in_its_report(tmp_path: Path) -> None:
    run = make_run(tmp_path / os.fsdecode(b"\xff\x1b[31m"), agent=False)
    (run / "status.json").write_text('{"state": "\\ud800<script>", "measured": {"1-1": "\\udfff"}}')
    (run / "metrics.jsonl").unlink()
    os.mkfifo(run / "metrics.jsonl")
    os.mkfifo(run / "episodes/000000001-000.json")
    written = write_report(run, tmp_path / "report.html", films=1)
    assert "No curves: metrics.jsonl cannot be read: it is a pipe, not a file" in written.missing
    text = written.path.read_text(encoding="utf-8")
    assert "<h1>\\xff\x1b[31m</h1>" in text
    assert "early in training: step 4,096" in text
    assert "<script>" not in text.partition('<script type="application/json"')[0]


def test_a_report_holds_nothing_of_the_dashboard() -> None:
    code = (
        "import sys, warpzone.report.page, warpzone.maps.picture, warpzone.runs.curves\n"
        "rooms = ('warpzone.dashboard', 'starlette', 'uvicorn')\n"
        "print([name for name in sys.modules if name.startswith(rooms)])"
    )
    command = [sys.executable, "-P", "-c", code]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"[]\n"
