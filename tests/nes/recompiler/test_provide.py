"""Native code comes by itself, or games stay with the interpreter and say why."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support.recompiler import image, word
from typer.testing import CliRunner

from warpzone import _native
from warpzone.cli.app import app
from warpzone.cli.options import EXIT_ERROR
from warpzone.errors import ConfigError, EngineError
from warpzone.nes import cartridge as cartridges
from warpzone.nes.cartridge import Cartridge, cartridge_of, set_engine
from warpzone.nes.recompiler import cache, provide
from warpzone.nes.recompiler.provide import Engine, Order
from warpzone.smb.rom import find_rom

# Counts in $10 and waits for the next frame; $A000 is where only RAM leads.
pytestmark = pytest.mark.slow

COUNT = bytes.fromhex("E6 10 2C 02 20 10 FB 4C 00 80")
HIDDEN = bytes.fromhex("E6 11 4C 00 80")
IMAGE = image({0x8000: COUNT, 0xA000: HIDDEN}, reset=0x8000, nmi=0x8000, irq=0x8000)

WORKER = """
import os, pathlib, sys
from warpzone.nes.recompiler import cache
folder = pathlib.Path(os.environ["WARPZONE_TEST_CACHE"])
cache.directory = lambda: folder
{body}
"""
"""A process that keeps its cache where the test wants it, on every system."""


def worker(body: str) -> list[str]:
    return [sys.executable, "-c", WORKER.format(body=body)]


TRANSLATOR = "from warpzone.nes.recompiler.__main__ import main\nmain()"


@pytest.fixture(autouse=True)
def translator(cache_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """The processes that were asked for; they run with the test's cache."""
    assert cache_directory == cache.directory()
    started: list[list[str]] = []
    run = subprocess.run

    def start(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        if command[-2:] != ["-m", "warpzone.nes.recompiler"]:
            return run(command, **options)
        started.append(command)
        return run(worker(TRANSLATOR), **options)

    monkeypatch.setattr(subprocess, "run", start)
    yield started
    set_engine("auto")
    cartridges._cartridges.clear()


def no_starts() -> Sequence[bytes]:
    return []


def engine_of(cartridge: _native.Cartridge) -> Engine:
    return Engine(cartridge, IMAGE, no_starts)


def answer(monkeypatch: pytest.MonkeyPatch, code: int, out: bytes, err: bytes) -> None:
    """What the translator's process says."""

    def run(*_: Any, **__: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess([], code, out, err)

    monkeypatch.setattr(subprocess, "run", run)


def assert_plays_on(cartridge: _native.Cartridge) -> None:
    console = _native.Console(cartridge)
    console.step(0, 10)
    assert console.ram[0x10] > 5


def assert_interpreter_because(engine: Engine, cartridge: _native.Cartridge, *words: str) -> None:
    with pytest.raises(EngineError) as error:
        engine.wait(60)
    for said in (str(error.value), engine.reason):
        assert all(word in said for word in words), said
    assert "Choose the engine 'interpreter' or 'auto'" in str(error.value)
    assert not engine.compiled
    assert_plays_on(cartridge)


def test_no_cache_then_native_code_then_the_cache(translator: list[list[str]]) -> None:
    cartridge = _native.Cartridge(IMAGE)
    engine = engine_of(cartridge)
    assert_plays_on(cartridge)
    engine.wait(60)
    assert engine.compiled
    assert cartridge.compiled
    assert "instructions in" in engine.reason
    assert "just now" in engine.reason
    assert_plays_on(cartridge)
    assert len(translator) == 1

    again = _native.Cartridge(IMAGE)
    engine = engine_of(again)
    engine.wait(60)
    assert again.compiled
    assert "out of the cache" in engine.reason
    assert len(translator) == 1, "translated twice"


def test_games_run_while_it_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    run = subprocess.run

    def slowly(*arguments: Any, **options: Any) -> Any:
        assert go_on.wait(60)
        return run(*arguments, **options)

    monkeypatch.setattr(subprocess, "run", slowly)
    cartridge = _native.Cartridge(IMAGE)
    engine = engine_of(cartridge)
    engine.wait(0.01)  # not done, and nothing wrong
    console, plain = _native.Console(cartridge), _native.Console(_native.Cartridge(IMAGE))
    console.step(0, 50)
    assert not cartridge.compiled
    go_on.set()
    engine.wait(60)
    assert engine.compiled
    console.step(0, 50)
    plain.step(0, 100)
    assert console.save() == plain.save()


@pytest.mark.parametrize("damage", ["cut short", "flipped", "foreign"])
def test_a_damaged_file_is_made_again(damage: str) -> None:
    path = cache.path_of(_native.Cartridge(IMAGE).program)
    engine_of(_native.Cartridge(IMAGE)).wait(60)
    good = path.read_bytes()
    damaged = {
        "cut short": good[:-10],
        "flipped": good[:500] + bytes([good[500] ^ 1]) + good[501:],
        "foreign": cache.pack(bytes(0x8000), cache.Entry(b"", frozenset(), 0, 0, 0.0)),
    }
    path.write_bytes(damaged[damage])
    cartridge = _native.Cartridge(IMAGE)
    engine = engine_of(cartridge)
    engine.wait(60)
    assert engine.compiled
    assert_plays_on(cartridge)
    assert cache.read(cartridge.program) is not None


def test_the_translator_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    cartridge = _native.Cartridge(IMAGE)
    answer(monkeypatch, 1, b"", b"Traceback\nMemoryError: no memory left\n")
    assert_interpreter_because(engine_of(cartridge), cartridge, "no native code", "no memory left")
    answer(monkeypatch, -9, b"", b"")
    assert_interpreter_because(engine_of(cartridge), cartridge, "exit status -9")
    answer(monkeypatch, 0, b"something else", b"")
    assert_interpreter_because(engine_of(cartridge), cartridge, "not a compiled cartridge")


def test_the_translator_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()

    def refuse(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "python")

    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(cache, "read", lambda program: None)
    cartridge = _native.Cartridge(IMAGE)
    assert_interpreter_because(engine_of(cartridge), cartridge, "No such file or directory")


def test_the_translator_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> Any:
        raise subprocess.TimeoutExpired(["python"], provide.PATIENCE)

    monkeypatch.setattr(subprocess, "run", run)
    cartridge = _native.Cartridge(IMAGE)
    assert_interpreter_because(
        engine_of(cartridge), cartridge, f"timed out after {provide.PATIENCE}"
    )


def test_without_llvmlite(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("warpzone.nes.recompiler.")]:
        if name.rpartition(".")[2] in ("cache", "loader", "translate"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("warpzone.nes.recompiler.cache")
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    cartridge = _native.Cartridge(IMAGE)
    assert_interpreter_because(engine_of(cartridge), cartridge, "llvmlite")


def test_what_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    cartridge = _native.Cartridge(IMAGE)
    entry = cache.Entry(b"not an object file", frozenset(), 1, 1, 1.0)
    cache.write(cartridge.program, entry)
    assert_interpreter_because(
        engine_of(cartridge), cartridge, "LLVM cannot load the compiled cartridge"
    )


def test_a_cache_that_takes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where the directory should be")
    folder = tmp_path / "file" / "engine"
    monkeypatch.setenv("WARPZONE_TEST_CACHE", str(folder))
    monkeypatch.setattr(cache, "directory", lambda: folder)
    cartridge = _native.Cartridge(IMAGE)
    engine = engine_of(cartridge)
    engine.wait(60)
    assert engine.compiled
    assert "it is not kept" in engine.reason
    assert_plays_on(cartridge)


def test_what_was_wanted_joins_the_next_translation(translator: list[list[str]]) -> None:
    script = (
        "from warpzone import _native\n"
        "from warpzone.nes.recompiler import Engine, provide\n"
        "cartridge = _native.Cartridge(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "provide.WORTH_IT = 1\n"
        "run = provide.subprocess.run\n"
        f"translate = {worker(TRANSLATOR)!r}\n"
        "provide.subprocess.run = lambda command, **options: run(translate, **options)\n"
        "engine = Engine(cartridge, pathlib.Path(sys.argv[1]).read_bytes(), lambda: [])\n"
        "engine.settled.wait(60)\n"
        "console = _native.Console(cartridge)\n"
        "console.ram[0x204:0x206] = 0x00, 0xA0\n"
        "state = bytearray(console.save())\n"
        "at = 24 + _native.MACHINE['state']['pc']\n"
        "state[at:at + 2] = 0x00, 0xB0\n"
        "console.load(bytes(state))\n"
        "console.step(0, 3)\n"
        "print(cartridge.wanted())\n"
    )
    # $B000 is known; it leads to $A000 through RAM, which nothing in the program says.
    parts = {0x8000: COUNT, 0xA000: HIDDEN, 0xB000: bytes([0x6C]) + word(0x0204)}
    hidden = image(parts, reset=0x8000, nmi=0x8000, irq=0xB000)
    path = cache.directory().parent / "hidden.nes"
    path.parent.mkdir(parents=True)
    path.write_bytes(hidden)
    command = [*worker(script), str(path)]
    first = _run(command)
    assert json.loads(first) == [0xA000]
    program = _native.Cartridge(hidden).program
    assert cache.read_wanted(program) == {0xA000}
    entry = cache.read(program)
    assert entry is not None
    assert entry.wanted == frozenset()
    assert json.loads(_run(command)) == []
    entry = cache.read(program)
    assert entry is not None
    assert entry.wanted == {0xA000}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_looks_for_itself(tmp_path: Path) -> None:
    engine_of(_native.Cartridge(IMAGE)).wait(60)  # into the cache
    path = tmp_path / "game.nes"
    path.write_bytes(IMAGE)
    script = (
        "import os\n"
        "from warpzone import _native\n"
        "from warpzone.nes.recompiler import Engine, cache, loader\n"
        "data = pathlib.Path(sys.argv[1]).read_bytes()\n"
        "engine = Engine(_native.Cartridge(data), data, lambda: [])\n"
        "child = os.fork()\n"
        "engine.wait(60)\n"
        "if child == 0:\n"
        "    os._exit(0 if engine.compiled else 3)\n"
        "import json; print(json.dumps([engine.compiled, os.waitpid(child, 0)[1]]))\n"
    )
    assert json.loads(_run([*worker(script), str(path)])) == [True, 0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_fork_during_the_first_imports(tmp_path: Path) -> None:
    """It finds no module half imported, however long importing takes."""
    path = tmp_path / "game.nes"
    path.write_bytes(IMAGE)
    script = (
        "import builtins, json, os, pathlib, sys, time\n"
        "import warpzone._native as _native\n"
        "from warpzone.nes.recompiler import Engine\n"
        "data = pathlib.Path(sys.argv[1]).read_bytes()\n"
        "real, reached = builtins.__import__, []\n"
        "def slowly(name, *arguments):\n"
        "    if name.startswith('llvmlite') and not reached:\n"
        "        reached.append(name)\n"
        "        time.sleep(0.5)\n"
        "    return real(name, *arguments)\n"
        "builtins.__import__ = slowly\n"
        "engine = Engine(_native.Cartridge(data), data, lambda: [])\n"
        "while not reached: time.sleep(0.01)\n"
        "child = os.fork()\n"
        "engine.settled.wait(60)\n"
        "if child == 0:\n"
        "    print(engine.reason, file=sys.stderr, flush=True)\n"
        "    os._exit(0 if engine.compiled else 3)\n"
        "print(json.dumps([engine.compiled, os.waitpid(child, 0)[1]]))\n"
    )
    # The cache of both is the test's on systems that have the variable XDG_CACHE_HOME.
    assert json.loads(_run([sys.executable, "-c", script, str(path)])) == [True, 0]


def _run(command: list[str]) -> str:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def test_several_processes_translate_once(tmp_path: Path) -> None:
    counted = (
        "from warpzone.nes.recompiler import translate\n"
        "real = translate.translate\n"
        "def count(*arguments):\n"
        "    with open(sys.argv[1], 'a') as file:\n"
        "        print(os.getpid(), file=file)\n"
        "    return real(*arguments)\n"
        "translate.translate = count\n"
    )
    log = tmp_path / "log"
    order = Order(IMAGE, (), frozenset()).as_json().encode()
    processes = [
        subprocess.Popen(
            [*worker(counted + TRANSLATOR), str(log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(order)
        process.stdin.close()
        process.stdin = None
    results = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(log.read_text().splitlines()) == 1
    program = _native.Cartridge(IMAGE).program
    assert set(results) == {cache.path_of(program).read_bytes()}


def test_a_parent_that_ends_early_leaves_a_finished_file() -> None:
    script = (
        "import subprocess, sys\n"
        f"p = subprocess.Popen({worker(TRANSLATOR)!r}, stdin=subprocess.PIPE, "
        "stdout=subprocess.PIPE, start_new_session=True)\n"
        "p.stdin.write(sys.stdin.buffer.read())\n"
        "p.stdin.close()\n"
        "os._exit(0)\n"
    )
    order = Order(IMAGE, (), frozenset()).as_json().encode()
    process = subprocess.Popen(worker(script), stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.communicate(order, timeout=60)
    program = _native.Cartridge(IMAGE).program
    deadline = time.monotonic() + 120
    while cache.read(program) is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert cache.read(program) is not None


def test_a_process_may_end_at_any_moment(tmp_path: Path) -> None:
    """Also while native code is being loaded."""
    engine_of(_native.Cartridge(IMAGE)).wait(60)
    path = tmp_path / "program.nes"
    path.write_bytes(IMAGE)
    script = (
        "import time\n"
        "from warpzone import _native\n"
        "from warpzone.nes.recompiler import Engine\n"
        "data = pathlib.Path(sys.argv[1]).read_bytes()\n"
        "cartridge = _native.Cartridge(data)\n"
        "Engine(cartridge, data, lambda: [])\n"
        "_native.Console(cartridge).step(0, 5)\n"
        "time.sleep(float(sys.argv[2]))\n"
    )
    for later in ("0", "0.15", "0.3"):
        _run([*worker(script), str(path), later])


def test_orders_survive_the_way_to_another_process() -> None:
    order = Order(IMAGE, (b"\0\xff" * 9, b""), frozenset({0x8000, 0xFFFF}))
    assert Order.from_json(order.as_json()) == order


def test_modes(tmp_path: Path) -> None:
    path = tmp_path / "program.nes"
    path.write_bytes(IMAGE)
    rom = find_rom(path)
    plain = cartridge_of(rom, "interpreter")
    assert plain.running == "interpreter: chosen"
    assert plain.engine is None
    compiled = cartridge_of(rom, "compiled")
    assert compiled.running.startswith("compiled: ")
    assert compiled is cartridge_of(rom, "auto")
    assert compiled is cartridge_of(rom)
    set_engine("interpreter")
    assert cartridge_of(rom) is plain
    with pytest.raises(ConfigError, match="no engine 'fast'; choose auto, interpreter, compiled"):
        set_engine("fast")
    with pytest.raises(ConfigError, match="no engine 'fast'"):
        cartridge_of(rom, "fast")
    assert cartridge_of(rom) is plain


def test_compiled_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "program.nes"
    path.write_bytes(IMAGE)
    answer(monkeypatch, 1, b"", b"LLVM ERROR: no\n")
    with pytest.raises(EngineError, match=r"LLVM ERROR: no.*Choose the engine"):
        cartridge_of(find_rom(path), "compiled")
    assert cartridge_of(find_rom(path), "auto").running.startswith("interpreter: no native code")


def test_a_cartridge_of_another_game_has_no_starts() -> None:
    assert Cartridge(IMAGE, translated=False)._starts() == []


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def games_line(path: Path, engine: str) -> str:
    result = run("doctor", "--json", "--rom", str(path), "--engine", engine)
    findings = json.loads(result.stdout)["findings"]
    return next(str(finding["text"]) for finding in findings if finding["name"] == "games")


def test_command_line(tmp_path: Path) -> None:
    path = tmp_path / "program.nes"
    path.write_bytes(IMAGE)
    for command in (("doctor",), ("eval", str(tmp_path))):
        result = run(*command, "--engine", "fast")
        assert result.exit_code == EXIT_ERROR
        assert "no engine 'fast'" in result.output
        assert "Traceback" not in result.output
    assert games_line(path, "interpreter") == "interpreter: chosen"
    cartridge_of(find_rom(path), "compiled")
    assert games_line(path, "auto").startswith("compiled: ")
    assert games_line(path, "compiled").startswith("compiled: ")


def test_what_is_started(translator: list[list[str]]) -> None:
    """What is started is this Python, with this package."""
    engine_of(_native.Cartridge(IMAGE)).wait(60)
    assert translator[0][0] == sys.executable
