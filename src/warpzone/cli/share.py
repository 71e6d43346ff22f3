"""`warpzone export`, `push` and `track`: agents and runs for other programs and services."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warpzone.cli.choose import (
    check_network,
    described_agent,
    levels_on,
    load_agent,
    policy_of,
    use_one_torch_thread,
)
from warpzone.cli.options import (
    EXIT_FAILED,
    MOST_EPISODES,
    MOST_NOOPS,
    MOST_SEED,
    AgentArgument,
    EngineOption,
    NetworkOption,
    PolicyOption,
    RomOption,
    finite,
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
    check_network(network, agent_path)
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
    network: NetworkOption = None,
) -> None:
    """Send a run's figures to trackers, those that they have not got yet: later, or once more."""
    from warpzone.training.run_settings import read_config

    if rom is not None and not with_film:
        raise ConfigError(f"--rom {rom} is for a film: leave it out, or give --film too")
    if network is not None and not with_film:
        raise ConfigError(f"--network {network} is for a film: leave it out, or give --film too")
    check_network(network, run)
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
    episodes: Annotated[
        int | None, typer.Option(help="Per level. Default: 100.", min=1, max=MOST_EPISODES)
    ] = None,
    noop_max: Annotated[
        int | None,
        typer.Option(
            help="Start each episode after 0 to this many no-op frames. Default: 30.",
            min=0,
            max=MOST_NOOPS,
        ),
    ] = None,
    repeat_action_probability: Annotated[
        float | None,
        typer.Option(
            "--repeat-action-probability",
            "--sticky",
            help="Probability per frame that the last buttons stay pressed. Default: 0.",
            min=0,
            max=1,
            callback=finite,
        ),
    ] = None,
    policy: PolicyOption = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the first episode. Default: 0.", min=0, max=MOST_SEED)
    ] = None,
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
    finished = repo is not None and folder is None and shared_config(agent_path) is not None
    if finished:
        given: dict[str, object] = {
            "--license": licence, "--film": with_film or None, "--levels": levels,
            "--episodes": episodes, "--noop-max": noop_max, "--sticky": repeat_action_probability,
            "--policy": policy, "--seed": seed, "--network": network, "--rom": rom,
        }  # fmt: skip
        also = [name for name, value in given.items() if value is not None]
        if also:
            raise ConfigError(
                f"{agent_path} has been measured and is sent as it is: leave out"
                f" {', '.join(also)}, or measure it again into another folder, --folder DIR"
            )
    if repo is not None:
        sharing.check_push(repo)
    if repo is not None and finished:
        _send(agent_path, repo, private)
        return
    place = folder or Path("pushed") / (repo or "").rpartition("/")[2]
    check_network(network, agent_path)
    described = described_agent(agent_path, "cpu", None)
    wanted: list[str] | None = None
    cartridge: RomSource = rom
    if described is not None:
        agent = described
        if levels is not None:
            raise ConfigError(
                f"--levels is for Super Mario Bros., and this agent plays {agent.info.game.name}:"
                " leave it out"
            )
    else:
        agent, its_rom = load_agent(agent_path, "cpu", rom)
        cartridge = its_rom
        if levels is not None:
            wanted = levels_on(levels, (), its_rom)
        elif agent.packaged_for:
            wanted = [agent.packaged_for]
    sharing.check_folder(place)
    protocol = sharing.Protocol(
        policy=policy_of(policy, agent),
        episodes=100 if episodes is None else episodes,
        noop_max=30 if noop_max is None else noop_max,
        repeat_action_probability=repeat_action_probability or 0.0,
        seed=seed or 0,
    )
    with err.status("") as status:
        measured = sharing.measure(agent, protocol, levels=wanted, rom=cartridge, log=status.update)
    with TemporaryDirectory() as temporary:
        film_path = None
        if with_film:
            film_path = Path(temporary) / sharing.FILM
            (first, *_) = wanted or [agent.level]
            playback = _playback(agent, first, protocol, cartridge)
            film(playback, film_path, 1, 10, None, protocol.seed)
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


def _playback(agent: Agent, level: str, protocol: Protocol, rom: RomSource) -> Playback:
    """Returns a player that plays as the agent was measured."""
    from warpzone.agents.described import DescribedPlayback
    from warpzone.agents.playback import Playback

    settings: dict[str, Any] = {
        "policy": protocol.policy,
        "noop_max": protocol.noop_max,
        "repeat_action_probability": protocol.repeat_action_probability,
        "rom": rom,
    }
    if agent.info.game.name is not None:
        return DescribedPlayback(agent, **settings)
    return Playback(agent, level, **settings)


def _send(folder: Path, repo: str, private: bool) -> None:
    from warpzone.agents.sharing import push_folder

    with err.status(f"sending {plain(folder)}"):
        address = push_folder(folder, repo, private=private)
    out.print(f"sent: {plain(address)}", soft_wrap=True)
    out.print(f"[dim]play it: warpzone watch hf://{plain(repo)}[/]", soft_wrap=True)
