"""`warpzone eval`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.support.commands import error_of, plain, run
from tests.support.episodes import CLEAR, make_episode

from warpzone.agents.agent import Agent
from warpzone.episodes.format import Episode
from warpzone.episodes.replay import snapshot_at
from warpzone.errors import EpisodeError, RomError
from warpzone.smb.known_cartridges import KNOWN
from warpzone.smb.rom import find_known
from warpzone.training.agent_file import save_agent
from warpzone.training.packaged_index import read_index, trained_folder


def test_a_row_of_levels_needs_one_agent_and_one_first_level() -> None:
    assert "--through needs an agent" in error_of("eval", "--through", "1-2")
    several = error_of("eval", "1-1", "--levels", "1-1,1-2", "--through", "1-3")
    assert "names 2 levels" in several


def test_a_row_of_levels() -> None:
    told = run("eval", "4-1", "--through", "4-2", "--episodes", "3", "--json")
    assert set(json.loads(told.stdout)["reached"]) == {"4-1", "4-2"}
    shown = run("eval", "4-1", "--through", "4-2", "--episodes", "3")
    assert re.search(r"4-1 to 4-2 with one life: \d+\.\d% of 3 episodes", shown.stdout)


def test_an_agent_of_the_lost_levels_plays_on_their_cartridge() -> None:
    try:
        find_known(KNOWN["lost-levels"])
    except RomError as error:
        pytest.skip(f"no network: {error}")
    told = json.loads(run("eval", "lost-levels", "--episodes", "2", "--json").stdout)
    assert list(told["levels"]) == ["1-1"]
    assert told["levels"]["1-1"]["clear_rate"] == 1.0
    assert "Lost Levels" in told["rom"]["revision"]
    elsewhere = run("eval", "lost-levels", "--episodes", "1", "--rom", "super-mario-bros")
    assert "trained with the ROM revision" in plain(elsewhere.stderr)


def test_the_whole_game() -> None:
    told = json.loads(
        run("eval", "1-1", "--game", "--episodes", "3", "--lives", "1", "--json").stdout
    )
    assert told["protocol"]["games"] == told["levels"]["1-1"]["reached"] == 3
    shown = run("eval", "--game", "--episodes", "2").stdout
    assert "the princess with three lives: " in shown
    assert "of 2 games, 95 % interval" in shown


def test_settings_of_the_whole_game_are_for_it_alone() -> None:
    assert "give --game too" in error_of("eval", "1-1", "--lives", "1")
    assert "give --game too" in error_of("eval", "1-1", "--warps")
    assert "leave out --levels and --through" in error_of("eval", "--game", "--levels", "1-1")
    assert "--lives is 2" in error_of("eval", "--game", "--lives", "2")


@pytest.mark.parametrize(
    "words",
    [
        "eval 1-1 --episodes 1",
        "eval --episodes 1",
        "eval tetris --episodes 1",
        "watch 1-1",
        "record 1-1 1-1",
        "record all",
        "push 1-1 --folder x",
        "export 1-1 -o x.pt2",
        "track 1-1 wandb --film",
    ],
)
def test_a_network_that_no_agent_needs_is_not_named(words: str, tmp_path: Path) -> None:
    text = error_of(*words.split(), "--network", "no_such_module:Rows")
    assert "--network no_such_module:Rows is for agents with a network of your own" in text


def test_a_network_without_a_film_is_not_named() -> None:
    text = error_of("track", "run", "wandb", "--network", "no_such_module:Rows")
    assert "--network no_such_module:Rows is for a film" in text


def test_any_phase_is_for_levels_from_their_own_starts() -> None:
    told = run("eval", "1-1", "--any-phase", "--episodes", "2", "--json")
    assert json.loads(told.stdout)["protocol"]["any_phase"] is True
    for other in (["--game"], ["--through", "1-2"]):
        assert "from their own starts" in error_of("eval", "1-1", "--any-phase", *other)


def test_weights_that_are_no_numbers_are_told_and_not_measured(tmp_path: Path) -> None:
    agent = Agent.load("1-1")
    weights = {name: tensor.clone() for name, tensor in agent.policy.state_dict().items()}
    weights["heads.bias"][0] = float("nan")
    save_agent(tmp_path / "nan.safetensors", weights, agent.info)
    text = error_of("eval", tmp_path / "nan.safetensors", "--episodes", "1")
    assert "no finite numbers" in text


def test_a_packaged_agent_may_be_named_by_its_file() -> None:
    file = read_index(trained_folder()).levels["1-1"].file
    arguments = ("--levels", "1-1", "--episodes", "2", "--json")
    by_level = json.loads(run("eval", "1-1", *arguments).stdout)
    assert json.loads(run("eval", Path(file).stem, *arguments).stdout) == by_level


def test_from_a_moment_of_an_episode(tmp_path: Path) -> None:
    """Written by `replay --at`; measured under the name of its file."""
    make_episode(CLEAR[:400]).save(tmp_path / "game.json")
    state = tmp_path / "here.state"
    told = run("replay", tmp_path / "game.json", "--at", "240", "-o", state)
    assert told.exit_code == 0, told.output
    assert "the moment after frame 240" in told.stdout
    assert "RAM after the last frame: as recorded" in told.stdout
    assert state.read_bytes() == snapshot_at(make_episode(CLEAR[:400]), 240)
    measured = run("eval", "1-1", "--start", state, "--episodes", "2", "--json")
    assert set(json.loads(measured.stdout)["levels"]) == {"here.state"}


def test_moments_that_cannot_be_written_or_measured_are_told(tmp_path: Path) -> None:
    game = tmp_path / "game.json"
    make_episode(CLEAR[:40]).save(game)
    state = tmp_path / "here.state"
    both = "give both or neither"
    assert both in error_of("replay", game, "--at", "3")
    assert both in error_of("replay", game, "-o", state)
    assert both in error_of("replay", game, "--at", "3", "-o", tmp_path / "clip.mp4")
    assert "has 40 frames" in error_of("replay", game, "--at", "41", "-o", state)
    assert not state.exists()
    assert "cannot be read" in error_of("eval", "1-1", "--start", state)
    values = json.loads(game.read_text())
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps({**values, "ram_sha256": "0" * 64}))
    assert "went another way" in error_of("replay", changed, "--at", "3", "-o", state)
    assert not state.exists()
    with pytest.raises(EpisodeError, match="went another way"):
        snapshot_at(Episode.load(changed), 3)
    assert "--start needs an agent" in error_of("eval", "--start", game)
    assert "leave out" in error_of("eval", "1-1", "--start", game, "--levels", "1-1")
    assert "is no snapshot of a console" in error_of("eval", "1-1", "--start", game)
