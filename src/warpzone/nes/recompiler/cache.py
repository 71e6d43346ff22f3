"""Translated cartridges on disk.

A file holds a checksum, a line of JSON and the object code. Its name is made of a fingerprint of
the program and its board (`flow.identity_of`) and of everything else that the code depends on: this
package, the native core, LLVM, the processor. Because object code is run, a file counts only if it
is whole and nobody but this user can have written it; any other is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
import platformdirs

from warpzone import _native
from warpzone.files import open_regular_file, read_regular_file, write_atomically

MAGIC = b"warpzone compiled cartridge 1\n"
KEPT_FILES = 32
"""Those used last: over three times as many as the cartridges that are known by name need."""
OLD_LOCK = 3600
"""Seconds after which a lock without a translation beside it goes: none takes so long."""
MOST_BYTES = 64 << 20
"""Of a file: twenty times what the largest program of 32 KB needs."""
MOST_PLACES = 0xFFFFFF
"""An address and a bank of 8 KB: there are up to 256 of these."""
ONLY_THIS_USER = 0o600
SENSELESS = (ValueError, KeyError, TypeError, OverflowError, RecursionError)
"""What reading JSON that is not as it was written can raise."""


@dataclass(frozen=True)
class Entry:
    """What a file holds."""

    object_code: bytes
    wanted: frozenset[int]
    """The places that were asked for when it was made."""
    instructions: int
    regions: int
    seconds: float


class Unusable(Exception):
    """A file is there and cannot be used; the text says why."""


def directory() -> Path:
    """Where the files are."""
    return Path(platformdirs.user_cache_dir("warpzone")) / "engine"


@cache
def _environment() -> str:
    """What compiled code depends on beside the program."""
    sources = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        sources.update(path.read_bytes())
    facts = {
        "sources": sources.hexdigest(),
        "machine": repr(_native.MACHINE),
        "llvm": [llvmlite.__version__, *llvm.llvm_version_info],
        "cpu": llvm.get_host_cpu_name(),
        "features": llvm.get_host_cpu_features().flatten(),
        "triple": llvm.get_default_triple(),
    }
    return json.dumps(facts, sort_keys=True)


def key_of(program: bytes) -> str:
    """The name of a program's file, without its ending."""
    environment = hashlib.sha256(_environment().encode()).hexdigest()
    return f"{hashlib.sha256(program).hexdigest()[:16]}-{environment[:16]}"


def path_of(program: bytes) -> Path:
    return directory() / f"{key_of(program)}.code"


def read(program: bytes) -> Entry | None:
    """The translation of a program, None if there is none.

    Raises:
        Unusable: there is a file that must not be used.
    """
    path = path_of(program)
    try:
        with open_regular_file(path, MOST_BYTES) as file:
            status = os.fstat(file.fileno())
            # Whoever else can write there shall not even choose what is read.
            if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
                raise Unusable(f"{path} can be written by others than this user")
            data = file.read(MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror or error}") from None
    with contextlib.suppress(OSError):
        os.utime(path)  # what is used stays longest
    try:
        return unpack(program, data)
    except Unusable as error:
        raise Unusable(f"{path}: {error}") from None


def write(program: bytes, entry: Entry) -> None:
    """Keeps a translation; raises FileError when the disk does not take it."""
    write_atomically(path_of(program), pack(program, entry), mode=ONLY_THIS_USER)
    for old in sorted(directory().glob("*.code"), key=_time_used)[:-KEPT_FILES]:
        old.unlink(missing_ok=True)
    # Who waits at a lock that goes translates as well, which costs time and nothing else.
    for lock in directory().glob("*.lock"):
        if not lock.with_suffix(".code").exists() and _time_used(lock) < time.time() - OLD_LOCK:
            lock.unlink(missing_ok=True)


def _time_used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process has just tidied up
        return 0.0


def pack(program: bytes, entry: Entry) -> bytes:
    """What a file holds."""
    facts = {
        "key": key_of(program),
        "wanted": sorted(entry.wanted),
        "instructions": entry.instructions,
        "regions": entry.regions,
        "seconds": round(entry.seconds, 1),
    }
    content = json.dumps(facts).encode() + b"\n" + entry.object_code
    return MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def unpack(program: bytes, data: bytes) -> Entry:
    """Reads what `pack` has made for this program on such a computer.

    Raises:
        Unusable: it is something else, or damaged.
    """
    if not data.startswith(MAGIC):
        raise Unusable("not a compiled cartridge, or of another format")
    checksum, _, content = data[len(MAGIC) :].partition(b"\n")
    if checksum != hashlib.sha256(content).hexdigest().encode():
        raise Unusable("damaged: its checksum is wrong")
    head, _, object_code = content.partition(b"\n")
    try:
        facts = json.loads(head)
        if facts["key"] != key_of(program):
            raise Unusable("made for another program, version or processor")
        return Entry(
            object_code,
            frozenset(map(int, facts["wanted"])),
            int(facts["instructions"]),
            int(facts["regions"]),
            float(facts["seconds"]),
        )
    except SENSELESS:
        raise Unusable("damaged: what it says about itself makes no sense") from None


def wanted_path(program: bytes) -> Path:
    return directory() / f"{hashlib.sha256(program).hexdigest()[:16]}.wanted.json"


def read_wanted(program: bytes) -> frozenset[int]:
    """Places that running has shown to be code and that no start led to."""
    try:
        places = json.loads(read_regular_file(wanted_path(program), MOST_BYTES))
        return frozenset(int(place) & MOST_PLACES for place in places)
    except (OSError, *SENSELESS):
        return frozenset()  # worth a little speed, not an error


def add_wanted(program: bytes, places: Iterable[int]) -> None:
    """Remembers such places for the next translation; raises FileError."""
    known = read_wanted(program)
    both = known | frozenset(places)
    if both != known:
        places_known = json.dumps(sorted(both)).encode()
        write_atomically(wanted_path(program), places_known, mode=ONLY_THIS_USER)
