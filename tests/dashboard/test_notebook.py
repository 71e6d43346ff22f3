"""The dashboard in a notebook: behind a proxy with a prefix, with a token, within another page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import expect
from tests.support.browser import OpenTab
from tests.support.episodes import CLEAR, make_episode, make_run_with
from tests.support.proxy import HOST, proxied
from tests.support.run_directories import make_run
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from warpzone import dashboard
from warpzone.dashboard import notebook
from warpzone.dashboard.notebook import show
from warpzone.dashboard.server import new_token, serving
from warpzone.errors import ConfigError

PREFIX = "/user/ann/proxy/"


def get(url: str, **headers: str) -> tuple[int, Any, bytes]:
    """Status, headers and body of an answer, whatever it is."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_run(tmp_path / "one", seed=1)
    make_run(tmp_path / "two", seed=2)
    return tmp_path


@pytest.fixture
def views() -> Iterator[list[notebook.View]]:
    """Those in it are closed."""
    opened: list[notebook.View] = []
    yield opened
    for view in opened:
        view.close()


# ---- the token -----------------------------------------------------------------------------------


def test_who_knows_the_token_is_answered_by_any_name(folder: Path) -> None:
    token = new_token()
    assert re.fullmatch(r"[\w-]{40,}", token)
    assert token != new_token()
    with serving(folder, token=token) as address:
        assert address.endswith(f"/{token}/")
        status, headers, body = get(f"{address}api/runs", host=HOST)
        assert (status, len(json.loads(body)["runs"])) == (200, 2)
        # Others may show it within their page, and that is all that they may.
        policy = headers["content-security-policy"]
        assert "frame-ancestors" not in policy
        assert "default-src 'none'" in policy
        root = address.removesuffix(f"{token}/")
        for path in (
            "",
            "api/runs",
            "static/main.js",
            "wrong/api/runs",
            f"{token}x/",
            f"{token[:-1]}/",
        ):
            status, _, body = get(root + path)
            assert (status, "token" in json.loads(body)["error"]) == (403, True), path
            assert token.encode() not in body
        # What a proxy leaves before it does not matter.
        assert get(f"{root}user/ann/proxy/absolute/1985/{token}/api/runs")[0] == 200
        assert get(f"{address}../api/runs".replace("/..", "/%2e%2e"))[0] == 404


def test_without_a_token_only_this_machine_is_answered(folder: Path) -> None:
    with serving(folder) as address:
        assert get(f"{address}/api/runs", host=HOST)[0] == 400
        assert "frame-ancestors 'none'" in get(address)[1]["content-security-policy"]


def test_websockets_need_the_token_and_no_origin(folder: Path) -> None:
    token = new_token()
    with serving(folder, token=token) as address:
        stream = address.replace("http:", "ws:") + "api/stream?run=one"
        with connect(stream, origin=Origin("https://elsewhere.example")) as socket:
            assert "palette" in json.loads(socket.recv())
        with pytest.raises(InvalidStatus, match="403"), connect(stream.replace(token, "x")):
            pass


def test_the_command_tells_an_address_with_a_token(folder: Path) -> None:
    command = [sys.executable, "-m", "warpzone", "dashboard", str(folder), "--port", "0", "--token"]
    environment = os.environ | {"COLUMNS": "300"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        address = re.search(r"http://\S+/", process.stdout.readline())
        assert address is not None
        assert get(f"{address[0]}api/runs", host=HOST)[0] == 200
        process.terminate()


# ---- show ----------------------------------------------------------------------------------------


def test_a_cell_shows_a_run_and_the_next_one_the_same_server(
    folder: Path, views: list[notebook.View]
) -> None:
    said: list[str] = []
    assert dashboard.show is show
    first = show(folder / "one", log=said.append)
    views.append(first)
    second = show(folder, height=300, log=said.append)
    assert said == [f"dashboard: {first.url}", f"dashboard: {second.url}"]
    assert first.url == f"{second.url}#/run/one"
    assert get(second.url + "api/runs")[0] == 200
    assert f'<iframe src="{second.url}"' in second._repr_html_()
    assert 'height="300"' in second._repr_html_()
    second.close()
    third = show(folder, log=said.append)
    views.append(third)
    assert third.url != second.url
    assert get(third.url + "api/runs")[0] == 200


def test_a_folder_that_a_training_will_fill(tmp_path: Path, views: list[notebook.View]) -> None:
    views.append(show(tmp_path / "runs", log=lambda line: None))
    make_run(tmp_path / "runs" / "new")
    _, _, body = get(views[0].url + "api/runs")
    assert [run["name"] for run in json.loads(body)["runs"]] == ["new"]


def test_it_ends_with_the_kernel(folder: Path) -> None:
    program = (
        "import sys, os\nfrom warpzone.dashboard import show\n"
        "print(show(sys.argv[1], log=lambda line: None).url, flush=True)\nos._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True
    )
    url = done.stdout.strip()
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            return
    pytest.fail("the server has outlived who began it")


def test_on_a_hub_and_behind_a_proxy_the_frame_has_its_address(
    folder: Path, views: list[notebook.View], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = show(folder, log=lambda line: None)
    views.append(plain)
    port, token = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/([\w-]+)/", plain.url).groups()  # type: ignore[union-attr]
    named = show(folder / "two", proxy="/proxy/{port}", log=lambda line: None)
    assert named.address == f"/proxy/{port}/{token}/#/run/two"
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ann/")
    assert show(folder, log=lambda line: None).address == f"{PREFIX}{port}/{token}/"
    assert f'src="{PREFIX}{port}/{token}/"' in show(folder, log=print)._repr_html_()


def test_on_colab_it_is_shown_by_colab(
    folder: Path, views: list[notebook.View], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, dict[str, str]]] = []
    colab: Any = ModuleType("google.colab")
    colab.output = ModuleType("google.colab.output")
    colab.output.serve_kernel_port_as_iframe = lambda port, **more: asked.append((port, more))
    view = show(folder / "one", height=444, log=lambda line: None)
    views.append(view)
    with pytest.raises(NotImplementedError):
        view._ipython_display_()
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    view._ipython_display_()
    ((port, more),) = asked
    assert view.url == f"http://127.0.0.1:{port}{more['path']}"
    assert more["height"] == "444"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"height": 10}, "height is 10, must be 100 to 10,000"),
        ({"proxy": "/proxy/1985/"}, "must hold {port} once"),
        ({"proxy": "/proxy/{port}/{token}"}, "no other braces"),
    ],
)
def test_what_is_refused(folder: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        show(folder, **options)


# ---- in a browser --------------------------------------------------------------------------------


@pytest.fixture
def pages() -> Iterator[Callable[[Path], str]]:
    """`pages(folder)`: the address of a server of its files, another site for a browser."""
    servers: list[ThreadingHTTPServer] = []

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *values: object) -> None: ...

    def serve(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_page_of_others_shows_it_through_a_proxy(
    tmp_path: Path,
    open_tab: OpenTab,
    pages: Callable[[Path], str],
    views: list[notebook.View],
) -> None:
    """Scripts, curves, the map and games all come through the prefix, and nothing beside it."""
    make_run(tmp_path / "one", seed=1)
    make_run_with(tmp_path / "played", {"live/000.json": make_episode(CLEAR, cleared=True)})
    with proxied(PREFIX) as proxy:
        view = show(tmp_path, proxy=f"{proxy}{PREFIX}{{port}}/", log=lambda line: None)
        views.append(view)
        # As in a notebook: a page from elsewhere, and the frame in it.
        (tmp_path / "cell.html").write_text(f'<link rel="icon" href="data:,">{view._repr_html_()}')
        tab = open_tab(f"{pages(tmp_path)}/cell.html")
        frame = tab.page.frame_locator("iframe")
        expect(frame.locator(".runs tbody tr")).to_have_count(2)
        frame.locator("#chart-clear_rate").scroll_into_view_if_needed()
        expect(
            frame.locator("#chart-clear_rate .scatterlayer .trace .js-line").first
        ).to_be_visible()
        frame.locator(".runs tbody td.name a", has_text="played").click()
        frame.get_by_role("tab", name="games").click()
        expect(frame.locator("canvas").first).to_be_visible()
        asked = [url for url in tab.requests if url.startswith("http")][1:]
        assert all(url.startswith(f"{proxy}{PREFIX}") for url in asked)
        assert {"main.js", "plotly.min.js"} <= {url.rpartition("/")[2] for url in asked}
        tab.page.goto("about:blank")  # before what it asks ends
