"""Other projects to be measured beside ours, each in a virtual environment of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

INSTALL_SECONDS = 1800


class PeerError(Exception):
    """A peer cannot be installed or does not run; the text says why, in one line."""


@dataclass(frozen=True)
class Peer:
    """A project and the packages that it is measured with."""

    name: str
    requirements: tuple[str, ...]


STABLE_RETRO = Peer("stable-retro", ("stable-retro==1.0.1", "opencv-python-headless>=4.10"))
GYM_SUPER_MARIO_BROS = Peer(
    "gym-super-mario-bros",
    (
        "gym-super-mario-bros==7.4.0",
        "nes-py==8.2.1",
        "gym==0.26.2",
        "numpy<2",
        "opencv-python-headless<4.11",
    ),
)
ALE = Peer("ale", ("ale-py==0.12.1", "gymnasium>=1.1", "opencv-python-headless>=4.10"))
# The last release that carries its games itself, not in packages of several hundred megabytes.
ENVPOOL = Peer("envpool", ("envpool==1.2.0",))


def install(peer: Peer, folder: Path, python: str, say: Callable[[str], None]) -> Path:
    """Return the Python that has `peer`; install it below `folder` where it is not there yet.

    Raises:
        PeerError: it cannot be installed.
    """
    home = folder / peer.name
    executable = home / ("Scripts/python.exe" if (home / "Scripts").is_dir() else "bin/python")
    mark = home / "installed.json"
    wanted = json.dumps({"python": python, "requirements": peer.requirements})
    if mark.is_file() and mark.read_text() == wanted and executable.exists():
        return executable
    say(f"installing {peer.name} into {home}")
    try:
        shutil.rmtree(home, ignore_errors=True)
        home.parent.mkdir(parents=True, exist_ok=True)
        _run([python, "-m", "venv", str(home)])
        scripts = home / "Scripts"
        executable = scripts / "python.exe" if scripts.is_dir() else home / "bin/python"
        pip = [str(executable), "-m", "pip", "--disable-pip-version-check", "--quiet"]
        _run([*pip, "install", *peer.requirements])
        mark.write_text(wanted)
    except OSError as error:
        raise PeerError(f"cannot be installed: {error}") from error
    return executable


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"cannot be installed: still busy after {error.timeout:.0f} s") from error
    if done.returncode != 0:
        raise PeerError(f"cannot be installed: {reason(done.stderr or done.stdout)}")


def reason(output: str) -> str:
    """The line of a failed program's output that most likely says why."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["it said nothing"])[-1]
