"""What the documentation says holds: its code runs, its commands exist, its messages are said."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.main
from mkdocs.exceptions import PluginError
from PIL import Image
from pydantic import BaseModel
from scripts import docs_hook
from typer.testing import CliRunner

from warpzone import _native
from warpzone.cli.app import app
from warpzone.viewers.play import PLAY_HELP
from warpzone.viewers.replay import REPLAY_HELP
from warpzone.viewers.terminal import TERMINAL_HELP
from warpzone.viewers.watch import WATCH_HELP

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXTS = [*PAGES, ROOT / "README.md", ROOT / "README.zh-CN.md"]
NOT_RUN = "<!-- not run"
"""A comment on the line above a block of Python that cannot run; it goes on with why."""
RUN = "<!-- run -->"
"""A comment on the line above a block of commands that are quick enough to be run."""


def blocks(text: str, language: str) -> Iterator[tuple[int, str, str]]:
    """Fenced blocks: line number of the first line of code, what stands above the fence, code."""
    for found in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        above = text[: found.start()].rstrip("\n").rpartition("\n")[2]
        yield text.count("\n", 0, found.start(1)) + 1, above, found[1]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def with_python(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return any(not above.startswith(NOT_RUN) for _, above, _ in blocks(text, "python"))


@pytest.mark.parametrize("path", [*filter(with_python, TEXTS)], ids=named)
def test_python_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page, in their order and with the names of those before."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "docs"}
    for line, above, code in blocks(path.read_text(encoding="utf-8"), "python"):
        if not above.startswith(NOT_RUN):
            # Empty lines in front, so that a traceback has the page's line numbers.
            exec(compile("\n" * (line - 1) + code, path, "exec"), names)


def test_a_block_that_is_not_run_says_why() -> None:
    for path in TEXTS:
        for line, above, _ in blocks(path.read_text(encoding="utf-8"), "python"):
            if above.startswith(NOT_RUN):
                assert re.fullmatch(rf"{NOT_RUN}: .+ -->", above), f"{named(path)}:{line}"


def commands(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Every `warpzone …` of the shell blocks: the whole line above it, and its arguments."""
    for _, above, code in blocks(path.read_text(encoding="utf-8"), "sh"):
        for line in code.splitlines():
            for command in line.split("&&"):
                words = shlex.split(command, comments=True)
                if words and Path(words[0]).name == "warpzone":
                    yield above, words[1:]


@pytest.mark.parametrize("path", [p for p in TEXTS if list(commands(p))], ids=named)
def test_commands_are_understood(path: Path) -> None:
    group = typer.main.get_command(app)
    for _, (name, *arguments) in commands(path):
        found = getattr(group, "commands")[name]  # noqa: B009 - of click or of typer
        found.make_context(name, arguments)  # raises on options that are not there


def quick(path: Path) -> list[list[str]]:
    return [words for above, words in commands(path) if above == RUN]


@pytest.mark.slow
@pytest.mark.parametrize("path", [*filter(quick, TEXTS)], ids=named)
def test_quick_commands_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order and in one folder, so that they can use what those before have written."""
    monkeypatch.chdir(tmp_path)
    for words in quick(path):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, f"{' '.join(words)}: {result.output}"


@pytest.mark.parametrize("path", TEXTS, ids=named)
def test_lists_are_quoted(path: Path) -> None:
    """Zsh takes brackets for a pattern, and refuses the line where no file fits."""
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"--set [\w.]+=[^\s'\"`]*\[.*", text) == []


@pytest.mark.parametrize("path", TEXTS, ids=named)
def test_commands_within_lines_have_their_options(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for name, rest in re.findall(r"`warpzone ([a-z]+)([^`]*)`", prose):
        used = re.findall(r"(?<![\w-])--?[a-z][a-z-]*", rest)
        assert set(used) <= told_options(name), f"warpzone {name}{rest}"


def told_options(name: str) -> set[str]:
    """The options of a command in the command reference."""
    section = docs_hook.commands().split(f"## warpzone {name}\n")[1].split("\n## ")[0]
    return set(re.findall(r"(?<=`)--?[a-z][a-z-]*(?=`)", section))


@cache
def templates() -> list[str]:
    """All text in the source, with NUL for what is filled in; neighbours joined as Python does."""
    found = []
    for file in [
        *(ROOT / "src" / "warpzone").rglob("*.py"),
        *(ROOT / "build_backend").rglob("*.py"),
    ]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (n.value if isinstance(n, ast.Constant) else "\0" for n in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def quoted_messages() -> list[str]:
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    return re.findall(r"^### (.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("message", quoted_messages())
def test_quoted_messages_are_said(message: str) -> None:
    """`…` stands for what is filled in, or for the rest of the message."""
    pattern = ".*".join(re.escape(piece.strip(" ")) for piece in message.split("…"))
    assert any(re.search(pattern, template, re.DOTALL) for template in templates()), pattern


def test_quoted_messages_cannot_match_anything() -> None:
    assert len(quoted_messages()) > 20
    assert min(len(message.replace("…", "").strip()) for message in quoted_messages()) > 11


@pytest.mark.parametrize("model", docs_hook.MODELS.values(), ids=lambda model: model.__name__)
def test_every_setting_has_a_docstring(model: type[BaseModel]) -> None:
    told = docs_hook.docstrings(model)
    assert [name for name in model.model_fields if not told.get(name)] == []


def test_all_keys_are_told_of() -> None:
    page = (ROOT / "docs" / "keys.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| (.+?) \| (.+?) \|", page, re.MULTILINE)[1:])
    lines = {*WATCH_HELP, *TERMINAL_HELP, *REPLAY_HELP, *PLAY_HELP}
    assert rows == {tuple(line.split("\t")) for line in lines}


def test_all_scalars_are_told_of() -> None:
    page = (ROOT / "docs" / "environments.md").read_text(encoding="utf-8")
    numbers = re.findall(r"^\| (\d+) \|", page, re.MULTILINE)
    assert sum(map(int, numbers)) == _native.SCALARS
    assert f"and {_native.SCALARS} scalars" in page


def test_signals_are_told_of_in_their_order() -> None:
    keys = re.findall(r"^\| `(\w+)` \|", docs_hook.signal_table(), re.MULTILINE)
    assert tuple(keys) == _native.SIGNALS


def test_the_picture_of_observations_is_what_its_script_draws(tmp_path: Path) -> None:
    drawn = tmp_path / "drawn.png"
    script = ROOT / "scripts" / "draw_observations.py"
    subprocess.run([sys.executable, str(script), str(drawn)], check=True, cwd=tmp_path)
    shipped = ROOT / "docs" / "observations.png"
    with Image.open(drawn) as new, Image.open(shipped) as old:
        assert new.size == old.size
        # The game's picture at the upper left; captions depend on the version of the font.
        box = (8, 22, 8 + 256, 22 + 240)
        assert new.convert("L").crop(box).tobytes() == old.convert("L").crop(box).tobytes()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nothing", "nothing is made by 'nothing'"),
        ("source src/warpzone/ppo/losses.py no_such", "has no no_such"),
        ("source native/smb/game.h struct Missing", "has no line"),
        ("settings NoConfig", "cannot be made"),
        ("part README.md Missing", "has no heading 'Missing'"),
        ("source src/warpzone/missing.py f", "cannot be made"),
        ("actions too many", "cannot be made"),
    ],
)
def test_what_is_not_there_ends_the_build(text: str, complaint: str) -> None:
    with pytest.raises(PluginError, match=complaint):
        docs_hook.written(f"<!-- make: {text} -->", "page.md")


def test_source_is_taken_as_it_is() -> None:
    text = docs_hook.source("src/warpzone/ppo/rollout.py", "Rollout.next_values")
    assert text.startswith('```python title="src/warpzone/ppo/rollout.py"\n@property\ndef next_v')
    assert text.endswith("self.values[1:])\n```")
    native = docs_hook.source("native/smb/signals.h", "enum", "class", "Death")
    assert native.count("\n") == 9
    assert native.endswith("\n};\n```")


def test_a_file_says_what_only_the_site_has() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        gaps = re.search(r"^(?:<!-- make: |::: )", text, re.MULTILINE)
        notes = re.findall(r"^> (?:On GitHub|在 GitHub 上).*mkdocs serve", text, re.MULTILINE)
        assert len(notes) == (1 if gaps else 0), page.name
        for file in re.findall(r"`((?:src|native|docs)/[\w./-]+)`", notes[0]) if notes else ():
            assert (ROOT / file).exists(), f"{page.name}: {file}"
        assert "> On GitHub" not in docs_hook.written(text, page.name), page.name


def test_links_that_leave_the_site_become_names() -> None:
    text = "[here](../benchmarks/x.py) and [there](own.md) and ![a picture](../x.png)"
    expected = "`here` and [there](own.md) and ![a picture](../x.png)"
    assert docs_hook.written(text, "page.md") == expected


def test_command_reference_has_every_option() -> None:
    text = docs_hook.commands()
    for name in docs_hook.commands_of_app():
        assert f"## warpzone {name}\n" in text
        result = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"})
        options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", result.output)) - {"--help"}
        section = text.split(f"## warpzone {name}\n")[1].split("\n## ")[0]
        spoken_of = set(re.findall(r"(?<!`)--[a-z][a-z-]+", section))  # in the texts
        told = {option for option in told_options(name) if option.startswith("--")}
        assert options - spoken_of <= told <= options, name


def test_every_page_can_be_reached() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    assert {path.name for path in PAGES} == set(re.findall(r"[\w-]+\.md", nav))


def test_the_rooms_are_told_in_the_order_of_the_contract() -> None:
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    rows = [re.split(r" [|:] ", row) for row in layers["contracts"][0]["layers"]]
    rows[-2:] = [rows[-2] + rows[-1]]  # the leaves
    text = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
    table = text.partition("| room |")[2].partition("\n\n")[0].splitlines()[2:]
    told = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in table]
    assert told == rows
