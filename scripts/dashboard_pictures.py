"""Pictures of the dashboard for the documentation.

    python scripts/dashboard_pictures.py runs docs

takes the overview of the runs in a folder as a desktop shows it, and one run as a phone does, each
in light and dark colours: `dashboard-desktop-light.png` and so on. Chromium must be installed.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from warpzone.errors import WarpzoneError
from warpzone.views.runs import Library
from warpzone.views.server import serving

SCREENS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1360, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1.5},
}
COLOURS = 96


def take(browser: Browser, url: str, **settings: Any) -> Image.Image:
    """The page once its curves are drawn."""
    with browser.new_context(**settings) as context:
        page = context.new_page()
        page.goto(url)
        page.locator("#chart-clear_rate .js-line").first.wait_for(state="attached")
        page.wait_for_timeout(1500)  # the other charts that can be seen
        return Image.open(io.BytesIO(page.screenshot()))


def main(runs: Path, out: Path) -> None:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise WarpzoneError("no chromium on this machine; install it, e.g. apt install chromium")
    first = max(Library(runs).runs(), key=lambda run: run.summary()["best"] or 0.0).name
    pages = {"desktop": "", "phone": f"#/run/{quote(first, safe='')}"}
    with serving(runs) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for screen, settings in SCREENS.items():
            for scheme in ("light", "dark"):
                picture = take(browser, f"{url}/{pages[screen]}", color_scheme=scheme, **settings)
                path = out / f"dashboard-{screen}-{scheme}.png"
                picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)
                print(f"{path}  {path.stat().st_size / 1000:.0f} kB")
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
