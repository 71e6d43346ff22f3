"""A Python in which every way to another machine is closed, and what was tried is written down.

As `sitecustomize` of a process (see `environment`) it holds in every process that this one starts
with Python, too. Connections, look-ups of names and datagrams raise PermissionError unless they are
to this machine itself; so do they from libraries, since Python tells its hooks of all its sockets.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

VARIABLE = "WARPZONE_TRIED_NETWORK"
"""Names the file that what was tried is written to."""

GUARD = """
import os, sys

def _here(address):
    if not isinstance(address, tuple):
        return True  # a path, as of a Unix socket
    host = address[0]
    return host in ("", None, "localhost", "::1", "0.0.0.0") or str(host).startswith("127.")

def _guard(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1] if len(arguments) > 1 else None
        if address is None or _here(address):
            return
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        address = arguments[0]
        host = address.decode() if isinstance(address, bytes) else address
        if _here((host,)):
            return
    else:
        return
    with open(os.environ[%r], "a") as file:
        file.write(f"{event} {address} by {sys.argv}\\n")
    raise PermissionError(f"no network here: {event} {address}")

sys.addaudithook(_guard)
"""


def environment(folder: Path) -> dict[str, str]:
    """Returns the environment of a process that may reach nothing.

    Args:
        folder: an empty one, for the guard and what it writes: `tried`.
    """
    (folder / "guard").mkdir(parents=True)
    (folder / "guard" / "sitecustomize.py").write_text(GUARD % VARIABLE, encoding="utf-8")
    before = os.environ.get("PYTHONPATH")
    path = os.pathsep.join(filter(None, [str(folder / "guard"), before]))
    return {**os.environ, "PYTHONPATH": path, VARIABLE: str(folder / "tried")}


def tried(folder: Path) -> list[str]:
    """Returns what was tried, a line each."""
    file = folder / "tried"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def namespace() -> list[str]:
    """Returns what stands before a command that is to run where there is no network at all; nothing
    where the system does not permit that."""
    unshare = shutil.which("unshare")
    if sys.platform != "linux" or unshare is None:
        return []
    for command in ([unshare, "--net"], [unshare, "--map-root-user", "--net"]):
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return []
