"""Counters past 31, 32 and 53 bits: what counts steps, frames, episodes and bytes."""

from __future__ import annotations

import io
import json
import os
import signal
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console as Terminal
from tests.support.browser import OpenTab
from tests.support.episodes import make_episode, make_run_with
from tests.support.run_directories import make_run, metrics_line
from tests.support.toy import corridors, toy_config

import warpzone
from warpzone.dashboard.games import _Folders
from warpzone.dashboard.server import serving
from warpzone.episodes.format import Episode, TrainingPlayer
from warpzone.files import by_number
from warpzone.games.catch import GAME, cartridge
from warpzone.maps.traces import Traces
from warpzone.nes import make_vec as make_described
from warpzone.nes.cartridge import RomSource
from warpzone.nes.console import Console
from warpzone.noise import gumbel
from warpzone.ppo.config import MOST
from warpzone.report.clips import early_episode
from warpzone.runs.metrics import Metrics
from warpzone.training import episode_writer, resolve, train
from warpzone.training.agent_file import AgentInfo, load_agent
from warpzone.training.checkpoint import Checkpoints, Snapshot
from warpzone.training.config import TrainConfig
from warpzone.training.episode_writer import EpisodeWriter
from warpzone.training.metrics import MetricsWriter
from warpzone.training.milestones import Milestones
from warpzone.training.progress import NoDisplay, Status, panel

INT32, UINT32, DOUBLE = 2**31, 2**32, 2**53
LARGEST = INT32 - 1


# --- the console ----------------------------------------------------------------------------------

HEADER = 24
"""Bytes of a snapshot before the console's state, which begins with `clock` and `frame`."""
CENTURIES = 2**43
"""Frames: after four thousand years, dots, of which there are 89,342, still fit into 60 bits."""
SOUND_TIMES = 7
"""Moments in CPU cycles since power-on, at the start of what a plain console has not."""
NEVER = 2**64 - 1


def later(snapshot: bytes, frames: int, plain: int) -> bytes:
    """The same moment, `frames` frames later since power-on; `plain`: bytes of a plain snapshot."""
    changed = bytearray(snapshot)
    clock, frame = struct.unpack_from("<QQ", changed, HEADER)
    dots = frames * 89342 // 6 * 6  # whole cycles of the processor, in pairs
    struct.pack_into("<QQ", changed, HEADER, clock + dots, frame + frames)
    if len(snapshot) > plain:
        times = struct.unpack_from(f"<{SOUND_TIMES}Q", changed, plain)
        moved = [time if time == NEVER else time + dots // 3 for time in times]
        struct.pack_into(f"<{SOUND_TIMES}Q", changed, plain, *moved)
    return bytes(changed)


@pytest.fixture(scope="module")
def catch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catch") / "catch.nes"
    cartridge(path)
    return path


@pytest.fixture(scope="module")
def with_battery(catch: Path) -> Path:
    """The same game on a board with RAM of its own, which takes the console with all parts."""
    image = bytearray(catch.read_bytes())
    image[6] |= 2
    path = catch.with_name("battery.nes")
    path.write_bytes(image)
    return path


@pytest.mark.parametrize("frames", [INT32, UINT32, CENTURIES])
@pytest.mark.parametrize("board", ["plain", "battery", "super mario bros"])
def test_a_console_plays_on_past(catch: Path, with_battery: Path, board: str, frames: int) -> None:
    rom: RomSource = {"plain": catch, "battery": with_battery}.get(board)
    plain = len(Console(catch).save())
    for engine in ("interpreter", "auto"):
        console, old = Console(rom, engine=engine), Console(rom, engine=engine)
        assert (len(console.save()) > plain) == (board == "battery")
        for held in (0, 8, 0, 0, 128):
            console.step(held, 10)
        ahead = frames - 3 - console.frame
        old.load(later(console.save(), ahead, plain))
        for held in (0, 1, 128, 130, 64, 0):
            console.step(held)
            old.step(held)
            assert old.frame == console.frame + ahead
            assert np.array_equal(old.ram, console.ram)
            assert np.array_equal(old.screen(), console.screen())
        assert old.frame == frames + 3
        # Byte for byte the same moment, and it comes back.
        assert old.save() == later(console.save(), ahead, plain)
        again = Console(rom, engine=engine)
        again.load(old.save())
        assert again.frame == old.frame


# --- episodes that never end ----------------------------------------------------------------------


def with_counters(envs: Any, step: Any, numbers: dict[str, int]) -> bytes:
    """A saved state of one game in which int32 counters of the episode, told by `step`, are
    other ones: found as what has their value in three states."""
    states, told = [], []
    for _ in range(3):
        infos = step()
        states.append(envs.save_state())
        told.append({name: int(infos[name][0]) for name in numbers})
    changed = bytearray(states[-1])
    for name, number in numbers.items():
        places = [
            at
            for at in range(len(changed) - 3)
            if all(
                struct.unpack_from("<i", state, at)[0] == values[name]
                for state, values in zip(states, told, strict=True)
            )
        ]
        assert places, name
        for at in places:
            struct.pack_into("<i", changed, at, number)
    return bytes(changed)


def test_a_paused_game_counts_to_the_largest_number_and_goes_on() -> None:
    def envs() -> warpzone.MarioVectorEnv:
        made = warpzone.make_vec("1-1", 1, actions=[["start"], ["NOOP"], ["right"]], threads=1)
        made.reset(seed=0)
        return made

    played, twin = envs(), envs()
    pause = [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    for action in (2, 2, 2, *pause):
        played.step(np.array([action]))
        twin.step(np.array([action]))

    def step() -> dict[str, Any]:
        twin.step(np.array([1]))
        return played.step(np.array([1]))[-1]

    near = {"frames": LARGEST - 6, "steps": LARGEST - 2}
    played.load_state(with_counters(played, step, near))
    frames, steps = [], []
    for _ in range(5):
        seen, reward, terminated, truncated, infos = played.step(np.array([1]))
        expected = twin.step(np.array([1]))
        frames.append(int(infos["frames"][0]))
        steps.append(int(infos["steps"][0]))
        assert np.array_equal(reward, expected[1])
        assert not (terminated | truncated).any()
        for name in ("tiles", "scalars"):
            assert np.array_equal(seen[name], expected[0][name])
    assert frames == [LARGEST - 2, *[LARGEST] * 4]
    assert steps == [LARGEST - 1, *[LARGEST] * 4]
    # A run can be gone on with from there, and what begins counts from nothing.
    played.load_state(played.save_state())
    assert int(played.step(np.array([1]))[-1]["frames"][0]) == LARGEST
    assert int(played.reset(options={"level": "1-2"})[1]["frames"][0]) == 0
    played.close()
    twin.close()


@pytest.mark.parametrize("limit", [None, LARGEST])
def test_a_described_game_counts_to_the_largest_number(catch: Path, limit: int | None) -> None:
    envs = make_described(
        catch, GAME, 1, observation="variables", noop_max=0, max_steps=limit, threads=1
    )
    envs.reset(seed=0)

    def step() -> dict[str, Any]:
        infos: dict[str, Any] = envs.step(np.array([0]))[-1]
        return infos

    near = {"frames": LARGEST - 6, "steps": LARGEST - 2}
    envs.load_state(with_counters(envs, step, near))
    told = []
    for _ in range(3):
        _, reward, _, truncated, infos = envs.step(np.array([0]))
        told.append((int(infos["steps"][0]), int(infos["frames"][0]), bool(truncated[0])))
        assert np.isfinite(reward).all()
        if truncated[0]:
            break
    if limit is None:
        assert told == [(LARGEST - 1, LARGEST - 2, False), *[(LARGEST, LARGEST, False)] * 2]
        envs.load_state(envs.save_state())
        assert int(step()["steps"][0]) == LARGEST
    else:
        final = infos["final_info"]
        assert told[0] == (LARGEST - 1, LARGEST - 2, False)
        assert (int(final["steps"][0]), truncated[0]) == (LARGEST, True)
    envs.close()


# --- a training -----------------------------------------------------------------------------------


class Until(NoDisplay):
    """Ctrl-C after some updates."""

    def __init__(self, updates: int) -> None:
        self.left = updates

    def update(self, status: Status) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)


TOY = toy_config(total_steps=MOST, eval_every=10**9, checkpoint_every=2, lr_kl=0.01)
GAMES: dict[str, Any] = {
    "num_envs": 4,
    "rollout_steps": 32,
    "minibatch_size": 64,
    "update_epochs": 1,
    "network": {"hidden": [16]},
    "eval_every": 10**9,
    "checkpoint_every": 2,
    "watched_games": 2,
    "target_clear_rate": None,
    "device": "cpu",
    "threads": 1,
    "total_steps": MOST,
}


def play(config: TrainConfig, run: Path, updates: int) -> Snapshot:
    resume = run.exists()
    made = {"make_env": corridors} if config.preset == TOY.preset and config.env == TOY.env else {}
    train(config, run, resume=resume, display=Until(updates), **made)  # type: ignore[arg-type]
    return newest(run)


def newest(run: Path) -> Snapshot:
    found = Checkpoints(run / "checkpoints", 3).newest(pytest.fail)
    assert found is not None
    return found


def aged(run: Path, step: int, batch: int) -> None:
    """Lets a run have come to `step`, with all that it counts as large."""
    snapshot = newest(run)
    values = json.loads(json.dumps(snapshot.values))
    values |= {"step": step, "updates": step // batch, "seconds": 1e10}
    values["stats"]["episodes"] = step
    if values.get("practice"):
        values["practice"]["failures"] = step
        for moment in values["practice"]["moments"]:
            moment["born"] = step - batch
    tensors = {
        name: torch.full_like(tensor, float(step)) if name.endswith(".step") else tensor
        for name, tensor in snapshot.tensors.items()
    }
    for path in Checkpoints(run / "checkpoints", 3).paths():
        path.unlink()
    Checkpoints(run / "checkpoints", 3).save(Snapshot(tensors, values))


@pytest.mark.parametrize(
    ("config", "step"),
    [
        (TOY, INT32),
        (TOY, UINT32),
        (TOY, MOST - 2 * TOY.batch),
        (resolve("tiles", **GAMES, env={"max_steps": 12}), UINT32),
        (
            resolve(
                "tiles",
                **GAMES,
                learner="torch",
                env={"start_steps": 64, "max_steps": 12},
                practice={"share": 0.5},
            ),
            INT32,
        ),
    ],
    ids=["toy, 31 bits", "toy, 32 bits", "toy, the most", "native, 32 bits", "practice, 31 bits"],
)
def test_a_run_goes_on_bit_for_bit_past(tmp_path: Path, config: TrainConfig, step: int) -> None:
    batch = config.batch
    begin = step // batch * batch - batch
    whole, split = tmp_path / "whole", tmp_path / "split"
    for run in (whole, split):
        play(config, run, 2)
        aged(run, begin, batch)
    updates = 2 if step > UINT32 else 4
    play(config, whole, updates)
    play(config, split, updates // 2)
    play(config, split, updates // 2)
    one, other = newest(whole), newest(split)
    assert one.values["step"] == other.values["step"] == begin + updates * batch
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor, other.tensors[name]), name
        if tensor.is_floating_point():
            assert torch.isfinite(tensor).all(), name
    assert one.values["stats"] == other.values["stats"]
    assert one.values["stats"]["episodes"] > begin
    for run in (whole, split):
        status = json.loads((run / "status.json").read_text())
        assert (status["state"], status["step"]) == ("interrupted", begin + updates * batch)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines[2:]] == [
            begin + (i + 1) * batch for i in range(updates)
        ]
        assert all(np.isfinite(list(line.values())).all() for line in lines)
        metrics = Metrics(run / "metrics.jsonl")
        metrics.refresh()
        assert metrics.updates.steps.tolist() == [line["step"] for line in lines]


def test_the_last_rollout_of_the_longest_run_is_kept(tmp_path: Path) -> None:
    config = toy_config(total_steps=MOST, eval_every=10**9, eval_episodes=2)
    run = tmp_path / "run"
    play(config, run, 1)
    aged(run, MOST - config.batch // 2, config.batch)
    result = train(config, run, resume=True, display=NoDisplay(), make_env=corridors)
    assert result.steps == MOST + config.batch // 2
    assert newest(run).values["step"] == result.steps
    assert load_agent(run / "agent.safetensors")[1].steps == result.steps
    done = train(config, run, resume=True, display=NoDisplay(), make_env=corridors)
    assert done.steps == result.steps


def test_decisions_draw_numbers_of_their_own_past_32_bits() -> None:
    seed, actions = 2**63 - 1, 5
    for first in (INT32 - 2, UINT32 - 2, MOST, UINT32 // actions):
        drawn = gumbel(seed, first, (4, actions))
        assert np.isfinite(drawn).all()
        assert len(np.unique(drawn)) == drawn.size
        one = np.concatenate([gumbel(seed, first + i, (1, actions)) for i in range(4)])
        assert np.array_equal(drawn, one)
        for wrapped in (first % INT32, first % UINT32):
            if wrapped != first:
                assert not np.array_equal(drawn, gumbel(seed, wrapped, (4, actions)))


# --- files ----------------------------------------------------------------------------------------


def test_metrics_and_tensorboard_tell_large_steps(tmp_path: Path) -> None:
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    steps = [INT32 - 1, INT32, UINT32 + 1, DOUBLE - 1]
    with MetricsWriter(tmp_path, offset=0, step=steps[0] - 1, tensorboard=True) as writer:
        for step in steps:
            writer.write(step, {"rollout/episodes": float(step)})
    (events,) = tmp_path.glob("events.out.*")
    told = [e for e in loader.EventFileLoader(str(events)).Load() if e.HasField("summary")]
    assert [event.step for event in told] == steps
    metrics = Metrics(tmp_path / "metrics.jsonl")
    metrics.refresh()
    assert metrics.updates.steps.tolist() == steps


@pytest.mark.parametrize("size", [INT32 + 3, UINT32 + 3])
def test_a_run_goes_on_in_files_of_many_bytes(tmp_path: Path, size: int) -> None:
    # Files with a hole take no room.
    path = tmp_path / "metrics.jsonl"
    path.touch()
    os.truncate(path, size + 1000)
    with MetricsWriter(tmp_path, offset=size, step=1, tensorboard=False) as writer:
        assert writer.offset() == size
        writer.write(2, {"a": 1.0})
        written = writer.offset()
    assert path.stat().st_size == written
    with path.open("rb") as file:
        file.seek(size)
        assert json.loads(file.read()) == {"step": 2, "a": 1.0}

    ends = tmp_path / "episode_ends.jsonl"
    ends.touch()
    os.truncate(ends, size + 7)
    with_games = warpzone.make_vec("1-1", 2, threads=1)
    writer_of_ends = EpisodeWriter(tmp_path, with_games, 1, pytest.fail, size)
    writer_of_ends._lines.append('{"step": 3}\n')
    writer_of_ends.flush()
    with_games.close()
    assert writer_of_ends.offset == ends.stat().st_size == size + 12
    with ends.open("rb") as file:
        file.seek(size)
        assert file.read() == b'{"step": 3}\n'


def test_files_are_sorted_by_their_numbers() -> None:
    names = ["9.json", "step-999.ckpt", "step-1000.ckpt", "step-1000-2.ckpt", "10.json", "b", ""]
    assert sorted(names, key=by_number) == [
        "", "9.json", "10.json", "b", "step-999.ckpt", "step-1000-2.ckpt", "step-1000.ckpt",
    ]  # fmt: skip
    assert by_number(Path("7/step-12.ckpt")) == by_number("step-12.ckpt")


def test_the_newest_checkpoint_is_that_of_the_most_steps(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (MOST - 2, MOST - 1, MOST, MOST + 1):
        checkpoints.save(Snapshot({}, {"step": step}))
        found = checkpoints.newest(pytest.fail)
        assert found is not None
        assert found.values["step"] == step
    assert [int(path.stem[5:]) for path in checkpoints.paths()] == [MOST, MOST + 1]


def test_the_newest_milestone_is_that_of_the_most_steps(tmp_path: Path) -> None:
    for step in (MOST - 1, MOST, 7):
        (tmp_path / f"step-{step:012d}.safetensors").touch()
    found = [int(path.stem[5:]) for path in Milestones(tmp_path, 1).paths()]
    assert found == [7, MOST - 1, MOST]


BILLION = 10**9


def test_the_newest_episodes_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(episode_writer, "KEPT", 2)
    episode = make_episode(bytes(40), step=1, thinks=False)
    (tmp_path / "episodes").mkdir()
    for step in (BILLION - 1, BILLION, BILLION + 1):
        player = TrainingPlayer(run="run", step=step, game=0, own_start=False)
        text = episode.model_copy(update={"player": player}).model_dump_json()
        (tmp_path / f"episodes/{step:09d}-000.json").write_text(text)
    games = warpzone.make_vec("1-1", 2, threads=1)
    EpisodeWriter(tmp_path, games, 1, pytest.fail)
    games.close()
    assert sorted(path.name for path in (tmp_path / "episodes").iterdir()) == [
        f"{BILLION}-000.json",
        f"{BILLION + 1}-000.json",
    ]


def test_readers_know_the_newest_episodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = (BILLION - 1, BILLION, INT32, UINT32)
    episodes = {
        f"episodes/{step:09d}-000.json": make_episode(bytes(40), step=step, thinks=False)
        for step in steps
    }
    run = make_run_with(tmp_path / "run", episodes)
    listed = [one["step"] for one in _Folders(run).list()["episodes"]]
    assert listed == list(steps)
    monkeypatch.setattr("warpzone.dashboard.games.MOST_LISTED", 2)
    listed = [one.get("step") for one in _Folders(run).list()["episodes"]]
    assert listed == [None, INT32, UINT32]
    assert [trace.step for trace in Traces(run).newest("1-1", 2)] == [UINT32, INT32]
    rom = warpzone.nes.cartridge.open_rom()
    early = early_episode(run, ["1-1"], rom)
    assert isinstance(early, Episode)
    assert isinstance(early.player, TrainingPlayer)
    assert early.player.step == BILLION - 1


def test_an_agent_tells_large_steps(tmp_path: Path) -> None:
    run = tmp_path / "run"
    play(TOY, run, 1)
    aged(run, MOST - 4 * TOY.batch, TOY.batch)
    play(TOY, run, 1)
    info: AgentInfo = load_agent(run / "agent.safetensors")[1]
    assert info.steps == MOST - 3 * TOY.batch


# --- what people see ------------------------------------------------------------------------------


def test_a_terminal_shows_large_numbers() -> None:
    out = io.StringIO()
    metrics = {"rollout/clear_rate": 1.0, "rollout/best_x": float(LARGEST)}
    status = Status("1-1", UINT32 + 5, DOUBLE, 1e6, 1e10, metrics, DOUBLE, None)
    Terminal(file=out, width=200).print(panel(status))
    assert f"{UINT32 + 5:,}" in out.getvalue()
    assert f"of {DOUBLE:,}" in out.getvalue()
    assert f"{LARGEST:,}" in out.getvalue()


def test_pages_show_large_numbers(tmp_path: Path, open_tab: OpenTab) -> None:
    steps = [INT32 - 1, UINT32 + 5, DOUBLE - 1]
    for step in steps:
        run = make_run(tmp_path / f"run-{step}", total_steps=MOST)
        lines = [metrics_line(step - 10 * i, episodes=float(step)) for i in (2, 1, 0)]
        (run / "metrics.jsonl").write_text("".join(lines))
        status = json.loads((run / "status.json").read_text())
        (run / "status.json").write_text(json.dumps({**status, "step": step}))
    with serving(tmp_path) as site:
        page = open_tab(site).page
        page.locator(".runs tbody tr").nth(2).wait_for()
        shown = page.locator(".runs").inner_text()
        for step in steps:
            page.evaluate("to => { location.hash = to; }", f"#/run/run-{step}?panel=curves")
            page.locator("#chart-clear_rate .js-line").first.wait_for(state="attached")
            told = page.evaluate(
                "[...document.querySelector('#chart-clear_rate .plot').data[0].x].at(-1)"
            )
            assert told == step
            shown += page.locator("main").inner_text()
            if step < 1e15:  # larger ones are shown as powers of ten
                assert f"{step:,}" in shown
        assert "NaN" not in shown
