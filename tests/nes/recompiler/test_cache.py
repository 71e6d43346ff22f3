"""Translated cartridges on disk: whole and this user's own, or not used."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warpzone import _native
from warpzone.errors import FileError
from warpzone.nes.recompiler import cache
from warpzone.nes.recompiler.cache import Entry, Unusable

PROGRAM = bytes(range(256)) * 128
OTHER = PROGRAM[1:] + b"\0"
ENTRY = Entry(b"\x7fELF object code\n\0\xff" * 9, frozenset({0x8000, 0xFFF0}), 12, 3, 4.5)

pytestmark = pytest.mark.usefixtures("cache_directory")


def seal(content: bytes) -> bytes:
    """With the right checksum, whatever it says."""
    return cache.MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def test_what_is_written_can_be_read(cache_directory: Path) -> None:
    assert cache.read(PROGRAM) is None
    cache.write(PROGRAM, ENTRY)
    assert cache.read(PROGRAM) == ENTRY
    assert cache.read(OTHER) is None
    assert [path.suffix for path in cache_directory.iterdir()] == [".code"]
    if os.name == "posix":
        assert stat.S_IMODE(cache.path_of(PROGRAM).stat().st_mode) == 0o600


def test_pack_and_unpack() -> None:
    assert cache.unpack(PROGRAM, cache.pack(PROGRAM, ENTRY)) == ENTRY


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_changed_byte_is_noticed_anywhere(data: st.DataObject) -> None:
    good = cache.pack(PROGRAM, ENTRY)
    at = data.draw(st.integers(0, len(good) - 1))
    flip = data.draw(st.integers(1, 255))
    with pytest.raises(Unusable):
        cache.unpack(PROGRAM, good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :])


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_piece_missing_or_too_much_is_noticed(data: st.DataObject) -> None:
    good = cache.pack(PROGRAM, ENTRY)
    begin = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(begin, len(good)))
    inserted = data.draw(st.binary(max_size=8))
    damaged = good[:begin] + inserted + good[end:]
    if damaged != good:
        with pytest.raises(Unusable):
            cache.unpack(PROGRAM, damaged)


@settings(deadline=None, max_examples=200)
@given(noise=st.binary(max_size=200), how=st.sampled_from(["as is", "magic", "sealed"]))
def test_noise_is_never_an_entry(noise: bytes, how: str) -> None:
    data = {"as is": noise, "magic": cache.MAGIC + noise, "sealed": seal(noise)}[how]
    with pytest.raises(Unusable):
        cache.unpack(PROGRAM, data)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@settings(deadline=None, max_examples=200)
@given(
    field=st.sampled_from(["key", "wanted", "instructions", "regions", "seconds", None]),
    value=values,
)
def test_facts_that_make_no_sense(field: str | None, value: Any) -> None:
    good = cache.pack(PROGRAM, ENTRY)
    head, _, code = good[len(cache.MAGIC) + 65 :].partition(b"\n")
    facts = json.loads(head)
    if field is None:
        facts = value
    else:
        facts[field] = value
    try:
        entry = cache.unpack(PROGRAM, seal(json.dumps(facts).encode() + b"\n" + code))
    except Unusable:
        return
    assert field not in (None, "key")
    assert entry.object_code == ENTRY.object_code
    assert all(type(address) is int for address in entry.wanted)


def test_another_programs_entry_is_foreign() -> None:
    with pytest.raises(Unusable, match="another program, version or processor"):
        cache.unpack(OTHER, cache.pack(PROGRAM, ENTRY))
    cache.write(PROGRAM, ENTRY)
    os.replace(cache.path_of(PROGRAM), cache.path_of(OTHER))
    with pytest.raises(Unusable, match="another program, version or processor"):
        cache.read(OTHER)


@pytest.mark.parametrize(
    "what", ["sources", "llvmlite", "cpu name", "cpu features", "triple", "machine"]
)
def test_another_environment_has_another_key(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache.key_of(PROGRAM)
    data = cache.pack(PROGRAM, ENTRY)
    features = llvm.get_host_cpu_features()
    features["avx99"] = True
    changes: dict[str, tuple[Any, str, Any]] = {
        "sources": (Path, "read_bytes", lambda path: b"changed"),
        "llvmlite": (llvmlite, "__version__", "0.0"),
        "cpu name": (llvm, "get_host_cpu_name", lambda: "another"),
        "cpu features": (llvm, "get_host_cpu_features", lambda: features),
        "triple": (llvm, "get_default_triple", lambda: "another-pc-linux"),
        "machine": (_native, "MACHINE", {"state": {}}),
    }
    monkeypatch.setattr(*changes[what])
    cache._environment.cache_clear()
    try:
        assert cache.key_of(PROGRAM) != before
        with pytest.raises(Unusable, match="another program, version or processor"):
            cache.unpack(PROGRAM, data)
    finally:
        monkeypatch.undo()
        cache._environment.cache_clear()


@pytest.mark.skipif(os.name != "posix", reason="other systems tell by other means")
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write(mode: int) -> None:
    cache.write(PROGRAM, ENTRY)
    cache.path_of(PROGRAM).chmod(mode)
    with pytest.raises(Unusable, match="can be written by others"):
        cache.read(PROGRAM)


@pytest.mark.skipif(os.name != "posix", reason="other systems tell by other means")
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.timeout(20)
def test_what_is_no_file_is_not_waited_for(cache_directory: Path) -> None:
    cache_directory.mkdir(parents=True)
    os.mkfifo(cache.path_of(PROGRAM))
    os.mkfifo(cache.wanted_path(PROGRAM))
    with pytest.raises(cache.Unusable, match="a pipe"):
        cache.read(PROGRAM)
    assert cache.read_wanted(PROGRAM) == frozenset()


def test_a_file_far_too_large_is_not_read() -> None:
    cache.write(PROGRAM, ENTRY)
    with cache.path_of(PROGRAM).open("r+b") as file:
        file.truncate(20 << 30)  # a hole, which takes no room
    with pytest.raises(cache.Unusable, match="cannot be read"):
        cache.read(PROGRAM)


def test_a_file_of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.write(PROGRAM, ENTRY)
    another = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: another)
    with pytest.raises(Unusable, match="can be written by others"):
        cache.read(PROGRAM)


def test_what_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.path_of(PROGRAM).mkdir(parents=True)
    with pytest.raises(Unusable, match="cannot be read"):
        cache.read(PROGRAM)
    with pytest.raises(FileError, match=str(cache.path_of(PROGRAM).name)):
        cache.write(PROGRAM, ENTRY)

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    cache.write(OTHER, ENTRY)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(Unusable, match="Permission denied"):
        cache.read(OTHER)


@pytest.mark.parametrize("failing", ["replace", "fsync", "open"])
def test_a_full_disk_leaves_what_was_there(
    failing: str, cache_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write(PROGRAM, ENTRY)

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, failing, full)
    for program in (PROGRAM, OTHER):
        with pytest.raises(FileError, match="No space left"):
            cache.write(program, Entry(b"new", frozenset(), 1, 1, 1.0))
    with pytest.raises(FileError, match="No space left"):
        cache.add_wanted(PROGRAM, {0x9000})
    monkeypatch.undo()
    assert [path.suffix for path in cache_directory.iterdir()] == [".code"], "something is left"
    assert (cache_directory / cache.path_of(PROGRAM).name).exists()


def test_old_files_go(cache_directory: Path) -> None:
    programs = [bytes([i]) * 0x8000 for i in range(cache.KEPT_FILES + 3)]
    for age, program in enumerate(programs):
        cache.write(program, ENTRY)
        os.utime(cache.path_of(program), (age, age))
    last = bytes([200]) * 0x8000
    cache.write(last, ENTRY)
    left = [program for program in (*programs, last) if cache.read(program) is not None]
    assert left == [*programs[-(cache.KEPT_FILES - 1) :], last]


def test_old_locks_without_a_translation_go(cache_directory: Path) -> None:
    cache.write(PROGRAM, ENTRY)
    beside = cache.path_of(PROGRAM).with_suffix(".lock")
    old, new = cache_directory / "old.lock", cache_directory / "new.lock"
    for lock in (beside, old, new):
        lock.touch()
    for lock in (beside, old):
        os.utime(lock, (0, 0))
    cache.write(OTHER, ENTRY)
    assert beside.exists()
    assert new.exists()
    assert not old.exists()


def test_what_is_used_stays(cache_directory: Path) -> None:
    programs = [bytes([i]) * 0x8000 for i in range(cache.KEPT_FILES)]
    for age, program in enumerate(programs):
        cache.write(program, ENTRY)
        os.utime(cache.path_of(program), (age, age))
    assert cache.read(programs[0]) is not None
    cache.write(bytes([200]) * 0x8000, ENTRY)
    assert cache.path_of(programs[0]).exists()
    assert not cache.path_of(programs[1]).exists()


def test_wanted_addresses_add_up() -> None:
    assert cache.read_wanted(PROGRAM) == frozenset()
    cache.add_wanted(PROGRAM, {0x9000, 0x8000})
    cache.add_wanted(PROGRAM, {0xA000})
    cache.add_wanted(PROGRAM, ())
    assert cache.read_wanted(PROGRAM) == {0x8000, 0x9000, 0xA000}
    assert cache.read_wanted(OTHER) == frozenset()


@settings(deadline=None, max_examples=200)
@given(damage=st.one_of(st.binary(max_size=60), values.map(lambda v: json.dumps(v).encode())))
def test_damaged_wanted_addresses_are_no_error(damage: bytes) -> None:
    cache.directory().mkdir(parents=True, exist_ok=True)
    cache.wanted_path(PROGRAM).write_bytes(damage)
    assert all(0 <= place <= cache.MOST_PLACES for place in cache.read_wanted(PROGRAM))


@pytest.mark.parametrize(
    "damage", ["[Infinity]", "[1e999]", "[NaN]", pytest.param("[" * 100_000, id="[[["), "5", "[[]]"]
)
def test_odd_numbers_among_wanted_addresses(damage: str) -> None:
    cache.directory().mkdir(parents=True, exist_ok=True)
    cache.wanted_path(PROGRAM).write_text(damage)
    assert cache.read_wanted(PROGRAM) == frozenset()
    cache.add_wanted(PROGRAM, {0x8123})
    assert cache.read_wanted(PROGRAM) == {0x8123}
