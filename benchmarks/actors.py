"""Actors far from the learner, beside plain data-parallel training: throughput and staleness.

    python -m benchmarks.actors                          # table on stderr, JSON on stdout
    python -m benchmarks.actors --seconds 60 --repeats 3 --out actors.json
    python -m benchmarks.actors --case "2 actors"

A prototype, kept as the measurement: Ray actors, one CPU each, play whole rollouts with the newest
weights that they can have, and send them, with the version of these weights, to one learner, which
makes one update of PPO of each; the ratio is to the policy that played, however old. Actors are
never idle: each plays on while its last rollout is learnt from. Compared with one process that
plays and learns by turns, on one thread and on two, and with two ranks of torchrun.

Each case trains `--level` from nothing in processes of its own, cases take turns, and a repeat is
another seed. Measured are agent steps that are learnt from per second, after the first updates, and
per second of CPU time, of all processes and of the learner's alone: these hold on a busy machine
too, and say what so many cores can do at best. Further how
many updates older than the learner the weights were that played what it learns from; for which
share of the time the learner waited; bytes that a rollout takes; and after how many agent steps 90
of the last 100 episodes cleared the level.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from benchmarks.options import OutOption
from rich.table import Table

from warpzone.bench import report
from warpzone.process import prepare_for_training

CASES = ("1 thread", "2 threads", "2 ranks", "1 actors", "2 actors", "4 actors")
WARMUP = 3
"""Updates that are not measured."""
GOAL = 0.9
MOST_STEPS = 100_000_000
ARRAYS = (
    "values", "actions", "log_probs", "rewards", "ended", "tasks", "truncated_values",
)  # fmt: skip


def config_of(level: str, preset: str, seed: int, threads: int) -> Any:
    from warpzone.training import resolve

    return resolve(
        preset, env={"levels": {level: 1.0}}, seed=seed, threads=threads, device="cpu",
        total_steps=MOST_STEPS, watched_games=0,
    )  # fmt: skip


def learner_of(config: Any) -> Any:
    from warpzone.smb.vector_env import MarioVectorEnv
    from warpzone.training.learner import Learner

    env = MarioVectorEnv(
        num_envs=config.num_envs, num_groups=2, threads=config.threads, seed=config.seed,
        config=config.env,
    )  # fmt: skip
    return Learner(config, env)


class Player:
    """Plays rollouts; lives in an actor."""

    def __init__(self, level: str, preset: str, seed: int) -> None:
        self._learner = learner_of(config_of(level, preset, seed, 1))

    def play(self, version: int, weights: dict[str, Any]) -> dict[str, Any]:
        """Returns a rollout, whose version it is, and the clear rate of its last episodes."""
        import torch

        from warpzone.training.algorithm import Moment

        learner = self._learner
        learner.policy.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in weights.items()})
        learner._prepare(Moment(0.0, learner.competence))
        learner._play()
        learner.step += learner.config.batch
        rollout = learner.rollout
        return {
            "version": version,
            "observations": {k: v.numpy() for k, v in rollout.observations.items()},
            "arrays": {name: getattr(rollout, name).numpy() for name in ARRAYS},
            "clear_rate": learner.stats.clear_rate if learner.stats.full else 0.0,
        }


def cpu_seconds() -> float:
    """Returns the CPU time of this process and of all that it has begun and that still run."""
    total = 0.0
    for process in (me := psutil.Process(), *me.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


class Watch:
    """Counts what is learnt from."""

    def __init__(self, batch: int, seconds: float) -> None:
        self.batch, self.seconds = batch, seconds
        self.began = self.measured_from = time.perf_counter()
        self.updates = 0
        self.goal: tuple[int, float] | None = None

    def update(self, clear_rate: float) -> bool:
        """Takes in an update; returns whether there is time for another."""
        self.updates += 1
        now = time.perf_counter()
        if self.updates == WARMUP:
            self.measured_from = now
            self.cpu, self.own_cpu = cpu_seconds(), time.process_time()
        if self.goal is None and clear_rate >= GOAL:
            self.goal = self.updates * self.batch, now - self.began
        self.ended = now
        return self.updates <= WARMUP or now - self.measured_from < self.seconds

    def result(self, **others: Any) -> dict[str, Any]:
        count = (self.updates - WARMUP) * self.batch
        steps, seconds = self.goal or (None, None)
        return {
            "steps_per_second": count / (self.ended - self.measured_from),
            "steps_per_cpu_second": count / (cpu_seconds() - self.cpu),
            "steps_per_cpu_second_of_this_process": count / (time.process_time() - self.own_cpu),
            "steps_to_goal": steps,
            "seconds_to_goal": seconds,
            **others,
        }


def in_one_process(config: Any, seconds: float) -> dict[str, Any]:
    learner = learner_of(config)
    watch = Watch(config.batch, seconds)
    with closing(learner.env):
        going = True
        while going:
            learner.improve()
            going = watch.update(learner.stats.clear_rate if learner.stats.full else 0.0)
        result = watch.result()
        learner.close()
    return result


def with_actors(level: str, preset: str, seed: int, actors: int, seconds: float) -> dict[str, Any]:
    import torch

    from warpzone.fleet.cluster import session
    from warpzone.training.algorithm import Moment

    config = config_of(level, preset, seed, 1)
    learner = learner_of(config)
    with closing(learner.env), session(cpus=actors) as ray:
        player = ray.remote(num_cpus=1)(Player)
        players = [player.remote(level, preset, seed + 1000 * n) for n in range(1, actors + 1)]

        def weights() -> Any:
            return ray.put({k: v.numpy() for k, v in learner.policy.state_dict().items()})

        newest = weights()
        playing = {each.play.remote(0, newest): each for each in players}
        # All have begun before time is measured.
        ray.wait(list(playing), num_returns=len(playing))
        watch = Watch(config.batch, seconds)
        version, ages, waited, size, rates = 0, list[int](), 0.0, 0, dict[Any, float]()
        going = True
        while going:
            before = time.perf_counter()
            (ready,), _ = ray.wait(list(playing), num_returns=1)
            waited += time.perf_counter() - before if version >= WARMUP else 0.0
            each = playing.pop(ready)
            got = ray.get(ready)
            playing[each.play.remote(version, newest)] = each
            ages.append(version - got["version"])
            rates[each] = got["clear_rate"]
            rollout, size = learner.rollout, 0
            for name, array in got["observations"].items():
                rollout.observations[name].copy_(torch.from_numpy(array.copy()))
                size += array.nbytes
            for name, array in got["arrays"].items():
                getattr(rollout, name).copy_(torch.from_numpy(array.copy()))
                size += array.nbytes
            rate = statistics.mean(rates.values())
            moment = Moment(min(1.0, learner.step / config.total_steps), rate)
            learner._prepare(moment)
            batch = learner.algorithm.make_batch(rollout)
            learner.algorithm.update(batch, learner.shuffling, moment)
            learner.step += config.batch
            version += 1
            newest = weights()
            going = watch.update(rate)
        total = watch.ended - watch.measured_from
        result = watch.result(
            staleness_mean=statistics.mean(ages[WARMUP:]),
            staleness_max=max(ages[WARMUP:]),
            waiting=waited / total,
            megabytes_per_rollout=size / 1e6,
        )
        learner.close()
        return result


def with_ranks(level: str, preset: str, seed: int, seconds: float) -> dict[str, Any]:
    """Two ranks, one thread each, of `warpzone train`, ended when their time is over."""
    config = config_of(level, preset, seed, 1)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        line = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        line += ["--nproc-per-node", "2", "-m", "warpzone", "train", level, "--preset", preset]
        line += ["--threads", "1", "--seed", str(seed), "--steps", str(MOST_STEPS)]
        line += ["--set", "watched_games=0", "--set", "target_clear_rate=null"]
        process = subprocess.Popen(
            [*line, "--out", str(run)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        metrics, watch, lines = run / "metrics.jsonl", Watch(config.batch, seconds), 0
        try:
            going = True
            while going and process.poll() is None:
                time.sleep(0.02)
                found = metrics.read_text().splitlines() if metrics.exists() else []
                for text in found[lines:]:
                    told = json.loads(text)
                    if "rollout/clear_rate" in told:
                        full = told["rollout/episodes"] >= 100
                        going = watch.update(told["rollout/clear_rate"] if full else 0.0)
                lines = len(found)
            return watch.result()
        finally:
            process.terminate()
            process.wait()


def measure(case: str, level: str, preset: str, seed: int, seconds: float) -> dict[str, Any]:
    number, kind = case.split()
    if kind == "actors":
        return with_actors(level, preset, seed, int(number), seconds)
    if kind == "ranks":
        return with_ranks(level, preset, seed, seconds)
    return in_one_process(config_of(level, preset, seed, int(number)), seconds)


def main(
    case: Annotated[list[str] | None, typer.Option(help=f"Default: {', '.join(CASES)}.")] = None,
    level: Annotated[str, typer.Option(help="To train on.")] = "1-1",
    preset: Annotated[str, typer.Option(help="Of the training.")] = "tiles",
    seconds: Annotated[float, typer.Option(help="Of a case in each repeat.", min=1)] = 60.0,
    repeats: Annotated[int, typer.Option(min=1)] = 3,
    out: OutOption = None,
    alone: Annotated[
        int | None, typer.Option(hidden=True, help="One case, with this seed.")
    ] = None,
) -> None:
    """Measure all cases."""
    cases = case or list(CASES)
    if unknown := [name for name in cases if name not in CASES]:
        raise typer.BadParameter(f"there is no case {unknown[0]!r}: there are {', '.join(CASES)}")
    if alone is not None:
        prepare_for_training()
        print(json.dumps(measure(cases[0], level, preset, alone, seconds)))
        return
    console = report.console()
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in cases}
    for repeat in range(repeats):
        for name in cases:
            line = [sys.executable, "-m", "benchmarks.actors", "--case", name, "--level", level]
            line += ["--preset", preset, "--seconds", str(seconds), "--alone", str(repeat)]
            load = report.load()
            done = subprocess.run(line, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise typer.BadParameter(f"{name}: {done.stderr[-2000:]}")
            results[name].append({**json.loads(done.stdout.splitlines()[-1]), "load": load})
            console.print(f"{name}, repeat {repeat + 1}: {results[name][-1]}", soft_wrap=True)
    table = Table(
        "case",
        "steps/s",
        "steps/CPU s",
        "of the learner",
        "staleness",
        "learner waits",
        "steps to 90 %",
        box=None,
    )
    for name, rows in results.items():
        ages = [row["staleness_mean"] for row in rows if "staleness_mean" in row]
        speed = report.Spread.of([row["steps_per_second"] for row in rows])
        waits = [row["waiting"] for row in rows if "waiting" in row]
        goals = [row["steps_to_goal"] for row in rows]
        table.add_row(
            name,
            speed.text(",.0f"),
            report.Spread.of([row["steps_per_cpu_second"] for row in rows]).text(",.0f"),
            report.Spread.of([row["steps_per_cpu_second_of_this_process"] for row in rows]).text(
                ",.0f"
            )
            if ages
            else "–",
            f"{statistics.median(ages):.1f}" if ages else "0",
            f"{statistics.median(waits):.0%}" if waits else "–",
            ", ".join("–" if goal is None else f"{goal:,}" for goal in goals),
        )
    console.print(table)
    text = json.dumps({"machine": report.machine(), "level": level, "preset": preset,
                       "seconds": seconds, "results": results}, indent=2)  # fmt: skip
    if out is None:
        print(text)
    else:
        out.write_text(text + "\n")


if __name__ == "__main__":
    typer.run(main)
