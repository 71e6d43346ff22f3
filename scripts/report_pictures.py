"""Pictures of a run's report and of its map in the dashboard, for the documentation.

    python scripts/report_pictures.py runs/1-1-tiles-seed1 docs

writes `report-desktop.png`, `report-phone.png` and `map.png`. Chromium must be installed.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from warpzone.dashboard.server import serving
from warpzone.errors import WarpzoneError
from warpzone.report.page import write_report

COLOURS = 128


def take(browser: Browser, url: str, file: Path, *, clip: bool = False, **settings: Any) -> None:
    """The page as it is seen at first, or with `clip` the panel of a run alone."""
    with browser.new_context(**settings) as context:
        page = context.new_page()
        page.goto(url)
        page.locator(".traces polyline").first.wait_for(state="attached")
        page.wait_for_timeout(1000)  # pictures and films
        shot = page.locator("#panel").screenshot() if clip else page.screenshot()
    picture = Image.open(io.BytesIO(shot)).convert("RGB")
    picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        file, optimize=True
    )
    print(f"{file}  {file.stat().st_size / 1000:.0f} kB")


def main(run: Path, out: Path) -> None:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise WarpzoneError("no chromium on this machine; install it, e.g. apt install chromium")
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(run.parent) as url,
        sync_playwright() as playwright,
    ):
        report = write_report(run, Path(folder) / "report.html", log=print).path.as_uri()
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        wide, phone = {"width": 1100, "height": 1700}, {"width": 390, "height": 844}
        take(browser, report, out / "report-desktop.png", viewport=wide, color_scheme="light")
        take(browser, report, out / "report-phone.png", viewport=phone, color_scheme="dark")
        place = f"{url}/#/run/{quote(run.name, safe='')}?panel=map"
        take(browser, place, out / "map.png", clip=True, viewport={"width": 1100, "height": 900})
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
