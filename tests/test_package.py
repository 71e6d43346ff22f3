"""The package as a whole: metadata, stub, and what is in the repository."""

import ast
import importlib.metadata
import importlib.resources
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import warpzone

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "warpzone"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def test_long_files_say_why() -> None:
    """As those of native/ do, see test_native.py."""
    for path in modules():
        text = path.read_text(encoding="utf-8")
        reason = ast.get_docstring(ast.parse(text)) or ""
        assert text.count("\n") <= 500 or "One file because" in reason, path


def test_versions_agree() -> None:
    assert importlib.metadata.version("warpzone") == warpzone.__version__
    assert warpzone.__version__ == PROJECT["project"]["version"]


def test_metadata() -> None:
    metadata = importlib.metadata.metadata("warpzone")
    assert metadata["License-Expression"] == "MIT AND BSD-3-Clause"
    assert metadata["Requires-Python"] == ">=3.11"
    required = " ".join(importlib.metadata.requires("warpzone") or ())
    assert re.search(r"torch(<2\.14,>=2\.11|>=2\.11,<2\.14)", required)
    assert "numpy>=1.26" in required
    # Before that there are no autoreset modes.
    assert "gymnasium>=1.1" in PROJECT["project"]["dependencies"]


def test_the_command_exists() -> None:
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="warpzone")
    assert callable(command.load())


def test_nanobind_is_the_same_for_building_and_for_the_stub() -> None:
    building = [name for name in PROJECT["build-system"]["requires"] if "nanobind" in name]
    testing = [
        name for name in PROJECT["project"]["optional-dependencies"]["test"] if "nanobind" in name
    ]
    assert building == testing != []


def test_typing_marker_and_stub_are_installed() -> None:
    package = importlib.resources.files("warpzone")
    assert package.joinpath("py.typed").is_file()
    assert package.joinpath("_native.pyi").read_text() == (SOURCE / "_native.pyi").read_text()


def test_the_stub_is_in_step_with_the_native_module(tmp_path: Path) -> None:
    fresh = tmp_path / "_native.pyi"
    # Without values: one of them is the compiler's name.
    command = [sys.executable, "-m", "nanobind.stubgen", "-q", "--exclude-values"]
    subprocess.run([*command, "-m", "warpzone._native", "-o", str(fresh)], check=True)
    assert (SOURCE / "_native.pyi").read_text() == fresh.read_text(), "run scripts/stubs.sh"


def test_importing_is_quiet_and_light() -> None:
    """No warning, and neither PyTorch nor a window library: who only wants games waits for none."""
    heavy = "{'torch', 'pygame', 'imageio', 'PIL'}"
    program = f"import sys, warpzone; print(sorted({heavy} & set(sys.modules)))"
    command = [sys.executable, "-W", "error", "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "[]\n", "")


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_rom_and_nothing_that_runs_when_loaded_is_in_the_repository() -> None:
    files = tracked()
    assert ROOT / "pyproject.toml" in files
    wrong = [path for path in files if path.suffix in {".nes", ".pkl", ".pickle", ".pt", ".pth"}]
    for path in files:
        with path.open("rb") as file:
            start = file.read(4)
        # "NES" is an iNES header; 0x80 followed by 2 to 5 is how a pickle begins.
        if start == b"NES\x1a" or (start[:1] == b"\x80" and start[1:2] in b"\2\3\4\5"):
            wrong.append(path)
    assert wrong == []


def test_the_sources_load_nothing_that_can_run_code() -> None:
    wrong = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.split(".")[0] for alias in node.names}
                names.add((getattr(node, "module", None) or "").split(".")[0])
                if names & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve"}:
                    wrong.append(f"{path.name}:{node.lineno}")
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                safe = {word.arg: ast.unparse(word.value) for word in node.keywords}
                if safe.get("weights_only") != "True":
                    wrong.append(f"{path.name}:{node.lineno}")
    assert wrong == []
