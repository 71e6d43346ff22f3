"""What is installed from a wheel: everything that is needed, and nothing else."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import sys
import sysconfig
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "warpzone"
DISTRIBUTION = importlib.metadata.distribution("warpzone")
STABLE = sys.version_info >= (3, 12) and not sysconfig.get_config_var("Py_GIL_DISABLED")
"""Whether the native module fits this Python and all later ones, and therefore the wheel does."""


def extension() -> str:
    """Returns how the name of the native module ends."""
    if not STABLE:
        return importlib.machinery.EXTENSION_SUFFIXES[0]
    return ".pyd" if sys.platform == "win32" else ".abi3.so"


def installed() -> dict[str, Path]:
    """Returns where the files of the package are, by their names in it; none that Python made."""
    return {
        "/".join(file.parts[1:]): Path(str(file.locate()))
        for file in DISTRIBUTION.files or ()
        if file.parts[0] == "warpzone" and "__pycache__" not in file.parts
    }


def test_has_everything_of_the_package_and_nothing_else() -> None:
    wanted = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in {".so", ".pyd"}
    }
    assert {"py.typed", "_native.pyi", "trained/agents.json"} < wanted
    assert any(name.endswith(".safetensors") for name in wanted)
    assert set(installed()) == wanted | {"_native" + extension()}


def test_no_rom_is_in_it() -> None:
    for name, path in installed().items():
        # While it is worked on, Python takes the package from the sources.
        with (path if path.is_file() else SOURCE / name).open("rb") as file:
            assert file.read(4) != b"NES\x1a", name


def test_licence_and_tags() -> None:
    files = DISTRIBUTION.files or ()
    assert [file.parts[1] for file in files if file.name == "LICENSE"] == ["licenses"]
    # "..": the command; warpzone.libs: libraries that a tool puts beside the native module.
    beside = {file.parts[0] for file in files} - {"warpzone", "warpzone.libs", ".."}
    assert len(beside) == 1
    assert beside.pop().endswith(".dist-info")
    wheel = (DISTRIBUTION.read_text("WHEEL") or "").splitlines()
    tags = [line.removeprefix("Tag: ") for line in wheel if line.startswith("Tag: ")]
    this = f"cp{sys.version_info.major}{sys.version_info.minor}"
    start = "cp312-abi3-" if STABLE else f"{this}-{this}"
    assert tags
    assert all(tag.startswith(start) for tag in tags), tags
