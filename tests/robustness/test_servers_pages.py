"""Hostile run directories in a real browser: no script of theirs runs, nothing is asked of another
machine, the layout holds, and the pages go on working."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect
from tests.support.browser import OpenTab, wait_for
from tests.support.hostile import TEXTS, hostile_runs
from tests.support.run_directories import make_run

from warpzone.dashboard.server import serving

WIDTHS = (390, 1440)
PATIENCE = 60_000
"""Milliseconds for what is drawn on a machine that does much else."""
TALLEST = 6000
"""Pixels of what holds one text, the longest of which is cut to 2,000 characters."""
STRANGE = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const listens = (e) => [...e.attributes].some(({ name }) => name.startsWith("on"));
  const made = "main :is(script, iframe, object, style, form, img:not(.stage img))";
  const height = (element) => element.getBoundingClientRect().height;
  return {
    harmed: window.harmed ?? null,
    polluted: ({}).polluted ?? null,
    elements: all(made).length,
    listeners: all("*").filter(listens).length,
    links: all("a").map((a) => a.href).filter((url) => !url.startsWith(location.origin)),
    width: document.documentElement.scrollWidth,
    height: Math.max(0, ...all("main :is(td, li, dd, p, h2)").map(height)),
  };
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("hostile")
    make_run(folder / "good")
    hostile_runs(folder)
    with serving(folder) as url:
        yield url


def names(site: str) -> list[str]:
    with urlopen(f"{site}/api/runs", timeout=60) as answer:
        return [run["name"] for run in json.load(answer)["runs"]]


def expect_unharmed(page: Page, width: int) -> None:
    found = page.evaluate(STRANGE)
    assert found.pop("width") <= width
    assert found.pop("height") < TALLEST
    nothing: dict[str, object] = {
        "harmed": None,
        "polluted": None,
        "elements": 0,
        "listeners": 0,
        "links": [],
    }
    assert found == nothing


def test_many_hostile_runs_side_by_side(site: str, open_tab: OpenTab) -> None:
    some = "&".join(f"run={quote(name, safe='')}" for name in names(site)[::5])
    page = open_tab(f"{site}/#/?{some}", viewport={"width": WIDTHS[1], "height": 900}).page
    expect(page.locator(".runs tbody tr")).to_have_count(len(TEXTS) + 1)
    chart = page.locator("#chart-clear_rate")
    expect(chart.locator(".scatterlayer .trace").first).to_be_attached(timeout=PATIENCE)
    expect(page.locator(".differences tbody th").first).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".results tbody tr").first).to_be_visible(timeout=PATIENCE)
    expect_unharmed(page, WIDTHS[1])
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    expect_unharmed(page, WIDTHS[0])
    page.get_by_role("searchbox").fill("good")
    expect(page.locator(".runs tbody tr")).to_have_count(1)
    page.locator(".runs tbody a").click()
    expect(page.locator(".facts")).to_contain_text("finished")


def test_what_a_curve_is_called_is_text_under_the_pointer_too(site: str, open_tab: OpenTab) -> None:
    """Plotly takes some of a text for HTML: links, for one."""
    linked = [name for name in names(site) if name.startswith("<a href")]
    assert len(linked) == 2
    query = "&".join(f"run={quote(name, safe='')}" for name in linked)
    page = open_tab(f"{site}/#/?{query}").page
    chart = page.locator("#chart-clear_rate")
    # With those that were measured.
    expect(chart.locator(".scatterlayer .trace")).to_have_count(4, timeout=PATIENCE)
    chart.locator(".plot").hover(force=True)
    expect(chart.locator(".hoverlayer")).to_contain_text("<a href=")
    assert chart.locator("a").count() == 0


def visit(page: Page, name: str, panel: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    address = f"#/run/{quote(name, safe='')}?panel={panel}"
    page.evaluate("(address) => { location.hash = address; }", address)
    shown = "(name) => document.querySelector('h2')?.textContent === name"
    page.wait_for_function(shown, arg=name, timeout=PATIENCE)
    expect(page.get_by_role("tab", selected=True)).to_have_id(f"tab-{panel}")


def test_each_hostile_run_by_itself(site: str, open_tab: OpenTab) -> None:
    page = open_tab(f"{site}/#/run/good?panel=settings").page
    for place, name in enumerate(names(site)):
        panels = ["settings"] if place % 4 else ["settings", "results"]
        for panel, width in zip(panels, WIDTHS, strict=False):
            visit(page, name, panel, width)
            expect(page.locator("#panel :is(table, p)").first).to_be_attached(timeout=PATIENCE)
            expect_unharmed(page, width)


def test_hostile_episodes_curves_and_maps(site: str, open_tab: OpenTab) -> None:
    page = open_tab(f"{site}/#/run/good?panel=settings").page
    name, other = (name for name in names(site) if name in list(TEXTS.values())[:3])
    for run, panel, shown in (
        (name, "games", "canvas.game[data-place]"),
        (other, "map", ".map .strip"),
        (other, "curves", "#chart-best_x .scatterlayer .trace"),
    ):
        visit(page, run, panel, WIDTHS[0])
        if panel == "curves":
            page.locator("#chart-best_x").scroll_into_view_if_needed(timeout=PATIENCE)
        expect(page.locator(shown).first).to_be_attached(timeout=PATIENCE)
        if panel == "games":
            expect(page.locator(".games .about")).to_contain_text(name)
            expect(page.locator(".games .odds .name").first).to_have_text(name)
        expect_unharmed(page, WIDTHS[0])


def test_addresses_that_make_no_sense_leave_a_page_that_works(site: str, open_tab: OpenTab) -> None:
    page = open_tab("about:blank").page
    for address in ("#/run/%", "#/run/%ff", "#/run/a?panel=%"):
        page.goto("about:blank")
        page.goto(f"{site}/{address}")
        expect(page.locator("main h2").first).to_be_visible(timeout=PATIENCE)
    page.goto(f"{site}/#/?run=%&run=%ff")
    expect(page.locator(".runs tbody tr")).to_have_count(len(TEXTS) + 1, timeout=PATIENCE)


# ---- pages of other sites ------------------------------------------------------------------------

ASKS = """async (site) => {
  const outcome = {};
  const told = (name, promise) =>
    promise.then(() => (outcome[name] = "done"), () => (outcome[name] = "refused"));
  const load = (tag, address, place = "src") => new Promise((done, fail) => {
    const element = document.createElement(tag);
    element.onload = done; element.onerror = fail;
    element[place] = address;
    if (tag === "link") element.rel = "stylesheet";
    document.body.append(element);
  });
  await told("read", fetch(`${site}/api/runs`).then((answer) => answer.json()));
  await told("body", fetch(`${site}/api/runs`, {
    method: "POST", body: "{}", headers: { "content-type": "application/json" },
  }));
  await told("script", load("script", `${site}/static/curves.js`));
  await told("style", load("link", `${site}/static/style.css`, "href"));
  await told("image", load("img", `${site}/static/icon.svg`));
  await told("socket", new Promise((done, fail) => {
    const socket = new WebSocket(`${site.replace("http", "ws")}/api/stream?run=good`);
    socket.onmessage = done; socket.onclose = fail;
  }));
  const frame = document.createElement("iframe");
  frame.src = site;
  document.body.append(frame);
  await new Promise((done) => { frame.onload = done; setTimeout(done, 3000); });
  outcome.frame = frame.contentDocument === null ? "closed" : "open";
  const other = open(`${site}/`);
  await new Promise((done) => setTimeout(done, 500));
  try {
    outcome.window = other.document.body.textContent.includes("warpzone") ? "open" : "closed";
  } catch {
    outcome.window = "closed";
  }
  await fetch(`${site}/api/map/picture?level=8-4`, { mode: "no-cors" }).catch(() => {});
  return outcome;
}"""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """Another site of this machine: an empty page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><link rel=icon href='data:,'><body>")

        def log_message(self, format: str, *values: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_address[1]}"
        server.shutdown()


def test_a_page_of_another_site_reads_nothing_and_has_nothing_done(
    site: str, open_tab: OpenTab, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warpzone.dashboard import level_map

    drawn: list[str] = []
    monkeypatch.setattr(level_map, "open_map", lambda level, rom: drawn.append(level))
    tab = open_tab(elsewhere)
    tab.page.add_script_tag(content="window.ready = true")
    wait_for(tab.page, "window.ready")
    outcome = tab.page.evaluate(ASKS, site)
    tab.errors.clear()  # what the browser says of each refusal
    tab.requests.clear()
    assert outcome == {
        "read": "refused",
        "body": "refused",
        "script": "refused",
        "style": "refused",
        "image": "refused",
        "socket": "refused",
        "frame": "closed",
        "window": "closed",
    }
    assert drawn == []


def test_a_page_may_link_to_the_first_page(site: str, open_tab: OpenTab, elsewhere: str) -> None:
    tab = open_tab(elsewhere)
    tab.page.evaluate("(site) => { location.href = site; }", site)
    expect(tab.page.locator("h1")).to_have_text("warpzone")
    tab.requests[:] = [url for url in tab.requests if not url.startswith(elsewhere)]


def test_what_is_put_into_a_page_by_mistake_would_not_run(site: str, open_tab: OpenTab) -> None:
    """The policy of content security, should a text ever become HTML."""
    tab = open_tab(site)
    tab.page.evaluate(
        """async () => {
          const there = document.createElement("div");
          document.body.append(there);
          there.innerHTML = "<img src='data:,' onerror='window.harmed = 1'>"
            + "<a id='a' href='javascript:window.harmed = 1'>x</a>";
          const script = document.createElement("script");
          script.textContent = "window.harmed = 2";
          there.append(script);
          document.getElementById("a").click();
          for (const address of ["https://elsewhere.example/", "http://127.0.0.1:9/"])
            await fetch(address).catch(() => {});
          await new Promise((done) => setTimeout(done, 200));
        }"""
    )
    assert tab.page.evaluate("window.harmed") is None
    refused = [text for text in tab.errors if "Content Security Policy" in text]
    assert len(refused) >= 5
    assert all("127.0.0.1" in url or url.startswith("data:") for url in tab.requests)
    tab.errors.clear()
