"""`warpzone record`."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from warpzone.cli.choose import (
    cartridge_of,
    check_level,
    check_network,
    described_agent,
    find_rom,
    game_settings,
    load_agent,
    load_team,
    one_level,
    open_collection,
    packaged_levels,
    policy_of,
    split_level,
    use_one_torch_thread,
    warn_of_rom,
)
from warpzone.cli.options import (
    MOST_EPISODES,
    DescriptionOption,
    DeviceOption,
    EngineOption,
    GameOption,
    LivesOption,
    NetworkOption,
    NoopsOption,
    PolicyChoice,
    PolicyOption,
    RomOption,
    SeedOption,
    StickyOption,
    WarpsOption,
)
from warpzone.cli.output import out, plain, print_episode, print_film, remark
from warpzone.errors import ConfigError
from warpzone.extras import AGENT, FILM, need

if TYPE_CHECKING:
    from collections.abc import Sequence

    from warpzone.agents.agent import Agent
    from warpzone.agents.playback import Playback
    from warpzone.nes.rom import Rom
    from warpzone.training.agent_file import PolicyMode


class FilmedAgent(NamedTuple):
    """An agent in a film of several."""

    label: str
    agent: Agent
    level: str
    policy: PolicyMode


def record(
    agents_and_level: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN_OR_AGENT... [LEVEL]",
            help="A level, for the agent that comes with warpzone; a run directory; or a "
            ".safetensors file. Several are shown side by side; all means every agent that comes "
            "with warpzone, each on its level. Then the level, by default what the (first) agent "
            "was trained on. With --game nothing, or one agent for all levels.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Where to: name.mp4 or name.gif.")
    ] = Path("clip.mp4"),
    episodes: Annotated[int, typer.Option(help="Episodes in the film.", min=1, max=1000)] = 1,
    until_clear: Annotated[
        int | None,
        typer.Option(
            help="Most tries to get a clear for each episode; 1 films what comes. "
            "Default: 10; 1 where agents are compared on one level.",
            min=1,
            max=MOST_EPISODES,
        ),
    ] = None,
    scale: Annotated[
        int | None,
        typer.Option(
            help="Default: 4 for mp4 (less for many agents), 1 for gif (2 with --overlay). An odd "
            "one blurs the colours of an mp4 and makes it twice as large.",
            min=1,
            max=8,
        ),
    ] = None,
    episode: Annotated[
        Path | None,
        typer.Option(
            "--episode",
            metavar="FILE",
            help="Write the same try as an episode too, name.json, for `warpzone replay`.",
        ),
    ] = None,
    progress: Annotated[
        bool,
        typer.Option(
            "--progress",
            help="The run's agents side by side, to see how it learnt: untrained, those that it "
            "kept of its course (in its milestones/), the best and the last.",
        ),
    ] = False,
    game: GameOption = False,
    lives: LivesOption = None,
    warps: WarpsOption = False,
    overlay: Annotated[
        bool,
        typer.Option(
            "--overlay", help="Show the agent's buttons, value and action probabilities beside it."
        ),
    ] = False,
    saliency: Annotated[
        bool,
        typer.Option("--saliency", help="Show over the game what the agent's decisions depend on."),
    ] = False,
    policy: PolicyOption = None,
    seed: SeedOption = 0,
    noop_max: NoopsOption = 30,
    repeat_action_probability: StickyOption = 0.0,
    description: DescriptionOption = None,
    device: DeviceOption = "cpu",
    rom: RomOption = None,
    network: NetworkOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Make a film of the agent: the first try that clears the level."""
    need("warpzone record", train=AGENT, films=FILM)

    from warpzone.video.film import check_film_path

    check_film_path(output)
    whole = game_settings(game, lives, warps)
    named = agents_and_level or []
    agents = split_level(named)[0] if named else []
    every = bool(agents) and str(agents[0]) == "all" and not agents[0].exists()
    check_network(network, *([None] if every else agents))
    described = described_agent(named[0] if named else None, device, description)
    if game and described is not None:
        raise ConfigError(
            f"--game is for Super Mario Bros., and this agent plays {described.info.game.name}"
        )
    if game:
        if progress or episode is not None or len(named) > 1:
            raise ConfigError(
                "--game films one agent that plays all levels, or with none named those that come "
                "with warpzone: leave out other agents, a level, --progress and --episode"
            )
        from warpzone.agents.playback import GamePlayback

        team, cartridge, _ = load_team(named[0] if named else None, policy, device, rom)
        players = GamePlayback(
            team,
            noop_max=noop_max,
            repeat_action_probability=repeat_action_probability,
            saliency=saliency,
            rom=cartridge,
            **whole,
        )
        film(players, output, episodes, until_clear or 10, scale, seed, overlay)
        return
    if described is not None:
        from warpzone.agents.described import DescribedPlayback, starts_of

        paths, start = split_level(named, starts_of(described))
        if progress or saliency or episode is not None or len(paths) > 1:
            raise ConfigError(
                f"--progress, --saliency, --episode and films of several agents are for Super Mario"
                f" Bros., and this agent plays {described.info.game.name}: leave them out"
            )
        shown = DescribedPlayback(
            described,
            start,
            policy=policy_of(policy, described),
            noop_max=noop_max,
            repeat_action_probability=repeat_action_probability,
            rom=rom,
        )
        film(shown, output, episodes, until_clear or 1, scale, seed, overlay)
        return
    if not named:
        raise ConfigError("name a level, a run or an agent, e.g. warpzone record 1-1; or --game")
    (agent_path, *others), level = split_level(named)
    if progress and (others or every):
        raise ConfigError("--progress shows one run; name its directory and nothing else")
    if progress or others or every:
        if overlay or saliency or episodes > 1 or episode is not None:
            raise ConfigError(
                "--overlay, --saliency, --episodes and --episode are for the film of one agent; "
                "leave them out, or name one agent without --progress"
            )
        if every:
            if others or level is not None:
                raise ConfigError("all plays each agent on its own level; name nothing with it")
            filmed, cartridge = _every_packaged(device, rom)
        else:
            filmed, cartridge = _compared([agent_path, *others], level, progress, device, rom)
        tries = until_clear or (10 if every else 1)
        _film_together(
            filmed,
            cartridge,
            output,
            policy,
            tries,
            scale,
            seed,
            noop_max=noop_max,
            repeat_action_probability=repeat_action_probability,
        )
        return
    if episode is not None:
        from warpzone.episodes.format import check_episode_path

        check_episode_path(episode)
        if episodes > 1:
            raise ConfigError(f"--episode writes one episode, and --episodes is {episodes}")

    from warpzone.agents.playback import Playback

    agent, cartridge = load_agent(agent_path, device, rom)
    playback = Playback(
        agent,
        one_level(level, agent),
        policy=policy_of(policy, agent),
        noop_max=noop_max,
        repeat_action_probability=repeat_action_probability,
        saliency=saliency,
        rom=cartridge,
    )
    film(playback, output, episodes, until_clear or 10, scale, seed, overlay, episode)


def film(
    playback: Playback,
    path: Path,
    episodes: int,
    tries: int,
    scale: int | None,
    seed: int,
    overlay: bool = False,
    episode: Path | None = None,
) -> None:
    from warpzone.agents.record_episode import record_episode
    from warpzone.video.record import record as make_film

    with closing(playback):
        recording = make_film(
            playback,
            path,
            episodes=episodes,
            tries=tries,
            scale=scale,
            seed=seed,
            overlay=overlay,
            log=remark,
        )
        again = None
        if episode is not None:
            again = record_episode(playback, recording.attempts[0].seed)
    for attempt in recording.attempts:
        out.print(f"{playback.title}: {attempt}")
    print_film(path, recording.frames)
    if episode is not None and again is not None:
        again.save(episode)
        print_episode(episode, again)


def _every_packaged(device: str, rom: Path | None) -> tuple[list[FilmedAgent], Rom]:
    collection, cartridge = open_collection(device, rom)
    filmed = []
    for level in packaged_levels(None, collection, cartridge):
        agent = collection.agent(level)
        filmed.append(FilmedAgent(level, agent, level, collection[level].policy))
    warn_of_rom(filmed[0].agent, cartridge)
    return filmed, cartridge


def _compared(
    paths: Sequence[Path], level: str | None, progress: bool, device: str, rom: Path | None
) -> tuple[list[FilmedAgent], Rom]:
    """Several agents, or with `progress` those of one run, all on one level."""
    if progress:
        from warpzone.agents.milestones import milestone_agents

        use_one_torch_thread()
        agents = milestone_agents(paths[0], device=device)
        cartridge = find_rom(rom or cartridge_of(agents[-1]))
        warn_of_rom(agents[-1], cartridge)
        name = agents[0].levels[0] if level is None else check_level(level)
        return [
            FilmedAgent(f"{agent.info.steps:,} steps", agent, name, "sample") for agent in agents
        ], cartridge
    loaded = [load_agent(path, device, rom) for path in paths]
    name = one_level(level, loaded[0][0])
    return [
        FilmedAgent(str(path), agent, name, policy_of(None, agent))
        for path, (agent, _) in zip(paths, loaded, strict=True)
    ], loaded[0][1]


def _film_together(
    filmed: Sequence[FilmedAgent],
    cartridge: Rom,
    path: Path,
    policy: PolicyChoice | None,
    tries: int,
    scale: int | None,
    seed: int,
    **start: Any,
) -> None:
    from warpzone.agents.playback import Playback
    from warpzone.video.grid import GridEntry, record_together

    with ExitStack() as stack:
        entries = []
        for shown in filmed:
            mode = shown.policy if policy is None else policy.value
            playback = Playback(shown.agent, shown.level, policy=mode, rom=cartridge, **start)
            stack.enter_context(closing(playback))
            entries.append(GridEntry(shown.label, playback))
        recording = record_together(
            entries,
            path,
            tries=tries,
            scale=scale,
            seed=seed,
            log=lambda text: out.print(plain(text), soft_wrap=True),
        )
    print_film(path, recording.frames)
