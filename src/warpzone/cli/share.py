"""`warpzone export`, `push` and `track`: agents and runs for other programs and services."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from warpzone.cli.choose import (
    described_agent,
    find_rom,
    levels_on,
    load_agent,
    policy_of,
    use_one_torch_thread,
)
from warpzone.cli.options import (
    EXIT_FAILED,
    MOST_EPISODES,
    AgentArgument,
    EngineOption,
    NetworkOption,
    NoopsOption,
    PolicyOption,
    RomOption,
    SeedOption,
    StickyOption,
)
from warpzone.cli.output import err, out, plain, remark
from warpzone.cli.record import film
from warpzone.cli.watch import described_starts
from warpzone.errors import AgentError, ConfigError

if TYPE_CHECKING:
    from warpzone.agents.agent import Agent
    from warpzone.agents.playback import Playback
    from warpzone.agents.sharing import Protocol
    from warpzone.nes.cartridge import RomSource


NO_PART_OF_A_NAME = str.maketrans(dict.fromkeys('/\\:*?"<>|', "-"))
"""Characters of a start's name that a file's cannot have everywhere."""


class ServiceChoice(StrEnum):
    wandb = "wandb"
    mlflow = "mlflow"
    trackio = "trackio"


def export(
    agent_path: AgentArgument,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="FILE.onnx, or FILE.pt2 for torch.export.load.",
        ),
    ],
    network: NetworkOption = None,
) -> None:
    """Write an agent's network as a program that needs no warpzone: ONNX, or torch.export.

    Its inputs are the arrays of an observation by name, any number of them at once, its outputs
    logits of the actions and the value. The file says itself what it sees and what its actions are.
    """
    from warpzone.agents.agent import Agent
    from warpzone.agents.export import export_agent

    use_one_torch_thread()
    agent = Agent.load(agent_path)
    with err.status(f"writing {plain(output)}"):
        told = export_agent(agent, output)
    inputs = ", ".join(
        f"{name} {array['dtype']} [{', '.join(map(str, ('B', *array['shape'])))}]"
        for name, array in told["inputs"].items()
    )
    size = output.stat().st_size / 1e6
    out.print(f"[bold]{plain(output)}[/]  {size:.1f} MB", soft_wrap=True)
    outputs = ", ".join(told["outputs"])
    out.print(f"[dim]inputs: {plain(inputs)}; outputs: {outputs}[/]", soft_wrap=True)


def track(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    services: Annotated[
        list[ServiceChoice], typer.Argument(metavar="SERVICE...", help="wandb, mlflow, trackio.")
    ],
    project: Annotated[
        str | None,
        typer.Option("--track-project", help="To list the run in. Default: as the run says."),
    ] = None,
    with_film: Annotated[
        bool, typer.Option("--film", help="And a film of the agent, RUN/LEVEL.mp4.")
    ] = False,
    rom: RomOption = None,
) -> None:
    """Send a run's figures to trackers, those that they have not got yet: later, or once more."""
    from warpzone.training.run_settings import read_config

    config = read_config(run)
    files = [film_of_run(run, rom)] if with_film else []
    sent = [
        send_to_tracker(run, service.value, project or config.track_project, files)
        for service in services
    ]
    if not all(sent):
        raise typer.Exit(EXIT_FAILED)


def send_to_tracker(run: Path, service: str, project: str, files: list[Path]) -> bool:
    """Sends what a tracker has not got, and files; returns whether it has everything now."""
    from warpzone.trackers import beside
    from warpzone.trackers.follow import Request

    beside.require_installed([service])
    names = [str(file) for file in files]
    request = Request(str(run), service, project, facts_of(run), names, once=True)
    return beside.send(request, remark)


def facts_of(run: Path) -> dict[str, str]:
    """Returns what a run's agent says of where it comes from."""
    from warpzone.agents.agent import Agent
    from warpzone.version import VERSION

    facts: dict[str, str | None] = {"warpzone": VERSION}
    with suppress(AgentError):  # none yet
        info = Agent.load(run).info
        facts |= {"commit": info.commit, "command": info.command}
    return {name: fact for name, fact in facts.items() if fact is not None}


def film_of_run(run: Path, rom: Path | None) -> Path:
    """Makes a film of a run's agent in its directory, and returns its path."""
    from warpzone.agents.described import DescribedPlayback
    from warpzone.agents.playback import Playback

    described = described_agent(run, "cpu", None)
    playback: Playback
    if described is not None:
        (level, *_) = described_starts(described, None)
        playback = DescribedPlayback(described, level, rom=rom)
    else:
        agent, cartridge = load_agent(run, "cpu", rom)
        level = agent.level
        playback = Playback(agent, level, rom=cartridge)
    path = run / f"{level.translate(NO_PART_OF_A_NAME)}.mp4"
    film(playback, path, episodes=1, tries=10, scale=None, seed=0)
    return path


def push(
    agent_path: Annotated[
        Path,
        typer.Argument(
            metavar="AGENT",
            help="A run directory, a .safetensors file or a level; or a folder that --folder has "
            "written, which is sent as it is.",
        ),
    ],
    repo: Annotated[
        str | None,
        typer.Argument(metavar="[OWNER/NAME]", help="Of the Hugging Face Hub; made if need be."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            metavar="DIR",
            help="Where what is sent lies. Without OWNER/NAME it is only written, which needs no "
            "network. Default: pushed/NAME.",
        ),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="A repository that is made is only for you.")
    ] = False,
    licence: Annotated[
        str | None, typer.Option("--license", help="Of the agent, e.g. mit, for its card.")
    ] = None,
    with_film: Annotated[
        bool, typer.Option("--film", help="And a film of the agent, replay.mp4.")
    ] = False,
    levels: Annotated[
        str | None,
        typer.Option(help="To measure it on: 1-1,1-2 … Default: what it was trained on."),
    ] = None,
    episodes: Annotated[int, typer.Option(help="Per level.", min=1, max=MOST_EPISODES)] = 100,
    noop_max: NoopsOption = 30,
    repeat_action_probability: StickyOption = 0.0,
    policy: PolicyOption = None,
    seed: SeedOption = 0,
    network: NetworkOption = None,
    rom: RomOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Measure an agent, write its card, and send both to the Hugging Face Hub, or to a folder.

    Others then play it as hf://OWNER/NAME, wherever an agent is named.
    """
    from warpzone.agents import sharing
    from warpzone.training.hub import shared_config

    if repo is None and folder is None:
        raise ConfigError("where to? Name OWNER/NAME of the Hugging Face Hub, or --folder DIR")
    if repo is None and private:
        raise ConfigError("--private is for a repository: name OWNER/NAME")
    if repo is not None:
        sharing.check_push(repo)
    if repo is not None and folder is None and shared_config(agent_path) is not None:
        _send(agent_path, repo, private)
        return
    place = folder or Path("pushed") / (repo or "").rpartition("/")[2]
    agent, cartridge = _to_share(agent_path, rom)
    sharing.check_folder(place)
    protocol = sharing.Protocol(
        policy=policy_of(policy, agent),
        episodes=episodes,
        noop_max=noop_max,
        repeat_action_probability=repeat_action_probability,
        seed=seed,
    )
    wanted: list[str] | None
    if levels is not None:
        wanted = levels_on(levels, (), find_rom(rom))
    else:
        wanted = [agent.packaged_for] if agent.packaged_for else None
    with err.status("") as status:
        measured = sharing.measure(agent, protocol, levels=wanted, rom=cartridge, log=status.update)
    with TemporaryDirectory() as temporary:
        film_path = None
        if with_film:
            film_path = Path(temporary) / sharing.FILM
            film(_playback(agent, protocol, cartridge), film_path, 1, 10, None, seed)
        sharing.write_folder(agent, place, measured, repo=repo, licence=licence, film=film_path)
    for level, result in measured.results.items():
        low, high = result.ci95
        out.print(
            f"{plain(level)}: {result.clear_rate:.1%} of {result.episodes} episodes cleared"
            f" (95 % interval {low:.1%} to {high:.1%})",
            soft_wrap=True,
        )
    out.print(f"[bold]{plain(place)}[/]", soft_wrap=True)
    if repo is not None:
        _send(place, repo, private)


def _to_share(path: Path, rom: Path | None) -> tuple[Agent, RomSource]:
    described = described_agent(path, "cpu", None)
    return (described, rom) if described is not None else load_agent(path, "cpu", rom)


def _playback(agent: Agent, protocol: Protocol, rom: RomSource) -> Playback:
    from warpzone.agents.described import DescribedPlayback
    from warpzone.agents.playback import Playback

    if agent.info.game.name is not None:
        return DescribedPlayback(agent, policy=protocol.policy, rom=rom)
    return Playback(agent, agent.level, policy=protocol.policy, rom=rom)


def _send(folder: Path, repo: str, private: bool) -> None:
    from warpzone.agents.sharing import push_folder

    with err.status(f"sending {plain(folder)}"):
        address = push_folder(folder, repo, private=private)
    out.print(f"sent: {plain(address)}", soft_wrap=True)
    out.print(f"[dim]play it: warpzone watch hf://{plain(repo)}[/]", soft_wrap=True)
