"""What works without the packages of the extras, and what is said where one is missing.

A subprocess cannot import them, as if they were not installed. `scripts/try_installs.sh` does the
same in environments where they really are not.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from warpzone import extras
from warpzone.errors import MissingPackageError

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "warpzone"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {
    "train": ("torch", "safetensors"),
    "films": ("PIL", "imageio_ffmpeg"),
    "watch": ("pygame", "PIL", "imageio_ffmpeg"),
    "dashboard": ("plotly", "starlette", "uvicorn", "websockets", "PIL"),
    "tensorboard": ("tensorboard",),
}
"""The modules of each extra."""
EVERY = sorted({name for names in OURS.values() for name in names})
OF_OTHERS = (
    "ale_py",
    "IPython",
    "huggingface_hub",
    "matplotlib",
    "mlflow",
    "onnx",
    "onnxscript",
    "ray",
    "sb3_contrib",
    "stable_baselines3",
    "trackio",
    "wandb",
)
"""What the tests bring, and a user who installs environments alone has not."""


def without(missing: Sequence[str], program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs a program where packages are missing; `words` are its arguments."""
    blocked = f"import sys\nfor name in {list(missing)!r}:\n    sys.modules[name] = None\n"
    command = [sys.executable, "-W", "error::ImportWarning", "-c", blocked + program, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def good(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


COMMAND = "from warpzone.cli import main\nmain()\n"

# ---- environments alone --------------------------------------------------------------------------


def test_environments_alone_play() -> None:
    """With no package of any extra: one game, many, by Gymnasium's name, a described game."""
    program = """
import gymnasium, numpy as np, warpzone
from warpzone.nes import make_vec
for observation in ("tiles", "pixels", "rgb", "ram"):
    env = warpzone.make("1-1", observation=observation, render_mode="rgb_array")
    env.reset(seed=0)
    for _ in range(5):
        env.step(env.action_space.sample())
    assert env.render().shape == (240, 256, 3)
    env.close()
envs = warpzone.make_vec(["1-1", "8-4"], 4, seed=0, noop_max=30)
envs.reset()
for _ in range(20):
    *_, infos = envs.step(envs.action_space.sample())
envs.close()
env = gymnasium.make("warpzone/Mario-v0", level="1-2")
env.reset(seed=0)
env.close()
games = make_vec(None, "catch", 2)
games.reset(seed=0)
games.close()
console = warpzone.Console()
console.step(0, frames=60)
print(int(infos["x"].min()) > 0)
"""
    assert good(without([*EVERY, *OF_OTHERS], program)) == "True\n"


@pytest.mark.parametrize("words", [("--help",), ("levels",), ("rom",), ("--version",)], ids=str)
def test_environments_alone_have_the_command(words: Sequence[str]) -> None:
    assert good(without([*EVERY, *OF_OTHERS], COMMAND, *words))


def test_the_doctor_is_content_with_environments_alone() -> None:
    told = json.loads(good(without([*EVERY, *OF_OTHERS], COMMAND, "doctor", "--json")))
    found = {finding["name"]: finding for finding in told["findings"]}
    assert told["ok"] is True
    assert "games alone" in found["extras"]["text"]
    assert "warpzone[train,watch,dashboard]" in found["extras"]["text"]
    assert {found[name]["ok"] for name in ("device", "window", "films")} == {None}
    assert found["self-test"]["ok"] is True


# ---- no bare ImportError -------------------------------------------------------------------------

IMPORTS = """
import importlib, json, pathlib
from warpzone.errors import MissingPackageError
source = pathlib.Path(sys.argv[1])
result = {}
for path in sorted(source.rglob("*.py")):
    parts = path.relative_to(source.parent).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    # Parts of a fleet are imported by `fleet.cluster`, once it has asked for Ray.
    if name == "warpzone.__main__" or name.startswith("warpzone.fleet.") and parts[-1] != "cluster":
        continue
    try:
        importlib.import_module(name)
    except MissingPackageError as error:
        result[name] = [str(error), error.name]
    except Exception as error:
        result[name] = [f"{type(error).__name__}: {error}", "wrong"]
print(json.dumps(result))
"""


def test_every_module_can_be_imported_or_says_what_is_missing() -> None:
    refused = json.loads(good(without([*EVERY, *OF_OTHERS], IMPORTS, str(SOURCE))))
    assert {"warpzone.training.trainer", "warpzone.dashboard.app"} <= set(refused)
    there = {"warpzone", "warpzone.smb.env", "warpzone.doctor", "warpzone.bench.run"}
    assert not there & set(refused)
    for name, (text, package) in refused.items():
        assert package in (*EVERY, *OF_OTHERS), f"{name}: {text}"
        assert "pip install" in text, name


def _imported(node: ast.AST) -> set[str]:
    match node:
        case ast.Import(names=names):
            return {alias.name.partition(".")[0] for alias in names}
        case ast.ImportFrom(module=str(module), level=0):
            return {module.partition(".")[0]}
        case _:
            return set()


def _at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _at_run_time(child)


def test_whoever_imports_a_package_of_an_extra_asks_for_it_first() -> None:
    """In the module itself or in the package that it belongs to, which is imported before it."""
    unasked = []
    for path in sorted(SOURCE.rglob("*.py")):
        used = set()
        for node in _at_run_time(ast.parse(path.read_text(encoding="utf-8"))):
            used |= _imported(node) & set(EVERY)
        rooms = [path, *(room / "__init__.py" for room in path.parents if SOURCE in room.parents)]
        text = "".join(room.read_text(encoding="utf-8") for room in rooms)
        asks = re.search(r"\b(need|is_there|require_display|find_spec)\(", text) is not None
        # What opens a window has been made by `Window`, which asks.
        inside = path.parent.name == "viewers" and used == {"pygame"}
        if used and not asks and not inside:
            unasked.append((path.relative_to(SOURCE).as_posix(), sorted(used)))
    assert unasked == []


@pytest.mark.parametrize(
    ("program", "extra"),
    [
        ("import warpzone; warpzone.train", "train"),
        ("import warpzone; warpzone.evaluate", "train"),
        ("import warpzone; warpzone.Agent", "train"),
        ("from warpzone.training import train", "train"),
        ("from warpzone.ppo.policy import Policy", "train"),
        ("from warpzone.viewers.notebook import show", "train"),
        ("from warpzone.dashboard.server import serve", "dashboard"),
        ("from warpzone.maps.cache import open_map", "films"),
        ("from warpzone.report.page import write_report", "train,films"),
        (
            "import warpzone; warpzone.RecordVideo(warpzone.make('1-1', keep_frames=True), 'x')",
            "films",
        ),
        ("import warpzone; warpzone.make('1-1', render_mode='human').reset()", "watch"),
    ],
)  # fmt: skip
def test_python_names_the_extra(program: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    caught = (
        "from warpzone.errors import MissingPackageError\ntry:\n    {}\nexcept {}:\n    print({})"
    )
    program = caught.format(program, "MissingPackageError as error", "error")
    assert f"pip install 'warpzone[{extra}]'" in good(without(EVERY, program))


@pytest.mark.parametrize(
    ("words", "extras_named"),
    [
        ("train 1-1", "train"),
        ("train 1-1 --watch --dashboard", "train,dashboard,watch"),
        ("campaign all", "train"),
        ("eval 1-1", "train"),
        ("watch 1-1", "train,watch"),
        ("watch 1-1 --terminal", "train,films"),
        ("record 1-1 -o clip.mp4", "train,films"),
        ("report runs/x", "train,films"),
        ("dashboard", "dashboard"),
        ("map 1-1", "films"),
        ("play 1-1", "watch"),
    ],
)
def test_commands_name_all_that_they_need_at_once(
    words: str, extras_named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    done = without(EVERY, COMMAND, *words.split())
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"pip install 'warpzone[{extras_named}]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []  # nothing was begun


# ---- each extra by itself ------------------------------------------------------------------------


def rest(*kept: str) -> list[str]:
    """Returns what is missing where only these extras are installed."""
    there = {name for extra in kept for name in OURS[extra]}
    return [name for name in EVERY if name not in there]


def test_train_alone_trains_and_measures(tmp_path: Path) -> None:
    program = """
import pathlib, warpzone
from warpzone.training import resolve
config = resolve(num_envs=8, rollout_steps=32, minibatch_size=64, total_steps=512, eval_episodes=2)
run = pathlib.Path(sys.argv[1]) / "run"
result = warpzone.train(config, run)
found = warpzone.evaluate(warpzone.Agent.load(run), ["1-1"], episodes=2)
print(result.steps)
"""
    told = good(without(rest("train"), program, str(tmp_path)))
    assert "512" in told
    assert (tmp_path / "run" / "agent.safetensors").is_file()


def test_films_alone_films_an_environment(tmp_path: Path) -> None:
    program = """
import warpzone
env = warpzone.RecordVideo(warpzone.make("1-1", keep_frames=True), sys.argv[1])
env.reset(seed=0)
for _ in range(10):
    env.step(1)
env.close()
"""
    good(without(rest("films"), program, str(tmp_path)))
    assert [path.suffix for path in tmp_path.iterdir()] == [".mp4"]


def test_watch_alone_opens_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    program = """
import warpzone
env = warpzone.make("1-1", render_mode="human")
env.reset(seed=0)
env.step(0)
env.close()
import warpzone.viewers.play, warpzone.viewers.replay
print("shown")
"""
    assert "shown" in good(without(rest("watch"), program))


def test_dashboard_alone_serves(tmp_path: Path) -> None:
    program = """
import pathlib, urllib.request
from warpzone.dashboard.server import serving
with serving(pathlib.Path(sys.argv[1])) as address:
    print(urllib.request.urlopen(address + "/api/runs").status)
"""
    assert good(without(rest("dashboard"), program, str(tmp_path))) == "200\n"


# ---- what is loaded ------------------------------------------------------------------------------

HEAVY = {*EVERY, *OF_OTHERS, "llvmlite", "numba", "scipy", "pandas", "asyncio", "filelock"}


@pytest.mark.parametrize(
    ("program", "more"),
    [
        ("import warpzone", {"typer", "rich"}),
        ("from warpzone.cli import main\nsys.argv[1:] = ['--help']", {"warpzone.training"}),
    ],
    ids=["import", "help"],
)
def test_what_is_slow_is_not_loaded(program: str, more: set[str]) -> None:
    """Figures are in `benchmarks/startup.py`."""
    ends = "\ntry:\n    main()\nexcept SystemExit:\n    pass\n" if "main" in program else "\n"
    look = f"print('loaded:', sorted({HEAVY | more} & set(sys.modules)))"
    told = good(without([], program + ends + look))
    assert told.splitlines()[-1] == "loaded: []"


def test_the_command_tells_what_it_can_do_without_numpy() -> None:
    command = [sys.executable, "-X", "importtime", "-P", "-m", "warpzone", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "warpzone.cli.train" in loaded
    assert not loaded & {*HEAVY, "numpy", "gymnasium", "warpzone.training"}


# ---- the table -----------------------------------------------------------------------------------


def _packages(extra: str) -> set[str]:
    found: set[str] = set()
    for line in PROJECT["optional-dependencies"][extra]:
        inner = re.fullmatch(r"warpzone\[(.+)\]", line)
        if inner:
            found.update(*(_packages(name) for name in inner[1].split(",")))
        else:
            found.add(re.split(r"[<>=!\[ ;]", line)[0])
    return found


def test_extras_bring_what_is_asked_for() -> None:
    for extra, modules in OURS.items():
        assert _packages(extra) == {extras.DISTRIBUTIONS.get(name, name) for name in modules}
    assert set(extras.AGENT) == set(OURS["train"])
    assert set(extras.FILM) == set(OURS["films"])
    assert {*extras.WINDOW, *extras.FILM} == set(OURS["watch"])
    assert set(extras.DASHBOARD) == set(OURS["dashboard"])


def test_all_is_every_command_and_a_notebook_needs_no_window() -> None:
    assert _packages("all") == set().union(*map(_packages, OURS))
    assert _packages("notebook") == _packages("all") - {"pygame-ce", "tensorboard"}
    assert _packages("all") <= _packages("test")


def test_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    extras.need("Counting", train=("json",))
    with pytest.raises(MissingPackageError) as caught:
        extras.need("Counting", train=("json", "no_such_a"), watch=("no_such_b", "no_such_c"))
    assert str(caught.value) == (
        "Counting needs no_such_a, no_such_b and no_such_c, which are not installed: "
        "pip install 'warpzone[train,watch]'"
    )
    assert caught.value.name == "no_such_a"
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(MissingPackageError, match="needs pygame-ce, which is not installed"):
        extras.need("A window", watch=("pygame",))
