"""What a training writes down to be looked at, from real short trainings."""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rich.console
import torch

import warpzone
from warpzone.episodes.format import Episode, RomIdentity, TrainingPlayer
from warpzone.episodes.outcome import Outcome
from warpzone.episodes.replay import Replay, ram_digest
from warpzone.nes.console import Console
from warpzone.ppo.rollout import Rollout
from warpzone.training import episode_writer, resolve, train
from warpzone.training.agent_file import load_agent
from warpzone.training.config import TrainConfig
from warpzone.training.episode_writer import EpisodeWriter
from warpzone.training.progress import LineDisplay
from warpzone.training.run_settings import fixed_because

SMALL = {
    "num_envs": 8,
    "rollout_steps": 64,
    "minibatch_size": 128,
    "total_steps": 64 * 8 * 8,
    "eval_episodes": 1,
    "eval_every": 1000,
    "target_clear_rate": None,
    "checkpoint_every": 4,
    "watched_games": 3,
    "threads": 1,
}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that ends is written down."""
    monkeypatch.setattr(episode_writer, "PAUSE", 0.0)
    monkeypatch.setattr(episode_writer, "LIVE_PAUSE", 0.0)


def small(**changes: Any) -> TrainConfig:
    env = {"noop_max": 30, "max_steps": 40} | changes.pop("env", {})
    return resolve("tiles", env=env, **(SMALL | changes))


def replayed(path: Path) -> Episode:
    """The episode in `path`, after it was played again."""
    episode = Episode.load(path)
    console = Console()
    replay = Replay(episode, console)
    while not replay.ended:
        replay.step()
    assert ram_digest(console) == episode.ram_sha256, path
    return episode


def files(run: Path, folder: str) -> list[Path]:
    return sorted((run / folder).glob("*.json"))


@pytest.mark.parametrize(
    "env",
    [
        {"repeat_action_probability": 0.25},
        {"observation": "ram", "levels": "1-2"},  # ends in cutscenes through pipes
        {"levels": "8-4", "actions": "down", "skip_cutscenes": False},
        {"levels": "1-1,1-2", "row_share": 1.0},
        {
            "levels": "4-4",
            "end_thrown_back": True,
            "repeat_action_probability": 0.25,
            "sticky_share": 0.5,
        },
    ],
)
def test_episodes_play_again_to_the_same_ram(tmp_path: Path, env: dict[str, Any]) -> None:
    run = tmp_path / "run"
    train(small(env=env), run)
    finished, live = files(run, "episodes"), files(run, "live")
    assert len(finished) >= 6
    assert [path.name for path in live] == ["000.json", "003.json", "007.json"]
    for path in finished + live:
        episode = replayed(path)
        player, decisions = episode.player, episode.decisions
        assert isinstance(player, TrainingPlayer)
        assert player.run == "run"
        assert player.own_start
        assert path in live or path.name == f"{player.step:09d}-{player.game:03d}.json"
        assert (episode.outcome is None) == (path in live)
        if decisions is not None:
            assert len(decisions.actions) <= 40
            np.testing.assert_allclose(decisions.probabilities.sum(1), 1, atol=0.01)
            assert decisions.first_frames[-1] < episode.frames
            assert decisions.first_frames[0] <= small(env=env).env.noop_max


def test_decisions_are_those_that_led_to_the_frames(tmp_path: Path) -> None:
    config = small()
    train(config, tmp_path / "run")
    for path in files(tmp_path / "run", "episodes"):
        episode = Episode.load(path)
        decisions = episode.decisions
        assert decisions is not None
        chosen = [config.env.native_rules().actions[a] for a in decisions.actions]
        held = [episode.buttons[first] for first in decisions.first_frames]
        assert held == chosen, path


def test_values_and_probabilities_are_those_of_the_rollouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[torch.Tensor, ...]] = []
    keep = EpisodeWriter.keep

    def note(self: EpisodeWriter, step: int, rollout: Rollout) -> None:
        parts = (rollout.actions, rollout.values[:-1], rollout.log_probs, rollout.ended)
        seen.append(tuple(part.clone() for part in parts))
        keep(self, step, rollout)

    monkeypatch.setattr(EpisodeWriter, "keep", note)
    config = small(rollout_steps=24, minibatch_size=64, total_steps=24 * 8 * 8)
    train(config, tmp_path / "run")
    actions, values, log_probs, ended = (torch.cat([part[i] for part in seen]) for i in range(4))
    lengths = set()
    for path in files(tmp_path / "run", "episodes"):
        episode = Episode.load(path)
        player, decisions = episode.player, episode.decisions
        assert isinstance(player, TrainingPlayer)
        assert decisions is not None
        # A later one of the same rollout may be the best, and then takes the place of the first.
        begun = player.step // 8
        ends = [t for t in range(begun, begun + 24) if ended[t, player.game]]
        found = []
        for end in ends:
            before = ended[:end, player.game].nonzero()
            played = slice(int(before[-1]) + 1 if len(before) else 0, end + 1), player.game
            if np.array_equal(decisions.actions, actions[played]):
                found.append(played)
        assert found, path
        played = found[-1]
        lengths.add(len(decisions.actions))
        np.testing.assert_allclose(decisions.values, values[played], rtol=2e-3, atol=1e-3)
        expected = log_probs[played].exp()
        np.testing.assert_allclose(decisions.probabilities, expected, rtol=2e-3, atol=1e-3)
    assert max(lengths) > 24  # over several rollouts


def test_episodes_from_within_a_level_lead_there_from_its_start(tmp_path: Path) -> None:
    config = small(
        env={"start_steps": 24},
        curriculum={"share": 0.9, "last_share": 0.9, "search_steps": 20_000},
    )
    train(config, tmp_path / "run")
    episodes = [replayed(path) for path in files(tmp_path / "run", "episodes")]
    within = [
        episode
        for episode in episodes
        if isinstance(episode.player, TrainingPlayer) and not episode.player.own_start
    ]
    assert len(within) > len(episodes) / 2 > 3
    for episode in within:
        assert episode.decisions is not None
        assert len(episode.decisions.actions) <= 24
    assert max(int(e.decisions.first_frames[0]) for e in within if e.decisions) > 200


def test_nothing_of_the_training_changes(tmp_path: Path) -> None:
    weights = []
    for watched in (0, 8):
        run = tmp_path / str(watched)
        train(small(watched_games=watched), run)
        policy, _ = load_agent(run / "agent.safetensors")
        weights.append(policy.state_dict())
        assert (run / "episode_ends.jsonl").exists() == (watched > 0)
    for name, first in weights[0].items():
        assert torch.equal(first, weights[1][name]), name


def test_ends_of_every_game_at_a_bounded_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(episode_writer, "MOST_ENDS", 5)
    config = small(num_envs=16)
    train(config, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "episode_ends.jsonl").open()]
    steps = [line["step"] for line in lines]
    assert max(steps.count(step) for step in steps) == 5
    assert steps == sorted(steps)
    assert steps[0] == 0 or steps[0] % config.batch == 0
    for line in lines:
        assert line["level"] == "1-1"
        assert line["own"]
        assert line["area"] == 1
        assert line["map"] == 37
        assert 0 <= line["x"] < 3400
        assert line["frames"] <= 30 + 40 * 4
        assert line["cleared"] is False
    assert {line["death"] for line in lines} <= {0, 1, 2}


def test_a_run_that_goes_on_has_each_end_once(tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train(small(), whole)
    batch = small().batch
    train(small(total_steps=4 * batch), halves)
    # As if the process had written more and died before the next checkpoint.
    with (halves / "episode_ends.jsonl").open("a") as file:
        file.write('{"step": 999999}\n{"ste')
    train(small(), halves, resume=True)
    ends = [(run / "episode_ends.jsonl").read_bytes() for run in (halves, whole)]
    assert ends[0] == ends[1]
    for path in files(halves, "episodes"):
        replayed(path)


def test_only_so_many_episodes_stay_and_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(episode_writer, "KEPT", 4)
    bests: list[Path] = []
    count = EpisodeWriter._count

    def note(self: EpisodeWriter, path: Path, episode: Episode) -> None:
        before = dict(self._best)
        count(self, path, episode)
        bests.extend([path] if self._best != before else [])

    monkeypatch.setattr(EpisodeWriter, "_count", note)
    train(small(), tmp_path / "run")
    progress = [
        outcome.progress
        for path in files(tmp_path / "run", "episodes")
        if (outcome := Episode.load(path).outcome) is not None
    ]
    assert 4 < len(progress) <= 4 + len(bests)
    assert all(path.exists() for path in bests)
    # Another process takes the same ones for the best.
    train(small(total_steps=small().total_steps + small().batch), tmp_path / "run", resume=True)
    again = files(tmp_path / "run", "episodes")
    outcomes = [Episode.load(path).outcome for path in again]
    assert max(o.progress for o in outcomes if o is not None) >= max(progress)


@pytest.mark.parametrize("below", [0, 1000])
def test_the_best_stays_where_another_episode_of_its_rollout_was_written_before(
    below: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a game in which progress is negative."""
    monkeypatch.setattr(episode_writer, "KEPT", 1)
    env = warpzone.make_vec(num_envs=2, num_groups=2, threads=1, seed=1, max_steps=5)
    writer = EpisodeWriter(tmp_path, env, 2, pytest.fail)

    def write(name: str, progress: int) -> Path:
        episode = Episode(
            rom=RomIdentity(sha1=env.rom.sha1, revision=env.rom.revision),
            start="1-1",
            frames=1,
            ram_sha256=None,
            player=TrainingPlayer(run="run", step=0, game=0),
            outcome=Outcome(cleared=False, death=1, progress=progress - below, frames=1),
            buttons=b"\0",
        )
        path = tmp_path / "episodes" / name
        episode_writer._write(path, episode)
        writer._count(path, episode)
        return path

    first = write("000000000-000.json", 100)
    again = write("000000512-000.json", 50)
    assert write("000000512-000.json", 200) == again  # a game can end twice in a rollout
    for step in (1024, 1536):
        last = write(f"{step:09d}-001.json", 10)
    assert files(tmp_path, "episodes") == [first, again, last]


def test_the_name_of_a_run_may_be_anything(tmp_path: Path) -> None:
    run = tmp_path / f"two\nlines {'and more ' * 25}"
    train(small(total_steps=small().batch * 4), run)
    path, *_ = files(run, "episodes")
    player = Episode.load(path).player
    assert isinstance(player, TrainingPlayer)
    assert player.run.startswith(r"'two\nlines and more")


def test_a_full_disk_is_told_once_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, episode: Episode) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(episode_writer, "_write", full)
    text = io.StringIO()
    display = LineDisplay(rich.console.Console(file=text, width=400))
    result = train(small(), tmp_path / "run", display=display)
    assert result.steps == small().total_steps
    told = [line for line in text.getvalue().splitlines() if "No space left on device" in line]
    assert len(told) == 1
    assert str(tmp_path / "run") in told[0]
    assert not files(tmp_path / "run", "episodes")


def test_a_damaged_episode_of_an_earlier_process_is_removed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(small(total_steps=small().batch * 4), run)
    whole, *_ = files(run, "episodes")
    cut = run / "episodes" / "000000001-000.json"
    cut.write_bytes(whole.read_bytes()[:100])
    train(small(), run, resume=True)
    assert whole.exists()
    assert not cut.exists()


def test_games_that_ran_before_they_were_watched_are_left_out(tmp_path: Path) -> None:
    env = warpzone.make_vec(num_envs=2, num_groups=2, threads=1, seed=1, max_steps=5)
    env.reset(seed=1)
    watching = EpisodeWriter(tmp_path, env, 2, print)
    assert watching.games == [0, 1]
    assert env.input_log(0) is None
    with pytest.raises(ValueError, match="game 7"):
        env.watch_games([7])
    env.watch_games([1])
    with pytest.raises(ValueError, match="not watched"):
        env.input_log(0)


def test_a_game_that_never_ends_is_not_held_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(episode_writer, "MOST_DECISIONS", 24)
    held: list[int] = []
    keep = EpisodeWriter.keep

    def watched(self: EpisodeWriter, *given: Any) -> None:
        keep(self, *given)
        held.extend(sum(len(part.actions) for part in parts) for parts in self._running.values())

    monkeypatch.setattr(EpisodeWriter, "keep", watched)
    run = tmp_path / "run"
    train(small(total_steps=small().batch * 6), run)
    assert 0 < max(held) <= 24
    assert files(run, "episodes") == []  # all are 40 steps long


def test_the_number_of_watched_games_may_change_on_the_way() -> None:
    assert fixed_because("watched_games") is None


def test_a_run_from_before_recording_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(small(watched_games=0, total_steps=small().batch * 4), run)
    assert not (run / "episode_ends.jsonl").exists()
    train(small(), run, resume=True)
    assert files(run, "episodes")
    assert (run / "episode_ends.jsonl").stat().st_size > 0


def test_a_folder_that_cannot_be_made_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "episodes").write_text("a file where a folder should be")
    env = warpzone.make_vec(num_envs=2, num_groups=2, threads=1, seed=1, max_steps=5)
    said: list[str] = []
    EpisodeWriter(tmp_path, env, 2, said.append)
    assert len(said) == 1
    assert str(tmp_path) in said[0]
