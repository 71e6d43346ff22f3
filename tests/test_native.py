"""The rooms of the native core: who may include whom, and how long a file may be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from warpzone.smb import memory, tile_layout

NATIVE = Path(__file__).resolve().parents[1] / "native"
MAY_INCLUDE = {
    "simd": {"simd"},
    "random": {"random"},
    "nes": {"nes", "simd"},
    "smb": {"smb", "nes", "random"},
    "batch": {"batch", "nes", "random", "simd"},
    "linear": {"linear", "simd"},
    "learn": {"learn", "batch", "simd"},
    "bindings": {"bindings", "batch", "learn", "linear", "smb", "nes", "simd"},
}
"""What a room may know of. A batch knows games by a trait (native/batch/game.h), not by name."""

FORBIDDEN_HEADERS = {
    "nes": {"thread", "mutex", "condition_variable", "future", "fstream", "iostream", "filesystem"},
    "smb": {"thread", "condition_variable", "future", "fstream", "iostream", "filesystem"},
    "batch": {"fstream", "iostream", "filesystem"},
    "linear": {"thread", "mutex", "fstream", "iostream", "filesystem"},
    "learn": {"thread", "mutex", "fstream", "iostream", "filesystem"},
}
"""The console and the game start no threads and read no files; only a batch has threads."""

MOST_LINES = 500
FILES = sorted(
    path for room in MAY_INCLUDE for path in (NATIVE / room).rglob("*") if path.is_file()
)


def names(path: Path) -> str:
    return path.relative_to(NATIVE).as_posix()


def test_every_room_is_known() -> None:
    rooms = {path.name for path in NATIVE.iterdir() if path.is_dir()}
    assert rooms == {*MAY_INCLUDE, "tests", "fuzz", "player"}


@pytest.mark.parametrize("path", FILES, ids=names)
def test_includes_lead_one_way(path: Path) -> None:
    room, text = path.relative_to(NATIVE).parts[0], path.read_text()
    own = re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.MULTILINE)
    for name in own:
        assert (NATIVE / name).is_file(), f"{name} is not written as a path from native/"
    assert {name.partition("/")[0] for name in own} <= MAY_INCLUDE[room]
    standard = set(re.findall(r"^\s*#\s*include\s+<([^>]+)>", text, re.MULTILINE))
    assert not standard & FORBIDDEN_HEADERS.get(room, set())
    assert room == "bindings" or not any(name.startswith("nanobind") for name in standard)


@pytest.mark.parametrize("room", ["nes", "batch"])
def test_rooms_below_the_game_do_not_name_it(room: str) -> None:
    for path in (NATIVE / room).rglob("*"):
        assert not re.search(r"\bsmb\b|Mario", path.read_text()), names(path)


@pytest.mark.parametrize("path", sorted(NATIVE.rglob("*.*")), ids=names)
def test_long_files_say_why(path: Path) -> None:
    lines = path.read_text().splitlines()
    header = "\n".join(line for line in lines[:20] if line.startswith("//"))
    assert len(lines) <= MOST_LINES or "One file because" in header


def test_every_address_of_the_core_is_exported() -> None:
    text = (NATIVE / "smb" / "memory.h").read_text()
    declared = {
        re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower(): int(at, 16)
        for declaration in re.findall(r"inline constexpr uint16_t ([^;]+);", text)
        for name, at in re.findall(r"\bk([A-Z]\w*) = (0x[0-9A-F]{4})", declaration)
    }
    assert declared == memory.MEMORY


def test_addresses_stand_in_the_core_alone() -> None:
    addresses = set(memory.MEMORY.values()) - {at for at in memory.MEMORY.values() if at < 0x100}
    root = NATIVE.parent
    for path in [*root.glob("src/warpzone/**/*.py"), root / "scripts" / "find_play.py"]:
        if "recompiler" in path.parts:
            continue
        found = {int(text, 16) for text in re.findall(r"\b0x0?[0-9A-Fa-f]{3}\b", path.read_text())}
        assert not found & addresses, path


def test_scalars_have_names() -> None:
    names = tile_layout.scalar_names()
    assert len(names) == len(set(names)) == tile_layout.SCALARS
    assert names[tile_layout.mario_scalar("x_speed")] == "x_speed"
    assert names[tile_layout.object_scalar("y_distance", 2)] == "object2.y_distance"
    assert (names[84], names[-1]) == ("page_0", "level_31")
