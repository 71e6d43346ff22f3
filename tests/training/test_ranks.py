"""Several ranks learn what one process learns, outlive the death of one, become more or fewer."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from tests.support import ranked_runs
from tests.support.ranked_runs import BATCH, GAMES, RESUMED, RUNS, STEPS, UNFIT, config_of
from tests.support.toy import corridors, toy_config

import warpzone
from warpzone.errors import ConfigError, RankError
from warpzone.ppo import losses as ppo
from warpzone.training import ranked_games, trainer
from warpzone.training.checkpoint import Checkpoints, Snapshot
from warpzone.training.launch import Launch, launched
from warpzone.training.ranked_games import EACH_GAME, EndedEpisodes, ended_rows, numbered
from warpzone.training.ranked_update import OwnSamples
from warpzone.training.ranks import ALONE, Ranks
from warpzone.training.run_settings import OWNER, read_config, read_status

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-4
"""Of a weight after two updates, which move some by a hundredfold: rounding alone makes 1e-7, and
advantages normalised by each rank for itself 1e-2."""


STANDALONE = ("--standalone", "--nproc-per-node=2")


def torchrun(
    *arguments: str | Path | int, where: Sequence[str] = STANDALONE, restarts: int = 0
) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", *where]
    options = [f"--max-restarts={restarts}", "--monitor-interval=0.1"]
    return [*launcher, *options, "-m", *map(str, arguments)]


def newest(run: Path) -> Snapshot:
    found = Checkpoints(run / "checkpoints", 3).newest(pytest.fail)
    assert found is not None
    return found


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def farthest(one: Snapshot, other: Snapshot) -> float:
    """The largest difference of any weight."""
    ours, theirs = one.weights, other.weights
    assert ours.keys() == theirs.keys()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


@pytest.fixture(scope="module")
def by_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process has learnt."""
    folder = tmp_path_factory.mktemp("one")
    for name in RUNS:
        ranked_runs.run(name, folder / name)
    return folder


@pytest.fixture(scope="module")
def by_two(by_one: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two have learnt together."""
    folder = tmp_path_factory.mktemp("two")
    ranked_runs.run(RESUMED, folder / "begun-by-one")
    done = subprocess.run(
        torchrun("tests.support.ranked_runs", folder),
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a store cannot be given a socket there")
def test_ranks_of_one_machine_listen_to_it_alone(by_two: Path) -> None:
    for rank in range(2):
        assert (by_two / f"listening-{rank}.txt").read_text() == "127.0.0.1"


@pytest.mark.slow
@pytest.mark.parametrize("name", list(RUNS))
def test_two_ranks_learn_what_one_process_does(name: str, by_one: Path, by_two: Path) -> None:
    one, two = newest(by_one / name), newest(by_two / name)
    begun = Snapshot.read(by_one / name / "checkpoints" / f"step-{BATCH:012d}.ckpt")
    assert farthest(one, begun) > 50 * TOLERANCE, "an update that does nothing proves nothing"
    assert farthest(one, two) < TOLERANCE
    told = {"seconds", "metrics_bytes", "ends_bytes", "beta", "lr_scale", "judge"}
    for value in one.values.keys() - told:
        assert one.values[value] == two.values[value], value
    assert one.values["beta"] == pytest.approx(two.values["beta"])
    assert one.values["stats"]["episodes"] > 0
    measured = {"eval"}  # of other random numbers, as many ranks as there are
    for ours, theirs in zip(lines(by_one / name), lines(by_two / name), strict=True):
        assert ours.keys() == theirs.keys()
        for metric in ours:
            if "seconds" not in metric and metric != "charts/SPS" and metric[:4] not in measured:
                assert theirs[metric] == pytest.approx(ours[metric], rel=1e-2, abs=1e-3), metric


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_ranks(by_one: Path, by_two: Path) -> None:
    # Two go on from where one process was, and one from where two were.
    two = newest(by_two / "begun-by-one")
    assert two.values["step"] == 3 * BATCH
    assert two.tensors[EACH_GAME].shape[0] == GAMES
    ranked_runs.run(RESUMED, by_two / RESUMED, updates=3, resume=True)
    alone = newest(by_two / RESUMED)
    assert alone.values["step"] == 3 * BATCH
    ranked_runs.run(RESUMED, by_one / RESUMED, updates=3, resume=True)
    never = newest(by_one / RESUMED)
    assert farthest(never, two) < 2 * TOLERANCE
    assert farthest(never, alone) < 2 * TOLERANCE
    assert never.values["stats"] == two.values["stats"] == alone.values["stats"]


@pytest.mark.slow
def test_rank_0_alone_writes(by_two: Path) -> None:
    run = by_two / RESUMED
    assert len(list(run.glob("events.out.tfevents.*"))) <= 2  # and that of one process, later
    steps = [line["step"] for line in lines(run)]
    assert steps == sorted(steps)
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "finished"
    (measured,) = {result["episodes"] for result in status["measured"].values()}
    assert measured == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("games", "num_envs is 9, for all 2 ranks together, and not divisible by 2"),
        ("practice", "practice.share is above 0, and there are 2 ranks"),
        ("algorithm", "algorithm is pqn, and there are 2 ranks"),
    ],
)
def test_what_several_ranks_cannot_do_is_refused(name: str, text: str, by_two: Path) -> None:
    assert name in UNFIT
    for rank in range(2):
        told = (by_two / f"{name}-{rank}.txt").read_text()
        assert told.startswith("ConfigError")
        assert text in told
    assert not (by_two / "unfit").exists()


JOINING = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "GLOO_SOCKET_IFNAME": "lo"}
"""Without the first, who joins waits in vain for an address, up to PyTorch 2.13 at least."""


class Launched:
    """A training by the command line in several ranks."""

    def __init__(
        self, out: Path, log: Path, restarts: int, where: Sequence[str] = STANDALONE
    ) -> None:
        settings = config_of(RUNS["native"], updates=10_000)
        line = torchrun(
            *("warpzone", "train", "1-1", "--out", out, "--steps", settings.total_steps),
            *("--num-envs", GAMES, "--threads", 1, "--set", f"rollout_steps={STEPS}"),
            *("--set", "minibatch_size=100", "--set", "network.hidden=[32,16]"),
            *("--set", "target_clear_rate=null", "--set", "checkpoint_every=5"),
            where=where, restarts=restarts,
        )  # fmt: skip
        self.out, self.log = out, log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                line, cwd=ROOT, stdout=file, stderr=file, env=os.environ | JOINING
            )

    def ranks(self) -> dict[int, psutil.Process]:
        """Those that are there, by number."""
        found = {}
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.Error, KeyError, ValueError):
                    found[int(child.environ()["RANK"])] = child
        return found

    def wait_for(self, what: Callable[[], bool]) -> None:
        for _ in range(1200):
            if what():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        pytest.fail(self.log.read_text())

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = read_status(self.out)
        return found

    def step(self) -> int:
        paths = Checkpoints(self.out / "checkpoints", 3).paths()
        return int(paths[-1].stem.split("-")[1]) if paths else 0


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    begun: list[Launched] = []

    def start(restarts: int, where: Sequence[str] = STANDALONE) -> Launched:
        log = tmp_path / f"log-{len(begun)}"
        begun.append(Launched(tmp_path / "run", log, restarts, where))
        return begun[-1]

    yield start
    for one in begun:
        for rank in one.ranks().values():
            rank.kill()
        one.process.kill()
        one.process.wait()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="torchrun sends signals that Windows lacks")
def test_a_killed_rank_is_started_again_and_sigterm_saves(
    launch: Callable[..., Launched],
) -> None:
    run = launch(1)
    run.wait_for(lambda: run.step() > 0)
    run.ranks()[1].send_signal(signal.SIGKILL)
    # torchrun often ends the other rank before it can tell that it has lost this one.
    run.wait_for(lambda: "going on from step" in run.log.read_text())
    text = run.log.read_text()
    saved = int(text.split("going on from step ")[1].split()[0].replace(",", ""))
    assert saved % (5 * BATCH) == 0
    run.wait_for(lambda: run.step() > saved)

    run.process.send_signal(signal.SIGTERM)
    run.process.wait(60)
    text = run.log.read_text()
    assert "interrupted; saved at step" in text
    status = json.loads((run.out / "status.json").read_text())
    assert status["state"] == "interrupted"
    assert run.step() == status["step"]
    steps = [line["step"] for line in lines(run.out)]
    assert steps == list(range(BATCH, status["step"] + 1, BATCH)), "each update is told once"
    # One process goes on with it, without torchrun.
    more = read_config(run.out).model_copy(
        update={"total_steps": status["step"] + BATCH, "eval_episodes": 2}
    )
    assert trainer.train(more, run.out, resume=True).steps == status["step"] + BATCH


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="torchrun sends signals that Windows lacks")
def test_machines_join_and_leave_a_training(launch: Callable[..., Launched]) -> None:
    # Two of torchrun on this machine, each with one rank, stand for two machines.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = [
        "--nnodes=1:2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=elastic",
        f"--rdzv-endpoint=127.0.0.1:{port}", "--local-addr=127.0.0.1",
        "--rdzv-conf=last_call_timeout=1",
    ]  # fmt: skip
    stays = launch(3, where)
    stays.wait_for(lambda: stays.step() > 0)
    assert "ranks" not in stays.status()

    def trains(ranks: int, beyond: int = 0) -> bool:
        """Whether so many train now, and have saved at a later step than that."""
        there = stays.status()
        found = (there["state"], there.get("ranks", 1))
        return found == ("running", ranks) and stays.step() > beyond

    comes = launch(3, where)
    comes.wait_for(lambda: trains(2))
    joined_at = stays.step()
    comes.wait_for(lambda: trains(2, joined_at))
    owner = json.loads((stays.out / OWNER).read_text())["pid"]
    ranks = stays.ranks() | comes.ranks()
    assert set(ranks) == {0, 1}
    assert owner == ranks[0].pid

    for rank in comes.ranks().values():
        rank.kill()
    comes.process.kill()
    stays.wait_for(lambda: trains(1))
    left_at = stays.step()
    stays.wait_for(lambda: trains(1, left_at))
    assert set(stays.ranks()) == {0}

    stays.process.send_signal(signal.SIGTERM)
    stays.process.wait(60)
    status = stays.status()
    assert status["state"] == "interrupted"
    assert status["launch"] == "elastic"
    assert "ranks" not in status
    assert stays.step() == status["step"] > left_at > joined_at
    told = lines(stays.out)
    steps = [line["step"] for line in told]
    assert steps == list(range(BATCH, status["step"] + 1, BATCH)), "each update is told once"
    losses = [line["losses/value_loss"] for line in told]
    assert np.isfinite(losses).all()
    weights = newest(stays.out).weights
    assert all(bool(tensor.isfinite().all()) for tensor in weights.values())
    texts = stays.log.read_text() + comes.log.read_text()
    assert texts.count("2 ranks learn together, with 4 games each") == 1
    assert texts.count("going on from step") == 2


# --- without processes ----------------------------------------------------------------------------


def test_a_rank_is_known_by_the_environment() -> None:
    assert launched({"RANK": "1", "WORLD_SIZE": "2"}) == Launch()  # of another launcher
    told = {
        "TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_RESTART_COUNT": "3", "RANK": "5",
        "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4",
    }  # fmt: skip
    assert launched(told) == Launch(5, 8, 1, 4, restarts=3)
    assert launched({**told, "TORCHELASTIC_RUN_ID": "job7"}).name == "job7"
    assert not launched(told).first
    with pytest.raises(ConfigError, match="not told it which rank it is: 'RANK'"):
        launched({name: value for name, value in told.items() if name != "RANK"})


def test_a_run_goes_on_by_itself_only_where_torchrun_has_started_it_again(tmp_path: Path) -> None:
    again, named = Launch(restarts=1), Launch(name="job7")
    assert not again.started_again(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert again.started_again(tmp_path)
    assert not Launch().started_again(tmp_path)
    assert not named.started_again(tmp_path)
    (tmp_path / "status.json").write_text('{"state": "running", "launch": "job7"}')
    assert named.started_again(tmp_path)
    assert not Launch(name="job8").started_again(tmp_path)


def pretended(rank: int, size: int) -> Ranks:
    """One of several that are not there: what is not told can be asked of it."""
    ranks = Ranks(Launch())
    ranks.rank, ranks.size = rank, size
    return ranks


def test_samples_are_divided_by_game_and_keep_their_order() -> None:
    games, steps, each = 6, 5, 2
    order = torch.randperm(games * steps, generator=torch.Generator().manual_seed(1))
    numbers = torch.arange(games * steps).view(steps, games)
    for rank in range(games // each):
        own = slice(rank * each, (rank + 1) * each)
        chosen = OwnSamples(games, own).of(order)
        seen = numbers[:, own].flatten()[chosen]
        assert seen.tolist() == [n for n in order.tolist() if own.start <= n % games < own.stop]


def test_threads_and_devices_are_shared_on_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warpzone.training.ranks.available_cores", lambda: 7)
    ranks = Ranks(Launch())
    assert ranks.threads(None) == 7
    assert ranks.threads(3) == 3
    ranks.launch = Launch(local_rank=2, local_size=3)
    assert ranks.threads(None) == 2
    ranks.launch = Launch(local_rank=9, local_size=10)
    assert ranks.threads(None) == 1
    assert ranks.device("auto") == "auto"  # no GPU here
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    with pytest.raises(ConfigError, match="10 ranks on this machine and 4 GPUs"):
        ranks.device("auto")
    ranks.launch = Launch(local_rank=2, local_size=3)
    assert ranks.device("auto") == ranks.device("cuda") == "cuda:2"
    assert ranks.device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="'cuda:1' is one GPU, and there are 3 ranks"):
        ranks.device("cuda:1")


def test_statistics_over_all_ranks_are_those_of_the_algorithm() -> None:
    draws = torch.Generator().manual_seed(3)
    values, groups = torch.randn(40, generator=draws) * 5 + 2, torch.arange(40) % 3
    wanted = ppo.normalize(values, groups)
    torch.testing.assert_close(ALONE.normalized(values, groups), wanted)
    (variance,) = ALONE.variances([values])
    assert variance == pytest.approx(float(values.var(correction=0)))


def test_one_process_is_told_by_nobody() -> None:
    assert ALONE.told(lambda: 5) == 5
    assert ALONE.gather({"a": 1}) == [{"a": 1}]
    assert ALONE.any(True)
    assert not ALONE.any(False)
    tensor = torch.ones(3)
    ALONE.sum(tensor)
    assert tensor.tolist() == [1, 1, 1]
    assert ALONE.part(7, "num_envs") == slice(0, 7)


def test_a_lost_rank_is_told_of_in_words() -> None:
    with pytest.raises(RankError) as raised, pretended(1, 2)._told():
        raise RuntimeError("Connection closed\n by peer")
    assert "rank 1 of 2" in str(raised.value)
    assert "go on from the last checkpoint" in str(raised.value)
    assert "--max-restarts" in str(raised.value)
    assert "Connection closed by peer" in str(raised.value)


def test_games_of_a_larger_set_are_played_by_their_number() -> None:
    whole = warpzone.make_vec("1-1", num_envs=6, seed=3, noop_max=30, num_groups=1)
    part = warpzone.make_vec("1-1", num_envs=2, seed=9, noop_max=30, num_groups=1)
    whole.reset(seed=3)
    ranked_games.begin(part, 3, pretended(2, 3))
    actions = np.arange(6) % 4
    for _ in range(30):
        seen, rewards, *_ = whole.step(actions)
        own, gained, *_ = part.step(actions[4:])
        assert isinstance(own, dict)
        assert isinstance(seen, dict)
        for name, array in own.items():
            np.testing.assert_array_equal(seen[name][4:], array)
        np.testing.assert_array_equal(rewards[4:], gained)
    assert whole.save_state(4) == part.save_state(0)
    with pytest.raises(ConfigError, match="first_game"):
        part.reset(options={"first_game": 4})
    with pytest.raises(ConfigError, match=r"first_game'\] is -1"):
        part.reset(seed=1, options={"first_game": -1})


def test_games_that_have_no_number_are_refused() -> None:
    env = corridors(toy_config().env, 4, 2, 0)
    with pytest.raises(ConfigError, match="games of Corridor cannot be divided among ranks"):
        numbered(env)


def test_ends_of_episodes_are_counted_in_the_order_of_one_process() -> None:
    env = warpzone.make_vec("1-1", num_envs=4, seed=0, max_steps=3, num_groups=2)
    env.reset(seed=0)
    rows: list[Any] = []
    for t in range(6):
        for group, own in enumerate(env.groups):
            env.send(group, np.zeros(2, np.int64))
            step = env.recv(group)
            # Each group as if it were a rank of its own.
            rows.append(ended_rows(t * 2, step, 4, own))
    mixed = np.concatenate(rows[::-1])
    episodes = EndedEpisodes(mixed[np.argsort(mixed[:, 0])])
    assert len(episodes.finished) == 8
    assert [int(place) for place in np.sort(mixed[:, 0])] == [8, 9, 10, 11, 20, 21, 22, 23]
    assert episodes.signals["steps"].tolist() == [3] * 8
    assert not episodes.terminated.any()
    assert not episodes.partial.any()
    assert not episodes.success.any()
    assert (episodes.task == 0).all()
