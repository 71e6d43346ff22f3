"""What is installed from a wheel: everything that is needed, and nothing else."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import json
import re
import sys
import sysconfig
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "warpzone"
DISTRIBUTION = importlib.metadata.distribution("warpzone")
INCLUDES = re.compile(r'^#include [<"]([\w/.]+)[>"]', re.M)
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
    licences = sorted(file.name for file in files if file.parts[1:2] == ("licenses",))
    assert licences == ["LICENSE", "THIRD_PARTY.md"]
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


def test_a_bill_of_materials_names_what_is_compiled_in() -> None:
    (file,) = (file for file in DISTRIBUTION.files or () if file.name == "warpzone.cdx.json")
    assert file.parts[1] == "sboms"  # PEP 770
    bill = json.loads(file.read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    whole = bill["metadata"]["component"]
    assert (whole["name"], whole["version"]) == ("warpzone", DISTRIBUTION.version)
    (compiler,) = bill["metadata"]["tools"]["components"]
    assert compiler["name"]
    parts = {part["bom-ref"]: part for part in bill["components"]}
    assert set(parts) == {"nanobind", "robin-map"}
    for part in (whole, compiler, *parts.values()):
        assert re.fullmatch(r"\d+\.\d+[\w.+]*", part["version"]), part
    for part in (whole, *parts.values()):
        assert re.search(rf"/{part['name']}@v?{re.escape(part['version'])}$", part["purl"])
        assert part["licenses"][0]["license"]["id"] in DISTRIBUTION.metadata["License-Expression"]
    assert {line["ref"] for line in bill["dependencies"]} == {"warpzone", *parts}


def test_nothing_of_others_is_in_it_but_what_is_told() -> None:
    """Native code includes what is ours, nanobind and the systems' own; other files carry nobody
    else's notice."""
    root = SOURCE.parents[1]
    third = (root / "THIRD_PARTY.md").read_text(encoding="utf-8")
    for path in sorted((root / "native").rglob("*")):
        if path.suffix not in {".h", ".cpp"}:
            continue
        for name in INCLUDES.findall(path.read_text(encoding="utf-8")):
            own = (root / "native" / name).exists() or (path.parent / name).exists()
            of_the_system = "/" not in name or name.startswith("sys/")
            assert own or of_the_system or name.startswith("nanobind/"), (path, name)
    for name in ("nanobind", "robin-map"):
        assert f"### {name}\n" in third
    notice = re.compile(rb"copyright|\(c\) ?\d{4}|@license|SPDX-License", re.I)
    for path in sorted(SOURCE.rglob("*")):
        if path.suffix in {".py", ".js", ".css", ".html", ".svg", ".pyi", ".json"}:
            assert not notice.search(path.read_bytes()), path
        else:  # weights, the marker of types, what was built
            kinds = {".safetensors", ".typed", ".so", ".pyd", ".pyc", ""}
            assert path.is_dir() or path.suffix in kinds, f"{path}: whose is it?"
