"""The pages and their data as one Starlette application: it reads, and answers this machine alone.

No page of another site can read from it: whoever asks by another name than that of this machine is
refused (DNS rebinding), nothing is allowed across origins, and a page may load nothing from
elsewhere. Nor can it have the server work: browsers say that another site asks, which is then
answered with the first page at most. Files come from the package; a run is looked up by its name
among those found. Requests have no body, so that none can hide in one.

With a token, for places that are reached through a proxy, every address begins with it: who does
not know it learns nothing, by whatever name they ask, and pages of others may frame this one.
Pages name everything relative to their own address, so that it does not matter what a proxy puts
before it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import plotly
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from warpzone.dashboard import run_data
from warpzone.dashboard.responses import error_response
from warpzone.errors import RunError, WarpzoneError
from warpzone.runs.library import Library

STATIC = Path(__file__).parent / "static"
MAPS = ("warpzone.maps", "static")
"""Where scripts and styles of maps lie, which reports hold, too."""
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""Names of this machine."""
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self' 'unsafe-inline'; "  # plotly brings its own
    "img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


FRAMES = "; frame-ancestors 'none'"


def create(
    library: Library, more: Sequence[BaseRoute] = (), *, token: str | None = None
) -> Starlette:
    """Returns the application over the runs of `library`.

    Args:
        library: of the runs.
        more: routes of other views.
        token: what every address begins with, behind whatever a proxy puts before it; None: only
            browsers of this machine are answered.
    """

    def index(request: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    def charts(request: Request) -> Response:
        return FileResponse(PLOTLY, headers={"cache-control": "max-age=86400"})

    return Starlette(
        routes=[
            Route("/", index),
            *run_data.routes(library),
            *more,
            Route("/static/plotly.min.js", charts),
            Mount("/static", StaticFiles(directory=STATIC, packages=[MAPS])),
        ],
        middleware=[
            Middleware(SafeHeaders, framed=token is not None),
            Middleware(NoBodies),
            *(
                (
                    Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
                    Middleware(NoOtherSites),
                )
                if token is None
                else (Middleware(TokenInPath, token=token),)
            ),
        ],
        exception_handlers={
            WarpzoneError: _refuse,
            OSError: _refuse,
            HTTPException: _refuse,
            Exception: _refuse,
        },
    )


def _refuse(request: Request, error: Exception) -> Response:
    match error:
        case RunError():
            return error_response(str(error), 404)
        case WarpzoneError():
            return error_response(str(error), 422)
        case OSError():  # a file that vanished, a disk that fails, no file descriptors left
            return error_response(f"the dashboard cannot read: {error.strerror or error}", 503)
        case HTTPException(status_code=status, detail=detail):
            # What is before it may hold the token.
            path = request.url.path.removeprefix(request.scope.get("root_path", ""))
            return error_response(f"{path}: {detail}", status)
        case _:  # the server's log has the traceback
            return error_response(f"a fault of warpzone: {type(error).__name__}: {error}", 500)


class NoBodies:
    """Refuses requests with a body, which nothing here takes, and ends their connections: where its
    end is, a proxy may see otherwise, and take the next request for a part of it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        refusal = error_response("this server takes no request with a body", 413)
        refusal.headers["connection"] = "close"
        await refusal(scope, receive, send)


def _has_body(headers: Headers) -> bool:
    lengths = "".join(headers.getlist("content-length"))
    return "transfer-encoding" in headers or lengths.strip("0") != ""


class NoOtherSites:
    """Refuses what pages of other sites have a browser ask for, as far as it says so: all but the
    first page, to which they may link. They could not read it, but it would cost time."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A WebSocket says its origin.
        if scope["type"] != "http" or _is_ours(scope["path"], Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        refusal = error_response("a page of another site has asked for this", 403)
        await refusal(scope, receive, send)


def _is_ours(path: str, headers: Headers) -> bool:
    is_link = path == "/" and headers.get("sec-fetch-dest") == "document"
    return is_link or headers.get("sec-fetch-site", "none") in ("none", "same-origin")


class TokenInPath:
    """Answers only what is asked for behind `/…/TOKEN/`, as if it were asked for at `/`.

    In the path rather than in a cookie, which browsers keep from pages within pages of others, or
    a header, which scripts and WebSockets cannot send.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = scope["path"].split("/")
        found = [secrets.compare_digest(name.encode(), self._token) for name in names]
        if not any(found):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            refusal = error_response(
                "this dashboard has a token in its address: open the whole of it, as it was told",
                403,
            )
            await refusal(scope, receive, send)
            return
        place = found.index(True)
        if place == len(names) - 1:  # the pages' addresses are relative to what follows the token
            to = f"{names[place]}/"
            await Response(status_code=307, headers={"location": to})(scope, receive, send)
            return
        root = "/".join(names[: place + 1])
        await self.app({**scope, "root_path": root}, receive, send)


class SafeHeaders:
    """Puts `HEADERS` on every answer; `framed`: pages of others may show this one within them."""

    def __init__(self, app: ASGIApp, *, framed: bool = False) -> None:
        self.app = app
        self._headers = dict(HEADERS)
        if framed:
            name = "content-security-policy"
            self._headers[name] = HEADERS[name].removesuffix(FRAMES)
            del self._headers["cross-origin-opener-policy"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if "cache-control" not in headers:
                    headers["cache-control"] = "no-cache"
            await send(message)

        await self.app(scope, receive, send_with_headers)
