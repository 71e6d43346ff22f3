"""How far training is from what this machine can do, phase by phase.

    python -m benchmarks.learner                            # tables on stderr, JSON on stdout
    python -m benchmarks.learner --markdown docs/performance.md --out learner.json
    python -m benchmarks.learner --preset tiles --threads 1 --repeats 5

For each preset, on 1-1:

    needs   what an agent step needs: floating-point operations of the network (forward once to
            decide; forward and backward as often as a sample is learnt from), bytes that are
            stored, gathered, and swept by Adam
    plain   what a matrix product of the same sizes reaches (`torch.mm`, in float32 and bfloat16,
            with one thread and with all), and a copy of as many bytes
    takes   the microseconds of an agent step that real training spends in each phase
    share   plain ÷ takes: 100 % is a phase as fast as plain products and copies are, more one that
            is faster than PyTorch's

Of a layer that leaves out inputs (zeros, or what most observations have) those that it reads for
real observations count: of tiles some of 1,800. Training is that of `warpzone train` without logs,
checkpoints and recording, after a warm-up; each repeat is a process of its own, presets take turns.
One thread's clock is read: where threads share a phase all are as long in it, or the rest is called
`wait`; native code tells its own phases, of which the mean of the threads is taken.
"""

from __future__ import annotations

import multiprocessing
import operator
import re
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from benchmarks import arithmetic
from benchmarks.options import OutOption, RomOption
from benchmarks.phases import PHASES, seconds_of, watched
from rich.table import Table

from warpzone.bench import report
from warpzone.bench.report import Spread
from warpzone.cpu import available_cores
from warpzone.errors import EngineError, WarpzoneError
from warpzone.nes.cartridge import cartridge_of
from warpzone.process import keep_freed_memory, limit_spinning
from warpzone.settings import merge, parse_overrides
from warpzone.smb.rom import find_rom
from warpzone.training.config import TrainConfig
from warpzone.training.frame_stacks import FrameStacks
from warpzone.training.learner import Learner
from warpzone.training.mario_games import mario_games
from warpzone.training.native_update import NativeUpdater
from warpzone.training.presets import PRESETS, resolve

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
ROWS_PLAYED = 8
"""Games that native play decides for at once, in each of its threads."""
BEGIN, END = "<!-- measured: benchmarks.learner -->", "<!-- end: benchmarks.learner -->"


class Plan(NamedTuple):
    updates: int
    """Measured in each repeat."""
    warmup: int


PLANS = {"tiles": Plan(30, 5), "pixels": Plan(4, 1)}


def measure(
    preset: str, threads: int, plan: Plan, seed: int, settings: list[str], rom: Path
) -> dict[str, Any]:
    """Trains for some updates; returns what it took and what plain arithmetic takes here."""
    keep_freed_memory()
    fixed: dict[str, Any] = {"env": {"levels": {"1-1": 1.0}}, "device": "cpu"}
    fixed |= {"threads": threads, "seed": seed}
    config = resolve(preset, **merge(fixed, parse_overrides(settings, TrainConfig)))
    make = mario_games(rom, threads)
    with closing(make(config.env, config.num_envs, 2, seed)) as env:
        learner = Learner(config, env)
        for _ in range(plan.warmup):
            learner.improve()
        with watched(learner) as clock:
            began = time.perf_counter()
            for _ in range(plan.updates):
                learner.improve()
            seconds = time.perf_counter() - began
            phases = seconds_of(learner, clock)
        learner.close()
        steps = plan.updates * config.batch
        needs, products = _needs(learner)
        return {
            "steps_per_second": steps / seconds,
            "phases": {name: phases.get(name, 0.0) / steps for name in PHASES},
            "needs": needs,
            "plain": _plain(learner, needs, products, threads),
            "products": [_rates(learner, product, threads) for product in products],
        }


def _needs(learner: Learner) -> tuple[dict[str, float], list[arithmetic.Product]]:
    """Returns what an agent step needs: FLOP or bytes by phase, and the products of the network."""
    config = learner.config
    samples = {name: array[: config.minibatch_size] for name, array in _seen(learner).items()}
    native = isinstance(learner.updater, NativeUpdater)
    products = arithmetic.products_of(learner.policy, samples, relative=native)
    size, epochs = arithmetic.bytes_of(samples), config.update_epochs
    swept = arithmetic.ADAM_BYTES
    swept += arithmetic.NORM_BYTES if config.max_grad_norm is not None else 0
    return {
        "infer": sum(product.forward for product in products),
        "forward": epochs * sum(product.forward for product in products),
        "backward": epochs * sum(product.backward for product in products),
        "store": 2.0 * sum(_stored(array) for array in learner.rollout.samples.values()),
        # Native code reads each once, for all epochs.
        "gather": 1.0 * size if native else 2.0 * size * epochs,
        "optimise": swept * _swept(learner) * epochs / config.minibatch_size,
    }, products


def _stored(array: Any) -> int:
    """Returns the bytes of an observation that are stored: of stacked pictures the newest."""
    one = array.frames[0] if isinstance(array, FrameStacks) else array[0]
    return int(one.numel() * one.element_size())


def _swept(learner: Learner) -> int:
    """Returns how many weights a step of Adam moves: native code leaves alone the rows of inputs
    that have never been seen."""
    everything = arithmetic.parameters_of(learner.policy)
    if not isinstance(learner.updater, NativeUpdater):
        return everything
    first = learner.updater.policy.parameters[0]
    moments = learner.updater.optimizer.state[first]["exp_avg_sq"]
    unseen = int((moments == 0).all(1).sum())
    return everything - unseen * first.shape[1]


def _seen(learner: Learner) -> dict[str, torch.Tensor]:
    """Returns the rollout's observations in a random order, so that the first are of any time."""
    samples = learner.rollout.samples
    order = torch.randperm(learner.config.batch, generator=torch.Generator().manual_seed(0))
    chosen = order[: learner.config.minibatch_size]
    return {name: array[chosen] for name, array in samples.items()}


def _plain(
    learner: Learner, needs: dict[str, float], products: list[arithmetic.Product], threads: int
) -> dict[str, float]:
    """Returns the seconds of an agent step that plain products and copies would take by phase."""
    config = learner.config
    dtype = torch.bfloat16 if learner.policy.amp else torch.float32

    def speed(measured: Callable[[int], float], count: int) -> float:
        # Threads that share a small product wait for each other more than those with one each.
        return max(count * measured(1), measured(count)) if count > 1 else measured(1)

    def products_with(samples: int, count: int) -> dict[arithmetic.Product, float]:
        return {
            p: speed(partial(arithmetic.product_rate, p, samples, dtype), count) for p in products
        }

    def copied(size: float, count: int) -> float:
        return speed(partial(arithmetic.copy_rate, round(size)), count)

    size, native = config.minibatch_size, learner.native_play is not None
    few = ROWS_PLAYED if native else config.num_envs // max(1, len(learner.env.groups))
    deciding = products_with(few, threads if native else learner.playing_threads)
    learning = products_with(size, threads)
    epochs, row = config.update_epochs, arithmetic.bytes_of(_seen(learner))
    forward, backward = (operator.attrgetter(name) for name in ("forward", "backward"))
    return {
        "infer": arithmetic.plain_seconds(products, deciding, forward),
        "forward": epochs * arithmetic.plain_seconds(products, learning, forward),
        "backward": epochs * arithmetic.plain_seconds(products, learning, backward),
        "store": needs["store"] / copied(row * few, threads if native else 1),
        "gather": needs["gather"] / copied(row * size, threads),
        "optimise": needs["optimise"] / copied(16 * _swept(learner), threads),
    }


def _rates(learner: Learner, product: arithmetic.Product, threads: int) -> dict[str, Any]:
    size = learner.config.minibatch_size
    return {
        "product": product.name,
        "used": product.used,
        "forward": product.forward,
        "backward": product.backward,
        **{
            f"{name}, threads {count}": arithmetic.product_rate(product, size, dtype, count)
            for name, dtype in TYPES.items()
            for count in dict.fromkeys((1, threads))
        },
    }


def summary(repeats: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns medians over the repeats, and the range of the steps per second."""

    def median(key: str) -> dict[str, float]:
        return {
            name: Spread.of([one[key][name] for one in repeats]).median for name in repeats[0][key]
        }

    def rates(index: int) -> dict[str, Any]:
        rows = [one["products"][index] for one in repeats]
        return {
            name: value if isinstance(value, str) else Spread.of([row[name] for row in rows]).median
            for name, value in rows[0].items()
        }

    phases, plain = median("phases"), median("plain")
    limit, total = sum(plain.values()), sum(phases.values())
    return {
        "steps_per_second": Spread.of([one["steps_per_second"] for one in repeats])._asdict(),
        "phases": phases,
        "needs": median("needs"),
        "plain": plain,
        "shares": {name: plain[name] / phases[name] for name in plain if phases[name] > 0},
        "plain_share_of_all": limit / total,
        "products": [rates(index) for index in range(len(repeats[0]["products"]))],
    }


def product_rows(found: dict[str, Any]) -> list[list[str]]:
    """Returns the table of a network's products, with a heading."""
    rates = [name for name in found["products"][0] if "threads" in name]
    rows = [["product", "inputs used", "forward, kFLOP", "backward", *rates]]
    for product in found["products"]:
        needs = [f"{product['forward'] / 1e3:,.0f}", f"{product['backward'] / 1e3:,.0f}"]
        speeds = [f"{product[name] / 1e9:,.0f}" for name in rates]
        rows.append([product["product"], f"{product['used']:,.0f}", *needs, *speeds])
    return rows


def phase_rows(found: dict[str, Any]) -> list[list[str]]:
    """Returns the table of a training's phases, with a heading."""
    phases, total = found["phases"], sum(found["phases"].values())
    rows = [["phase", "takes, µs", "of all", "needs", "plain, µs", "share of plain"]]
    for name, seconds in phases.items():
        row = [name, f"{seconds * 1e6:.2f}", f"{seconds / total:.0%}", "", "", ""]
        if name in found["plain"]:
            unit = "kFLOP" if name in ("infer", "forward", "backward") else "KB"
            plain = f"{found['plain'][name] * 1e6:.2f}"
            share = f"{found['shares'][name]:.0%}" if name in found["shares"] else "–"
            row[3:] = [f"{found['needs'][name] / 1e3:,.1f} {unit}", plain, share]
        rows.append(row)
    limit = sum(found["plain"].values())
    rows.append(
        ["all", f"{total * 1e6:.2f}", "100%", "", f"{limit * 1e6:.2f}", f"{limit / total:.0%}"]
    )
    return rows


def markdown(results: dict[str, dict[str, Any]], machine: str) -> str:
    """Returns the tables as the documentation has them."""
    parts = [machine]
    for preset, found in results.items():
        rate = Spread(**found["steps_per_second"]).text(",.0f")
        parts.append(
            f"Preset `{preset}`: {rate} agent steps/s. Its matrix products for one sample, and the"
            " GFLOP/s of `torch.mm` with a minibatch of B:"
        )
        parts.append(_markdown_table(product_rows(found)))
        parts.append("Where an agent step of training goes, by the wall clock:")
        parts.append(_markdown_table(phase_rows(found)))
    return "\n\n".join(parts)


def _markdown_table(rows: list[list[str]]) -> str:
    head, *others = rows
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *others]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def put_into(page: str, text: str) -> str:
    """Returns a page with `text` for what it has between its two comments of this benchmark.

    Raises:
        WarpzoneError: it has none.
    """
    block = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if block.search(page) is None:
        raise WarpzoneError(f"the page has no lines {BEGIN} and {END} to write between")
    return block.sub(lambda _: f"{BEGIN}\n\n{text}\n\n{END}", page)


def main(
    preset: Annotated[
        list[str] | None, typer.Option(help="May be repeated.", show_default="tiles, pixels")
    ] = None,
    repeats: Annotated[int, typer.Option(help="Processes for each preset.", min=1)] = 3,
    updates: Annotated[
        int | None, typer.Option(min=1, help="Of each process.", show_default="by preset")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads.", show_default="all cores")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting, as `warpzone train` has."),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option("--markdown", exists=True, dir_okay=False, help="Tables are put in there."),
    ] = None,
    rom: RomOption = None,
    out: OutOption = None,
) -> None:
    """Measure where the time of training goes, and what the machine could do."""
    console = report.console()
    names = preset or list(PLANS)
    if unknown := [name for name in names if name not in PRESETS]:
        raise typer.BadParameter(f"{', '.join(unknown)}: there are {', '.join(PRESETS)}")
    try:
        if page is not None:
            put_into(page.read_text(encoding="utf-8"), "")  # that it cannot be is told before
        game = find_rom(rom, log=console.print)
        engine = cartridge_of(game).engine
        if engine is not None:
            engine.wait()
    except EngineError as error:  # then the interpreter runs
        console.print(str(error), markup=False)
    except WarpzoneError as error:
        console.print(str(error), markup=False)
        raise typer.Exit(2) from None
    facts = {**report.machine(), "torch": torch.__version__}
    for words in report.describe(facts, game):
        console.print(words, markup=False, soft_wrap=True)

    count = threads or available_cores()
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    limit_spinning()  # for those to be started, as `warpzone train` does
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        for seed in range(repeats):
            for name in names:
                plan = PLANS.get(name, PLANS["pixels"])
                plan = plan if updates is None else plan._replace(updates=updates)
                try:
                    task = (name, count, plan, seed, settings or [], game.path)
                    found[name].append(pool.submit(measure, *task).result())
                except WarpzoneError as error:
                    console.print(str(error), markup=False)
                    raise typer.Exit(2) from None
    results = {name: summary(measured) for name, measured in found.items()}
    for name, result in results.items():
        rate = Spread(**result["steps_per_second"]).text(",.0f")
        console.print(_table(product_rows(result), f"{name}: products, GFLOP/s of torch.mm"))
        console.print(_table(phase_rows(result), f"{name}: an agent step, {rate} a second"))
    if page is not None:
        when = f"{facts['cpu']}, {count} threads, torch {torch.__version__}, revision"
        text = markdown(results, f"{when} {facts['revision']}, load {facts['load']} before.")
        page.write_text(put_into(page.read_text(encoding="utf-8"), text), encoding="utf-8")
        console.print(f"written to {page}")
    result = {
        "benchmark": "learner",
        "machine": facts,
        "load_after": report.load(),
        "threads": count,
        "settings": settings or [],
        "phases": PHASES,
        "presets": results,
        "repeats": found,
    }
    report.write(result, out, console)


def _table(rows: list[list[str]], title: str) -> Table:
    made = Table(rows[0][0], title=title)
    for heading in rows[0][1:]:
        made.add_column(heading, justify="right")
    for row in rows[1:]:
        made.add_row(*row)
    return made


if __name__ == "__main__":
    typer.run(main)
