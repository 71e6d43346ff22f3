"""The built documentation: complete, without requests to elsewhere, its search at work."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

import warpzone
from warpzone import errors

ROOT = Path(__file__).parents[1]

LOADING = {"src", "srcset", "data", "poster", "background"}
"""Attributes whose address a browser loads by itself."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as scripts/check.sh builds it, in a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder


class Loads(HTMLParser):
    """Collects the addresses that a page loads, as opposed to those that it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        loading = LOADING | ({"href"} if tag in ("link", "use", "image", "base") else set())
        self.addresses += [value for name, value in attrs if name in loading and value]
        for name, value in attrs:
            if name == "style" and value:
                self.addresses += in_css(value)


def in_css(text: str) -> list[str]:
    imported = re.findall(r"@import\s+(?:url\()?[\"']?([^\"')\s;]+)", text)
    return imported + re.findall(r"url\(\s*[\"']?([^\"')]+)", text)


def outside(addresses: list[str]) -> list[str]:
    return [a for a in addresses if re.match(r"(?:[a-z]+:)?//", a.strip(), re.IGNORECASE)]


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        text, loads = page.read_text(encoding="utf-8"), Loads()
        loads.feed(text)
        assert any("assets/" in address for address in loads.addresses)
        styles = "".join(re.findall(r"<style[^>]*>(.*?)</style>", text, re.DOTALL))
        assert outside(loads.addresses + in_css(styles)) == [], page.name
    for style in site.rglob("*.css"):
        assert outside(in_css(style.read_text(encoding="utf-8"))) == [], style.name


def test_the_reference_has_everything_that_is_imported(site: Path) -> None:
    page = (site / "api.html").read_text(encoding="utf-8")
    told = set(re.findall(r'id="(warpzone[\w.]*)"', page))
    names = {name for name in warpzone.__all__ if not name.startswith("_")}
    names |= {"Agent", "EnvConfig", "TrainConfig", "evaluate", "train"}
    names |= {name for name in vars(errors) if name.endswith("Error")}
    assert {name for name in names if not any(t.endswith(f".{name}") for t in told)} == set()
    for argument in ("warpzone.make", "EnvConfig.frame_skip", "TrainConfig.lr", "Console.save"):
        assert any(name.endswith(argument) for name in told), argument


def test_what_would_be_loaded_is_noticed() -> None:
    loads = Loads()
    loads.feed('<a href="https://a.b"><img src="//c.d/e.png"><link href="HTTPS://f.g/h.css">')
    loads.feed('<p style="background: url(http://i.j/k.png)"><script src="l.js"></script>')
    found = outside(loads.addresses + in_css('@import "https://m.n";'))
    assert found == ["//c.d/e.png", "HTTPS://f.g/h.css", "http://i.j/k.png", "https://m.n"]


def test_nothing_is_left_unmade(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert "<!-- make:" not in page.read_text(encoding="utf-8"), page.name


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    handler = functools.partial(Silent, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize("where", ["served", "folder"])
def test_search_works_without_the_network(
    site: Path, served: str, browser: Browser, where: str
) -> None:
    base = served if where == "served" else f"{site.as_uri()}/"
    page = browser.new_page()
    requests: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda said: errors.extend([said.text] * (said.type == "error")))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{base}index.html")
    found = page.locator(".md-search-result__link[href*='ppo.html']")
    field = page.locator(".md-search__input")
    field.fill("normaliz")
    for _ in range(10):
        # What is typed before the page listens to its field is never searched for.
        field.press("e")
        with contextlib.suppress(PlaywrightTimeout):
            found.first.wait_for(timeout=5000)
            break
        field.press("Backspace")
    expect(found.first).to_be_visible()
    page.close()
    assert errors == []
    assert [url for url in requests if not url.startswith((base, "data:", "blob:"))] == []


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_follow_the_scheme(
    site: Path, served: str, browser: Browser, width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    for file in sorted(site.glob("*.html")):
        page.goto(f"{served}{file.name}", wait_until="domcontentloaded")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, file.name
        brightness = page.evaluate(
            "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3)"
            ".reduce((sum, value) => sum + Number(value), 0) / 3"
        )
        assert (brightness < 128) == (scheme == "dark"), file.name
    page.goto(f"{served}how-it-works.html")
    drawn = page.locator("svg.data text")
    assert drawn.count() > 10
    fill = drawn.first.evaluate("element => getComputedStyle(element).fill")
    assert (sum(map(int, re.findall(r"\d+", fill)[:3])) / 3 > 128) == (scheme == "dark")
    context.close()
