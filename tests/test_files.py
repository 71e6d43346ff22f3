"""Files: whole or not there, and only what is a file is read."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from warpzone.errors import ConfigError, FileError
from warpzone.files import (
    check_output_path,
    is_leftover,
    make_directory,
    open_regular_file,
    read_regular_file,
    remove_leftovers,
    replacing,
    write_atomically,
)

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs files of POSIX")
NOT_ROOT = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write everywhere"
)
LONG = "x" * 256


def refuse(
    monkeypatch: pytest.MonkeyPatch, name: str, when: Callable[[int], bool], number: int
) -> None:
    """Lets a function of `os` fail for the descriptors for which `when` holds."""
    real = getattr(os, name)

    def refusing(descriptor: int) -> None:
        if when(descriptor):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, name, refusing)


def is_directory(descriptor: int) -> bool:
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


# Writing


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    for data in (b"one", b"another"):
        write_atomically(path, data)
        assert path.read_bytes() == data
    assert [*path.parent.iterdir()] == [path]


@POSIX
def test_a_file_is_written_where_only_its_directory_cannot_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    refuse(monkeypatch, "fsync", is_directory, errno.EINVAL)
    write_atomically(path, b"all of it")
    assert path.read_bytes() == b"all of it"


def test_a_disk_that_fails_when_it_is_synced_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    refuse(monkeypatch, "fsync", lambda descriptor: not is_directory(descriptor), errno.EIO)
    with pytest.raises(FileError, match=os.strerror(errno.EIO)) as caught:
        write_atomically(path, b"new")
    assert caught.value.errno == errno.EIO
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


@POSIX
def test_a_disk_that_is_full_half_way_keeps_what_was_there(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from warpzone.files import write_atomically\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "write_atomically(Path(sys.argv[1]), bytes(20_000))\n"
    )
    path = tmp_path / "file"
    path.write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )
    assert "FileError: cannot write" in done.stderr
    assert "File too large" in done.stderr
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


@POSIX
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_users_umask_holds(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "file", b"")
        with replacing(tmp_path / "film.mp4") as temporary:
            temporary.write_bytes(b"")
    finally:
        os.umask(before)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == mode


@POSIX
def test_nobody_asks_for_the_umask_by_changing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("changed for all threads"))
    write_atomically(tmp_path / "file", b"", mode=0o600)
    with replacing(tmp_path / "film.mp4") as temporary:
        temporary.write_bytes(b"")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


@POSIX
@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "x" * 244 + ".safetensor"])
def test_the_longest_names_are_written(tmp_path: Path, name: str) -> None:
    write_atomically(tmp_path / name, b"all")
    assert (tmp_path / name).read_bytes() == b"all"


@POSIX
def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(FileError, match=r"it is a .+, not a file"):
            write_atomically(tmp_path / name, b"")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert len([*tmp_path.iterdir()]) == 2


def test_an_exception_passes_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"old")

    def film() -> None:
        with replacing(path) as temporary:
            assert temporary.suffix == ".mp4"
            temporary.write_bytes(b"half")
            raise ConnectionError("far away")

    with pytest.raises(ConnectionError, match="far away"):
        film()
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("name", [LONG, "nothing\0else"])
def test_impossible_names_are_one_message(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match="cannot write"):
        write_atomically(tmp_path / name, b"")
    with pytest.raises(FileError, match="cannot write"), replacing(tmp_path / name):
        pass
    with pytest.raises(ConfigError, match="cannot write a film to"):
        check_output_path(tmp_path / name, "a film")
    with pytest.raises(OSError, match="name"):
        read_regular_file(tmp_path / name, 10)
    assert [*tmp_path.iterdir()] == []


def test_a_directory_that_cannot_be_made_leaves_none_above_it(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(OSError, match="name"):
        make_directory(tmp_path / "there" / "new" / "newer" / LONG)
    assert [*tmp_path.rglob("*")] == [tmp_path / "there"]
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError):
            make_directory(path)
    make_directory(tmp_path / "there" / "new" / "newer")
    assert (tmp_path / "there" / "new" / "newer").is_dir()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clip.avi", "must end in .mp4 or .gif, for example 'clip.mp4'"),
        ("folder.mp4", "it is a folder, not a file"),
        ("none/clip.mp4", "there is no folder .*none.*; make it first"),
        ("file/clip.mp4", "is not a folder"),
    ],
)
def test_where_nothing_can_be_written_is_told_before(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match=message):
        check_output_path(tmp_path / name, "a film", (".mp4", ".gif"))


def test_where_something_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "there.mp4").write_bytes(b"")
    for name in ("there.mp4", "new.MP4"):
        path = tmp_path / name
        assert check_output_path(path, "a film", (".mp4",)) == path


@NOT_ROOT
def test_folders_that_may_not_be_looked_into_are_one_message(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "folder").mkdir(parents=True)
    closed.chmod(0)
    try:
        for path in (closed / "file", closed / "folder" / "file"):
            with pytest.raises(ConfigError, match="cannot write a film to"):
                check_output_path(path, "a film")
            with pytest.raises(FileError, match="Permission denied"):
                write_atomically(path, b"")
            with pytest.raises(PermissionError):
                read_regular_file(path, 10)
    finally:
        closed.chmod(0o700)


# What killed writers leave


@POSIX
def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from warpzone.files import write_atomically\n"
        "os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomically(Path(sys.argv[1]), bytes(1_000))\n"
    )
    names = ["step-000000000512.ckpt", "agent.safetensors", "x" * 250]
    for name in names:
        done = subprocess.run([sys.executable, "-c", program, str(tmp_path / name)], check=False)
        assert done.returncode == -9
    assert len([*tmp_path.iterdir()]) == len(names)
    # As versions before called them.
    (tmp_path / ".step-000000001024.ckpt-a_3xk0q9").write_bytes(b"")
    (tmp_path / ".000000512-003.json.part").write_bytes(b"")
    kept = [".gitignore", ".hidden-file", "step-000000000512.ckpt", "film-part.mp4", ".a.json"]
    for name in kept:
        (tmp_path / name).write_bytes(b"")
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(kept)


def test_only_leftovers_of_the_files_named_are_removed(tmp_path: Path) -> None:
    ours, theirs = ".status.json-0123abcd.part.json", ".report.html-0123abcd.part.html"
    for name in (ours, theirs):
        (tmp_path / name).write_bytes(b"")
    remove_leftovers(tmp_path, ["config.json", "status.json"])
    assert [path.name for path in tmp_path.iterdir()] == [theirs]
    remove_leftovers(tmp_path / "none")


# Reading


def test_files_are_read_up_to_their_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_regular_file(path, 5) == b"12345"
    with open_regular_file(path) as file:
        file.seek(3)
        assert file.read() == b"45"
    with pytest.raises(OSError, match="at most") as caught:
        read_regular_file(path, 4)
    assert caught.value.errno == errno.EFBIG
    with pytest.raises(FileNotFoundError):
        read_regular_file(tmp_path / "none", 5)


def test_a_file_that_grows_is_bounded_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    real = os.fdopen

    def growing(descriptor: int, mode: str) -> object:
        path.write_bytes(bytes(100))
        return real(descriptor, mode)

    monkeypatch.setattr(os, "fdopen", growing)
    with pytest.raises(OSError, match="at most"):
        read_regular_file(path, 10)


@pytest.mark.parametrize("limit", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_limits_around_the_parts_that_are_read(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(limit))
    assert len(read_regular_file(path, limit)) == limit
    path.write_bytes(bytes(limit + 1))
    with pytest.raises(OSError, match="at most"):
        read_regular_file(path, limit)


@POSIX
@pytest.mark.timeout(20)
def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket"))
        for path, kind in (
            (tmp_path / "pipe", "a pipe"),
            (tmp_path / "link", "a pipe"),
            (tmp_path / "folder", "a folder"),
            (tmp_path / "socket", "a socket"),
            (Path("/dev/zero"), "a device"),
        ):
            with pytest.raises(OSError, match=f"it is {kind}, not a file"):
                open_regular_file(path)


@POSIX
@pytest.mark.timeout(20)
def test_a_pipe_that_takes_the_files_place_just_then_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    real = os.open

    def swapping(name: Path, flags: int) -> int:
        path.unlink()
        os.mkfifo(path)
        return real(name, flags)

    monkeypatch.setattr(os, "open", swapping)
    with pytest.raises(OSError, match="it is a pipe"):
        open_regular_file(path)


@POSIX
def test_links_are_followed_unless_it_is_asked_otherwise(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "link").symlink_to("file")
    assert read_regular_file(tmp_path / "link", 5) == b"1"
    with pytest.raises(OSError, match="link"):
        read_regular_file(tmp_path / "link", 5, follow_symlinks=False)


def test_a_file_that_cannot_even_be_closed_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As closing fails where a file system keeps what is written for later, or is full."""
    real = os.close

    def failing(descriptor: int) -> None:
        real(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "close", failing)
    with pytest.raises(FileError, match="Input/output error"):
        write_atomically(tmp_path / "file", b"new")
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_what_killed_writers_leave_is_known_by_its_name(tmp_path: Path) -> None:
    with replacing(tmp_path / "config.json") as temporary:
        assert is_leftover(temporary.name)
    assert not is_leftover("config.json")
    assert not is_leftover(".lock.json")
