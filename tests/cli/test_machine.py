"""`warpzone levels`, `rom` and `doctor`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.commands import error_of, plain, run

from warpzone import doctor
from warpzone.errors import EngineError
from warpzone.smb.level_guide import GUIDE
from warpzone.smb.levels import LEVELS


def test_levels_lists_all_32() -> None:
    rows = {line.split()[0]: line for line in run("levels").stdout.splitlines()[1:]}
    assert list(rows) == list(LEVELS) == list(GUIDE)
    assert "water" in rows["2-2"]
    assert json.loads(run("levels", "--json").stdout)["8-4"]["kind"] == "castle maze"


def test_rom_of_a_missing_file() -> None:
    assert "missing.nes" in error_of("rom", "--rom", "missing.nes")


def test_doctor_finds_a_healthy_machine() -> None:
    result = run("doctor", "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["ok"]) == (0, True)
    findings = {finding["name"]: finding for finding in report["findings"]}
    assert findings["self-test"]["ok"]
    assert "Mario walked" in findings["self-test"]["text"]
    assert "torch" in findings["libraries"]["text"]
    assert {"engine", "device", "ROM", "window", "films"} <= set(findings)


def test_doctor_says_what_is_wrong(tmp_path: Path) -> None:
    result = run("doctor", "--rom", tmp_path / "missing.nes")
    assert result.exit_code == 1
    text = plain(result.output)
    assert "bad ROM" in text
    assert "missing.nes" in text
    assert "self-test" not in text


def test_doctor_survives_what_it_examines(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(rom: object) -> None:
        raise OSError("the disk is on fire")

    monkeypatch.setattr("warpzone.doctor._rom", broken)
    result = run("doctor")
    assert result.exit_code == 1
    assert "OSError: the disk is on fire" in plain(result.output)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX counts the time of children")
@pytest.mark.slow
@pytest.mark.parametrize(("name", "limit"), [("rom", 1.0), ("doctor", 3.0), ("--help", 1.0)])
def test_who_asks_is_answered_soon(name: str, limit: float) -> None:
    """In processor time, which does not depend on what else the computer does."""
    import resource

    spent = []
    for _ in range(2):  # the first may have to compile bytecode
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-P", "-m", "warpzone", name]
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) <= limit


def test_doctor_does_not_wait_for_a_translation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = []

    class Slow:
        def wait(self, seconds: float) -> None:
            waited.append(seconds)
            raise EngineError("still being translated")

    class Cartridge:
        engine = Slow()
        running = "interpreter: being translated in the background"

    monkeypatch.setattr("warpzone.nes.cartridge.cartridge_of", lambda rom: Cartridge())
    assert doctor._games(None).text == Cartridge.running
    assert sum(waited) <= 1.0


def test_rom_by_name_says_what_it_is() -> None:
    facts = json.loads(run("rom", "lost-levels", "--json").stdout)
    assert facts["revision"] == "Super Mario Bros. 2 (The Lost Levels)"
    assert facts["levels"] == "1-1 to 4-4"
    assert facts["package"] == "gym-super-mario-bros==7.4.0"
    assert Path(facts["path"]).is_file()
    assert "problem" not in facts


def test_known_roms_are_listed() -> None:
    rows = {row["name"]: row for row in json.loads(run("rom", "--list", "--json").stdout)}
    assert {"super-mario-bros", "lost-levels", "super-mario-bros-3", "tetris", "zelda"} < set(rows)
    assert rows["zelda"]["levels"] == "none: another game"
    words = run("rom", "--list").stdout
    assert all(name in words for name in rows)


def test_unknown_names_of_roms_are_refused() -> None:
    assert "no known cartridge 'lost'" in error_of("rom", "lost")
    assert "leave out NAME" in error_of("rom", "lost-levels", "--list")
    assert "either NAME or --rom" in error_of("rom", "lost-levels", "--rom", "a.nes")
