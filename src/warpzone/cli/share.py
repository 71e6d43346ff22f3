"""`warpzone export` and `track`: agents and runs for other programs and services."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from warpzone.cli.choose import described_agent, load_agent, use_one_torch_thread
from warpzone.cli.options import EXIT_FAILED, AgentArgument, RomOption
from warpzone.cli.output import err, out, plain, remark
from warpzone.cli.record import film
from warpzone.cli.watch import described_starts
from warpzone.errors import AgentError


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
        playback = DescribedPlayback(described, rom=rom)
    else:
        agent, cartridge = load_agent(run, "cpu", rom)
        level = agent.level
        playback = Playback(agent, level, rom=cartridge)
    path = run / f"{level}.mp4"
    film(playback, path, episodes=1, tries=10, scale=None, seed=0)
    return path
