"""PEP 517 build backend: scikit-build-core, plus a C++ compiler where the machine has none.

Where neither CXX nor any usual C++ compiler is found, the wheel of Zig (``ziglang``), which carries
a complete clang and its C++ library, becomes a build requirement and CMake is pointed at it.
With a compiler present nothing is added and nothing changes.
"""

import importlib.util
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scikit_build_core import build as _skbuild

ZIG_REQUIREMENT = "ziglang>=0.13,<0.17"

ConfigSettings = dict[str, Any] | None

build_sdist = _skbuild.build_sdist
get_requires_for_build_sdist = _skbuild.get_requires_for_build_sdist


def get_requires_for_build_wheel(config_settings: ConfigSettings = None) -> list[str]:
    """Build requirements of a wheel: scikit-build-core's (CMake, Ninja), Zig if it is needed."""
    return _with_zig(_skbuild.get_requires_for_build_wheel, config_settings)


def get_requires_for_build_editable(config_settings: ConfigSettings = None) -> list[str]:
    """Build requirements of an editable install; as for a wheel."""
    return _with_zig(_skbuild.get_requires_for_build_editable, config_settings)


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: ConfigSettings = None
) -> str:
    """Write the metadata of the wheel; needs no compiler."""
    return str(_skbuild.prepare_metadata_for_build_wheel(metadata_directory, config_settings))


def prepare_metadata_for_build_editable(
    metadata_directory: str, config_settings: ConfigSettings = None
) -> str:
    """Write the metadata of the editable install; needs no compiler."""
    return str(_skbuild.prepare_metadata_for_build_editable(metadata_directory, config_settings))


def build_wheel(
    wheel_directory: str,
    config_settings: ConfigSettings = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the wheel, with Zig as compiler where there is no other."""
    with _compiler(config_settings) as settings:
        return str(_skbuild.build_wheel(wheel_directory, settings, metadata_directory))


def build_editable(
    wheel_directory: str,
    config_settings: ConfigSettings = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the editable wheel, with Zig as compiler where there is no other."""
    with _compiler(config_settings) as settings:
        return str(_skbuild.build_editable(wheel_directory, settings, metadata_directory))


def find_compiler() -> str | None:
    """The C++ compiler that CMake will find on this machine, or None.

    A compiler must also answer ``--version``: macOS has a /usr/bin/c++ that only asks to install
    one. Visual Studio is not on the PATH; its installer's ``vswhere`` is asked instead.
    """
    named = os.environ.get("CXX")
    if named:
        return named
    for name in ("c++", "g++", "clang++"):
        path = shutil.which(name)
        if path and _succeeds([path, "--version"]):
            return path
    if sys.platform == "win32":
        return shutil.which("cl") or _visual_studio()
    return None


def _visual_studio() -> str | None:
    programs = os.environ.get("PROGRAMFILES(X86)", r"C:\Program Files (x86)")
    vswhere = Path(programs, "Microsoft Visual Studio", "Installer", "vswhere.exe")
    if not vswhere.is_file():
        return None
    query = ["-latest", "-products", "*", "-property", "installationPath"]
    query += ["-requires", "Microsoft.VisualStudio.Component.VC.Tools.x86.x64"]
    found = subprocess.run([vswhere, *query], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _with_zig(get_requires: Any, config_settings: ConfigSettings) -> list[str]:
    if find_compiler():
        return list(get_requires(config_settings))
    _say("no C++ compiler on this machine: taking Zig's from the package index (ziglang)")
    # On Windows scikit-build-core would otherwise count on Visual Studio and not ask for Ninja.
    os.environ.setdefault("CMAKE_GENERATOR", "Ninja")
    return [*get_requires(config_settings), ZIG_REQUIREMENT]


@contextmanager
def _compiler(config_settings: ConfigSettings) -> Iterator[ConfigSettings]:
    """Within this context CMake finds a C++ compiler: the machine's own or Zig's.

    Gives the settings to build with. A build with Zig does not keep its folder: the next one would
    find compilers named in it that are gone.
    """
    if find_compiler():
        yield config_settings
        return
    zig = _zig_program()
    _say(f"no C++ compiler on this machine: building with Zig, {zig}")
    with tempfile.TemporaryDirectory(prefix="warpzone-zig-") as folder:
        _use_zig(zig, Path(folder))
        yield {**(config_settings or {}), "build-dir": str(Path(folder, "build"))}


def _zig_program() -> Path:
    spec = importlib.util.find_spec("ziglang")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(
            "warpzone: no C++ compiler was found (CXX, c++, g++, clang++, Visual Studio). Install "
            "one, or `pip install ziglang` first, or build without --no-build-isolation."
        )
    return Path(spec.submodule_search_locations[0], "zig.exe" if os.name == "nt" else "zig")


def _use_zig(zig: Path, folder: Path) -> None:
    """Point CMake at wrappers of Zig's tools, through the environment of this build process.

    ``-mcpu=baseline``: Zig compiles for the very processor it runs on otherwise, and the result may
    be carried to another machine. Its cache goes where the build's temporary files go. ``CXXFLAGS``
    (with ``-s``, no symbols) are those of the module, also for CMake's own trials: Zig compiles its
    C++ library anew for each set of such options, which takes a minute.
    """
    os.environ.setdefault("ZIG_GLOBAL_CACHE_DIR", str(folder / "cache"))
    os.environ.setdefault("ZIG_LOCAL_CACHE_DIR", str(folder / "cache"))
    os.environ.setdefault("CMAKE_GENERATOR", "Ninja")
    os.environ["CXXFLAGS"] = f"-O3 -fPIC -s {os.environ.get('CXXFLAGS', '')}".strip()
    os.environ["CXX"] = str(_wrapper(folder, zig, "c++", "-mcpu=baseline"))
    tools = {"CMAKE_AR": "ar", "CMAKE_RANLIB": "ranlib"}
    definitions = [f"-D{name}={_wrapper(folder, zig, tool)}" for name, tool in tools.items()]
    given = os.environ.get("CMAKE_ARGS", "")
    os.environ["CMAKE_ARGS"] = " ".join([given, *map(shlex.quote, definitions)]).strip()


def _wrapper(folder: Path, zig: Path, *command: str) -> Path:
    """A script that runs one of Zig's tools: CMake wants each tool to be one program."""
    if os.name == "nt":
        path = folder / f"zig-{command[0]}.cmd"
        path.write_text(f'@"{zig}" {" ".join(command)} %*\n')
    else:
        path = folder / f"zig-{command[0]}"
        path.write_text(f'#!/bin/sh\nexec {shlex.quote(str(zig))} {shlex.join(command)} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def _say(line: str) -> None:
    print(f"warpzone: {line}", file=sys.stderr, flush=True)
