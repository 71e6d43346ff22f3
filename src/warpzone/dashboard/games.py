"""The games of a run, to be watched: those that it plays, and the episodes that it kept.

    GET /api/episodes?run=NAME   what there is
    /api/stream?run=NAME         a WebSocket: episodes, and segments of their pictures

A client of the WebSocket asks, with numbers of its own in `ask`, and is answered in that order:

    {"ask": 1, "open": "live/003.json", "after": KEY}    {"ask": 1, "key": KEY, "frames": …} or
    {"ask": 2, "key": KEY, "segment": 0, "stride": 1}    {"ask": 1, "error": TEXT}; for segments
                                                         bytes: `ask` as uint32, little endian, then
                                                         what `EpisodeStream.segment` returns

Nothing is sent that was not asked for: who does not look costs nothing, and who is slow gets less.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

import warpzone._native as _native
from warpzone.dashboard.episode_stream import (
    PICTURES,
    EpisodeStream,
    ObservationView,
    Renderer,
    read_episode,
)
from warpzone.dashboard.responses import json_response, limited
from warpzone.episodes.format import Episode, TrainingPlayer
from warpzone.errors import EpisodeError, WarpzoneError
from warpzone.files import by_number
from warpzone.nes.cartridge import RomSource
from warpzone.nes.console import PALETTE
from warpzone.runs.library import Library, Run

FOLDERS = ("live", "episodes")
NAME = re.compile(r"(live|episodes)/[0-9A-Za-z][0-9A-Za-z._-]{0,99}\.json")
MOST_VIEWERS = 64
MOST_ASKED = 4096
"""Characters of a message."""
MOST_LISTED = 1000
"""Files of a folder, the last by name; a training keeps some hundred."""
MOST_RUNS = 32
"""Runs whose lists are kept."""
LIST_EVERY = 1.0
"""Seconds for which a list is taken as it is, so that many viewers cost one."""
LISTS_AT_ONCE = 4
TOO_MANY = 4013
"""Code of a WebSocket that is closed because there are too many."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Open(_Message):
    """Asks for an episode."""

    ask: int = Field(ge=0, lt=2**32)
    open: str = Field(max_length=200)
    after: str | None = Field(None, max_length=64)
    """The episode that was shown before, to know whether this one continues it."""


class Segment(_Message):
    """Asks for pictures, see `EpisodeStream.segment`."""

    ask: int = Field(ge=0, lt=2**32)
    key: str = Field(max_length=64)
    segment: int = Field(ge=0, lt=2**31)
    stride: Literal[1, 4] = 1


def routes(library: Library, rom: RomSource = None, *, same_origin: bool = True) -> list[BaseRoute]:
    """Returns what the page needs to show games.

    Args:
        library: of the runs.
        rom: a file, a `Rom`, or None to look for one when the first episode is wanted.
        same_origin: refuse pages of other sites, which browsers let ask. Behind a proxy a page's
            own site looks like another one.
    """
    games = _Games(library, Renderer(rom), same_origin=same_origin)
    return [
        Route("/api/episodes", limited(LISTS_AT_ONCE)(games.list)),
        WebSocketRoute("/api/stream", games.stream),
    ]


class Lists:
    """Lists what lies in the folders of runs; several threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: OrderedDict[Path, _Folders] = OrderedDict()

    def of(self, run: Run) -> dict[str, Any]:
        """Returns `live` and `episodes`, each a list of what `_summary` returns, by name."""
        with self._lock:
            folders = self._runs.setdefault(run.path, _Folders(run.path))
            self._runs.move_to_end(run.path)
            while len(self._runs) > MOST_RUNS:
                self._runs.popitem(last=False)
        return folders.list()


class _Folders:
    """Lists what lies in the folders of one run; whoever waits for it keeps no other run back."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._summaries: dict[Path, tuple[tuple[int, int, int], dict[str, Any]]] = {}
        self._listed = -LIST_EVERY
        self._lists: dict[str, Any] = {}

    def list(self) -> dict[str, Any]:
        """Returns what lies there; as it was a moment ago, where somebody has just asked."""
        with self._lock:
            if time.monotonic() >= self._listed + LIST_EVERY:
                before, self._summaries = self._summaries, {}
                self._lists = {name: [*self._folder(name, before)] for name in FOLDERS}
                self._listed = time.monotonic()
            return self._lists

    def _folder(
        self, folder: str, before: Mapping[Path, tuple[tuple[int, int, int], dict[str, Any]]]
    ) -> Iterator[dict[str, Any]]:
        try:
            with os.scandir(self._run / folder) as entries:
                listed = (e.name for e in entries if NAME.fullmatch(f"{folder}/{e.name}"))
                names = sorted(listed, key=by_number)
        except OSError:  # an older run has none
            return
        if len(names) > MOST_LISTED:
            text = f"{len(names) - MOST_LISTED:,} older ones are not listed"
            yield {"file": f"{folder}/", "modified": 0.0, "error": text}
        for name in names[-MOST_LISTED:]:
            path = self._run / folder / name
            try:
                found = path.stat()
            except OSError:  # put away meanwhile
                continue
            stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
            kept = before.get(path)
            if kept is None or kept[0] != stamp:
                kept = stamp, _summary(path, found.st_mtime)
            self._summaries[path] = kept
            yield kept[1]


def _summary(path: Path, modified: float) -> dict[str, Any]:
    """Returns `file`, `modified` in seconds since 1970, and `error` or what `describe` does."""
    about = {"file": f"{path.parent.name}/{path.name}", "modified": modified}
    try:
        return about | describe(Episode.parse(read_episode(path), path.name))
    except WarpzoneError as error:
        return about | {"error": str(error)}


def describe(episode: Episode) -> dict[str, Any]:
    """Returns level, frames, who played and how it ended; JSON can hold it."""
    outcome, player = episode.outcome, episode.player
    about: dict[str, Any] = {
        "level": episode.start,
        "frames": episode.frames,
        "player": str(player),
        "cleared": None if outcome is None else outcome.cleared,
        "progress": None if outcome is None else outcome.progress,
        "outcome": None if outcome is None else str(outcome),
    }
    if isinstance(player, TrainingPlayer):
        about |= {"step": player.step, "game": player.game, "own": player.own_start}
    return about


def policy_outputs(episode: Episode) -> dict[str, Any] | None:
    """Returns value and probabilities of each decision; None where they are not known."""
    decisions = episode.decisions
    if decisions is None or not len(decisions.actions):
        return None
    return {
        "names": decisions.action_names,
        "first_frames": decisions.first_frames.tolist(),
        "actions": decisions.actions.tolist(),
        "values": [_finite(value, 3) for value in decisions.values.tolist()],
        "probabilities": [
            [_finite(share, 4) for share in shares] for shares in decisions.probabilities.tolist()
        ],
    }


def _finite(value: float, digits: int) -> float | None:
    """Returns it rounded; None for NaN and infinity, which JSON does not know."""
    return round(value, digits) if abs(value) < float("inf") else None


class _Games:
    """Answers what clients ask."""

    def __init__(self, library: Library, renderer: Renderer, *, same_origin: bool) -> None:
        self._library = library
        self._renderer = renderer
        self._same_origin = same_origin
        self._lists = Lists()
        self._viewers = 0

    def list(self, request: Request) -> Response:
        """Answers what games and episodes a run has."""
        run = self._library.run(request.query_params.get("run", ""))
        return json_response(self._lists.of(run), request=request)

    async def stream(self, socket: WebSocket) -> None:
        """Answers one page's questions for as long as it asks."""
        if self._same_origin and _is_foreign(socket):
            await socket.close()  # before it is accepted: status 403
            return
        await socket.accept()
        if self._viewers >= MOST_VIEWERS:
            await socket.close(
                TOO_MANY, f"{MOST_VIEWERS} pages show games already; close one of them"
            )
            return
        self._viewers += 1
        try:
            await self._serve(socket)
        except WebSocketDisconnect:
            pass
        finally:
            self._viewers -= 1

    async def _serve(self, socket: WebSocket) -> None:
        try:
            run = await asyncio.to_thread(self._library.run, socket.query_params.get("run", ""))
        except WarpzoneError as error:
            await socket.send_json({"error": str(error)})
            await socket.close()
            return
        # In a thread: another one may hold the run while it reads long curves.
        view = await asyncio.to_thread(lambda: ObservationView.of(run.config))
        await socket.send_json(_hello(view))
        while True:
            received = await socket.receive()
            if received["type"] == "websocket.disconnect":
                return
            message = _parse(received.get("text"))
            if message is None:
                await socket.send_json({"error": "this is neither an `open` nor a `segment`"})
                await socket.close(1008)
                return
            try:
                if isinstance(message, Open):
                    await socket.send_json(await self._open(run.path, view, message))
                else:
                    data = await asyncio.wrap_future(
                        self._renderer.segment(message.key, message.segment, message.stride)
                    )
                    await socket.send_bytes(message.ask.to_bytes(4, "little") + data)
            except (WarpzoneError, ValueError) as error:
                await socket.send_json({"ask": message.ask, "error": str(error)})

    async def _open(self, run: Path, view: ObservationView, message: Open) -> dict[str, Any]:
        if not NAME.fullmatch(message.open):
            raise EpisodeError(f"{message.open!r} is no episode of this run")
        key, stream = await asyncio.wrap_future(self._renderer.open(run / message.open, view))
        answer = {"ask": message.ask, "key": key, **describe(stream.episode)}
        answer["outputs"] = policy_outputs(stream.episode)
        answer["continues"] = key != message.after and await self._continues(stream, message.after)
        return answer

    async def _continues(self, stream: EpisodeStream, before: str | None) -> bool:
        try:
            return before is not None and stream.continues(
                await asyncio.wrap_future(self._renderer.stream(before))
            )
        except EpisodeError:
            return False


def _hello(view: ObservationView) -> dict[str, Any]:
    """Returns what a client must know to read what follows."""
    return {
        "palette": b64encode(PALETTE.tobytes()).decode(),
        "pictures": PICTURES,
        "observation": {"kind": view.kind, "rows": view.rows, "columns": view.columns},
        "planes": _native.TILE_PLANES,
    }


def _parse(text: str | None) -> Open | Segment | None:
    if text is None or len(text) > MOST_ASKED:
        return None
    for kind in (Segment, Open):
        try:
            return kind.model_validate_json(text)
        except ValidationError:
            continue
    return None


def _is_foreign(socket: WebSocket) -> bool:
    """Returns whether another site's page asks; browsers let it, and say so."""
    origin = socket.headers.get("origin")
    try:
        return origin is not None and urlsplit(origin).netloc != socket.headers.get("host")
    except ValueError:  # no address at all
        return True
