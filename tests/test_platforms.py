"""Systems other than this one: what is refused, and what must not count on POSIX or Linux."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from warpzone import files, startup
from warpzone.errors import FileError

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src" / "warpzone").rglob("*.py"))
ABSENT = {
    "fcntl", "grp", "msvcrt", "posix", "pwd", "resource", "termios", "tty", "winreg",
}  # fmt: skip
"""Modules that one system or another lacks."""


@pytest.mark.parametrize(
    ("byteorder", "maxsize", "what"),
    [("big", 2**63 - 1, "big-endian"), ("little", 2**31 - 1, "32-bit")],
)
def test_a_machine_that_is_not_supported_is_told(byteorder: str, maxsize: int, what: str) -> None:
    with pytest.raises(ImportError, match=f"does not run on a {what} Python"):
        startup.check_machine(byteorder, maxsize)
    startup.check_machine("little", 2**63 - 1)


@pytest.mark.parametrize("setting", ["sys.byteorder = 'big'", "sys.maxsize = 2**31 - 1"])
def test_the_import_says_so_before_anything_else(setting: str) -> None:
    program = f"import sys; {setting}; import warpzone"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ImportError: warpzone does not run on a")


def test_the_compiler_and_cmake_refuse_them_too() -> None:
    state = (ROOT / "native" / "nes" / "state.h").read_text(encoding="utf-8")
    assert "std::endian::native == std::endian::little" in state
    assert "sizeof(void*) == 8" in state
    cmake = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert 'CMAKE_CXX_BYTE_ORDER STREQUAL "BIG_ENDIAN"' in cmake
    assert "NOT CMAKE_SIZEOF_VOID_P EQUAL 8" in cmake


def calls() -> Iterator[tuple[Path, ast.Call, str]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                yield path, node, name


def test_texts_are_utf8_by_name() -> None:
    """Windows takes another one where none is named, as files of the system itself may have."""
    for path, call, name in calls():
        named = {keyword.arg for keyword in call.keywords}
        of_the_system = name == "read_text" and path.name in ("cpu.py", "report.py")
        if name in ("read_text", "write_text") and not of_the_system:
            positional = len(call.args) > (1 if name == "write_text" else 0)
            assert "encoding" in named or positional, f"{path}:{call.lineno}"


def test_modules_of_one_system_are_imported_where_it_is_asked_for() -> None:
    for path in SOURCES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [getattr(node, "module", None)] + [alias.name for alias in node.names]
                assert not ABSENT & set(filter(None, names)), f"{path}:{node.lineno}"


def test_replacing_waits_for_readers_where_they_keep_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where a file that somebody reads cannot be replaced."""
    replace, refusals = Path.replace, [PermissionError("in use")] * 3

    def refuse(path: Path, target: Path) -> Path:
        if refusals:
            raise refusals.pop()
        return replace(path, target)

    monkeypatch.setattr(files, "_PAUSES", (0.0,) * 3)
    monkeypatch.setattr(Path, "replace", refuse)
    files.write_atomically(tmp_path / "state", b"new")
    assert (tmp_path / "state").read_bytes() == b"new"
    assert refusals == []
    refusals += [PermissionError("in use")] * 4
    with pytest.raises(FileError):
        files.write_atomically(tmp_path / "state", b"newer")
    assert (tmp_path / "state").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
