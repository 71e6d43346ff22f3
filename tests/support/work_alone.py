"""Does what a user does, in the folder that it starts in, and says so; see test_no_network.py."""

from __future__ import annotations

import os
import struct
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

SMALL = ["num_envs=8", "rollout_steps=32", "minibatch_size=128", "update_epochs=1"]


def loopback_up() -> None:
    """A new namespace has even this machine's own address switched off."""
    with suppress(ImportError, OSError):
        import fcntl
        import socket

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
            request = struct.pack("16sh", b"lo", 0x1 | 0x40)  # up and running
            fcntl.ioctl(plain, 0x8914, request + bytes(22))  # SIOCSIFFLAGS


def command(*arguments: str) -> None:
    """Runs one command as the program does; anything but success ends this process."""
    from typer.testing import CliRunner

    from warpzone.cli.app import app

    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    if result.exit_code != 0:
        sys.exit(f"warpzone {' '.join(arguments)}: {result.output}\n{result.exception!r}")
    print("ran", arguments[0], flush=True)


def main() -> None:
    loopback_up()
    import warpzone

    env = warpzone.make("1-1")
    env.reset(seed=0)
    env.step(1)
    env.close()
    envs = warpzone.make_vec("1-1", num_envs=2, observation="pixels", seed=0)
    envs.reset()
    envs.close()
    print("ran environments", flush=True)
    settings = [word for setting in SMALL for word in ("--set", setting)]
    command("train", "1-1", "--steps", "512", "--out", "run", *settings)
    command("eval", "run", "--episodes", "2", "--noop-max", "4")
    command("record", "1-1", "-o", "clip.mp4")
    command("export", "1-1", "-o", "agent.pt2")
    command("push", "1-1", "--folder", "shared", "--episodes", "1")
    command("report", "run")
    command("map", "1-1")
    command("levels")
    command("rom")
    command("doctor")

    from warpzone.dashboard.server import serving

    with serving(Path()) as address:
        for page in ("/", "/api/runs", "/static/plotly.min.js"):
            with urllib.request.urlopen(address + page, timeout=60) as answer:
                assert answer.status == 200, page
    print("ran dashboard", flush=True)
    print("processes", os.getpid(), flush=True)


if __name__ == "__main__":
    main()
