"""Who looks at the dashboard during a soak, again and again.

`scripts/soak.py` starts it. One tab of a browser stays open and goes from run to run and from panel
to panel, another is opened and closed each turn; where there is no Chromium, or it is not wanted,
only the clients below look. They ask for every address of the server on a connection each, and
watch an episode through its WebSocket. After each turn a line of JSON says what the lasting tab
still holds once garbage is collected.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

from websockets.sync.client import connect

PANELS = ("curves", "games", "map", "results", "settings")
ADDRESSES = (
    "/", "/static/plotly.min.js", "/static/main.js", "/api/runs", "/api/curves?run={}",
    "/api/compare?run={}", "/api/config?run={}", "/api/episodes?run={}", "/api/map?run={}",
    "/api/map/traces?run={}", "/api/map/picture?level=1-1", "/api/nothing", "/static/../app.py",
)  # fmt: skip
LOOK = 0.7
"""Seconds at a panel."""
PATIENCE = 600_000.0
"""Milliseconds that a page may take on a machine that is busy."""
ARGUMENTS = ["--no-sandbox", "--enable-low-end-device-mode"]
"""Chromium keeps pictures that it has decoded, as the maps of levels, until memory is short, or
they are hundreds of megabytes. As for a small device, it keeps fewer, so that what grows besides is
seen."""
COUNTED = {"JSHeapUsedSize": "heap", "Nodes": "nodes", "JSEventListeners": "listeners"}


class Ending(BaseException):
    """SIGTERM has come."""


def runs_of(url: str) -> list[str]:
    with urlopen(f"{url}/api/runs", timeout=60) as answer:
        return [run["name"] for run in json.load(answer)["runs"]]


def ask(url: str, runs: list[str]) -> int:
    """Asks for every address of every run; how many were answered."""
    asked = 0
    for address in ADDRESSES:
        for run in runs if "{}" in address else [""]:
            with suppress(HTTPError), urlopen(url + address.format(quote(run)), timeout=60) as got:
                got.read()
            asked += 1
    return asked


def watch(url: str, run: str) -> int:
    """Watches the newest episode of a run, and goes in the middle of an answer."""
    with urlopen(f"{url}/api/episodes?run={quote(run)}", timeout=60) as answer:
        listed = json.load(answer)
    names = [one["file"] for kind in ("live", "episodes") for one in listed.get(kind, [])]
    address = f"{url.replace('http', 'ws', 1)}/api/stream?run={quote(run)}"
    seen = 0
    with connect(address, open_timeout=60) as socket:
        socket.recv(timeout=60)
        for number, name in enumerate(names[:2]):
            socket.send(json.dumps({"ask": 2 * number, "open": name}))
            opened = json.loads(socket.recv(timeout=60))
            if "key" not in opened:
                continue  # it is gone by now
            segment = {"ask": 2 * number + 1, "key": opened["key"], "segment": 0, "stride": 1}
            socket.send(json.dumps(segment))
            socket.recv(timeout=60)
            seen += 1
        socket.send(json.dumps({"ask": 99, "open": names[0] if names else "live/000.json"}))
    return seen


class Tab:
    """The tab that stays open."""

    def __init__(self, browser: Any, url: str) -> None:
        self.browser, self.url = browser, url
        self.errors: list[str] = []
        self.page = browser.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(url)
        self.session = self.page.context.new_cdp_session(self.page)
        self.session.send("Performance.enable")
        self.session.send("HeapProfiler.enable")

    def look(self, run: str) -> int:
        """Goes through the panels of a run, without loading the page anew, and back to the list."""
        for panel in PANELS:
            self.page.evaluate("to => { location.hash = to; }", f"#/run/{quote(run)}?panel={panel}")
            self.page.wait_for_timeout(1000 * LOOK)
        self.page.evaluate("location.hash = '#/'")
        self.page.wait_for_timeout(1000 * LOOK)
        return len(PANELS) + 1

    def look_anew(self, run: str) -> int:
        """Opens the games of a run in a tab of its own, and closes it while they run."""
        with self.browser.new_context() as context:
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            page.on("pageerror", lambda error: self.errors.append(str(error)))
            page.goto(f"{self.url}/#/run/{quote(run)}?panel=games")
            page.wait_for_timeout(2000 * LOOK)
        return 1

    def held(self) -> dict[str, float]:
        self.session.send("HeapProfiler.collectGarbage")
        found = self.session.send("Performance.getMetrics")["metrics"]
        return {COUNTED[one["name"]]: one["value"] for one in found if one["name"] in COUNTED}


@contextmanager
def tab(url: str, wanted: bool) -> Iterator[Tab | None]:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not wanted or found is None:
        yield None
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        try:
            yield Tab(browser, url)
        finally:
            browser.close()


def main(url: str, wanted: bool, turns: int) -> None:
    """Looks until SIGTERM, or for some turns where that is not 0."""

    def end(*_: object) -> NoReturn:
        raise Ending

    signal.signal(signal.SIGTERM, end)
    parent, turn = os.getppid(), 0
    with suppress(Ending), tab(url, wanted) as page:
        say({"browser": page is not None})
        while os.getppid() == parent and not (turns and turn >= turns):
            runs = runs_of(url)
            if not runs:
                time.sleep(1)
                continue
            run = runs[turn % len(runs)]
            began = time.time()
            done = ask(url, runs) + watch(url, run)
            if page is not None:
                done += page.look(run) + page.look_anew(run)
            mark = {"turn": turn, "time": began, "seconds": time.time() - began, "steps": done}
            say({**mark, "part": "visit"})
            if page is not None:
                say({"turn": turn, "time": time.time(), "held": page.held()})
                for error in page.errors:
                    say({"error": error})
                page.errors.clear()
            turn += 1


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] == "browser", int(sys.argv[3]))
