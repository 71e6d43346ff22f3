"""What is written or deleted stays in its place: nothing of the user's is reached through a link.

A run directory, a campaign's or a shared agent's folder may come from anywhere, with symbolic links
in the places of what is written there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.toy import toy_config
from tests.training.test_trainer import BATCH, Log, play

from warpzone.errors import CheckpointError, ConfigError, FileError
from warpzone.files import (
    append_to,
    open_to_change,
    replacing,
    require_no_link,
    write_atomically,
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs links of POSIX")
MINE = b"mine, and of nobody else\n" * 4
FILES = (
    "config.json", "status.json", "changes.jsonl", "metrics.jsonl", "episode_ends.jsonl",
    "agent.safetensors", "best.safetensors",
)  # fmt: skip
FOLDERS = ("checkpoints", "milestones", "episodes", "live", "demonstrations", "trackers")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder of the user's, with files that are called as a run's are, and a copy of it."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in (
        "thesis.txt", "notes.json", "step-000000000512.ckpt", "step-000000000512.safetensors",
        "000000512-000.json", "wandb.log", ".settings-personal", "1-2-00000000.safetensors",
    ):  # fmt: skip
        (folder / name).write_bytes(MINE)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("links") / "run"
    play(toy_config(total_steps=2 * BATCH), run)
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def go_on(run: Path) -> Any:
    return play(toy_config(total_steps=3 * BATCH, lr=1e-4), run, Log(), resume=True)


# The writers


def written(path: Path) -> None:
    write_atomically(path, b"new")


def replaced(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")


@pytest.mark.parametrize("write", [written, replaced])
def test_a_link_is_replaced_and_not_followed(
    tmp_path: Path, mine: Path, write: Callable[[Path], None]
) -> None:
    path = tmp_path / "file.txt"
    path.symlink_to(mine / "thesis.txt")
    write(path)
    assert (mine / "thesis.txt").read_bytes() == MINE
    assert not path.is_symlink()
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("write", [written, replaced])
def test_a_link_at_the_temporary_name_is_not_followed(
    tmp_path: Path, mine: Path, write: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever guesses the name that a file has while it is written gains nothing."""
    monkeypatch.setattr("secrets.token_hex", lambda count: "0" * 2 * count)
    for suffix in ("", ".txt"):
        (tmp_path / f".file.txt-00000000.part{suffix}").symlink_to(mine / "thesis.txt")
    with pytest.raises(FileError, match="File exists"):
        write(tmp_path / "file.txt")
    assert contents(mine)["thesis.txt"] == MINE


@pytest.mark.parametrize("target", ["thesis.txt", "nothing", "/dev/null", "."])
@pytest.mark.parametrize("opened", [append_to, open_to_change])
def test_what_grows_is_not_written_through_a_link(
    tmp_path: Path, mine: Path, target: str, opened: Callable[[Path], Any]
) -> None:
    path = tmp_path / "log"
    path.symlink_to(mine / target)
    before = contents(mine)
    with pytest.raises(OSError, match="it is a symbolic link"):
        opened(path)
    assert contents(mine) == before


def test_a_link_that_is_made_at_that_moment_is_not_followed(
    tmp_path: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    real = os.open

    def quicker(name: Any, *arguments: Any) -> int:
        if Path(name) == path:
            path.symlink_to(mine / "thesis.txt")
        return real(name, *arguments)

    monkeypatch.setattr(os, "open", quicker)
    with pytest.raises(OSError, match=r"[Ll]inks|loop"):
        append_to(path)
    assert contents(mine)["thesis.txt"] == MINE


@pytest.mark.timeout(20)
def test_what_grows_is_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        for opened in (append_to, open_to_change):
            with pytest.raises(OSError, match=r"it is a .*, not a file"):
                opened(tmp_path / name)
    with append_to(tmp_path / "log") as file:
        file.write(b"one")
    with append_to(tmp_path / "log") as file:
        assert file.tell() == 3
        file.write(b"two")
    with open_to_change(tmp_path / "log") as file:
        file.write(b"ONE")
    assert (tmp_path / "log").read_bytes() == b"ONEtwo"
    with pytest.raises(FileNotFoundError):
        open_to_change(tmp_path / "none")
    require_no_link(tmp_path / "none")


# Run directories


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("dangling", [False, True])
def test_a_run_does_not_go_on_where_a_file_is_a_link(
    run: Path, mine: Path, name: str, dangling: bool
) -> None:
    target = mine / ("new.txt" if dangling else "thesis.txt")
    if name == "config.json":  # which must be read before
        shutil.copy(run / name, mine / "config.json")
        target = mine / "config.json"
    before = contents(mine)
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(target)
    with pytest.raises(CheckpointError, match=rf"{name} is a symbolic link"):
        go_on(run)
    assert contents(mine) == before


@pytest.mark.parametrize("name", FOLDERS)
def test_a_run_does_not_go_on_where_a_folder_is_a_link(run: Path, mine: Path, name: str) -> None:
    shutil.rmtree(run / name, ignore_errors=True)
    (run / name).symlink_to(mine)
    before = contents(mine)
    with pytest.raises(CheckpointError, match=rf"{name} is a symbolic link"):
        go_on(run)
    assert contents(mine) == before


@pytest.mark.parametrize("name", [*FILES, *FOLDERS])
def test_a_run_does_not_begin_where_a_link_lies(tmp_path: Path, mine: Path, name: str) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / name).symlink_to(mine if name in FOLDERS else mine / "thesis.txt")
    before = contents(mine)
    with pytest.raises(
        (CheckpointError, ConfigError), match=r"is a symbolic link|holds a run|but no config"
    ):
        play(toy_config(total_steps=BATCH), out)
    assert contents(mine) == before


@pytest.mark.parametrize("name", [".lock", ".lock.json"])
def test_the_lock_is_no_way_out(run: Path, mine: Path, name: str) -> None:
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(mine / "thesis.txt")
    before = contents(mine)
    if name == ".lock":
        with pytest.raises(ConfigError, match="cannot write a run to"):
            go_on(run)
    else:
        assert go_on(run).steps == 3 * BATCH
    assert contents(mine) == before


def test_the_whole_directory_may_be_a_link(run: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(run)
    assert go_on(tmp_path / "link").steps == 3 * BATCH
    assert (tmp_path / "link").is_symlink()


def test_somebody_elses_files_among_the_episodes_stay(tmp_path: Path) -> None:
    """Only what a run calls its episodes is removed where it is damaged."""
    from tests.support.episodes import make_run_with, recorded

    from warpzone.training.episode_writer import EpisodeWriter

    episode = recorded("1-1", frames=30)[0]
    run = make_run_with(tmp_path / "run", {"episodes/000000512-000.json": episode})
    (run / "episodes/notes.json").write_bytes(MINE)
    (run / "episodes/000000513-000.json").write_bytes(b"{")

    class Env:
        num_envs, watched_games = 2, ()
        action_meanings: tuple[str, ...] = ()
        rom: Any = None

        def watch_games(self, games: Any) -> None: ...

    from warpzone.nes.cartridge import open_rom

    env = Env()
    env.rom = open_rom()
    EpisodeWriter(run, env, 1, pytest.fail)  # type: ignore[arg-type]
    assert contents(run / "episodes").keys() == {"notes.json", "000000512-000.json"}


# Campaigns, shared agents, trackers


@pytest.mark.parametrize("name", ["staged", "agents"])
def test_a_campaign_deletes_nothing_through_a_link(tmp_path: Path, mine: Path, name: str) -> None:
    from warpzone.agents.campaign_results import measure_campaign

    out = tmp_path / "campaign"
    out.mkdir()
    (out / name).symlink_to(mine)
    before = contents(mine)
    with pytest.raises(FileError, match="it is a symbolic link"):
        measure_campaign([], ["1-1"], out, "warpzone campaign 1-1", log=lambda text: None)
    assert contents(mine) == before


def test_a_log_of_a_campaign_is_not_written_through_a_link(tmp_path: Path, mine: Path) -> None:
    from warpzone.training.time_slice import TimeSlice

    (tmp_path / "1-1.log").symlink_to(mine / "thesis.txt")
    with pytest.raises(OSError, match="it is a symbolic link"):
        TimeSlice([sys.executable, "-c", "print(1)"], tmp_path / "1-1.log")
    assert contents(mine)["thesis.txt"] == MINE


def test_measurements_are_not_written_through_a_link(tmp_path: Path, mine: Path) -> None:
    from warpzone.agents.game_records import _Key, _Log
    from warpzone.agents.measurement import Measurement, Played
    from warpzone.agents.measuring import Measured
    from warpzone.agents.results import GameRecord, Results
    from warpzone.training.evaluation import EvalResult

    log = tmp_path / "measurements.jsonl"
    log.symlink_to(mine / "thesis.txt")
    result = EvalResult(
        clear_rate=0.5, episodes=2, ci95=(0.1, 0.9), mean_progress=1.0, mean_frames=None
    )
    with pytest.raises(OSError, match="it is a symbolic link"):
        Measured(Results(), log).add(
            Measurement("a", "1-1", "fixed", "sample", 2, 0), Played(result=result, ends={})
        )
    record = GameRecord(
        games=1, saved=0, ci95=(0.0, 1.0), mean_frames=None, mean_levels=1.0,
        mean_lives_lost=1.0, ended={}, deaths={}, seed=0,
    )  # fmt: skip
    with pytest.raises(OSError, match="it is a symbolic link"):
        _Log(log).add(_Key(players={}, game="one_life", episodes=1, seed=0), record)
    assert contents(mine)["thesis.txt"] == MINE


@pytest.mark.parametrize("name", ["agent.safetensors", "config.json", "README.md", "replay.mp4"])
def test_a_shared_agent_is_not_written_through_a_link(
    tmp_path: Path, mine: Path, name: str
) -> None:
    """Neither of its files is; a link is replaced, as everything in that folder is."""
    from tests.support.agents import write_agent

    from warpzone.agents.agent import Agent
    from warpzone.agents.sharing import Measured, Protocol, write_folder

    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "config.json").write_text('{"library_name": "warpzone"}')
    (folder / name).unlink(missing_ok=True)
    target = mine / "thesis.txt"
    if name == "config.json":
        target.write_text('{"library_name": "warpzone"}')
    (folder / name).symlink_to(target)
    before = contents(mine)
    film = tmp_path / "film.mp4"
    film.write_bytes(b"film")
    agent = Agent.load(write_agent(tmp_path / "agent.safetensors"))
    measured = Measured({}, Protocol(episodes=1, policy="sample"), {})
    write_folder(agent, folder, measured, film=film)
    assert contents(mine) == before
    assert not (folder / name).is_symlink()
    assert (folder / "replay.mp4").read_bytes() == b"film"


@pytest.mark.parametrize("name", ["trackers", "trackers/wandb.log"])
def test_a_tracker_writes_no_log_through_a_link(run: Path, mine: Path, name: str) -> None:
    from warpzone.trackers.follow import Request

    if "/" in name:
        (run / name).parent.mkdir()
        (run / name).symlink_to(mine / "thesis.txt")
    else:
        (run / name).symlink_to(mine)
    before = contents(mine)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "warpzone.trackers.follow",
         Request(str(run), "wandb", "x", once=True).to_json()],
        capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode != 0
    assert "it is a symbolic link" in done.stderr
    assert contents(mine) == before
