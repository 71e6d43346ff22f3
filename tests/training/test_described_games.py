"""Training on a described game: it learns, goes on bit for bit, is measured and filmed."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.commands import error_of
from tests.support.commands import run as invoke
from typer.testing import CliRunner

from warpzone import Agent
from warpzone.agents.described import (
    DescribedPlayback,
    described_envs,
    described_frames,
    evaluate_described,
)
from warpzone.agents.playback import Playback
from warpzone.cli.app import app
from warpzone.cli.share import film_of_run
from warpzone.cli.watch import described_starts
from warpzone.episodes.format import POWER_ON, Episode, Person
from warpzone.episodes.outcome import Outcome
from warpzone.episodes.play_recorder import PlayRecorder
from warpzone.episodes.replay import Replay, ram_digest
from warpzone.errors import AgentError, ConfigError, EpisodeError
from warpzone.games.catch import GAME, cartridge
from warpzone.nes import game as game_module
from warpzone.nes.console import Console
from warpzone.nes.game import register_game
from warpzone.nes.game_env import GameEnv
from warpzone.nes.variables import Variable
from warpzone.training import episode_writer, packaged_index, resolve, train
from warpzone.training.agent_file import load_agent, save_agent
from warpzone.training.demonstrations import Demonstrations
from warpzone.training.described_curriculum import DescribedCurriculum
from warpzone.training.described_games import (
    DescribedEnv,
    DescribedGames,
    MomentAlong,
    goals_along,
)
from warpzone.training.run_settings import read_config


def observe(now: Any, before: Any) -> Any:
    beside = (now["ball_x"] + 4 - now["paddle"] - 8) / 32
    return np.stack([np.clip(beside, -1, 1), now["ball_y"] / 240], axis=1)


EASY = dataclasses.replace(
    GAME,
    name="easy-catch",
    observe=observe,
    # Called as signals of Super Mario Bros. are.
    variables={
        **GAME.variables,
        "level": Variable(address=0x17),
        "flag": Variable(address=0x18),
        "x": Variable(address=0x10),
    },
)
register_game(EASY.name, lambda: EASY)


@pytest.fixture(scope="module")
def rom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catch") / "catch.nes"
    cartridge(path)
    return path


def config(steps: int, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "game": {"name": "easy-catch", "observation": "variables"},
        "network": {"hidden": [32], "piecewise_linear": False},
        "num_envs": 8,
        "rollout_steps": 32,
        "minibatch_size": 128,
        "total_steps": steps,
        "gamma": 0.9,
        "lr": 3e-3,
        "eval_episodes": 4,
        "threads": 1,
        "target_clear_rate": None,
    }
    return resolve("tiles", **{**settings, **changes})


@pytest.fixture(scope="module")
def trained(rom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "catch"
    result = train(config(8 * 32 * 30), out, rom=rom)
    assert list(result.measured) == ["game"]
    return out


def test_it_learns(trained: Path, rom: Path) -> None:
    agent = Agent.load(trained)
    assert agent.info.game.name == "easy-catch"
    assert agent.info.game.noop_max == 30  # the description's own default
    assert agent.title.startswith("variables agent of easy-catch, 7,680 steps")
    command = agent.info.command or ""
    assert command.startswith("warpzone train easy-catch ")
    assert "game.observation=variables" in command
    found = evaluate_described(agent, episodes=10, rom=rom, seed=1)
    with_nothing_learnt = evaluate_described(_fresh(agent), episodes=10, rom=rom, seed=1)
    assert found.result.mean_progress > 2 * with_nothing_learnt.result.mean_progress + 2
    assert found.infos["score"] == pytest.approx(found.result.mean_progress)
    assert found.start == "game"


def _fresh(agent: Agent) -> Agent:
    from warpzone.training.networks import make_policy

    policy = make_policy(agent.info.network, agent.info.shapes, agent.info.actions)
    return Agent(policy.requires_grad_(False).eval(), agent.info, agent.path)


def test_a_run_goes_on_bit_for_bit(rom: Path, tmp_path: Path) -> None:
    train(config(8 * 32 * 4), tmp_path / "whole", rom=rom)
    train(config(8 * 32 * 2, checkpoint_every=1), tmp_path / "split", rom=rom)
    train(config(8 * 32 * 4, checkpoint_every=1), tmp_path / "split", rom=rom, resume=True)
    whole, _ = load_agent(tmp_path / "whole" / "agent.safetensors")
    split, _ = load_agent(tmp_path / "split" / "agent.safetensors")
    for name, weights in whole.state_dict().items():
        assert np.array_equal(weights.numpy(), split.state_dict()[name].numpy()), name


def test_settings_of_a_measurement_are_checked(trained: Path, rom: Path) -> None:
    agent, wrong = Agent.load(trained), "best"
    for settings, message in (
        ({"noop_mx": 3}, "noop_mx"),
        ({"noop_max": "many"}, "noop_max"),
        ({"starts": "moon"}, "no start 'moon'"),
    ):
        with pytest.raises(ConfigError, match=message):
            described_envs(agent, 1, rom=rom, **settings)
    with pytest.raises(ConfigError, match="policy is 'best': it must be 'sample' or 'argmax'"):
        evaluate_described(agent, policy=wrong, rom=rom)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="policy is 'best'"):
        described_frames(agent, policy=wrong, rom=rom)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="episodes is 0: it must be at least 1 and below"):
        evaluate_described(agent, episodes=0, rom=rom)


def test_a_run_goes_on_in_the_same_games(trained: Path, rom: Path) -> None:
    def resume(**game: Any) -> Any:
        settings = {"name": "easy-catch", "observation": "variables", **game}
        return train(config(8 * 32 * 30, game=settings), trained, rom=rom, resume=True)

    assert resume(starts="game").steps == 8 * 32 * 30  # which is the first, and all there is
    for name, value in (("frame_skip", 8), ("max_steps", 7), ("name", "catch")):
        with pytest.raises(ConfigError, match=rf"game\.{name}: .*, {value!r} now: a checkpoint"):
            resume(**{name: value})


def test_variables_may_have_the_names_of_signals_of_other_games(rom: Path, tmp_path: Path) -> None:
    names = ("start", "x", "level", "flag", "death", "area", "map")
    named = {**GAME.variables, **dict.fromkeys(names, GAME.variables["ball_x"])}
    game = dataclasses.replace(EASY, name="named-catch", variables=named)
    register_game(game.name, lambda: game)
    settings = {"name": game.name, "observation": "variables", "max_steps": 20}
    result = train(config(8 * 32 * 2, game=settings, watched_games=2), tmp_path / "run", rom=rom)
    assert result.steps == 512
    told = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    told = [line for line in told if "rollout/episodes" in line]
    assert told[-1]["rollout/episodes"] == 8 * 3  # three of twenty steps each have ended
    assert max(line["rollout/best_x"] for line in told) < 10  # balls, not where one of them is
    assert (tmp_path / "run" / "episode_ends.jsonl").read_text() == ""
    for path in (tmp_path / "run" / "episodes").glob("*.json"):
        outcome = Episode.load(path).outcome
        assert outcome is not None
        assert not outcome.cleared


def test_a_film_shows_every_frame(trained: Path, rom: Path) -> None:
    agent = Agent.load(trained)
    frames = list(described_frames(agent, rom=rom, seed=3, noop_max=0))
    assert frames[0].shape == (240, 256)
    env = described_envs(agent, 1, rom=rom, seed=3, noop_max=0, autoreset="disabled")
    env.reset(seed=3)
    random, steps, over = agent.random(3), 0, False
    while not over:
        env.send(0, agent.act(env.observations(), "sample", random))
        over = len(env.recv(0).finished) > 0
        steps += 1
    assert len(frames) == 1 + 4 * steps


def test_pictures_and_ram_are_seen_too(rom: Path, tmp_path: Path) -> None:
    for preset, seen in (("pixels", "pixels"), ("tiles", "ram")):
        small = {"num_envs": 2, "rollout_steps": 8, "minibatch_size": 8, "eval_episodes": 1}
        game = {"name": "catch", "observation": seen, "max_steps": 30}
        network = {"hidden": [16]} if seen == "pixels" else {"hidden": [16], "kind": "tiles"}
        made = resolve(preset, **small, game=game, network=network, total_steps=16, threads=1)
        result = train(made, tmp_path / seen, rom=rom)
        assert result.steps == 16
        assert evaluate_described(Agent.load(tmp_path / seen), episodes=2, rom=rom).infos["steps"]


def replayed(path: Path, rom: Path) -> tuple[Episode, Console]:
    """An episode that was played again to its end."""
    replay = Replay(Episode.load(path), Console(rom))
    while not replay.ended:
        replay.step()
    return replay.episode, replay.console


def test_games_are_written_down_to_be_looked_at(
    rom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(episode_writer, "PAUSE", 0.0)
    monkeypatch.setattr(episode_writer, "LIVE_PAUSE", 0.0)
    game = {"name": "easy-catch", "observation": "variables", "noop_max": 20}
    made = config(8 * 32 * 16, game=game, watched_games=3)
    train(made, tmp_path / "run", rom=rom)
    plain_run = tmp_path / "plain"
    train(made.model_copy(update={"watched_games": 0}), plain_run, rom=rom)
    agents = [load_agent(one / "agent.safetensors")[0] for one in (tmp_path / "run", plain_run)]
    for name, weights in agents[0].state_dict().items():
        assert np.array_equal(weights.numpy(), agents[1].state_dict()[name].numpy()), name
    files = sorted((tmp_path / "run" / "episodes").glob("*.json"))
    assert len(files) > 3
    idle = set()
    for path in files:
        episode, console = replayed(path, rom)
        assert episode.start == "game"
        assert episode.described is not None
        assert episode.outcome is not None
        assert episode.decisions is not None
        # It ends as told: with the third miss, or with the twentieth ball.
        ram = console.ram
        score = int(ram[0x14]) + 10 * int(ram[0x15]) + 100 * int(ram[0x16])
        assert (ram[0x18] == 2) is not episode.outcome.cleared
        assert episode.outcome.progress == score
        assert episode.outcome.frames == episode.frames
        first, names = episode.decisions.first_frames, episode.decisions.action_names
        assert np.array_equal(np.diff(first), np.full(len(first) - 1, 4))
        assert episode.frames == first[-1] + 4
        for frame, action in zip(first, episode.decisions.actions, strict=True):
            held = episode.buttons[frame : frame + 4]
            assert set(held) == {{"nothing": 0, "left": 64, "right": 128}[names[action]]}
        idle.add(int(first[0]))
    assert len(idle) > 1
    live = sorted((tmp_path / "run" / "live").glob("*.json"))
    assert len(live) == 3
    for path in live:
        episode, console = replayed(path, rom)
        assert episode.ram_sha256 == ram_digest(console)
    assert (tmp_path / "run" / "episode_ends.jsonl").read_text() == ""


def test_sticky_buttons_are_not_written_down(rom: Path, tmp_path: Path) -> None:
    game = {"name": "easy-catch", "observation": "variables", "repeat_action_probability": 0.2}
    train(config(8 * 32 * 8, game=game), tmp_path / "run", rom=rom)
    assert not list((tmp_path / "run").glob("*/*.json"))


def demonstration(path: Path, rom: Path, frames: int, start: str = "game") -> Path:
    recorder = PlayRecorder(Console(rom), EASY)
    recorder.begin(start)
    for frame in range(frames):
        recorder.step(64 if frame % 40 < 20 else 128)
    recorder.episode(Person()).save(path)
    return path


def test_a_recorded_game_is_begun_along(rom: Path, tmp_path: Path) -> None:
    shown = demonstration(tmp_path / "shown.json", rom, 400)
    made = config(
        8 * 32 * 4, curriculum={"share": 0.75, "demonstrations": [str(shown)], "segment": 8}
    )
    found = Demonstrations(made, tmp_path / "r")
    games = DescribedGames(made.game, rom, 1, found, made.curriculum)
    # Every 32 frames, as far as the game is not over.
    twin = Replay(Episode.load(shown), Console(rom))
    wanted = []
    while not twin.ended:
        twin.step()
        if twin.place % 32 == 0 and twin.console.ram[0x18] != 2:
            wanted.append(f"0-{twin.place}")
            assert games.moments[wanted[-1]] == twin.console.save()
    assert list(games.moments) == wanted
    assert 4 < len(wanted) < 12
    env = games.trained(8, 2, seed=0)
    assert isinstance(env, DescribedEnv)
    assert env.tasks() == ["game"]
    assert sum(env.games.starts.values()) == pytest.approx(1)
    assert env.games.starts["game"] == 0.25
    begun, partial = set(), set()
    env.reset(seed=0)
    for _ in range(400):
        for group, rows in enumerate(env.groups):
            env.send(group, np.zeros(rows.stop - rows.start, np.int64))
            step = env.recv(group)
            assert not step.task.any()
            partial |= {*step.partial.tolist()}
            begun |= {env.games.begun(game)[0] for game in range(rows.start, rows.stop)}
    env.close()
    assert partial == {False, True}
    assert begun == set(range(len(wanted) + 1))
    # What is measured begins where the game does, and a run goes on with its own copy.
    made = found.config
    result = train(made, tmp_path / "run", rom=rom)
    assert list(result.measured) == ["game"]
    shown.unlink()
    longer = made.model_copy(update={"total_steps": 8 * 32 * 6})
    assert train(longer, tmp_path / "run", rom=rom, resume=True).steps == 8 * 32 * 6


def test_places_are_drawn_by_how_often_short_episodes_from_there_fail(
    rom: Path, tmp_path: Path
) -> None:
    shown = demonstration(tmp_path / "shown.json", rom, 400)
    curriculum = {
        "share": 0.75, "last_share": 0.25, "demonstrations": [str(shown)], "segment": 8,
        "episode_steps": 12,
    }  # fmt: skip
    made = config(8 * 32 * 4, curriculum=curriculum)
    found = Demonstrations(made, tmp_path / "r")
    games = DescribedGames(made.game, rom, 1, found, made.curriculum)
    assert games.places is not None
    count = len(games.moments)
    assert games.places.goals.shape == (count,)
    env = games.trained(8, 2, seed=0)
    assert isinstance(env, DescribedEnv)
    known = DescribedCurriculum(made.curriculum, env, games.places)
    known.apply(0.0)
    assert env.games.starts["game"] == 0.25
    env.reset(seed=0)
    longest = {False: 0, True: 0}
    for _ in range(400):
        for group, rows in enumerate(env.groups):
            env.send(group, np.zeros(rows.stop - rows.start, np.int64))
            step = env.recv(group)
            known.observe(step)
            for row in step.finished:
                kind = bool(step.partial[row])
                longest[kind] = max(longest[kind], int(step.signals["steps"][row]))
                assert (step.signals["start"][row] >= 0) == kind
    assert longest[True] == 12 < longest[False]
    assert (known.episodes > 0).all()
    known.rates[:] = 1
    known.rates[2] = 0
    known.apply(1.0)
    weights = list(env.games.starts.values())
    assert weights[0] == pytest.approx(0.75)
    assert sum(weights) == pytest.approx(1)
    assert weights[3] == pytest.approx(11 * weights[1])
    again = DescribedCurriculum(made.curriculum, env, games.places)
    again.load_state(json.loads(json.dumps(known.state())))
    assert again.state() == known.state()
    with pytest.raises(ValueError, match=f"1 success rates.* for {count} places"):
        again.load_state({"rates": [0.5], "episodes": [1]})
    with pytest.raises(ConfigError, match="a weight for each start"):
        env.games.set_start_weights([1.0])
    with pytest.raises(ConfigError, match="at least 0"):
        env.games.set_start_weights([1.0] * (count + 1), [-1] * (count + 1))
    env.close()


def test_a_run_along_places_goes_on_bit_for_bit(rom: Path, tmp_path: Path) -> None:
    shown = demonstration(tmp_path / "shown.json", rom, 400)
    curriculum = {
        "share": 0.75, "demonstrations": [str(shown)], "segment": 8, "episode_steps": 12,
    }  # fmt: skip

    def play(updates: int, name: str, *, resume: bool = False) -> None:
        made = config(8 * 32 * updates, checkpoint_every=1, curriculum=curriculum)
        if resume:
            made = read_config(tmp_path / name).model_copy(update={"total_steps": made.total_steps})
        train(made, tmp_path / name, rom=rom, resume=resume)

    play(12, "whole")
    play(6, "split")
    play(12, "split", resume=True)
    whole, _ = load_agent(tmp_path / "whole" / "agent.safetensors")
    split, _ = load_agent(tmp_path / "split" / "agent.safetensors")
    for name, weights in whole.state_dict().items():
        assert np.array_equal(weights.numpy(), split.state_dict()[name].numpy()), name
    told = [json.loads(line) for line in (tmp_path / "split" / "metrics.jsonl").open()]
    assert any(line.get("curriculum/success_rate", 0) > 0 for line in told)


def test_goals_along_a_recorded_game() -> None:
    progress = [0.0, 5.0, 3.0, 9.0, 2.0]
    moments = {32 * k: MomentAlong(b"", come) for k, come in enumerate(progress, start=1)}
    assert goals_along(moments, 64).tolist() == [5, 9, 9, np.inf, np.inf]
    assert goals_along(moments, 64, won=False).tolist() == [5, 9, 9, 9, 2]
    untold = {frame: MomentAlong(b"", None) for frame in moments}
    assert goals_along(untold, 64).tolist() == [np.inf] * 5


def test_demonstrations_that_do_not_fit_are_refused(rom: Path, tmp_path: Path) -> None:
    def error(**changes: Any) -> str:
        with pytest.raises((ConfigError, EpisodeError)) as caught:
            train(config(256, curriculum=changes), tmp_path / "run", rom=rom)
        return str(caught.value)

    shown = demonstration(tmp_path / "shown.json", rom, 20)
    assert "is too short for a demonstration of easy-catch" in error(
        share=0.5, demonstrations=[str(shown)]
    )
    begins = demonstration(tmp_path / "power.json", rom, 200, start=POWER_ON)
    assert "it begins at power-on" in error(share=0.5, demonstrations=[str(begins)])
    assert "leads along demonstrations" in error(share=0.5)
    assert "demonstrations are for a curriculum" in error(demonstrations=[str(shown)])


def test_what_is_for_another_game_is_refused(trained: Path, rom: Path) -> None:
    with pytest.raises(AgentError, match="plays easy-catch, not Super Mario Bros"):
        Agent.load(trained).make_env("1-1", noop_max=0, repeat_action_probability=0)
    with pytest.raises(ConfigError, match=r"game\.noop_max is for a described game"):
        resolve("tiles", game={"noop_max": 3})
    with pytest.raises(ConfigError, match="training is on one start"):
        resolve("pixels", game={"name": "catch", "starts": {"game": 1.0, "other": 1.0}})
    with pytest.raises(ConfigError, match="network 'patches' cannot read observation 'ram'"):
        resolve("pixels", game={"name": "catch", "observation": "ram"})
    with pytest.raises(ConfigError, match="there is no game 'chess'"):
        train(resolve("pixels", game={"name": "chess"}), trained.parent / "chess", rom=rom)
    with pytest.raises(ConfigError, match=r"practice\.share"):
        train(
            config(256, practice={"share": 0.5}, env={"start_steps": 96}),
            trained.parent / "practice",
            rom=rom,
        )


def test_on_the_command_line(rom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "import dataclasses\n"
        "from warpzone.games.catch import GAME as CATCH\n"
        "GAME = dataclasses.replace(CATCH, name='mine')\n"
    )

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, [*words, "--rom", str(rom)])
        assert result.exit_code == 0, result.output
        return result.output

    settings = ["num_envs=2", "rollout_steps=8", "minibatch_size=8", "eval_episodes=1"]
    settings += ["game.observation=ram", "game.max_steps=20", "network.hidden=[16]"]
    sets = [word for setting in settings for word in ("--set", setting)]
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    words = ["--preset", "tiles", "--steps", "16", "--out", "r", *sets, "--watch"]
    assert "Making a film instead" in run("train", "mine.py", *words)
    assert Path("r/game.mp4").stat().st_size > 1000
    told = run("eval", "r", "--description", "mine.py", "--episodes", "2", "--json")
    assert '"game": "mine"' in told
    run("record", "r", "--description", "mine.py", "-o", "clip.gif")
    assert Path("clip.gif").stat().st_size > 1000
    refused = CliRunner().invoke(app, ["eval", "r", "--levels", "1-1"])
    assert refused.exit_code != 0
    run("record", "r", "game", "--description", "mine.py", "--overlay", "-o", "best.gif")
    refused = CliRunner().invoke(app, ["record", "r", "--saliency"])
    assert "this agent plays mine" in " ".join(refused.output.split())
    # Another program does not know the description unless it is named.
    monkeypatch.delitem(game_module._games, "mine")
    assert "name the file that describes it with --description FILE" in error_of("eval", "r")
    told = error_of("train", "--resume", "--out", "r")
    assert "warpzone train FILE.py --resume --out r" in told
    assert "'nowhere'" in error_of("eval", "nowhere", "--description", "mine.py")
    Path("other.py").write_text(Path("mine.py").read_text().replace("'mine'", "'other'"))
    told = error_of("eval", "r", "--description", "other.py")
    assert "r plays mine, and other.py describes other" in told
    Path("catch.py").write_text("from warpzone.games.catch import GAME\n")
    assert "give it another name" in error_of("train", "catch.py")


def test_watched_on_the_command_line(
    trained: Path, rom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warpzone.viewers import watch

    def look(
        open_playback: Callable[[str], Playback], order: list[str], **settings: Any
    ) -> watch.Stats:
        with closing(open_playback(order[0])) as playback:
            show = watch.AgentShow(lambda name: playback, order, settings["seed"])
            while show.stats.episodes == 0:
                show.advance()
            told = f"{order} {settings['title']} {playback.title}"
            shown.append(told + f" {show.picture().message[0]}")
            return show.stats

    shown: list[str] = []
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(watch, "watch", look)
    result = invoke("watch", trained, "--rom", rom, "--noop-max", "0")
    assert result.exit_code == 0, result.output
    assert "of 1 episodes cleared" in result.output
    agent = Agent.load(trained)
    found = evaluate_described(agent, episodes=1, rom=rom, noop_max=0, seed=0)
    (line,) = shown
    assert line.startswith("['game'] warpzone: variables agent of easy-catch")
    assert "easy-catch game, sample" in line
    assert re.search(
        rf"(over at {found.result.mean_progress:.0f} after|cleared in) [0-9.]+ s$", line
    )
    assert "no start 'moon': there are game" in error_of("watch", trained, "moon", "--rom", rom)
    assert "--game is for Super Mario Bros." in error_of("watch", trained, "--game")


@pytest.fixture
def from_a_moment(trained: Path, rom: Path, tmp_path: Path) -> Path:
    """The file of an agent that was trained from a moment of somebody's own."""
    with closing(GameEnv(rom, EASY, noop_max=0)) as env:
        env.reset(seed=0)
        for _ in range(5):
            env.step(2)
        (tmp_path / "later.state").write_bytes(env.console_state())
    agent = Agent.load(trained)
    known = {**agent.info.game.model_dump(), "start_states": tmp_path / "later.state"}
    info = agent.info.model_copy(update={"game": type(agent.info.game)(**known)})
    file = tmp_path / "later.safetensors"
    save_agent(file, agent.policy.state_dict(), info)
    return file


def test_who_was_trained_from_a_moment_plays_from_there_and_from_the_games_starts(
    from_a_moment: Path, rom: Path
) -> None:
    agent = Agent.load(from_a_moment)
    assert described_starts(agent, None) == ["later.state", "game"]
    assert described_starts(agent, "game") == ["game", "later.state"]
    pictures = {}
    for start in (None, *described_starts(agent, None)):
        with closing(DescribedPlayback(agent, start, rom=rom, noop_max=0)) as playback:
            assert playback.level == (start or "later.state")
            pictures[start] = next(playback.episode(seed=0)).frames[0]
    assert np.array_equal(pictures[None], pictures["later.state"])
    assert not np.array_equal(pictures["game"], pictures["later.state"])
    with pytest.raises(ConfigError, match=r"no start 'moon': there are later.state, game"):
        DescribedPlayback(agent, "moon", rom=rom)
    # What is asked for stands in the place of what it was trained from.
    with closing(described_envs(agent, 1, rom=rom, starts="game")) as env:
        assert env.tasks() == ["game"]
    with pytest.raises(ConfigError, match="give one"):
        described_envs(agent, 1, rom=rom, starts="game", start_states=agent.info.game.start_states)


def test_who_was_trained_from_a_moment_is_watched_and_filmed(
    from_a_moment: Path, rom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warpzone.viewers import watch

    def look(open_playback: Callable[[str], Playback], order: list[str], **_: Any) -> watch.Stats:
        for start in order:
            with closing(open_playback(start)) as playback:
                shown.append(playback.level)
        return watch.Stats()

    shown: list[str] = []
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(watch, "watch", look)
    told = invoke("watch", from_a_moment, "--rom", rom)
    assert told.exit_code == 0, told.output
    assert shown == ["later.state", "game"]
    film = tmp_path / "clip.gif"
    for start in ([], ["later.state"], ["game"]):
        options = ("--rom", rom, "-o", film, "--until-clear", "1")
        told = invoke("record", from_a_moment, *start, *options)
        assert told.exit_code == 0, told.output
        assert f"easy-catch {[*start, 'later.state'][0]}, sample" in told.output
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(from_a_moment, run / "agent.safetensors")
    (run / "config.json").write_text("{}")
    assert film_of_run(run, rom) == run / "later.state.mp4"
    assert (run / "later.state.mp4").is_file()


def test_packaged_agents_are_asked_for_by_name(
    trained: Path, rom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "games").mkdir()
    file = tmp_path / "games" / "easy.safetensors"
    shutil.copy(trained / "agent.safetensors", file)
    monkeypatch.setattr(packaged_index, "trained_folder", lambda: tmp_path)
    agent = Agent.load("easy")
    assert (agent.path, agent.policy_mode) == (file, "argmax")
    told = invoke("eval", "easy", "--episodes", "2", "--rom", rom, "--json")
    assert told.exit_code == 0, told.output
    assert '"game": "easy-catch"' in told.output


def test_what_is_watched_is_what_is_played(trained: Path, rom: Path) -> None:
    with closing(DescribedPlayback(Agent.load(trained), rom=rom)) as playback:
        first, again = (list(playback.episode(seed=5)) for _ in range(2))
        assert [moment.action for moment in first] == [moment.action for moment in again]
        assert [len(moment.frames) for moment in first[:3]] == [5, 4, 4]
        assert first[-1].ended
        outcome = Outcome.from_signals(first[-1].signals)
        assert outcome.frames >= 4 * len(first)
        after = playback.aftermath(outcome)
        assert after.shape == (100, 240, 256)
        assert not np.array_equal(after[-1], first[-1].frames[-1])
        with pytest.raises(ConfigError, match="inputs of an agent of a described game"):
            _ = playback.env
