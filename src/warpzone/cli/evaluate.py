"""`warpzone eval`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from warpzone.cli.choose import (
    cartridge_of,
    check_level,
    check_network,
    described_agent,
    game_settings,
    levels_on,
    load_agent,
    load_team,
    open_collection,
    packaged_levels,
    policy_of,
)
from warpzone.cli.options import (
    MOST_EPISODES,
    AddressOption,
    DescriptionOption,
    DeviceOption,
    EngineOption,
    GameOption,
    JsonOption,
    LivesOption,
    NetworkOption,
    NoopsOption,
    OptionalAgentArgument,
    PolicyChoice,
    PolicyOption,
    RomOption,
    SeedOption,
    StickyOption,
    WarpsOption,
)
from warpzone.cli.output import err, out, plain
from warpzone.cpu import MOST_THREADS
from warpzone.errors import ConfigError
from warpzone.extras import AGENT, need
from warpzone.smb.levels import level_index

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from warpzone.agents.agent import Agent
    from warpzone.agents.evaluate import Evaluation, RowEvaluation
    from warpzone.agents.evaluate_game import GameEvaluation
    from warpzone.agents.packaged import PackagedEvaluation


def evaluate(
    agent_path: OptionalAgentArgument = None,
    levels: Annotated[
        str | None,
        typer.Option(
            help="1-1,1-2 … or all. Default: what the agent was trained on, or "
            "is packaged for; without an agent all levels that have one."
        ),
    ] = None,
    through: Annotated[
        str | None,
        typer.Option(
            help="Go on with one life, as the game does, from the level of --levels (default: the "
            "level that was named, or the agent's first) through to this one (needs an agent for "
            "all of them)."
        ),
    ] = None,
    game: GameOption = False,
    lives: LivesOption = None,
    warps: WarpsOption = False,
    episodes: Annotated[
        int, typer.Option(help="Per level; games with --game.", min=1, max=MOST_EPISODES)
    ] = 100,
    noop_max: NoopsOption = 30,
    repeat_action_probability: StickyOption = 0.0,
    any_phase: Annotated[
        bool,
        typer.Option(
            "--any-phase",
            help="Draw the game's random numbers and counters anew at each start, so that enemies "
            "come as they may after any levels before.",
        ),
    ] = False,
    start: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Measure from this moment on, a .state of Console.save or of `warpzone replay "
            "--at`, instead of from the start of levels. May be given several times.",
        ),
    ] = None,
    policy: PolicyOption = None,
    seed: SeedOption = 0,
    threads: Annotated[
        int | None, typer.Option(help="For the games.", min=1, max=MOST_THREADS)
    ] = None,
    on_ray: Annotated[
        bool,
        typer.Option(
            "--ray",
            help="Levels side by side, one CPU each, on a Ray cluster; results are the same.",
        ),
    ] = False,
    address: AddressOption = None,
    as_json: JsonOption = False,
    description: DescriptionOption = None,
    device: DeviceOption = "auto",
    rom: RomOption = None,
    network: NetworkOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Measure how often the agent clears levels, with 95 % intervals (Wilson).

    Without an agent: for each level the agent that comes with warpzone for it.
    """
    need("warpzone eval", train=AGENT)

    from warpzone.agents.evaluate import RowEvaluation, evaluate_row
    from warpzone.agents.evaluate import evaluate as measure
    from warpzone.agents.evaluate_game import GameEvaluation, evaluate_game
    from warpzone.agents.packaged import evaluate_packaged

    whole = game_settings(game, lives, warps)
    if any_phase and (game or through is not None):
        raise ConfigError(
            "--any-phase is for levels from their own starts: in a row or a whole game, phases come"
            " about by themselves"
        )
    if start and (levels is not None or through is not None or game or any_phase):
        raise ConfigError(
            "--start is where episodes begin, in the level that is played there: leave out"
            " --levels, --through, --game and --any-phase"
        )
    if address is not None and not on_ray:
        raise ConfigError("--address is for --ray: leave it out, or give that too")
    if on_ray and (through is not None or game or start or threads is not None or device != "auto"):
        raise ConfigError(
            "--ray divides levels among CPUs: leave out --through, --game, --start, --threads and"
            " --device"
        )
    check_network(network, agent_path)
    described = described_agent(agent_path, device, description)
    if described is not None and on_ray:
        raise ConfigError(
            f"--ray divides levels of Super Mario Bros., and this agent plays"
            f" {described.info.game.name}: leave it out"
        )
    if described is not None:
        if levels is not None or through is not None or game or any_phase:
            raise ConfigError(
                "--levels, --through, --game and --any-phase are for Super Mario Bros., and this"
                f" agent plays {described.info.game.name}: leave them out"
            )
        _evaluate_described(
            described,
            as_json,
            episodes=episodes,
            noop_max=noop_max,
            repeat_action_probability=repeat_action_probability,
            policy=policy_of(policy, described),
            seed=seed,
            threads=threads,
            rom=rom,
            start=start or None,
        )
        return
    if game and (levels is not None or through is not None):
        raise ConfigError("--game plays all levels: leave out --levels and --through")
    evaluation: Evaluation | PackagedEvaluation | RowEvaluation | GameEvaluation
    with err.status("") as status:
        settings: dict[str, Any] = {
            "episodes": episodes,
            "noop_max": noop_max,
            "repeat_action_probability": repeat_action_probability,
            "seed": seed,
            "threads": threads,
            "log": status.update,
        }
        if on_ray:
            evaluation = _evaluate_on_ray(
                agent_path, levels, policy, address, rom, any_phase=any_phase, **settings
            )
        elif game:
            team, cartridge, title = load_team(agent_path, policy, device, rom)
            status.update(f"{episodes} games, {title}")
            del settings["log"]
            evaluation = evaluate_game(team, rom=cartridge, **whole, **settings)
        elif through is not None:
            if agent_path is None:
                raise ConfigError("--through needs an agent that knows all of the levels; name one")
            agent, cartridge = load_agent(agent_path, device, rom)
            first = levels or agent.packaged_for or min(agent.levels, key=level_index)
            status.update(f"from {first} to {through}, {episodes} episodes")
            del settings["log"]
            evaluation = evaluate_row(
                agent,
                check_level(first),
                check_level(through),
                policy=policy_of(policy, agent),
                rom=cartridge,
                **settings,
            )
        elif agent_path is None:
            if start:
                raise ConfigError("--start needs an agent: name one, or its level")
            settings["any_phase"] = any_phase
            collection, cartridge = open_collection(device, rom)
            evaluation = evaluate_packaged(
                collection,
                packaged_levels(levels, collection, cartridge),
                policy=None if policy is None else policy.value,
                rom=cartridge,
                **settings,
            )
        else:
            agent, cartridge = load_agent(agent_path, device, rom)
            own = [agent.packaged_for] if agent.packaged_for else list(agent.levels)
            evaluation = measure(
                agent,
                [] if start else levels_on(levels, own, cartridge, agent),
                starts=start or None,
                policy=policy_of(policy, agent),
                any_phase=any_phase,
                rom=cartridge,
                **settings,
            )
    if as_json:
        print(json.dumps(evaluation.as_json(), indent=2))
    elif isinstance(evaluation, GameEvaluation):
        _print_game(evaluation)
    elif isinstance(evaluation, RowEvaluation):
        _print_row(evaluation)
    else:
        _print_evaluation(evaluation)


def _evaluate_on_ray(
    agent_path: Path | None,
    levels: str | None,
    policy: PolicyChoice | None,
    address: str | None,
    rom: Path | None,
    **settings: Any,
) -> Evaluation | PackagedEvaluation:
    from warpzone.agents.packaged import PackagedEvaluation
    from warpzone.fleet.evaluation import evaluate_on_ray

    del settings["threads"]
    mode = None if policy is None else policy.value
    where: dict[str, Any] = {"policy": mode, "address": address, "rom": rom}
    if agent_path is not None:
        agent, cartridge = load_agent(agent_path, "cpu", rom)
        where["rom"] = rom or cartridge_of(agent)
        own = [agent.packaged_for] if agent.packaged_for else list(agent.levels)
        chosen = levels_on(levels, own, cartridge, agent)
        return evaluate_on_ray([agent_path], chosen, **where, **settings)[str(agent_path)]
    collection, cartridge = open_collection("cpu", rom)
    names = packaged_levels(levels, collection, cartridge)
    found = evaluate_on_ray(names, **where, **settings)
    files = {level: collection[level].file for level in names}
    return PackagedEvaluation(
        found, files, {"revision": cartridge.revision, "sha1": cartridge.sha1}
    )


def _evaluate_described(agent: Agent, as_json: bool, **settings: Any) -> None:
    from warpzone.agents.described import evaluate_described

    found = evaluate_described(agent, **settings)
    if as_json:
        print(json.dumps(found.as_dict(), indent=2))
        return
    low, high = found.result.ci95
    table = Table(box=None, header_style="bold", show_header=False)
    table.add_row("game", f"{found.game}, from {found.start}")
    table.add_row("episodes", str(found.result.episodes))
    table.add_row("success", f"{found.result.clear_rate:.1%} ({low:.1%} to {high:.1%})")
    table.add_row("mean progress", f"{found.result.mean_progress:,.1f}")
    table.add_row("mean return", f"{found.mean_return:,.1f}")
    out.print(table)


def _print_evaluation(evaluation: Evaluation | PackagedEvaluation) -> None:
    from warpzone.agents.packaged import PackagedEvaluation
    from warpzone.nes.console import FRAMES_PER_SECOND

    results = evaluation.levels
    policies: dict[str, str] = {}
    if isinstance(evaluation, PackagedEvaluation):
        protocols = {level: found.protocol for level, found in evaluation.evaluations.items()}
        policies = {level: protocol.policy for level, protocol in protocols.items()}
    else:
        protocols = dict.fromkeys(results, evaluation.protocol)
    table = Table(box=None, header_style="bold")
    table.add_column("level")
    for column in ("clear rate", "95 % interval", "episodes", "mean progress", "time to clear"):
        table.add_column(column, justify="right")
    if policies:
        table.add_column("policy")
    for name, result in results.items():
        low, high = result.ci95
        seconds = result.mean_frames
        table.add_row(
            name,
            f"{result.clear_rate:.1%}",
            f"{low:.1%} – {high:.1%}",
            str(result.episodes),
            f"{result.mean_progress:.0f} px",
            "–" if seconds is None else f"{seconds / FRAMES_PER_SECOND:.1f} s",
            *([policies[name]] if policies else []),
        )
    out.print(table)
    _print_origin(dict.fromkeys(map(str, protocols.values())), evaluation.rom)


def _print_row(row: RowEvaluation) -> None:
    table = Table(box=None, header_style="bold")
    table.add_column("level")
    for column in ("reached", "cleared", "of those"):
        table.add_column(column, justify="right")
    for level, reached in row.reached.items():
        cleared = row.cleared[level]
        table.add_row(
            level,
            f"{reached:.1%}",
            f"{cleared:.1%}",
            f"{cleared / reached:.1%}" if reached else "–",
        )
    out.print(table)
    low, high = row.result.ci95
    first, *_, last = [*row.reached] * 2
    out.print(
        f"[bold]{first} to {last} with one life: {row.result.clear_rate:.1%}[/] of"
        f" {row.result.episodes} episodes, 95 % interval {low:.1%} – {high:.1%}",
        soft_wrap=True,
    )
    _print_origin([str(row.protocol)], row.rom)


def _print_game(evaluation: GameEvaluation) -> None:
    from warpzone.nes.console import FRAMES_PER_SECOND

    table = Table(box=None, header_style="bold")
    table.add_column("level")
    for column in ("games", "cleared", "of those", "lives lost", "ended here"):
        table.add_column(column, justify="right")
    table.add_column("by")
    for level, count in evaluation.levels.items():
        causes = sorted(count.causes.items(), key=lambda one: -one[1])
        table.add_row(
            level,
            str(count.reached),
            str(count.cleared),
            f"{count.cleared / count.reached:.0%}" if count.reached else "–",
            str(count.deaths),
            str(count.ended),
            ", ".join(f"{cause} {number}" for cause, number in causes),
        )
    out.print(table)
    low, high = evaluation.ci95
    lives = "three lives" if evaluation.protocol.lives == 3 else "one life"
    out.print(
        f"[bold]the princess with {lives}: {evaluation.share:.1%}[/] of"
        f" {evaluation.protocol.games} games, 95 % interval {low:.1%} – {high:.1%}",
        soft_wrap=True,
    )
    seconds = evaluation.mean_frames
    time = "" if seconds is None else f", in {seconds / FRAMES_PER_SECOND / 60:.1f} min"
    out.print(
        f"a game: {evaluation.mean_levels:.1f} levels cleared,"
        f" {evaluation.mean_lives_won:.1f} extra lives,"
        f" {evaluation.mean_lives_lost:.1f} lives lost{time}",
        soft_wrap=True,
    )
    _print_origin([str(evaluation.protocol)], evaluation.rom)


def _print_origin(protocols: Iterable[str], rom: Mapping[str, str]) -> None:
    for protocol in protocols:
        out.print(f"[dim]{protocol}[/]", soft_wrap=True)
    text = f"ROM: {rom['revision']}, SHA-1 {rom['sha1']}"
    out.print(f"[dim]{plain(text)}[/]", soft_wrap=True)
