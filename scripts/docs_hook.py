"""What the documentation says about the code is made from the code, while MkDocs builds it.

A line `<!-- make: NAME ARGUMENTS -->` in a page is replaced by what the maker of that name writes;
an unknown name, or something that is not there any more, ends the build. So the pages cannot tell
of settings, commands or functions that have changed since. A file alone has gaps there: a line
`> On GitHub …` below its title says so, and is left out of the site.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import shlex
import textwrap
import typing
from collections.abc import Callable, Sequence
from enum import Enum
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

import gymnasium
from mkdocs.exceptions import PluginError
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer.models import ArgumentInfo, CommandInfo, OptionInfo

from warpzone import _native
from warpzone.cli.app import app
from warpzone.nes.buttons import action_names
from warpzone.nes.game_config import GameConfig
from warpzone.pqn.config import PQNConfig
from warpzone.smb import signals
from warpzone.smb.actions import ACTION_SETS
from warpzone.smb.config import EnvConfig, Observation
from warpzone.smb.levels import LEVELS
from warpzone.smb.spaces import observation_space
from warpzone.training.config import (
    CorrectionsConfig,
    CurriculumConfig,
    GameTraining,
    NetworkConfig,
    PracticeConfig,
    TrainConfig,
)
from warpzone.training.presets import PRESETS

ROOT = Path(__file__).resolve().parents[1]

Maker = Callable[..., str]
MAKERS: dict[str, Maker] = {}
MODELS: dict[str, type[BaseModel]] = {
    model.__name__: model
    for model in (
        *(TrainConfig, NetworkConfig, CurriculumConfig, PracticeConfig, CorrectionsConfig),
        *(EnvConfig, GameConfig, GameTraining, PQNConfig),
    )
}

SHIM = "https://unpkg.com/iframe-worker/shim"
"""What Material's plugin `offline` asks for: search is a worker, and files cannot start one."""

OBSERVATIONS = {
    "tiles": "the game's own map around Mario, and numbers: fastest to learn from",
    "pixels": "grey pictures, small, `frame_stack` of them: channels, height, width",
    "rgb": "the picture as it is: height, width, colours",
    "ram": "the console's work RAM",
}

_DIRECTIVE = re.compile(r"^<!-- make: (.*?) -->$", re.MULTILINE)
_ON_GITHUB = re.compile(r"^> (?:On GitHub|在 GitHub 上).*\n\n", re.MULTILINE)
"""What a page says of its own gaps, to those who read the file: there are none on the site."""
_LINK = re.compile(r"(?<!!)\[([^]]*)\]\(([^)\s]+)\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """MkDocs calls this with the text of every page."""
    return written(markdown, page.file.src_uri)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """MkDocs calls this with the HTML of every page."""
    language = page.meta.get("lang")
    if language:
        output = output.replace('<html lang="en"', f'<html lang="{language}"', 1)
    return _offline(output)


def on_post_template(output_content: str, template_name: str, **_: Any) -> str:
    """MkDocs calls this with what is no page, such as `404.html`."""
    return _offline(output_content)


def _offline(html: str) -> str:
    """What the theme would load from elsewhere for a site in a folder is replaced by our own."""
    return html.replace(SHIM, "assets/worker.js")


def written(markdown: str, name: str) -> str:
    """A page with all that is made put in; `name` is for the message of a `PluginError`."""

    def make(match: re.Match[str]) -> str:
        maker, *arguments = shlex.split(match[1])
        if maker not in MAKERS:
            raise PluginError(
                f"{name}: nothing is made by {maker!r}; there are {', '.join(MAKERS)}"
            )
        try:
            return MAKERS[maker](*arguments)
        except (LookupError, OSError, TypeError) as error:
            raise PluginError(f"{name}: {match[0]} cannot be made: {error}") from error

    return _within_site(_DIRECTIVE.sub(make, _ON_GITHUB.sub("", markdown)))


def _within_site(markdown: str) -> str:
    """Links to files of the repository that are no pages become their names."""

    def link(match: re.Match[str]) -> str:
        text, target = match.groups()
        return f"`{text.strip('`')}`" if target.startswith("../") else match[0]

    return _LINK.sub(link, markdown)


def _maker(function: Maker) -> Maker:
    MAKERS[function.__name__] = function
    return function


# --- pieces of files ----------------------------------------------------------------------------


@_maker
def source(file: str, *names: str) -> str:
    """Functions, classes or methods (`Class.method`) of a Python file, or the definition in a C++
    file that begins with the words `names`; as they are."""
    text = (ROOT / file).read_text(encoding="utf-8")
    if file.endswith(".py"):
        language, pieces = "python", [_python_piece(text, file, name) for name in names]
    else:
        language, pieces = "cpp", [_native_piece(text, file, " ".join(names))]
    return f'```{language} title="{file}"\n' + "\n\n\n".join(pieces) + "\n```"


def _python_piece(text: str, file: str, name: str) -> str:
    body: list[ast.stmt] = ast.parse(text).body
    found: ast.stmt | None = None
    for part in name.split("."):
        found = next((node for node in body if getattr(node, "name", None) == part), None)
        if found is None:
            raise LookupError(f"{file} has no {name}")
        body = getattr(found, "body", [])
    assert found is not None
    decorators = getattr(found, "decorator_list", [])
    first = min(node.lineno for node in (found, *decorators))
    return _dedented(text.splitlines()[first - 1 : found.end_lineno])


def _native_piece(text: str, file: str, beginning: str) -> str:
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.strip().startswith(beginning):
            indent = line[: len(line) - len(line.lstrip())]
            for last in range(number, len(lines)):
                if lines[last].startswith(f"{indent}}}"):
                    return _dedented(lines[number : last + 1])
    raise LookupError(f"{file} has no line that begins with {beginning!r}")


def _dedented(lines: list[str]) -> str:
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[indent:] for line in lines)


@_maker
def lines(file: str, pattern: str) -> str:
    """The lines of a C++ file in which a regular expression is found."""
    text = (ROOT / file).read_text(encoding="utf-8").splitlines()
    found = [line.strip() for line in text if re.search(pattern, line)]
    if not found:
        raise LookupError(f"{file} has no line with {pattern!r}")
    return f'```cpp title="{file}"\n' + "\n".join(found) + "\n```"


@_maker
def part(file: str, heading: str = "") -> str:
    """What stands below a heading of a Markdown file outside `docs`, up to the next one of its
    rank; without a heading the whole file below its title."""
    text = (ROOT / file).read_text(encoding="utf-8")
    if heading:
        found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^\1 |\Z)", text, re.M | re.S)
    else:
        found = re.search(r"^(#) [^\n]*\n(.*)", text, re.M | re.S)
    if found is None:
        raise LookupError(f"{file} has no heading {heading!r}")
    return _LINK.sub(lambda m: f"[{m[1]}]({_from_docs(file, m[2])})", found[2].strip())


@_maker
def rows(file: str, heading: str, *names: str) -> str:
    """Some rows, by their first cell, of the table below a heading of a Markdown file."""
    given = [line for line in part(file, heading).splitlines() if line.startswith("|")]
    found = {line.split("|")[1].strip(): line for line in given[2:]}
    return "\n".join([*given[:2], *(found[name] for name in names)])


@_maker
def block(file: str, heading: str, number: str) -> str:
    """The fenced block of that number, from 1, below a heading of a Markdown file."""
    found = re.findall(r"^```\w*\n.*?^```$", part(file, heading), re.M | re.S)
    return str(found[int(number) - 1])


def _from_docs(file: str, target: str) -> str:
    """A link in `file`, as seen from a page."""
    if re.match(r"[a-z]+:|#", target):
        return target
    pages = {"README.md": "index.md", "README.zh-CN.md": "zh.md"}
    path = (ROOT / file).parent.joinpath(target).resolve().relative_to(ROOT).as_posix()
    if path in pages:
        return pages[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"../{path}"


@_maker
def svg(file: str) -> str:
    """A drawing put into the page, so that it takes on the page's colours."""
    # Within a block element, so that Markdown leaves it alone.
    return f'<div class="drawing">{(ROOT / file).read_text(encoding="utf-8").strip()}</div>'


# --- tables -------------------------------------------------------------------------------------


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; cells must not hold line breaks."""
    if not rows:
        raise LookupError("the table would be empty")
    cells = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in cells)


def docstrings(model: type[BaseModel]) -> dict[str, str]:
    """What stands under each setting in the source. Pydantic itself can read it, for every program
    that imports the model: that takes longer than the rest of it."""
    found = {}
    for part in reversed([part for part in model.__mro__ if BaseModel in part.__mro__[1:]]):
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(part))).body
        assert isinstance(body, ast.ClassDef)
        for setting, text in pairwise(body.body):
            match setting, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(told))),
                ):
                    found[name] = inspect.cleandoc(told)
    return found


@_maker
def settings(model: str, prefix: str = "") -> str:
    """Every setting of a configuration, with its docstring; a nested one is only named."""
    rows = []
    told = docstrings(MODELS[model])
    for name, field in MODELS[model].model_fields.items():
        if name not in told:
            raise LookupError(f"{model}.{name} has no docstring")
        rows.append(
            (
                f"`{prefix}{name}`",
                _kind(field.annotation, field.metadata),
                _default(field.get_default(call_default_factory=True)),
                " ".join(told[name].split()),
            )
        )
    return table(("name", "value", "default", "meaning"), rows)


def _kind(annotation: Any, metadata: list[Any]) -> str:
    """What a setting may be, in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return _kind(arguments[0], [*arguments[1:], *metadata])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (UnionType, typing.Union):
        return " or ".join(_kind(part, metadata) for part in arguments)
    if origin is dict:
        return "names with values"
    if origin in (list, tuple):
        return "list"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    names = {int: "whole number", float: "number", bool: "`true` or `false`", str: "text"}
    if annotation is type(None):
        return "`null`"
    return names[annotation] + _bounds(metadata)


def _bounds(metadata: list[Any]) -> str:
    """Limits of a number, e.g. ` ≥ 0, < 1`."""
    texts = []
    for item in metadata:
        for limit in (item, *getattr(item, "metadata", ())):
            for attribute, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
                bound = getattr(limit, attribute, None)
                if bound is not None:
                    texts.append(f"{sign} {bound:g}")
    return " " + ", ".join(dict.fromkeys(texts)) if texts else ""


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return ""
    if isinstance(value, BaseModel):
        return "see there"
    return f"`{_as_given(value)}`"


def _as_given(value: Any) -> str:
    """A value as `--set` takes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "_") if value >= 100_000 else str(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_as_given(item) for item in value) + "]"
    if isinstance(value, dict):
        if list(value) == list(LEVELS):
            return "all 32"
        return "{" + ", ".join(f"{k}: {_as_given(v)}" for k, v in value.items()) + "}"
    return str(value)


def flat(config: BaseModel, prefix: str = "") -> dict[str, Any]:
    """The settings of a configuration by dotted name."""
    values: dict[str, Any] = {}
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            values |= flat(value, f"{prefix}{name}.")
        else:
            values[prefix + name] = value
    return values


@_maker
def presets() -> str:
    """Every setting in which some preset differs from `tiles`."""
    columns = {name: flat(config) for name, config in PRESETS.items()}
    base = columns["tiles"]
    rows = []
    for setting in base:
        if setting == "preset" or all(
            values[setting] == base[setting] for values in columns.values()
        ):
            continue
        cells = [
            f"**`{_as_given(values[setting])}`**"
            if values[setting] != base[setting]
            else f"`{_as_given(values[setting])}`"
            for values in columns.values()
        ]
        rows.append((f"`{setting}`", *cells))
    return table(("setting", *columns), rows)


@_maker
def observations() -> str:
    """Every observation, with the space that the environment of that name has by default."""
    rows = []
    for name in get_args(Observation):
        space = observation_space(EnvConfig(observation=name))
        parts = space.spaces if isinstance(space, gymnasium.spaces.Dict) else {"": space}
        described = (
            f"{f'`{key}`: ' if key else ''}{box.dtype}[{', '.join(map(str, box.shape or ()))}]"
            for key, box in parts.items()
        )
        rows.append((f"`{name}`", "; ".join(described), OBSERVATIONS[name]))
    return table(("name", "array of one game", "what"), rows)


@_maker
def actions() -> str:
    """Every action set, with what each action presses."""
    rows = [
        (f"`{name}`", str(len(chosen)), " · ".join(action_names(chosen)))
        for name, chosen in ACTION_SETS.items()
    ]
    return table(("name", "actions", "in order, from 0"), rows)


@_maker
def signal_table() -> str:
    """Every signal, with what the docstring of `SIGNALS` says about it."""
    meanings = signal_meanings()
    missing = set(_native.SIGNALS) - set(meanings)
    if missing:
        raise LookupError(f"the docstring of SIGNALS says nothing about {', '.join(missing)}")
    rows = [
        (f"`{name}`", "bool" if name == "flag" else "int32", meanings[name])
        for name in _native.SIGNALS
    ]
    return table(("key", "dtype", "meaning"), rows)


@cache
def signal_meanings() -> dict[str, str]:
    """The docstring of `SIGNALS` by name: a line of it begins with names and two spaces."""
    body = ast.parse(Path(signals.__file__).read_text(encoding="utf-8")).body
    text = ""
    for node, following in itertools.pairwise(body):
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "SIGNALS":
            assert isinstance(following, ast.Expr)
            text = ast.literal_eval(following.value)
    meanings: dict[str, str] = {}
    names: list[str] = []
    for line in text.splitlines():
        entry = re.match(r" {4}(\w+(?:, \w+)*) +(.*)", line)
        if entry:
            names = entry[1].split(", ")
            meanings |= dict.fromkeys(names, entry[2])
        elif line.startswith("     "):
            for name in names:
                meanings[name] += " " + line.strip()
    return meanings


# --- commands -----------------------------------------------------------------------------------


def commands_of_app() -> dict[str, CommandInfo]:
    """The commands of `warpzone` by name, as they were registered."""
    named = ((info.name or _function(info).__name__, info) for info in app.registered_commands)
    return dict(named)


def _function(info: CommandInfo) -> Callable[..., Any]:
    assert info.callback is not None
    return info.callback


@_maker
def commands() -> str:
    """A section for each command: what it does, an example, arguments and options."""
    return "\n\n".join(_command(name, info) for name, info in commands_of_app().items())


def _command(name: str, info: CommandInfo) -> str:
    function = _function(info)
    hints = typing.get_type_hints(function, include_extras=True)
    texts = [f"## warpzone {name}", inspect.cleandoc(function.__doc__ or "")]
    if isinstance(info.epilog, str):
        texts.append(re.sub(r"\[cyan\](.*?)\[/\]", r"`\1`", info.epilog))
    arguments, options = [], []
    for parameter in inspect.signature(function).parameters.values():
        annotation, about = get_args(hints[parameter.name])
        default = _told_default(parameter.default)
        meaning = f"{about.help or ''}{default}"
        if isinstance(about, ArgumentInfo):
            arguments.append((f"`{about.metavar or parameter.name.upper()}`", meaning))
        else:
            assert isinstance(about, OptionInfo)
            # In `Annotated` the first spelling stands where a default would.
            spellings = [
                text for text in (about.default, *(about.param_decls or ())) if text != ...
            ]
            spellings = spellings or ["--" + parameter.name.replace("_", "-")]
            takes = "" if annotation is bool else _value_of(annotation, about)
            options.append((" ".join(f"`{text}`" for text in spellings), takes, meaning))
    if arguments:
        texts.append(table(("argument", "meaning"), arguments))
    if options:
        texts.append(table(("option", "takes", "meaning"), options))
    return "\n\n".join(texts)


def _value_of(annotation: Any, about: OptionInfo) -> str:
    """What follows an option on the command line."""
    if about.metavar:
        return f"`{about.metavar.strip('|')}`".replace("|", " ")
    (kind,) = {part for part in get_args(annotation) or (annotation,) if part is not type(None)}
    if get_origin(kind) is list:
        (kind,) = get_args(kind)
    if issubclass(kind, Enum):
        return " or ".join(f"`{member.value}`" for member in kind)
    limits = [
        f"{sign} {value:g}"
        for sign, value in (("≥", about.min), ("≤", about.max))
        if value is not None
    ]
    names = {int: "whole number", float: "number", str: "text", Path: "path"}
    return " ".join([names[kind], ", ".join(limits)]).strip()


def _told_default(value: Any) -> str:
    """A default that the help text does not tell already."""
    if value is None or value is False or value is inspect.Parameter.empty:
        return ""
    return f" Default: `{value.value if isinstance(value, Enum) else value}`."
