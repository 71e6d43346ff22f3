"""Training: play a rollout, learn from it, again and again, until the agent is good enough.

One file because what a failure falls back to, what is saved and what is said at the end all follow
from where the loop stands.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warpzone.errors import EngineError, FileError, WarpzoneError, is_out_of_memory
from warpzone.hardware import torch_threads
from warpzone.own_code import CODE
from warpzone.ppo.rollout import VectorEnv
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.trackers.beside import Followers, require_installed
from warpzone.training.agent_file import save_agent
from warpzone.training.checkpoint import Snapshot, checked_values
from warpzone.training.config import TENSORBOARD, TrainConfig
from warpzone.training.demonstrations import Demonstrations
from warpzone.training.described_games import DescribedEnv, DescribedGames
from warpzone.training.episode_writer import EpisodeWriter
from warpzone.training.evaluation import EvalResult
from warpzone.training.evaluation_schedule import EvaluationSchedule, MakeEnv
from warpzone.training.interrupt import Interrupt, Interrupted
from warpzone.training.learner import Learner
from warpzone.training.mario_games import mario_games
from warpzone.training.metrics import MetricsWriter
from warpzone.training.network_registry import name_network, network_class
from warpzone.training.progress import (
    Display,
    NoDisplay,
    SafeDisplay,
    Status,
    duration,
    make_display,
)
from warpzone.training.ranked_games import accept, check_settings, offer, offer_no_more
from warpzone.training.ranks import joined
from warpzone.training.resolve_agent import resolve_agent
from warpzone.training.run_directory import RunDirectory
from warpzone.training.saved_sizes import require_readable_later
from warpzone.version import VERSION

if TYPE_CHECKING:
    from warpzone.nes.cartridge import RomSource


SAVING = "saving after this update; Ctrl-C again ends at once"
"""Said where an update goes on for over a second after Ctrl-C."""
HANDOVER = 30.0
"""Seconds in which a process that torchrun has started again waits for the one before to end."""
FRESH = 1.0
"""Seconds of training that a failure may cost: a copy of the state, which it falls back to, is made
after an update when the one before is older. Ctrl-C costs nothing."""


@dataclass(frozen=True)
class RunResult:
    """How a run ended."""

    path: Path
    steps: int
    seconds: float
    """Spent playing and learning, by all processes that worked on the run."""
    interrupted: bool
    measured: dict[str, EvalResult]
    """Of the final agent by level; empty after an interruption."""
    best_clear_rate: float | None
    """Measured, of the agent in best.safetensors."""


def train(
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    rom: RomSource = None,
    display: Display | None = None,
    make_env: MakeEnv | None = None,
) -> RunResult:
    """Train an agent and leave everything in the run directory `out`.

    With `resume` the run in `out` goes on, on the CPU bit for bit as if it had never stopped.
    Ctrl-C, SIGTERM and a closed terminal let it finish the update, save and end; a second Ctrl-C
    ends at once, and what came after the last checkpoint is lost.
    `make_env` brings other games than those of `warpzone.make_vec`.

    In processes that torchrun has started, each with its own call of this, all train one agent
    together (see `warpzone.training.ranks`): each plays its part of the `num_envs` games, rank 0
    alone writes to `out` and prints, and a run that torchrun has started again goes on from its
    last checkpoint.

    Raises:
        ConfigError: settings that do not fit each other, this machine, or the run in `out`; or a
            directory that cannot be written.
        MissingPackageError: a tracker is named that is not installed.
        RunError: another process trains in `out`.
        CheckpointError: no whole checkpoint to go on from.
        FileError: the disk is full at the beginning.
        TrainingError: disk or memory is full later, or `out` is removed; what could be saved is.
        EpisodeError: a demonstration that is missing, damaged, or of no use for these levels.
        RankError: another process that trains with this one is gone.
        WarpzoneError: the loss is no longer finite.
    """
    ranks = joined()
    check_settings(config, ranks)
    require_installed(config.trackers or ())
    # A run's settings are its owner's; a file of an agent may be anybody's.
    if CODE.fullmatch(config.network.kind):
        name_network(config.network.kind)
    network_class(config.network.kind)
    threads = ranks.threads(config.threads)
    shown = Demonstrations(config, out)
    config = shown.config
    described = None
    if config.game.name is not None and make_env is None:
        described = DescribedGames(config.game, rom, threads, shown, config.curriculum)
        make_env = described.measured
    make_env = make_env or mario_games(rom, threads)
    run = RunDirectory(out, config, ranks.launch)
    display = SafeDisplay((display or make_display()) if ranks.first else NoDisplay())
    make = make_env

    def games(count: int) -> VectorEnv:
        groups = min(2, count)
        if described is not None:
            return described.trained(count, groups, config.seed)
        return make(config.env, count, groups, config.seed)

    with ExitStack() as stack:

        def begin() -> tuple[bool, dict[str, Any] | None]:
            again = ranks.launch.started_again(out)
            stack.enter_context(run.locked(wait=HANDOVER if again else 0.0))
            goes_on = resume or again
            run.check(goes_on)
            return goes_on, run.finished() if goes_on else None

        # Copies of weights and sums over a rollout are too small to be worth a second thread; what
        # is worth several says so itself.
        stack.enter_context(torch_threads(1))
        resume, status = ranks.told(begin)
        if status is not None:
            display.log(_finished_line(run, status))
            return _finished_result(run, status)
        if config.init is not None and not resume:
            resolve_agent(config.init)  # what is not there is told before anything is made
        env = stack.enter_context(closing(games(config.num_envs // ranks.size)))
        interrupt = stack.enter_context(Interrupt())
        demonstrated, remarks = (
            shown.trajectories(env) if described is None else ({}, described.remarks)
        )
        learner = Learner(config, env, demonstrated, ranks)
        stack.callback(learner.close)
        require_readable_later(learner, resumes=resume)
        schedule = EvaluationSchedule(config, make_env)
        stack.enter_context(display)
        interrupt.announce = partial(display.log, SAVING)
        for remark in remarks:
            display.log(remark)
        written = ends = 0
        begun = False

        def take(snapshot: Snapshot) -> None:
            nonlocal written, ends, begun
            values = checked_values(snapshot)
            learner.restore(Snapshot(snapshot.tensors, values))
            schedule.load_state(values["judge"])
            written, ends = values["metrics_bytes"], values["ends_bytes"]
            begun = True

        def give(snapshot: Snapshot) -> None:
            offer(snapshot, ranks, lambda: games(config.num_envs), take)

        if resume and ranks.first:
            try:
                if run.checkpoints.restore(give, display.log) is not None:
                    display.log(f"going on from step {learner.step:,}")
            finally:
                offer_no_more(ranks)
        elif resume:
            accept(ranks, take)
        if not begun:
            learner.begin()
        metrics = followers = None
        if ranks.first:
            if ranks.size > 1:
                each = config.num_envs // ranks.size
                display.log(f"{ranks.size} ranks learn together, with {each} games each")
            if (change := run.log_changes(learner.step)) is not None:
                display.log(f"with other settings from here on: {change.text}")
            learner.changes = run.changes()
            run.open()
            shown.keep()
            run.milestones.forget_after(learner.step)
            if isinstance(env, MarioVectorEnv | DescribedEnv) and config.watched_games > 0:
                described_start = env.described_start if isinstance(env, DescribedEnv) else None
                learner.episode_writer = EpisodeWriter(
                    out, env, config.watched_games, display.log, ends, described_start
                )
            try:
                metrics = stack.enter_context(
                    MetricsWriter(
                        out,
                        offset=written,
                        step=learner.step,
                        tensorboard=None
                        if config.trackers is None
                        else TENSORBOARD in config.trackers,
                    )
                )
            except OSError as error:
                raise FileError(
                    f"cannot write to {str(out)!r}: {error.strerror or error}", error.errno
                ) from error
            run.rom = getattr(learner.env, "rom", None)
            run.write_status("running", step=learner.step, best_clear_rate=schedule.best)
            followers = stack.enter_context(_followers(run, learner, display))
        job = _Job(run, learner, schedule, metrics, followers, display, interrupt)
        if not ranks.first:
            return _follow(job)
        try:
            job.work()
        except Interrupted:
            try:
                job.save()
                run.write_status("interrupted", step=job.saved, best_clear_rate=schedule.best)
            except (FileError, MemoryError) as error:
                raise run.failed(job.state, job.info, error) from None
            display.log(f"interrupted; saved at step {job.saved:,}. Go on: {run.command()}")
            return _result(run, learner, schedule, steps=job.saved, interrupted=True)
        except KeyboardInterrupt:
            with suppress(FileError):
                run.write_status("interrupted", step=job.saved, best_clear_rate=schedule.best)
            display.log(f"ended at once; saved up to step {job.saved:,}. Go on: {run.command()}")
            raise
        except Exception as error:
            failed = run.failed(job.state, job.info, error)
            if isinstance(error, OSError | FileError) or is_out_of_memory(error):
                raise failed from None
            if isinstance(error, EngineError) or not isinstance(error, WarpzoneError):
                display.log(f"failed; saved at step {job.info.steps:,}. Go on: {run.command()}")
            raise
        for text in _closing_lines(run, learner, schedule):
            display.log(text)
        return _result(run, learner, schedule, steps=learner.step)


def _follow(job: _Job) -> RunResult:
    """Trains in another rank than the first, which has all the rest to do."""
    interrupted = False
    try:
        job.work()
    except Interrupted:
        job.save()
        interrupted = True
    at = job.saved if interrupted else job.learner.step
    return _result(job.run, job.learner, job.schedule, steps=at, interrupted=interrupted)


class _Job:
    """The loop of a training, and the state that it falls back to: no update is half saved."""

    def __init__(
        self,
        run: RunDirectory,
        learner: Learner,
        schedule: EvaluationSchedule,
        metrics: MetricsWriter | None,
        followers: Followers | None,
        display: Display,
        interrupt: Interrupt,
    ) -> None:
        """`metrics` and `followers`: None in other ranks than the first, which write nothing."""
        self.run, self.learner, self.schedule = run, learner, schedule
        self.ranks = learner.ranks
        self.metrics, self.followers = metrics, followers
        self.display, self.interrupt = display, interrupt
        self.saved = learner.step
        """Agent steps after which there is a checkpoint, or from which this process began."""
        self._freeze()  # `state`, and `info` of its agent: what a failure falls back to

    def work(self) -> None:
        """Plays and learns until the agent is good enough or the steps are spent.

        Raises:
            Interrupted: an end was requested; `save` keeps the last whole update.
        """
        config, learner, schedule = self.run.config, self.learner, self.schedule
        begun_at = learner.updates
        while True:
            # Save; the first checkpoint is for who resumes what was killed before another.
            due = learner.updates % config.checkpoint_every == 0 and learner.updates > begun_at
            if due or learner.updates == 0:
                self.save()
            elif self.ranks.size == 1 and time.monotonic() >= self._frozen_at + FRESH:
                self.freeze()
            if self.ranks.first and self.run.milestones.due(learner.step):
                self.run.milestones.add(learner.policy.state_dict(), learner.agent_info())
            if self.ranks.any(self.interrupt.requested):
                raise Interrupted

            # Measure.
            if schedule.due(learner):
                self.measure()
            if schedule.satisfied or learner.step >= config.total_steps:
                break

            # Play and learn.
            self._prepare()
            losses = learner.improve()
            if self.metrics is not None and self.followers is not None:
                self.metrics.write(learner.step, losses)
                self.followers.tell()
            self.display.update(_status(config, learner, schedule, losses))
            if config.epoch_lines:
                self.display.log(_epoch_line(config, learner))
        self.save()
        if schedule.measured_at != learner.updates or not schedule.results:
            self.measure()
            self.save()  # who goes on from here knows of that measurement
        if self.ranks.first:
            save_agent(self.run.agent, self.state.weights, learner.agent_info(schedule.clear_rate))
            self.run.write_status(
                "finished",
                step=learner.step,
                seconds=learner.seconds,
                best_clear_rate=schedule.best,
                measured={level: result.as_dict() for level, result in schedule.results.items()},
            )

    def _prepare(self) -> None:
        learner, log = self.learner, self.display.log
        if self.ranks.size == 1:
            with self.interrupt.at_once():
                learner.prepare(log)
        elif learner.to_prepare:
            learner.prepare(log, self._in_each(lambda: learner.search(log), patiently=True))

    def _in_each(self, work: Callable[[], Any], *, patiently: bool = False) -> list[Any]:
        """Returns what `work` returned in each rank, something that JSON can hold. It can be
        interrupted at once, in any of them, and then is in all.

        Raises:
            Interrupted: it was.
        """
        found = None
        with suppress(Interrupted), self.interrupt.at_once():
            found = [work()]
        everywhere = self.ranks.gather(found, patiently=patiently)
        if any(one is None for one in everywhere):
            raise Interrupted
        return [one for (one,) in everywhere]

    def freeze(self) -> None:
        """Makes `state` a copy of everything, between two updates; what it holds of this one
        already stays until it has been measured, so that an interrupted measurement is as none."""
        values = self.state.values
        if (values["updates"], values["judge"]) != (self.learner.updates, self.schedule.state()):
            self._freeze()

    def _freeze(self) -> None:
        writer = self.learner.episode_writer
        if writer is not None:
            writer.flush()
        self.state = self.learner.snapshot(
            judge=self.schedule.state(),  # as checkpoints call it
            metrics_bytes=self.metrics.offset() if self.metrics else 0,
            ends_bytes=writer.offset if writer else 0,
        )
        self.info = self.learner.agent_info()
        self._frozen_at = time.monotonic()

    def save(self) -> None:
        """Writes `state` as of the last update, in the first rank; to be called in all.

        Raises:
            FileError: the disk is full or the directory cannot be written.
        """
        self.freeze()
        if self.ranks.first:
            self.run.save(self.state, self.info)
        self.saved = self.info.steps

    def measure(self) -> None:
        """Measures the agent, and keeps it if none was better so far."""
        learner, schedule = self.learner, self.schedule
        self.freeze()
        if self.ranks.size == 1:
            with self.interrupt.at_once():
                best = schedule.measure(learner)
        else:
            parts = [
                {level: EvalResult(**result) for level, result in part.items()}
                for part in self._in_each(self._measured)
            ]
            best = schedule.take(parts, learner.updates)
        if self.metrics is None:
            return
        if best:
            weights = learner.policy.state_dict()
            save_agent(self.run.best, weights, learner.agent_info(schedule.clear_rate))
        self.metrics.write(learner.step, schedule.metrics())
        self.display.log(
            f"measured at step {learner.step:,}: {schedule.clear_rate:.1%} of"
            f" {schedule.config.eval_episodes} episodes cleared"
        )

    def _measured(self) -> dict[str, Any]:
        found = self.schedule.play(self.learner, self.ranks.rank, self.ranks.size)
        return {level: result.as_dict() for level, result in found.items()}


def _followers(run: RunDirectory, learner: Learner, display: Display) -> Followers:
    """What sends the run's figures to services, which it does without the training."""
    config, info = run.config, learner.agent_info()
    facts = {"warpzone": VERSION, "commit": info.commit, "command": info.command}
    return Followers(
        run.path,
        [name for name in config.trackers or () if name != TENSORBOARD],
        config.track_project,
        {name: fact for name, fact in facts.items() if fact is not None},
        display.log,
    )


def _finished_line(run: RunDirectory, status: dict[str, Any]) -> str:
    best = status.get("best_clear_rate")
    rate = f", {best:.1%} cleared at best" if isinstance(best, int | float) else ""
    return (
        f"the run in {run.path} is finished: {status['step']:,} steps{rate}. Train on:"
        f" {run.command()} --steps N, or with another target: --set target_clear_rate=null"
    )


def _finished_result(run: RunDirectory, status: dict[str, Any]) -> RunResult:
    measured = status.get("measured")
    try:
        results = {str(level): EvalResult(**found) for level, found in (measured or {}).items()}
    except (TypeError, AttributeError):  # of another version
        results = {}
    return RunResult(
        path=run.path,
        steps=int(status["step"]),
        seconds=float(status.get("seconds", 0.0)),
        interrupted=False,
        measured=results,
        best_clear_rate=status.get("best_clear_rate"),
    )


def _result(
    run: RunDirectory,
    learner: Learner,
    schedule: EvaluationSchedule,
    *,
    steps: int,
    interrupted: bool = False,
) -> RunResult:
    return RunResult(
        path=run.path,
        steps=steps,
        seconds=learner.seconds,
        interrupted=interrupted,
        measured={} if interrupted else schedule.results,
        best_clear_rate=schedule.best,
    )


def _status(
    config: TrainConfig, learner: Learner, schedule: EvaluationSchedule, metrics: dict[str, float]
) -> Status:
    return Status(
        title=f"{config.played} · {config.preset} · seed {config.seed}",
        step=learner.step,
        total_steps=config.total_steps,
        steps_per_second=learner.steps_per_second,
        seconds=learner.seconds,
        metrics=metrics,
        episodes=learner.stats.episodes,
        best_measured=schedule.best,
    )


def _epoch_line(config: TrainConfig, learner: Learner) -> str:
    epochs = -(-config.total_steps // config.batch)
    nearest = learner.stats.nearest_end
    return (
        f"epoch {learner.updates} of {epochs}: max position {learner.stats.best_x},"
        f" min position {'—' if nearest is None else nearest}"
    )


def _closing_lines(run: RunDirectory, learner: Learner, schedule: EvaluationSchedule) -> list[str]:
    noop_max = schedule.config.eval_noop_max
    lines = [f"trained {learner.step:,} steps in {duration(learner.seconds)}"]
    for level, result in schedule.results.items():
        low, high = result.ci95
        lines.append(
            f"{level}: {result.clear_rate:.1%} of {result.episodes} episodes cleared"
            f" (95 % interval {low:.1%} to {high:.1%}), starts after 0 to {noop_max} idle frames,"
            " sampled actions"
        )
    verb = "watch" if run.config.game.name is None else "record"
    command, kind = ["warpzone", verb, str(run.path)], run.config.network.kind
    command += ["--network", kind] if CODE.fullmatch(kind) else []
    lines.append(f"{verb} it: {shlex.join(command)}")
    return lines
