"""From arguments to what they name: a ROM, an agent, levels, a policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from warpzone.cli.options import PolicyChoice
from warpzone.cli.output import err, plain, remark
from warpzone.console_text import one_line
from warpzone.errors import AgentError, ConfigError, LevelError
from warpzone.extras import need
from warpzone.files import read_regular_file
from warpzone.nes.rom import Rom
from warpzone.own_code import described
from warpzone.smb import rom as roms
from warpzone.smb.cartridges import all_levels
from warpzone.smb.known_cartridges import lost_levels_cartridge
from warpzone.smb.levels import LEVELS, parse_levels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from warpzone.agents.agent import Agent
    from warpzone.agents.packaged import Collection
    from warpzone.agents.team import Team
    from warpzone.nes.game import Game
    from warpzone.training.agent_file import PolicyMode


MOST_DESCRIPTION_BYTES = 1 << 20
"""Of a Python file that describes a game."""


def find_rom(path: Path | None) -> Rom:
    return roms.find_rom(path, log=remark)


def one_level(level: str | None, agent: Agent) -> str:
    """Returns the level asked for, or that of the packaged agent, or the first of its training."""
    return agent.level if level is None else check_level(level)


def check_level(level: str) -> str:
    (name, *more) = parse_levels(level)
    if more:
        raise LevelError(f"{level!r} names {len(more) + 1} levels; give one, e.g. {name}")
    return name


def levels_from(first: str) -> list[str]:
    """All levels in the order of the game, starting with `first`."""
    start = LEVELS.index(first)
    return [*LEVELS[start:], *LEVELS[:start]]


def is_packaged(path: Path) -> bool:
    """Whether an argument for an agent names a level; a file or directory of that name wins.

    Raises:
        AgentError: it names no agent at all.
    """
    from warpzone.training.resolve_agent import resolve_agent

    return resolve_agent(path).level == str(path)


def policy_of(given: PolicyChoice | None, agent: Agent) -> PolicyMode:
    """Returns what was asked for, or what a packaged agent plays best with, or "sample"."""
    return agent.policy_mode if given is None else given.value


def use_one_torch_thread() -> None:
    """Acting is many small pieces of work: a second thread costs more than it brings, and the
    games have use for the other cores."""
    need("An agent", train=("torch",))
    import torch

    torch.set_num_threads(1)


def load_agent(path: Path, device: str, rom: Path | None) -> tuple[Agent, Rom]:
    from warpzone.agents.agent import Agent

    use_one_torch_thread()
    agent = Agent.load(path, device=device)
    agent.check_plays_levels()
    cartridge = find_rom(rom or cartridge_of(agent))
    warn_of_rom(agent, cartridge)
    return agent, cartridge


def cartridge_of(agent: Agent) -> Path | None:
    """The name of the cartridge that an agent of the Lost Levels was trained with, which it plays
    on where none is named; None: the usual one, in whatever revision."""
    return lost_levels_cartridge(agent.info.rom_revision)


def described_game(text: str | Path) -> Game | None:
    """Returns the game that is meant by a name, or by a Python file that describes one as `GAME`;
    None: neither.

    Raises:
        ConfigError: the file has no such description.
    """
    from warpzone import games
    from warpzone.nes.game import Game, game_named, game_names, register_game

    if str(text) in game_names():
        return game_named(str(text))
    if Path(text).suffix != ".py":
        return None
    import runpy

    try:
        read_regular_file(Path(text), MOST_DESCRIPTION_BYTES)  # or running it might wait for a pipe
    except OSError as error:
        raise ConfigError(f"{str(text)!r} cannot be read: {error.strerror or error}") from None
    try:
        found = runpy.run_path(str(text)).get("GAME")
    except (Exception, SystemExit) as error:  # whatever somebody's own code does
        raise ConfigError(
            f"the description {str(text)!r} cannot be run: {one_line(described(error))}"
        ) from error
    if not isinstance(found, Game):
        raise ConfigError(f"{str(text)!r} describes no game: it needs a `GAME = Game(…)`")
    if found.name in games.names():
        raise ConfigError(
            f"{str(text)!r} describes a game named {found.name!r}, as one that comes along is:"
            " give it another name"
        )
    register_game(found.name, lambda: found)
    return found


def described_agent(path: Path | None, device: str, description: Path | None) -> Agent | None:
    """Returns an agent that plays a described game; None: it plays Super Mario Bros., or none is
    named.

    Raises:
        ConfigError: a description without an agent that it is for.
        AgentError: there is no such agent.
    """
    from warpzone.nes.game import game_names
    from warpzone.training.hub import hub_name
    from warpzone.training.packaged_index import game_agents

    found = None if description is None else described_game(description)
    if description is not None and found is None:
        raise ConfigError(f"--description {str(description)!r} is no Python file (.py)")
    agent = None
    named = path is not None and (
        path.exists() or str(path) in game_agents() or hub_name(path) is not None
    )
    if path is not None and (named or found is not None):
        from warpzone.agents.agent import Agent
        from warpzone.training.resolve_agent import resolve_agent

        use_one_torch_thread()
        agent = Agent.load(resolve_agent(path), device=device)
    name = None if agent is None else agent.info.game.name
    if name is None and found is not None:
        raise ConfigError("--description is for an agent of a described game")
    if name is None:
        return None
    if found is not None and found.name != name:
        raise ConfigError(f"{path} plays {name}, and {description} describes {found.name}")
    if name not in game_names():
        raise ConfigError(
            f"{path} plays {name}, a game that does not come along: name the file that describes"
            " it with --description FILE"
        )
    return agent


def check_network(network: str | None, *paths: Path | None) -> None:
    """Refuses --network where no agent needs it.

    Args:
        network: code of a network that was named, if any.
        paths: what names the agents; None: those that come with warpzone.

    Raises:
        ConfigError: all of them have networks that come along.
    """
    if network is None:
        return
    from warpzone.training.agent_file import read_info
    from warpzone.training.network_registry import BUILT_IN
    from warpzone.training.resolve_agent import resolve_agent

    try:
        infos = [read_info(resolve_agent(path).file) for path in paths if path is not None]
    except AgentError:
        return  # which loading it tells
    if all(info.network.kind in BUILT_IN for info in infos):
        have = " and ".join(str(path) for path in paths if path is not None) or "what comes along"
        raise ConfigError(
            f"--network {network} is for agents with a network of your own, and {have} needs none:"
            " leave it out"
        )


def warn_of_rom(agent: Agent, cartridge: Rom) -> None:
    warning = agent.rom_mismatch(cartridge)
    if warning:
        err.print(f"[yellow]warning:[/] {plain(warning)}", soft_wrap=True)


def open_collection(device: str, rom: Path | None) -> tuple[Collection, Rom]:
    from warpzone.agents.packaged import Collection

    use_one_torch_thread()
    return Collection(device=device), find_rom(rom)


def levels_on(
    spec: str | None, own: Sequence[str], cartridge: Rom, agent: Agent | None = None
) -> list[str]:
    """The levels that `spec` means on a cartridge; without one `own`, which the agent is for, or on
    another game than it was trained on all that there are."""
    there = list(all_levels(cartridge))
    if spec is None:
        trained_here = agent is not None and agent.rom_mismatch(cartridge) is None
        return list(own) if trained_here or len(there) == len(LEVELS) else there
    return there if spec.strip() == "all" else list(parse_levels(spec))


def packaged_levels(spec: str | None, collection: Collection, cartridge: Rom) -> list[str]:
    """The levels that `spec` means; of all only those that have an agent, and which have none."""
    there = all_levels(cartridge)
    chosen = levels_on("all" if spec is None else spec, (), cartridge)
    if len(chosen) < len(there):
        return chosen
    if not collection.levels:
        raise AgentError(
            "no agents come with this version of warpzone. Name a run directory or a .safetensors "
            "file; `warpzone train 1-1` makes one in runs/"
        )
    missing = [name for name in chosen if name not in collection.levels]
    if missing:
        err.print(f"[yellow]without an agent:[/] {', '.join(missing)}", soft_wrap=True)
    return [name for name in collection.levels if name in there]


def packaged_players(
    first: str, device: str, rom: Path | None
) -> tuple[Callable[[str], tuple[Agent, PolicyMode]], list[str], Rom]:
    """Who plays a level and with which policy; levels that have an agent, from `first` on."""
    collection, cartridge = open_collection(device, rom)
    warned = set()

    def agent_of(level: str) -> tuple[Agent, PolicyMode]:
        agent = collection.agent(level)
        if agent.path not in warned:
            warned.add(agent.path)
            warn_of_rom(agent, cartridge)
        return agent, collection[level].policy

    agent_of(first)  # errors come before the window
    return agent_of, [name for name in levels_from(first) if name in collection.levels], cartridge


def game_settings(game: bool, lives: int | None, warps: bool) -> dict[str, Any]:
    """Returns what --lives and --warps say of a whole game.

    Raises:
        ConfigError: they say it of none, or name lives that there are not.
    """
    if not game and (lives is not None or warps):
        raise ConfigError("--lives and --warps are for the whole game: give --game too")
    if lives == 2:
        raise ConfigError("--lives is 2: there are 3, as the console has it, or 1")
    return {"lives": lives or 3, "warps": warps}


def load_team(
    path: Path | None, policy: PolicyChoice | None, device: str, rom: Path | None
) -> tuple[Team, Rom, str]:
    """Returns who plays the whole game, the cartridge, and their name for people: the agent that is
    named, or without a path those that come with warpzone, each on its level."""
    from warpzone.agents.team import Team

    mode: PolicyMode | None = None if policy is None else policy.value
    if path is not None:
        agent, cartridge = load_agent(path, device, rom)
        return Team.of(agent, mode), cartridge, agent.title
    agent_of, _, cartridge = packaged_players(LEVELS[0], device, rom)
    return Team(agent_of, mode), cartridge, "packaged agents"


def split_level(
    arguments: Sequence[Path], starts: Sequence[str] = ()
) -> tuple[list[Path], str | None]:
    """Of several arguments the last is the level, where it is no path, or one of `starts`."""
    *paths, last = arguments
    name = str(last)
    if paths and name in starts:
        return paths, name
    if paths and not last.exists() and len(last.parts) == 1 and not last.suffix:
        return paths, name
    return [*paths, last], None
