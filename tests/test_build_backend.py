"""The build backend: a compiler is taken from the package index only where there is none."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the fake compilers are shell scripts")


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The backend, on a machine whose PATH is the empty folder ``tmp_path / "bin"``."""
    spec = importlib.util.spec_from_file_location(
        "warpzone_build", ROOT / "build_backend" / "warpzone_build.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "bin").mkdir()
    monkeypatch.chdir(ROOT)
    for name in ("CXX", "CXXFLAGS", "CMAKE_ARGS", "CMAKE_GENERATOR", "ZIG_GLOBAL_CACHE_DIR"):
        monkeypatch.setenv(name, "")  # so that what the backend sets is undone
        monkeypatch.delenv(name)
    monkeypatch.setenv("ZIG_LOCAL_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return module


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "hook", ["get_requires_for_build_wheel", "get_requires_for_build_editable"]
)
def test_without_compiler_zig_is_required_and_it_says_so(
    backend: ModuleType, hook: str, capsys: pytest.CaptureFixture[str]
) -> None:
    required = getattr(backend, hook)({})
    assert [name for name in required if "ziglang" in name] == [backend.ZIG_REQUIREMENT]
    assert any(name.startswith("ninja") for name in required)
    assert "no C++ compiler on this machine" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["c++", "g++", "clang++"])
def test_with_a_compiler_zig_is_not_required(
    backend: ModuleType, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    compiler = program(tmp_path / "bin" / name, "echo 1.0")
    assert backend.find_compiler() == str(compiler)
    assert not any("ziglang" in name for name in backend.get_requires_for_build_wheel({}))
    assert capsys.readouterr().err == ""


def test_a_compiler_named_in_cxx_is_enough(
    backend: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "icpx")
    assert backend.find_compiler() == "icpx"


def test_a_program_that_only_offers_to_install_a_compiler_is_none(
    backend: ModuleType, tmp_path: Path
) -> None:
    program(tmp_path / "bin" / "c++", "echo 'no developer tools were found' >&2; exit 1")
    assert backend.find_compiler() is None


def test_the_wrappers_that_cmake_gets_run_zig(
    backend: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zig = program(tmp_path / "the zig", 'for word; do echo "$word"; done')
    folder = tmp_path / "wrappers"
    folder.mkdir()
    monkeypatch.setenv("CMAKE_ARGS", "-DGIVEN=1")
    backend._use_zig(zig, folder)

    def output(*command: str) -> list[str]:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(
            "\n"
        )

    assert output(os.environ["CXX"], "-c", "a b.cpp")[:4] == [
        "c++",
        "-mcpu=baseline",
        "-c",
        "a b.cpp",
    ]
    given, archiver, indexer = os.environ["CMAKE_ARGS"].split()
    assert given == "-DGIVEN=1"
    assert output(archiver.removeprefix("-DCMAKE_AR="), "qc")[:2] == ["ar", "qc"]
    assert output(indexer.removeprefix("-DCMAKE_RANLIB="))[0] == "ranlib"


def test_without_compiler_and_without_zig_the_build_says_what_to_install(
    backend: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "ziglang", raising=False)
    with pytest.raises(SystemExit, match="pip install ziglang"):
        backend.build_wheel(str(tmp_path))
