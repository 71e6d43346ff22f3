"""A browser, runs to look at, and a server that shows them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@dataclass
class Tab:
    """A page, and what went wrong in it."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Nothing in the console, and nothing asked of another machine."""
        assert self.errors == []
        strange = [
            url
            for url in self.requests
            if not url.startswith(("http://127.0.0.1", "blob:", "data:"))
        ]
        assert strange == []


OpenTab = Callable[..., Tab]


def wait_for(page: Page, expression: str, arg: Any = None, seconds: float = 20) -> None:
    """Returns once a JavaScript expression, or a function of `arg`, is true.

    `Page.wait_for_function` has the page itself evaluate a string again and again, which its
    policy of content security rightly forbids.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(expression, arg):
        assert time.monotonic() < end, f"not true within {seconds:g} s: {expression}"
        page.wait_for_timeout(20)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        text = "no Chromium on this machine"
        if os.environ.get("WARPZONE_NEED_CHROMIUM") == "1":
            pytest.fail(f"{text}, and WARPZONE_NEED_CHROMIUM=1 says that there must be one")
        pytest.skip(text)
    expect.set_options(timeout=20_000)  # machines may be busy
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[OpenTab]:
    """`open_tab(url, **settings of the context)`: a tab whose errors fail the test."""
    tabs: list[Tab] = []
    contexts: list[BrowserContext] = []

    def open_(url: str, **settings: Any) -> Tab:
        context = browser.new_context(**settings)
        contexts.append(context)
        tab = Tab(context.new_page())
        tab.page.set_default_timeout(20_000)
        tab.page.on(
            "console",
            lambda message: (
                tab.errors.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
        tab.page.on("request", lambda request: tab.requests.append(request.url))
        tab.page.goto(url)
        tabs.append(tab)
        return tab

    yield open_
    for context in contexts:
        context.close()
    for tab in tabs:
        tab.check()


@pytest.fixture(scope="session")
def _trained(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """A real training of 1-1: its run directory, and its process."""
    run = tmp_path_factory.mktemp("runs") / "1-1-live"
    settings = ["--num-envs", "8", "--threads", "1", "--device", "cpu", "--steps", "100000000"]
    small = ["rollout_steps=64", "minibatch_size=256", "update_epochs=1", "eval_episodes=4"]
    small += ["target_clear_rate=null"]  # or a quick machine has learnt the level meanwhile
    process = subprocess.Popen(
        [sys.executable, "-m", "warpzone", "train", "1-1", "--out", str(run), *settings]
        + [part for setting in small for part in ("--set", setting)],
        stdout=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    yield run, process
    if sys.platform != "win32":
        process.send_signal(signal.SIGCONT)  # what has been stopped does not end
    process.terminate()
    process.wait(60)


@pytest.fixture
def training(_trained: tuple[Path, subprocess.Popen[bytes]]) -> Iterator[Path]:
    """The run directory of a training that goes on while a test looks at it, and takes no core from
    the others."""
    run, process = _trained
    if sys.platform == "win32":
        yield run
        return
    process.send_signal(signal.SIGCONT)
    yield run
    process.send_signal(signal.SIGSTOP)
