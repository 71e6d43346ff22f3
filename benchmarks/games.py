"""What it costs to show games: bytes and time of a picture, and the server's CPU by its viewers.

    python -m benchmarks.games                   # tables on stderr, JSON on stdout
    python -m benchmarks.games --viewers 1 --viewers 20 --seconds 20

First the pictures of an agent's episode in 1-1, packed in three layouts: each picture by itself;
each as its difference (XOR) from the one before; the same row of all pictures together, as the
dashboard sends them. Then a server in a process of its own, and so many viewers, each with a wall
of 12 games and one large, none of them asked for faster than it is shown: CPU time of the server
for a second of watching, with its interpreter's start (a server that nobody asks) taken off.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import uvicorn
import websockets
from rich.table import Table
from starlette.applications import Starlette

from warpzone.agents.packaged import Collection
from warpzone.agents.playback import Playback
from warpzone.agents.record_episode import record_episode
from warpzone.bench import report
from warpzone.bench.report import Spread
from warpzone.dashboard.episode_stream import LEVEL, PICTURES
from warpzone.dashboard.games import routes
from warpzone.episodes.format import Episode
from warpzone.episodes.replay import Replay
from warpzone.nes.console import FRAMES_PER_SECOND, Console
from warpzone.runs.library import Library
from warpzone.smb.rom import find_rom

WALL = 12
LEVELS = (1, LEVEL, 6)


def layouts(episode: Episode) -> dict[str, dict[str, float]]:
    """Bytes and µs of CPU time for a picture, by layout and level of deflate."""
    replay = Replay(episode, Console(engine="interpreter"))
    pictures = np.stack(list(replay.pictures()))
    whole = len(pictures) // PICTURES * PICTURES
    groups = pictures[:whole].reshape(-1, PICTURES, 240, 256)

    def alone(group: np.ndarray) -> np.ndarray:
        return group

    def difference(group: np.ndarray) -> np.ndarray:
        changed = group.copy()
        changed[1:] ^= group[:-1]
        return changed

    def rows(group: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(group.swapaxes(0, 1))

    found = {}
    for name, layout in (("alone", alone), ("difference", difference), ("rows", rows)):
        for level in LEVELS:
            begin = time.process_time()
            size = sum(len(zlib.compress(layout(group).tobytes(), level)) for group in groups)
            spent = time.process_time() - begin
            found[f"{name}, level {level}"] = {"bytes": size / whole, "us": spent / whole * 1e6}
    return found


def serve(folder: Path, port: int) -> None:
    """Until it is told to stop."""
    config = uvicorn.Config(
        Starlette(routes=routes(Library(folder))),
        port=port,
        log_level="error",
        ws_per_message_deflate=False,
    )
    uvicorn.Server(config).run()


async def view(port: int, files: list[str], seconds: float) -> tuple[int, int]:
    """One page, the first file large, all of them on the wall: bytes, and segments too late."""
    received = late = 0
    url = f"ws://127.0.0.1:{port}/api/stream?run=run"
    async with websockets.connect(url, compression=None) as link:
        await link.recv()

        async def ask(**question: Any) -> Any:
            nonlocal received
            await link.send(json.dumps({"ask": 1, **question}))
            answer = await link.recv()
            received += len(answer)
            return answer

        opened = [json.loads(await ask(open=file)) for file in files]
        shows = [(opened[0], 1), *((about, 4) for about in opened)]
        begin = time.perf_counter()
        # When the next segment of each is due, and its number.
        due = [[begin, 0] for _ in shows]
        while (now := min(at for at, _ in due)) < begin + seconds:
            await asyncio.sleep(max(0, now - time.perf_counter()))
            which = min(range(len(due)), key=lambda i: due[i][0])
            (about, stride), (at, index) = shows[which], due[which]
            length = PICTURES * stride / FRAMES_PER_SECOND
            last = about["frames"] // (PICTURES * stride)
            await ask(key=about["key"], segment=int(index) % (last + 1), stride=stride)
            late += time.perf_counter() > at + length
            due[which] = [at + length, index + 1]
    return received, late


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure(folder: Path, viewers: int, seconds: float) -> tuple[float, float, int]:
    """The server's CPU time in s, bytes a second for a viewer, and segments that came late."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "benchmarks.games",
        "--serve",
        str(folder),
        "--port",
        str(port),
    ]
    server = subprocess.Popen(command)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/episodes?run=run").close()
                break
            except OSError:
                time.sleep(0.1)
        files = [f"live/{game:03d}.json" for game in range(WALL)]

        async def all_of_them() -> list[tuple[int, int]]:
            return await asyncio.gather(*(view(port, files, seconds) for _ in range(viewers)))

        results = asyncio.run(all_of_them())
    finally:
        server.terminate()
        _, _, used = os.wait4(server.pid, 0)
        server.returncode = 0
    received = sum(size for size, _ in results) / max(viewers, 1) / seconds
    return used.ru_utime + used.ru_stime, received, sum(late for _, late in results)


def main(
    viewers: Annotated[list[int] | None, typer.Option(help="Pages open at once.")] = None,
    seconds: Annotated[float, typer.Option(help="For which they watch.")] = 20.0,
    repeats: Annotated[int, typer.Option(min=1)] = 3,
    serve_folder: Annotated[Path | None, typer.Option("--serve", hidden=True)] = None,
    port: Annotated[int, typer.Option(hidden=True)] = 0,
) -> None:
    """Measure what it costs to show games."""
    if serve_folder is not None:
        serve(serve_folder, port)
        return
    rom, facts, out = find_rom(), report.machine(), report.console()
    for line in report.describe(facts, rom):
        out.print(line, markup=False, soft_wrap=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        (folder / "live").mkdir(parents=True)
        (folder / "config.json").write_text('{"env": {"observation": "tiles"}}')
        playback = Playback(Collection().agent("1-1"), "1-1")
        for game in range(WALL):
            record_episode(playback, game).save(folder / "live" / f"{game:03d}.json")
        playback.close()
        packed = layouts(Episode.load(folder / "live" / "000.json"))
        table = Table("layout of 30 pictures", "bytes a picture", "µs a picture")
        for layout, found in packed.items():
            table.add_row(layout, f"{found['bytes']:,.0f}", f"{found['us']:.0f}")
        out.print(table)

        table = Table("viewers", "ms of CPU for a second", "kB/s each", "segments late")
        idle = Spread.of([measure(folder, 0, seconds)[0] for _ in range(repeats)])
        watched = {}
        for count in viewers or [1, 5, 20]:
            runs = [measure(folder, count, seconds) for _ in range(repeats)]
            spent = Spread.of([1000 * (cpu - idle.median) / seconds for cpu, _, _ in runs])
            rate = Spread.of([received / 1000 for _, received, _ in runs])
            late = max(late for _, _, late in runs)
            watched[count] = {"ms": spent._asdict(), "kB": rate._asdict(), "late": late}
            table.add_row(str(count), spent.text(".0f"), rate.text(".0f"), str(late))
        out.print(table)
    result = {
        "machine": facts,
        "rom": report.rom_facts(rom),
        "layouts": packed,
        "idle_s": idle._asdict(),
        "viewers": watched,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    typer.run(main)
