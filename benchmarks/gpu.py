"""What a GPU makes of training: checks that it plays as the plain loop does, then steps per second.

    python -m benchmarks.gpu                                # at most four minutes
    python -m benchmarks.gpu --preset pixels --seconds 60 --out gpu.json
    python -m benchmarks.gpu --device cpu --seconds 5       # the same on the CPU, by PyTorch

For each preset on 1-1, learnt by PyTorch on the device:

    same        one rollout played by `GpuPlayer`, with pinned memory and copies that are not waited
                for, and from the same state by the plain loop: every array must be equal
    steps/s     whole updates for some seconds, after a warm-up
    phases      some more updates in which the device ends its work before the clock goes on to
                the next phase; that makes them slower, so only the shares tell something
    waits       operations that make the processor wait for the device, as PyTorch counts them, in
                a rollout and in an update; those for actions, one a step and group, are not in it
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from benchmarks.options import OutOption, RomOption
from benchmarks.phases import PHASES, seconds_of, watched
from rich.table import Table

from warpzone import hardware
from warpzone.bench import report
from warpzone.cpu import available_cores
from warpzone.errors import EngineError, WarpzoneError
from warpzone.nes.cartridge import cartridge_of
from warpzone.ppo.rollout import Rollout, collect
from warpzone.process import prepare_for_training
from warpzone.settings import merge, parse_overrides
from warpzone.smb.rom import find_rom
from warpzone.training.config import TrainConfig
from warpzone.training.gpu_rollout import GpuPlayer
from warpzone.training.learner import Learner
from warpzone.training.mario_games import mario_games
from warpzone.training.presets import PRESETS, resolve

WARMUP = 2
"""Updates before anything is measured."""
ARRAYS = ("values", "actions", "log_probs", "rewards", "ended", "tasks", "truncated_values")


def measure(
    preset: str, device: str, seconds: float, settings: list[str], rom: Path
) -> dict[str, Any]:
    """Trains on `device` for about `seconds`; returns what was found."""
    fixed: dict[str, Any] = {"env": {"levels": {"1-1": 1.0}}, "device": device, "learner": "torch"}
    config = resolve(preset, **merge(fixed, parse_overrides(settings, TrainConfig)))
    place = torch.device(device)
    settle: Callable[[], None] = (
        (lambda: torch.cuda.synchronize(place)) if place.type == "cuda" else lambda: None
    )
    make = mario_games(rom, config.threads or available_cores())
    with closing(make(config.env, config.num_envs, 2, 0)) as env:
        learner = Learner(config, env)
        for _ in range(WARMUP):
            learner.improve()
        same = _plays_the_same(learner)
        settle()
        began, updates = time.perf_counter(), 0
        while (taken := time.perf_counter() - began) < seconds or updates == 0:
            metrics = learner.improve()
            settle()
            updates += 1
        with watched(learner, settle) as clock:
            phased, until = 0, time.perf_counter() + seconds / 2
            while time.perf_counter() < until or phased == 0:
                learner.improve()
                phased += 1
            phases = seconds_of(learner, clock)
        waits = _waits(learner) if place.type == "cuda" else None
        learner.close()
    total = sum(phases.values())
    return {
        "steps_per_second": updates * config.batch / taken,
        "updates": updates,
        "same": same,
        "loss": metrics["losses/value_loss"],
        "phases": {name: phases.get(name, 0.0) / phased / config.batch for name in PHASES},
        "shares": {name: phases.get(name, 0.0) / total for name in PHASES},
        "waits": waits,
    }


def _plays_the_same(learner: Learner) -> bool:
    """Returns whether a rollout by `GpuPlayer` is the one of the plain loop, bit for bit."""
    config, env = learner.config, learner.env
    state = env.save_state()
    plain, other = (Rollout(config.rollout_steps, env, learner.device) for _ in range(2))
    at = (config.seed, learner.step)
    with learner.policy.autocast():
        collect(env, learner.policy, plain, *at, _nothing)
        env.load_state(state)
        GpuPlayer(env, other).play(learner.policy, *at, _nothing)
    env.load_state(state)
    pairs = [(getattr(plain, name), getattr(other, name)) for name in ARRAYS]
    pairs += [(array, other.observations[name]) for name, array in plain.observations.items()]
    return all(torch.equal(a, b) for a, b in pairs)


def _waits(learner: Learner) -> dict[str, int]:
    """Returns how often the processor waits for the GPU in a rollout, and in a whole update."""
    player = GpuPlayer(learner.env, learner.rollout)

    def rollout() -> None:
        player.play(learner.policy, learner.config.seed, learner.step, _nothing)

    found = {}
    for name, work in (("rollout", rollout), ("rollout and update", learner.improve)):
        torch.cuda.set_sync_debug_mode("warn")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            work()
        torch.cuda.set_sync_debug_mode("default")
        found[name] = sum("synchroniz" in str(one.message) for one in caught)
    config = learner.config
    found["steps and groups"] = config.rollout_steps * len(learner.env.groups)
    found["minibatches"] = config.update_epochs * -(-config.batch // config.minibatch_size)
    return found


def _nothing(first: int, step: Any) -> None:
    pass


def main(
    preset: Annotated[
        list[str] | None, typer.Option(help="May be repeated.", show_default="tiles, pixels")
    ] = None,
    device: Annotated[str, typer.Option(help="cuda, cuda:1, cpu …")] = "cuda",
    seconds: Annotated[float, typer.Option(min=0.1, help="Of training for each preset.")] = 30.0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting, as `warpzone train` has."),
    ] = None,
    rom: RomOption = None,
    out: OutOption = None,
) -> None:
    """Measure training on a GPU."""
    console = report.console()
    names = preset or ["tiles", "pixels"]
    if unknown := [name for name in names if name not in PRESETS]:
        raise typer.BadParameter(f"{', '.join(unknown)}: there are {', '.join(PRESETS)}")
    try:
        place = hardware.pick_device(device)
        game = find_rom(rom, log=console.print)
        engine = cartridge_of(game).engine
        if engine is not None:
            engine.wait()
    except EngineError as error:  # then the interpreter runs
        console.print(str(error), markup=False)
    except WarpzoneError as error:
        console.print(f"Nothing was run. {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    gpu = torch.cuda.get_device_name(place) if place.type == "cuda" else None
    facts = {**report.machine(), "torch": torch.__version__, "gpu": gpu}
    for words in [*report.describe(facts, game), f"device {device}: {gpu or 'no GPU'}"]:
        console.print(words, markup=False, soft_wrap=True)
    found: dict[str, dict[str, Any]] = {}
    try:
        for name in names:
            found[name] = measure(name, device, seconds, settings or [], game.path)
            console.print(table(name, found[name]))
    except WarpzoneError as error:
        console.print(str(error), markup=False)
        raise typer.Exit(2) from None
    result = {
        "benchmark": "gpu",
        "machine": facts,
        "device": device,
        "settings": settings or [],
        "presets": found,
    }
    report.write(result, out, console)
    if not all(one["same"] for one in found.values()):
        console.print("[red]played with copies that are not waited for, a rollout is another[/]")
        raise typer.Exit(1)


def table(name: str, found: dict[str, Any]) -> Table:
    """Returns what was found for a preset."""
    rate, same = found["steps_per_second"], "the same" if found["same"] else "NOT the same"
    made = Table("phase", title=f"{name}: {rate:,.0f} agent steps/s; plays {same}")
    made.add_column("share", justify="right")
    made.add_column("µs a step, with waits between phases", justify="right")
    for phase, seconds in found["phases"].items():
        if seconds > 0:
            made.add_row(phase, f"{found['shares'][phase]:.0%}", f"{seconds * 1e6:.2f}")
    if found["waits"] is not None:
        made.add_section()
        for where, count in found["waits"].items():
            made.add_row(f"waits: {where}", f"{count:,}", "")
    return made


if __name__ == "__main__":
    prepare_for_training()
    typer.run(main)
