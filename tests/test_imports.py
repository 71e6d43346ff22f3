"""Which way imports run: one way between the rooms, no circles, and each room says its limits."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "warpzone"
LINT = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"


def circles(edges: dict[str, set[str]]) -> set[frozenset[str]]:
    """Groups of more than one module in which each is reached from each (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: set[frozenset[str]] = set()

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in sorted(edges.get(module, ())):
            if target not in index:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            cut = stack.index(module)
            group = frozenset(stack[cut:])
            del stack[cut:]
            if len(group) > 1 or module in edges.get(module, ()):
                found.add(group)

    for module in sorted(edges):
        if module not in index:
            visit(module)
    return found


def imports() -> dict[str, set[str]]:
    """Module to what it imports, also within functions and for types alone.

    The face, `warpzone` itself, is left out: `import warpzone._native` looks like an import of it.
    """
    graph = grimp.build_graph("warpzone", cache_dir=None)
    return {
        module: graph.find_modules_directly_imported_by(module) - {"warpzone"}
        for module in graph.modules
    }


def test_a_circle_is_found() -> None:
    edges = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": set(), "f": {"f"}}
    assert circles(edges) == {frozenset("abc"), frozenset("f")}
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == set()


def test_there_are_no_circles_of_imports() -> None:
    edges = imports()
    assert "warpzone.errors" in edges["warpzone.nes.rom"]
    assert circles(edges) == set()


def test_imports_run_one_way() -> None:
    result = subprocess.run(
        [sys.executable, "-c", LINT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("nes/console.py", "import warpzone.training.config"),
        ("errors.py", "from warpzone import files"),
        ("training/config.py", "def later() -> None:\n    from warpzone.cli import app"),
        ("new_room/__init__.py", ""),
    ],
)
def test_an_import_the_wrong_way_is_found(module: str, line: str, tmp_path: Path) -> None:
    package = tmp_path / "warpzone"
    for path in SOURCE.rglob("*.py"):
        target = package / path.relative_to(SOURCE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    changed = package / module
    changed.parent.mkdir(exist_ok=True)
    with changed.open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    # The folder comes first on the path, before the package that is tested.
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, '.'); {LINT}"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stdout + result.stderr
    assert module.split("/")[0].removesuffix(".py") in result.stdout


def faces(path: Path) -> Iterator[int]:
    """Lines of a file that import the face of the package and not a module in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import) and any(alias.name == "warpzone" for alias in node.names):
            yield node.lineno
        if isinstance(node, ast.ImportFrom) and node.module == "warpzone":
            for alias in node.names:
                here = SOURCE / alias.name
                native = alias.name == "_native"
                if not (native or here.is_dir() or here.with_suffix(".py").is_file()):
                    yield node.lineno


def test_nothing_inside_imports_the_face(tmp_path: Path) -> None:
    wrong = [
        f"{path.relative_to(SOURCE)}:{line}"
        for path in sorted(SOURCE.rglob("*.py"))
        for line in faces(path)
    ]
    assert wrong == []
    example = tmp_path / "example.py"
    example.write_text(
        "import warpzone\nfrom warpzone import make, files\nimport warpzone._native as _native\n"
    )
    assert list(faces(example)) == [1, 2]


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("__init__.py")), ids=lambda p: p.parent.name)
def test_every_room_says_what_it_does_not_know(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert text is not None
    if path.parent != SOURCE:
        assert re.search(r"knows? (no|nothing)\b|must not know", text, re.IGNORECASE)


def test_every_room_has_its_file() -> None:
    """Without `__init__.py` a folder would be a namespace package and in no contract."""
    folders = {path.parent for path in SOURCE.rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_what_the_contract_excuses_is_the_face_alone() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = config["contracts"]
    assert contract["ignore_imports"] == ["warpzone.** -> warpzone"]
    assert contract["exhaustive"] is True
