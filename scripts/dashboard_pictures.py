"""Pictures of the dashboard for the documentation.

    python scripts/dashboard_pictures.py runs docs

takes the overview of the runs in a folder as a desktop shows it, and of the best of them its games
and its map, and its curves as a phone shows them, each in light and dark colours:
`dashboard-desktop-light.png` and so on. Chromium must be installed.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from warpzone.dashboard.server import serving
from warpzone.errors import WarpzoneError
from warpzone.runs.library import Library

DESKTOP: dict[str, Any] = {"viewport": {"width": 1360, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1.5}
COLOURS = 192


class Screen(NamedTuple):
    """A page, and what is there once it can be looked at."""

    panel: str | None
    """Of the run; None: the overview."""
    ready: str
    settings: dict[str, Any]


CURVES = "#chart-clear_rate .js-line"
SCREENS = {
    "desktop": Screen(None, CURVES, DESKTOP),
    "games": Screen("games", "canvas", {"viewport": {"width": 1360, "height": 1080}}),
    "map": Screen("map", ".strip img", DESKTOP),
    "phone": Screen("curves", CURVES, PHONE),
}
WAIT = 6_000
"""Milliseconds after that: the other charts, some seconds of a game."""


def take(browser: Browser, url: str, ready: str, **settings: Any) -> Image.Image:
    """The page once it is drawn."""
    with browser.new_context(**settings) as context:
        page = context.new_page()
        page.goto(url)
        page.locator(ready).first.wait_for(state="attached")
        page.wait_for_timeout(WAIT)
        return Image.open(io.BytesIO(page.screenshot()))


def main(runs: Path, out: Path) -> None:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise WarpzoneError("no chromium on this machine; install it, e.g. apt install chromium")
    first = max(Library(runs).runs(), key=lambda run: run.summary()["best"] or 0.0).name
    with serving(runs) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for name, screen in SCREENS.items():
            page = f"#/run/{quote(first, safe='')}?panel={screen.panel}" if screen.panel else ""
            for scheme in ("light", "dark"):
                settings = {**screen.settings, "color_scheme": scheme}
                picture = take(browser, f"{url}/{page}", screen.ready, **settings)
                path = out / f"dashboard-{name}-{scheme}.png"
                picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)
                print(f"{path}  {path.stat().st_size / 1000:.0f} kB")
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
