"""What a soak repeats in one process: training, playing, measuring and filming, turn after turn.

`scripts/soak.py` starts it. Each part of a turn says on standard output, as a line of JSON, how
many agent steps it played and in how many seconds of the clock and of the processor; after each
turn a line says what is still held: objects that the garbage collector knows, blocks of Python's
allocator, and bytes of the C library's.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import numpy as np

import warpzone
from warpzone.agents.described import evaluate_described
from warpzone.agents.playback import Playback
from warpzone.games.catch import GAME, cartridge
from warpzone.nes import make_vec as make_described
from warpzone.nes.env_fields import AUTORESET_MODES, Autoreset
from warpzone.nes.game import register_game
from warpzone.nes.game_config import Observation as DescribedObservation
from warpzone.smb.config import Observation
from warpzone.training import TrainConfig, resolve, train
from warpzone.training.progress import NoDisplay, Status

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]  # what tests share is not installed, and is only found from here on

from tests.support.toy import corridors, toy_config  # noqa: E402

ENDLESS = 10**12
"""Agent steps of a training that only its interruption ends."""
ANEW = 40
"""Turns after which runs are deleted and begun anew: what grows is not what they consist of."""
CATCH = "soak-catch"


class Interrupting(NoDisplay):
    """Ends a training as Ctrl-C does, after some updates."""

    def __init__(self, updates: int) -> None:
        self.left = updates
        self.step = 0

    def update(self, status: Status) -> None:
        self.step = status.step
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)


def small(preset: str, **settings: Any) -> TrainConfig:
    """Settings of an endless training of 1-1, the network small."""
    return resolve(
        preset,
        **{
            "network": {"hidden": [64, 32]},
            "num_envs": 8,
            "rollout_steps": 64,
            "minibatch_size": 256,
            "update_epochs": 2,
            "total_steps": ENDLESS,
            "eval_episodes": 2,
            "eval_every": 10,
            "checkpoint_every": 10,
            "target_clear_rate": None,
            "device": "cpu",
            "threads": 2,
            **settings,
        },
    )


class Work:
    """The parts of a turn. What they leave lies in `out`: runs, films, a cartridge."""

    def __init__(self, out: Path, updates: int, steps: int) -> None:
        """
        Args:
            out: a directory.
            updates: of each training, each turn.
            steps: of each set of games, each turn.
        """
        self.out, self.updates, self.steps = out, updates, steps
        self.runs = out / "runs"
        self.films = out / "films"
        self.films.mkdir(parents=True, exist_ok=True)
        self.catch = out / "catch.nes"
        cartridge(self.catch)
        register_game(CATCH, lambda: GAME)
        self.random = np.random.default_rng(0)
        self.kept = warpzone.make_vec("1-1", 8, noop_max=30, threads=2, seed=0)
        self.kept.reset(seed=0)
        self.turn = 0

    @property
    def threads(self) -> int:
        """Returns how many threads step the games of this turn."""
        return 1 + self.turn % 2

    def parts(self) -> Iterator[tuple[str, Callable[[], int]]]:
        """Yields names, and what does the part and returns how many agent steps that were."""
        yield "train: corridor", self.train_corridor
        yield "train: 1-1, tiles", lambda: self._train(self.runs / "1-1", small("tiles"))
        yield "train: 1-1, curriculum and practice", self.train_practice
        yield "train: 1-1, pixels", self.train_pixels
        yield "train: catch", self.train_catch
        yield "games: kept", lambda: self._step(self.kept)
        for observation in get_args(Observation):
            for autoreset in AUTORESET_MODES:
                yield (
                    f"games: {observation}, {autoreset}",
                    lambda o=observation, a=autoreset: (  # type: ignore[misc]
                        self.step_mario(o, a)
                    ),
                )
        for observation in get_args(DescribedObservation):
            yield f"games: catch, {observation}", lambda o=observation: self.step_catch(o)  # type: ignore[misc]
        yield "measure", self.measure
        yield "catch measured", self.measure_catch
        yield "film", self.film

    def train_corridor(self) -> int:
        config = toy_config(total_steps=ENDLESS, lr_kl=0.01)
        return self._train(self.runs / "corridor", config, 10 * self.updates, make_env=corridors)

    def train_practice(self) -> int:
        config = small(
            "tiles",
            env={"start_steps": 96},
            curriculum={"share": 0.3, "search_steps": 200_000},
            practice={"share": 0.3},
            learner="torch",
        )
        return self._train(self.runs / "practice", config)

    def train_pixels(self) -> int:
        config = small("pixels", num_envs=4, env={"size": 42}, minibatch_size=128)
        return self._train(self.runs / "pixels", config, max(1, self.updates // 4))

    def train_catch(self) -> int:
        network = {"hidden": [32], "piecewise_linear": False}
        config = small("tiles", game={"name": CATCH, "observation": "variables"}, network=network)
        return self._train(self.runs / "catch", config, rom=self.catch)

    def _train(
        self, run: Path, config: TrainConfig, updates: int | None = None, **given: Any
    ) -> int:
        shown = Interrupting(updates or self.updates)
        if self.turn % ANEW == 0 and run.exists():
            shutil.rmtree(run)
        begun = run.exists()
        before = json.loads((run / "status.json").read_text())["step"] if begun else 0
        result = train(config, run, resume=begun, display=shown, **given)
        assert result.interrupted
        return result.steps - int(before)

    def step_mario(self, observation: Observation, autoreset: Autoreset) -> int:
        with closing(
            warpzone.make_vec(
                "1-1,1-2",
                8,
                observation=observation,
                autoreset=autoreset,
                noop_max=30,
                repeat_action_probability=0.1,
                max_steps=200,
                threads=self.threads,
                seed=self.turn,
            )
        ) as envs:
            envs.reset(seed=self.turn)
            return self._step(envs)

    def step_catch(self, observation: DescribedObservation) -> int:
        with closing(
            make_described(
                self.catch, GAME, 8, observation=observation, threads=self.threads, seed=self.turn
            )
        ) as envs:
            envs.reset(seed=self.turn)
            return self._step(envs)

    def _step(self, envs: Any) -> int:
        actions = self.random.integers(envs.single_action_space.n, size=(self.steps, envs.num_envs))
        stops = envs.metadata["autoreset_mode"] is AUTORESET_MODES["disabled"]
        for chosen in actions:
            _, _, terminated, truncated, _ = envs.step(chosen)
            over = terminated | truncated
            if stops and over.any():
                envs.reset(options={"reset_mask": over})
        envs.load_state(envs.save_state())
        return self.steps * int(envs.num_envs)

    def measure(self) -> int:
        steps = 0

        def count(signals: dict[str, np.ndarray], game: int) -> None:
            nonlocal steps
            steps += int(signals["steps"][game])

        agent = warpzone.Agent.load(newest(self.runs / "1-1"))
        warpzone.evaluate(
            agent, ["1-1"], episodes=4, threads=self.threads, seed=self.turn, on_episode=count
        )
        return steps

    def measure_catch(self) -> int:
        agent = warpzone.Agent.load(newest(self.runs / "catch"))
        return evaluate_described(agent, episodes=4, rom=self.catch).result.episodes

    def film(self) -> int:
        from warpzone.video.record import record

        agent = warpzone.Agent.load(newest(self.runs / "1-1"))
        kind = ("film.gif", "film.mp4")[self.turn % 2]
        made = record(
            Playback(agent, "1-1", saliency=self.turn % 4 == 3),
            self.films / kind,
            tries=1,
            scale=1,
            seed=self.turn,
        )
        return made.frames // 4


def newest(run: Path) -> Path:
    """Returns a file with the agent of a run that goes on: the best, or a milestone."""
    best = run / "best.safetensors"
    return best if best.exists() else max((run / "milestones").iterdir())


class _Heap(ctypes.Structure):
    """The C library's `struct mallinfo2`."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
            "fordblks", "keepcost",
        )
    ]  # fmt: skip


def heap_bytes() -> int | None:
    """Returns what `malloc` has given out and not got back; None: where nobody can say."""
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except (AttributeError, TypeError, OSError):
        return None
    ask.restype = _Heap
    heap = ask()
    return int(heap.uordblks + heap.hblkhd)


def held() -> dict[str, int]:
    """Returns what this process holds once garbage is collected."""
    gc.collect()
    found = {"objects": len(gc.get_objects()), "blocks": sys.getallocatedblocks()}
    heap = heap_bytes()
    if heap is not None:
        found["heap"] = heap
    statm = Path("/proc/self/statm")
    if statm.exists():
        found["rss"] = int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return found


def main(out: Path, updates: int, steps: int, turns: int) -> None:
    """Works until SIGTERM, or for some turns where that is not 0."""
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    work = Work(out, updates, steps)
    parent = os.getppid()
    while not ending.is_set() and os.getppid() == parent and not (turns and work.turn >= turns):
        for name, part in work.parts():
            begun, cpu = time.time(), time.process_time()
            done = part()
            say(
                {
                    "turn": work.turn,
                    "part": name,
                    "time": begun,
                    "seconds": time.time() - begun,
                    "cpu": time.process_time() - cpu,
                    "steps": done,
                }
            )
            if ending.is_set():
                break
        else:
            say({"turn": work.turn, "time": time.time(), "held": held()})
            work.turn += 1


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
