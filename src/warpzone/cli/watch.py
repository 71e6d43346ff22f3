"""`warpzone watch`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from warpzone.cli.choose import (
    check_network,
    described_agent,
    game_settings,
    is_packaged,
    levels_from,
    load_agent,
    load_team,
    one_level,
    packaged_players,
    policy_of,
)
from warpzone.cli.options import (
    DescriptionOption,
    DeviceOption,
    EngineOption,
    GameOption,
    LevelArgument,
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
from warpzone.cli.output import out
from warpzone.errors import ConfigError
from warpzone.extras import AGENT, WINDOW, need
from warpzone.smb.levels import LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from warpzone.agents.agent import Agent
    from warpzone.agents.playback import Playback
    from warpzone.agents.team import Team
    from warpzone.nes.rom import Rom
    from warpzone.training.agent_file import PolicyMode


def watch(
    agent_path: OptionalAgentArgument = None,
    level: LevelArgument = None,
    game: GameOption = False,
    lives: LivesOption = None,
    warps: WarpsOption = False,
    policy: PolicyOption = None,
    seed: SeedOption = 0,
    noop_max: NoopsOption = 30,
    repeat_action_probability: StickyOption = 0.0,
    scale: Annotated[
        int | None,
        typer.Option(help="Screen pixels per NES pixel, of a window. Default: 3.", min=1, max=8),
    ] = None,
    terminal: Annotated[
        bool,
        typer.Option("--terminal", help="Draw in this terminal, in 24-bit colours; no window."),
    ] = False,
    description: DescriptionOption = None,
    device: DeviceOption = "cpu",
    rom: RomOption = None,
    network: NetworkOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Open a window in which the agent plays. Keys are shown in it."""
    if terminal:
        need("warpzone watch --terminal", train=AGENT, films=("PIL",))
    else:
        need("warpzone watch", train=AGENT, watch=(*WINDOW, "PIL"))
    if terminal and scale is not None:
        raise ConfigError(
            f"--scale is {scale}, and is for a window; a terminal is drawn in as large as it is:"
            " leave it out with --terminal"
        )
    whole = game_settings(game, lives, warps)
    check_network(network, agent_path)
    team: Team | None = None
    described = described_agent(agent_path, device, description)
    if described is not None:
        if game:
            raise ConfigError(
                f"--game is for Super Mario Bros., and this agent plays {described.info.game.name}"
            )
        order, title = described_starts(described, level), described.title
    elif game:
        if level is not None:
            raise ConfigError(f"--game plays all levels: leave out {level}")
        team, cartridge, title = load_team(agent_path, policy, device, rom)
        order, title = list(LEVELS[:1]), f"the whole game, {title}"
    elif agent_path is None:
        raise ConfigError("name a level, a run or an agent, e.g. warpzone watch 1-1; or --game")
    elif is_packaged(agent_path) and level is None:
        agent_of, order, cartridge = packaged_players(str(agent_path), device, rom)
        title = "packaged agents"
    else:
        agent, cartridge = load_agent(agent_path, device, rom)
        mode = policy_of(None, agent)
        order, title = levels_from(one_level(level, agent)), agent.title

        def agent_of(level: str) -> tuple[Agent, PolicyMode]:
            return agent, mode

    named = "--game" if agent_path is None else f"{agent_path}{' --game' if game else ''}"
    # What is wrong with the agent comes first: another screen would not help there.
    if terminal:
        from warpzone.viewers.terminal import require_terminal

        require_terminal(out)
    else:
        from warpzone.viewers.window import require_display

        require_display(
            f"Draw in this terminal instead: warpzone watch {named} --terminal; or make a "
            f"film: warpzone record {named} -o clip.mp4"
        )
    size = None if terminal else scale or 3
    if described is not None:
        open_described(
            described, order, policy, seed, noop_max, repeat_action_probability, size, rom
        )
        return
    if team is None:
        open_window(
            agent_of, order, title, policy, seed, noop_max, repeat_action_probability, size,
            cartridge,
        )  # fmt: skip
        return
    from warpzone.agents.playback import GamePlayback

    players = team

    def open_game(name: str) -> Playback:
        return GamePlayback(
            players,
            noop_max=noop_max,
            repeat_action_probability=repeat_action_probability,
            rom=cartridge,
            **whole,
        )

    show(open_game, order, title, seed, size)


def described_starts(agent: Agent, start: str | None) -> list[str]:
    """Returns where an agent of a described game can begin, from the start that is named on, or
    from the one that it was trained on."""
    from warpzone.agents.described import starts_of

    config, names = agent.info.game, starts_of(agent)
    first = start or next(iter(config.starts or names))
    if first not in names:
        raise ConfigError(f"{config.name} has no start {first!r}: there are {', '.join(names)}")
    place = names.index(first)
    return [*names[place:], *names[:place]]


def open_described(
    agent: Agent,
    order: Sequence[str],
    policy: PolicyChoice | None,
    seed: int,
    noop_max: int,
    repeat_action_probability: float,
    scale: int | None,
    rom: Path | None,
) -> None:
    """Show an agent of a described game in a window, or with `scale` None in the terminal."""
    from warpzone.agents.described import DescribedPlayback

    def open_playback(name: str) -> Playback:
        return DescribedPlayback(
            agent,
            name,
            policy=policy_of(policy, agent),
            noop_max=noop_max,
            repeat_action_probability=repeat_action_probability,
            rom=rom,
        )

    show(open_playback, order, agent.title, seed, scale)


def open_window(
    agent_of: Callable[[str], tuple[Agent, PolicyMode]],
    order: Sequence[str],
    title: str,
    policy: PolicyChoice | None,
    seed: int,
    noop_max: int,
    repeat_action_probability: float,
    scale: int | None,
    rom: Rom,
) -> None:
    """Show play in a window, or with `scale` None in the terminal."""
    from warpzone.agents.playback import Playback

    def open_playback(name: str) -> Playback:
        agent, best = agent_of(name)
        mode = best if policy is None else policy.value
        return Playback(
            agent,
            name,
            policy=mode,
            noop_max=noop_max,
            repeat_action_probability=repeat_action_probability,
            rom=rom,
        )

    show(open_playback, order, title, seed, scale)


def show(
    open_playback: Callable[[str], Playback],
    order: Sequence[str],
    title: str,
    seed: int,
    scale: int | None,
) -> None:
    """Show what players play in a window, or with `scale` None in the terminal."""
    if scale is None:
        from warpzone.viewers.terminal import watch_in_terminal

        stats = watch_in_terminal(open_playback, order, console=out, seed=seed)
    else:
        from warpzone.viewers.watch import watch as watch_in_window

        stats = watch_in_window(
            open_playback,
            order,
            title=f"warpzone: {title}",
            scale=scale,
            seed=seed,
        )
    out.print(f"{stats.cleared} of {stats.episodes} episodes cleared")
