"""Files on the disk: written whole or not at all, and read only where they are files.

Everything that warpzone writes for keeps goes through `write_atomically` or `replacing`, what grows
through `append_to` or `open_to_change`, every path that a user names for writing through
`check_output_path`, and everything that it reads, whoever wrote it, through `read_regular_file` or
`open_regular_file`. Nothing is written through a symbolic link in the place of a file: who made it
is not known. The module knows no format and no directory of warpzone.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from warpzone.errors import ConfigError, FileError

# How it is called while it is written, here and in versions before: `.NAME-RANDOM`, with ".part".
_LEFTOVER = re.compile(r"\.(?P<name>.+)-[0-9a-z_]{8}(\.part.*)?|\.(?P<old>.+)\.part")
_PART = 1 << 20
_PAUSES: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if os.name == "nt" else ()
"""Seconds between tries to replace a file that somebody has open."""
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISLNK, "a symbolic link"),
)


def read_regular_file(
    path: Path, limit: int, *, follow_symlinks: bool = True, within: Path | None = None
) -> bytes:
    """Returns the bytes of a regular file of at most `limit` bytes.

    Raises:
        OSError: see `open_regular_file`; `strerror` says what is wrong.
    """
    with open_regular_file(path, limit, follow_symlinks=follow_symlinks, within=within) as file:
        parts, size = [], 0
        while size <= limit and (part := file.read(min(_PART, limit + 1 - size))):
            parts.append(part)
            size += len(part)
    if size > limit:  # it has grown since it was opened
        raise _too_large(path, size, limit)
    return b"".join(parts)


def open_regular_file(
    path: Path,
    limit: int | None = None,
    *,
    follow_symlinks: bool = True,
    within: Path | None = None,
) -> BinaryIO:
    """Opens a regular file for reading, without ever waiting for somebody to write to it.

    Args:
        path: the file.
        limit: the most bytes that it may have; None: any number, for who reads it in parts.
        follow_symlinks: whether `path` itself may be a symbolic link.
        within: a folder out of which no link on the way may lead; None: it may lead anywhere.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it is a directory, a pipe, a device …, larger than `limit`, or not readable;
            `strerror` says which, in words that follow a colon.
    """
    if within is not None and _leads_out(path, within):
        raise OSError(errno.EPERM, f"a link leads out of {within.name!r}", str(path))
    flags = os.O_RDONLY
    # A pipe without a writer would be waited for, were it put there just before the opening.
    for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"):
        flags |= getattr(os, name, 0)
    if not follow_symlinks:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        # Devices are not even opened, which may already have an effect.
        _require_regular(os.stat(path, follow_symlinks=follow_symlinks), path)
        descriptor = os.open(path, flags)
    except ValueError as error:  # a zero byte, or what the system's encoding does not have
        raise OSError(errno.EINVAL, "no file can have that name", str(path)) from error
    try:
        found = os.fstat(descriptor)
        _require_regular(found, path)
        if limit is not None and found.st_size > limit:
            raise _too_large(path, found.st_size, limit)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _leads_out(path: Path, folder: Path) -> bool:
    real, inside = os.path.realpath(path), os.path.realpath(folder)
    return not Path(real).is_relative_to(inside)


def lines_of(file: BinaryIO, longest: int = 1 << 20) -> Iterator[bytes]:
    """Yields the lines of an open file, each with its end; one that is longer than `longest` bytes
    in parts, so that no file fills the memory."""
    while line := file.readline(longest):
        yield line


def append_to(path: Path) -> BinaryIO:
    """Opens a regular file to write at its end; it is made if it is missing.

    Raises:
        OSError: it is a symbolic link, a directory, a pipe …, or cannot be written; `strerror` says
            which, in words that follow a colon.
    """
    return _open_to_write(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, "ab")


def open_to_change(path: Path) -> BinaryIO:
    """Opens a regular file that is there to read and write anywhere in it.

    Raises:
        FileNotFoundError: there is none.
        OSError: see `append_to`.
    """
    return _open_to_write(path, os.O_RDWR, "r+b")


def require_no_link(path: Path) -> None:
    """Refuses a place that is to be written to or tidied up, and is a symbolic link to another.

    Raises:
        OSError: it is one; `strerror` says so.
    """
    if os.path.islink(path):
        raise OSError(errno.ELOOP, "it is a symbolic link; put what it leads to there", str(path))


def _open_to_write(path: Path, flags: int, mode: str) -> BinaryIO:
    require_no_link(path)
    with suppress(FileNotFoundError):
        _require_regular(os.stat(path, follow_symlinks=False), path)
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY", "O_NOINHERIT"):
        flags |= getattr(os, name, 0)  # should somebody be quicker than these checks
    descriptor = os.open(path, flags, 0o666)
    try:
        _require_regular(os.fstat(descriptor), path)
        return os.fdopen(descriptor, mode)  # type: ignore[return-value]  # of bytes, see `mode`
    except BaseException:
        os.close(descriptor)
        raise


def write_atomically(path: Path, data: bytes, *, durable: bool = True, mode: int = 0o666) -> None:
    """Writes a file that is whole or not there, also when the process or the machine stops.

    Args:
        path: the file; its directory is made if it is missing.
        data: all that is to be in it.
        durable: whether it is to be there after a power cut, too, which costs some milliseconds.
        mode: its permissions, of which the process's umask takes some away.

    Raises:
        FileError: the disk is full or the file cannot be written. What was there before is
            untouched.
    """
    try:
        make_directory(path.parent)
        with _replacing(path, durable, mode) as temporary, temporary.open("wb") as file:
            file.write(data)
    except (OSError, ValueError) as error:
        raise _unwritable(path, error, f" ({len(data) / 1e6:.1f} MB)") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields the name of an empty file to write to, which takes the place of `path` at the end.

    The name has the suffix of `path`. After an exception, which passes through, the file is
    removed, and `path` is as before.

    Raises:
        FileError: the directory is missing or cannot be written, or the disk is full.
    """
    passing = False
    try:
        with _replacing(path, durable=True, mode=0o666) as temporary:
            try:
                yield temporary
            except BaseException:
                passing = True
                raise
    except (OSError, ValueError) as error:
        if passing:
            raise
        raise _unwritable(path, error) from error


def by_number(path: Path | str) -> list[str | int]:
    """Returns what sorts files by the numbers in their names, however many digits these have.

    `step-1000000.ckpt` comes after `step-999999.ckpt`, which it does not as text.

    Args:
        path: of which only the last part counts, or a name.
    """
    # Texts and numbers take turns, so that like is compared with like.
    parts = re.split(r"([0-9]+)", os.path.basename(path))
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def make_directory(path: Path) -> None:
    """Makes a directory and those above it; where one cannot be made, none of them stays.

    Raises:
        OSError: it cannot be made.
    """
    missing = []
    above = path
    try:
        while not above.exists():
            missing.append(above)
            above = above.parent
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    except ValueError as error:  # a zero byte, or what the system's encoding does not have
        raise OSError(errno.EINVAL, "no directory can have that name", str(path)) from error
    except OSError:
        for folder in missing:
            with suppress(OSError):  # it is not there, or somebody uses it by now
                folder.rmdir()
        raise


def is_leftover(name: str) -> bool:
    """Returns whether a file of that name is what a writer that was killed has left behind."""
    return _LEFTOVER.fullmatch(name) is not None


def remove_leftovers(directory: Path, names: Sequence[str] | None = None) -> None:
    """Removes what writers that were killed have left behind in `directory`.

    Only for who alone writes there: what somebody is writing at that moment is removed as well.

    Args:
        directory: one that may be missing.
        names: of the files that were to be written; None: of any.
    """
    with suppress(OSError):
        for found in directory.iterdir():
            match = _LEFTOVER.fullmatch(found.name)
            if match is None:
                continue
            name = match["name"] or match["old"]
            if names is None or any(known.startswith(name) for known in names):
                with suppress(OSError):
                    found.unlink()


def check_output_path(path: Path, what: str, suffixes: Sequence[str] = ()) -> Path:
    """Returns `path` if a file can be written there; to be called before minutes are spent on it.

    Args:
        path: a file that is there already will be replaced.
        what: is to be written, for the message: "a film".
        suffixes: lower-case endings of which the name must have one; none: any will do.

    Raises:
        ConfigError: another suffix, a missing folder or one that cannot be written, a name that
            is no file's or that the system does not take.
    """
    if suffixes and path.suffix.lower() not in suffixes:
        example = f"{path.stem[:40] or 'file'}{suffixes[0]}"
        raise ConfigError(
            f"cannot write {what} to {str(path)!r}: the name must end in {' or '.join(suffixes)},"
            f" for example {example!r}"
        )
    problem = None
    try:
        folder = path.parent
        if not _is_there(folder):
            problem = f"there is no folder {str(folder)!r}; make it first"
        elif not stat.S_ISDIR(folder.stat().st_mode):
            problem = f"{str(folder)!r} is not a folder"
        elif not os.access(folder, os.W_OK | os.X_OK):
            problem = f"the folder {str(folder)!r} may not be written"
        elif _is_there(path):
            _require_regular(path.stat(), path)
    except OSError as error:
        problem = error.strerror or str(error)
    except ValueError:
        problem = "no file can have that name"
    if problem is not None:
        raise ConfigError(f"cannot write {what} to {str(path)!r}: {problem}")
    return path


@contextmanager
def _replacing(path: Path, durable: bool, mode: int) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        # Replacing /dev/null, or a pipe that somebody reads, is never meant.
        _require_regular(path.stat(), path)
    # Short, since the whole name may be as long as names can be.
    name = f".{path.name[:40]}-{secrets.token_hex(4)}.part{path.suffix[:16]}"
    temporary = path.with_name(name)
    # Made like any other file, so that the umask holds, which cannot be asked for without
    # changing it for all threads.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    descriptor = os.open(temporary, flags, mode)
    try:
        os.close(descriptor)  # which may fail as well, where others keep the disk
        yield temporary
        if durable:
            _sync(temporary, os.O_RDWR)
        _replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if durable and os.name == "posix":
        # The new name outlives a power cut only once its directory is on the disk. Where a file
        # system does not do that for directories, the file itself is written all the same.
        with suppress(OSError):
            _sync(path.parent, os.O_RDONLY)


def _replace(temporary: Path, path: Path) -> None:
    """Windows refuses it while somebody has the old file open, as a reader has for a moment."""
    for pause in _PAUSES:
        with suppress(PermissionError):
            temporary.replace(path)
            return
        time.sleep(pause)
    temporary.replace(path)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_there(path: Path) -> bool:
    """Whether there is something of that name; unlike `Path.exists`, one that may not be looked
    at raises OSError."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _require_regular(found: os.stat_result, path: Path) -> None:
    if stat.S_ISREG(found.st_mode):
        return
    kind = next((name for test, name in _KINDS if test(found.st_mode)), "a device")
    number = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
    raise OSError(number, f"it is {kind}, not a file", str(path))


def _too_large(path: Path, size: int, limit: int) -> OSError:
    return OSError(
        errno.EFBIG,
        f"it has {size / 1e6:,.1f} MB, and such a file has at most {limit / 1e6:,.1f} MB",
        str(path),
    )


def _unwritable(path: Path, error: Exception, size: str = "") -> FileError:
    number = error.errno if isinstance(error, OSError) else None
    reason = getattr(error, "strerror", None) or str(error)
    return FileError(
        f"cannot write {str(path)!r}{size}: {reason}. Make room or choose another place; what was"
        " saved before is untouched",
        number,
        reason,
    )
