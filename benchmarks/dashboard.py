"""What the dashboard costs: how soon it shows many runs, and whether a training feels it.

    python -m benchmarks.dashboard opening                  # 200 runs of 10,000 lines each
    python -m benchmarks.dashboard opening --runs 20 --lines 1000 --repeats 2
    python -m benchmarks.dashboard tabs                     # 20 tabs on a training, and none
    python -m benchmarks.dashboard tabs --visible 20        # … in windows of their own
    python -m benchmarks.dashboard tabs --panel games       # … that show the games

Tables on stderr, JSON on stdout or in the file `--out`.

`opening` writes run directories as `warpzone train` leaves them (some 1.5 GB by default) and opens
them with a new server and a new browser each time. Seconds count from the moment the address is
entered: until the whole list is on the page, and until every curve of the compared runs that can be
seen is drawn. Files are in the system's cache, as they are after a training.

`tabs` opens the tabs of one browser on the page of a training, and then stops and resumes the
browser in turn, so that the training goes on with the tabs and without them: the ratio of its agent
steps per second in the two is what they cost. It is switched every few updates, since what else a
machine does changes in seconds; what a page had to do while it was stopped it does as soon as it
goes on, so that it draws rather more than it does otherwise. The interval comes from a bootstrap
over the pairs (Efron 1979, percentiles). Of several tabs in one window a browser shows one; it
tells the others that they are hidden, which is done here for all but `--visible`. The warm-up gives
the pages time to tidy up after they were first drawn. Where Chromium runs as root it gives itself a
higher priority than any user may: that is taken back.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer
from playwright.sync_api import Browser, sync_playwright
from rich.table import Table

from warpzone.bench import report
from warpzone.bench.report import Interval, Spread
from warpzone.errors import WarpzoneError
from warpzone.runs.metrics import SECONDS
from warpzone.training.presets import PRESETS

app = typer.Typer(help=__doc__, add_completion=False)
GOAL_SECONDS = 2.0
GOAL_RATIO = 0.98
POLL = 0.005
STATES = (*("finished",) * 30, *("interrupted",) * 9, "running")
COLUMNS = (
    "charts/SPS", "charts/learning_rate", "charts/competence", *SECONDS, "rollout/clear_rate",
    "rollout/best_x", "rollout/episodes", "rollout/nearest_end_x", "rollout/episode_return",
    "rollout/episode_length", "losses/policy_loss", "losses/value_loss", "losses/entropy",
    "losses/kl", "losses/clipfrac", "losses/explained_variance",
)  # fmt: skip
HIDDEN = """
Object.defineProperty(document, "hidden", { get: () => window.benchmarkHidden ?? false });
"""
# Without the page's policy, as Playwright waits for conditions by evaluating text.
CONTEXT: Any = {"viewport": {"width": 1440, "height": 900}, "bypass_csp": True}
HIDE = """
window.benchmarkHidden = true;
document.dispatchEvent(new Event("visibilitychange"));
"""
# Each tells when it first holds, in milliseconds since the address was entered.
LISTED = """count => document.querySelectorAll(".runs tbody tr").length === count
    && performance.now()"""
DRAWN = """count => [...document.querySelectorAll("figure")].every(figure => {
    const {top, bottom} = figure.getBoundingClientRect();
    return bottom < 0 || top > innerHeight || figure.querySelectorAll(".js-line").length >= count;
}) && performance.now()"""
SHOWN = {
    "curves": (DRAWN, 1),
    "games": ("() => document.querySelector('.stage .game')?.dataset.place > 0", None),
}
"""By panel, when a page of a run shows something."""
OutOption = Annotated[
    Path | None, typer.Option(help="File for the JSON.", show_default="standard output")
]


@contextmanager
def chromium() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise WarpzoneError("no chromium on this machine; install it, e.g. apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def command(*arguments: str) -> Iterator[Callable[[str], str]]:
    """A warpzone command; what is yielded waits for a line with a text in it and returns it."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "warpzone", *arguments], stdout=log, stderr=log
        )

        def line(text: str) -> str:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                log.seek(0)
                told = log.read()
                for found in told.splitlines(keepends=True):
                    if text in found and found.endswith("\n"):
                        return found
                if process.poll() is not None:
                    break
                time.sleep(0.02)
            raise WarpzoneError(f"warpzone {' '.join(arguments)} did not say {text!r}: {told}")

        try:
            yield line
        finally:
            process.terminate()
            process.wait()


def make_library(folder: Path, runs: int, lines: int) -> int:
    """Run directories with `lines` lines of metrics each; their bytes in all."""
    random = np.random.default_rng(0)
    batch, config = PRESETS["tiles"].batch, PRESETS["tiles"].model_dump()
    size = 0
    for number in range(runs):
        path = folder / f"1-1-tiles-seed{number}"
        path.mkdir()
        (path / "config.json").write_text(json.dumps(config | {"seed": number}))
        state = STATES[number % len(STATES)]
        status: dict[str, Any] = {
            "state": state,
            "step": batch if state == "running" else lines * batch,
        }
        if state != "running":
            status["best_clear_rate"] = rate = random.random()
            if state == "finished":
                status["measured"] = {"1-1": {"clear_rate": rate, "episodes": 100}}
        (path / "status.json").write_text(json.dumps(status))
        values = random.random((lines, len(COLUMNS)))
        with (path / "metrics.jsonl").open("w") as file:
            for update in range(lines):
                row = dict(zip(COLUMNS, values[update].tolist(), strict=True))
                file.write(json.dumps({"step": (update + 1) * batch, **row}) + "\n")
        size += (path / "metrics.jsonl").stat().st_size
    return size


def open_library(
    browser: Browser, folder: Path, query: str, runs: int, compared: int
) -> dict[str, float]:
    """Seconds until the list and the curves are there, with a server that has read nothing yet."""
    with command("dashboard", str(folder), "--port", "0") as line:
        url = line("http://").split(": ")[-1].split()[0]
        with browser.new_context(**CONTEXT) as context:
            page = context.new_page()
            page.goto(f"{url}/{query}", wait_until="commit")
            times = [
                page.wait_for_function(condition, arg=arg).json_value() / 1000
                for condition, arg in ((LISTED, runs), (DRAWN, compared))
            ]
            return dict(zip(("list", "curves"), times, strict=True))


@app.command()
def opening(
    runs: Annotated[int, typer.Option(min=5)] = 200,
    lines: Annotated[int, typer.Option(min=2, help="Of metrics in each run.")] = 10_000,
    repeats: Annotated[int, typer.Option(min=1)] = 5,
    out: OutOption = None,
) -> None:
    """Seconds until many runs are shown."""
    console = report.console()
    facts = report.machine()
    measured: dict[str, list[dict[str, float]]] = {}
    many = min(24, runs)
    query = "#/?" + "&".join(f"run=1-1-tiles-seed{number}" for number in range(many))
    plans = {"as it opens, 5 compared": ("", 5), f"{many} compared": (query, many)}
    with tempfile.TemporaryDirectory(prefix="warpzone-benchmark-") as folder:
        size = make_library(Path(folder), runs, lines)
        console.print(f"{runs} runs of {lines:,} lines, {size / 1e6:,.0f} MB; load {facts['load']}")
        for _ in range(repeats):
            for title, (address, compared) in plans.items():
                with chromium() as browser:
                    got = open_library(browser, Path(folder), address, runs, compared)
                measured.setdefault(title, []).append(got)
    table = Table("seconds until", "the list is there", "the curves are drawn", f"≤ {GOAL_SECONDS}")
    results = {}
    for title, repeated in measured.items():
        spreads = {name: Spread.of([r[name] for r in repeated]) for name in ("list", "curves")}
        results[title] = {name: spread._asdict() for name, spread in spreads.items()}
        met = max(spread.median for spread in spreads.values()) <= GOAL_SECONDS
        texts = [spread.text(".2f") for spread in spreads.values()]
        table.add_row(title, *texts, "[green]met[/]" if met else "[red]missed[/]")
    console.print(table)
    protocol = {"runs": runs, "lines": lines, "bytes": size, "repeats": repeats}
    result = {"benchmark": "dashboard opening", "machine": facts, "protocol": protocol}
    report.write({**result, "load_after": report.load(), "seconds": results}, out, console)


def rows_of(run: Path) -> list[dict[str, float]]:
    """Updates so far."""
    try:
        whole = (run / "metrics.jsonl").read_text().rpartition("\n")[0]
    except FileNotFoundError:
        return []
    rows: list[dict[str, float]] = [json.loads(line) for line in whole.splitlines()]
    return [row for row in rows if SECONDS[0] in row]


def wait_for(run: Path, updates: int) -> list[dict[str, float]]:
    while len(rows := rows_of(run)) < updates:
        time.sleep(0.2)
    return rows


def open_tabs(browser: Browser, url: str, tabs: int, visible: int, panel: str) -> None:
    context = browser.new_context(**CONTEXT)
    context.add_init_script(HIDDEN)
    pages = [context.new_page() for _ in range(tabs)]
    for number, page in reversed(list(enumerate(pages))):
        page.bring_to_front()  # the last of them, and so the first page, stays there
        page.goto(f"{url}?panel={panel}")
        shown, least = SHOWN[panel]
        page.wait_for_function(shown, arg=least, timeout=120_000)
        if number >= visible:
            page.evaluate(HIDE)


class Chromium:
    """The processes of the browsers that this one has begun."""

    def __init__(self) -> None:
        children = psutil.Process().children(recursive=True)
        self.processes = [process for process in children if "chrom" in process.name()]
        for process in self.processes:
            for thread in process.threads():
                if os.getpriority(os.PRIO_PROCESS, thread.id) < 0:
                    os.setpriority(os.PRIO_PROCESS, thread.id, 0)

    def run(self, on: bool) -> None:
        for process in self.processes:
            process.resume() if on else process.suspend()

    def cpu(self) -> float:
        """CPU seconds so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self.processes)


class Updates:
    """The updates of a training, as they come."""

    def __init__(self, run: Path) -> None:
        self.file = (run / "metrics.jsonl").open()
        self.line = ""
        self.last: dict[str, float] = {}
        while self._next(wait=False):
            pass

    def _next(self, wait: bool) -> bool:
        """Whether there is another update, now or once it is there."""
        while True:
            self.line += self.file.readline()
            if not self.line.endswith("\n"):
                if not wait:
                    return False
                time.sleep(POLL)
                continue
            row, self.line = json.loads(self.line), ""
            if SECONDS[0] in row:
                self.last = row
                return True

    def speed(self, updates: int) -> float:
        """Agent steps per second of the next ones."""
        step, spent = self.last["step"], 0.0
        for _ in range(updates):
            self._next(wait=True)
            spent += sum(self.last[name] for name in SECONDS)
        return (self.last["step"] - step) / spent


def ratio_of(pairs: list[dict[str, float]]) -> Interval:
    """Of the times of all pairs."""
    seconds = 1 / np.array([[pair["without"], pair["with"]] for pair in pairs])
    return Interval.of(seconds, lambda sums: sums[:, 0] / sums[:, 1])


def told(pairs: list[dict[str, float]], tabs: int) -> str:
    means = {name: sum(pair[name] for pair in pairs) / len(pairs) for name in pairs[0]}
    ratio = ratio_of(pairs).text(".3f")
    return (
        f"{means['with']:,.0f} steps/s with {tabs} tabs, {means['without']:,.0f} without: ratio"
        f" {ratio}; the browser takes {means['cores']:.3f} cores"
    )


@app.command()
def tabs(
    tabs: Annotated[int, typer.Option(min=1)] = 20,
    visible: Annotated[int, typer.Option(min=1, help="Tabs that are not hidden.")] = 1,
    pairs: Annotated[int, typer.Option(min=2, help="Of times with the tabs and without.")] = 40,
    updates: Annotated[int, typer.Option(min=1, help="Updates of each such time.")] = 30,
    warmup: Annotated[int, typer.Option(min=2, help="Updates after the tabs are there.")] = 150,
    level: Annotated[str, typer.Option(help="The level that is learnt.")] = "1-1",
    panel: Annotated[str, typer.Option(help="That the tabs show: curves or games.")] = "curves",
    out: OutOption = None,
) -> None:
    """Agent steps per second with tabs on the training, and without."""
    if panel not in SHOWN:
        raise typer.BadParameter(f"there is no {panel!r}, only {', '.join(SHOWN)}")
    console = report.console()
    facts = report.machine()
    console.print(f"{facts['cpu']}; load {facts['load']}", markup=False)
    measured = []
    settings = ("target_clear_rate=null", "eval_every=1000000", "eval_episodes=2")
    with tempfile.TemporaryDirectory(prefix="warpzone-benchmark-") as folder:
        run = Path(folder) / "run"
        arguments = ["train", level, "--steps", str(10**9), "--out", str(run), "--dashboard"]
        arguments += [part for setting in settings for part in ("--set", setting)]
        with command(*arguments) as line, chromium() as browser:
            url = line("dashboard: http://").split(": ", 1)[1].strip()
            wait_for(run, 2)
            began = time.perf_counter()
            open_tabs(browser, url, tabs, visible, panel)
            opened = time.perf_counter() - began
            own = Chromium()
            console.print(f"{tabs} tabs opened in {opened:.0f} s, {own.cpu():.0f} s of CPU")
            training = Updates(run)
            training.speed(warmup)
            try:
                for number in range(pairs):
                    pair = {}
                    for which in ("with", "without") if number % 2 == 0 else ("without", "with"):
                        own.run(which == "with")
                        cpu, began = own.cpu(), time.perf_counter()
                        pair[which] = training.speed(updates)
                        if which == "with":
                            pair["cores"] = (own.cpu() - cpu) / (time.perf_counter() - began)
                    measured.append(pair)
                    if (number + 1) % 10 == 0:
                        console.print(f"{number + 1} of {pairs}: {told(measured, tabs)}")
            finally:
                own.run(True)  # a stopped browser cannot be closed
    ratio = ratio_of(measured)
    met = "met" if ratio.value >= GOAL_RATIO else "missed"
    console.print(f"{told(measured, tabs)}; wanted ≥ {GOAL_RATIO}: {met}", soft_wrap=True)
    protocol = {
        "tabs": tabs, "visible": visible, "panel": panel, "level": level, "warmup": warmup,
        "updates": updates,
    }  # fmt: skip
    result = {"benchmark": "dashboard tabs", "machine": facts, "protocol": protocol}
    found = {"load_after": report.load(), "pairs": measured, "ratio": ratio._asdict()}
    report.write({**result, **found}, out, console)


def main() -> None:
    try:
        app()
    except WarpzoneError as error:
        report.console().print(str(error), markup=False)
        sys.exit(2)


if __name__ == "__main__":
    main()
