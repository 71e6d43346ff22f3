"""Options and arguments that several commands share, with what their help says."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from warpzone import startup
from warpzone.nes.cartridge import ENGINE_MODES, set_engine

EXIT_FAILED = 1
"""What was begun could not be brought to its end."""
EXIT_ERROR = 2
EXIT_INTERRUPTED = startup.EXIT_INTERRUPTED
MOST_EPISODES = 1_000_000
MOST_GAMES = 1 << 16
MOST_HOURS = 10_000.0
MOST_NOOPS = 300
MOST_SEED = 2**63 - 1
MOST_STEPS = 10**12


def finite(number: float | None) -> float | None:
    """Refuses what is no number, which the bounds of options let pass; None: not given.

    Raises:
        typer.BadParameter: infinite, or not a number.
    """
    if number is not None and not math.isfinite(number):
        raise typer.BadParameter(f"{number} is not a finite number.")
    return number


class Preset(StrEnum):
    tiles = "tiles"
    pqn = "pqn"
    specialist = "specialist"
    generalist = "generalist"
    pixels = "pixels"
    pixels_generalist = "pixels-generalist"
    tutorial = "tutorial"


class LearnerChoice(StrEnum):
    auto = "auto"
    torch = "torch"
    native = "native"


class TrackerChoice(StrEnum):
    tensorboard = "tensorboard"
    wandb = "wandb"
    mlflow = "mlflow"
    trackio = "trackio"


class PolicyChoice(StrEnum):
    sample = "sample"
    argmax = "argmax"


RomOption = Annotated[
    Path | None,
    typer.Option(
        "--rom",
        metavar="PATH",
        help="The ROM file, or a known name. Default: looked for, see `rom`.",
    ),
]


GameOption = Annotated[
    bool,
    typer.Option(
        "--game",
        help="The whole game as it is played: power on, Start, 1-1 to 8-4. Without an agent each "
        "level is played by the one that comes with warpzone for it.",
    ),
]
LivesOption = Annotated[
    int | None,
    typer.Option(
        "--lives",
        help="With --game: 3, as the console has it (the default), or 1: the first death ends it.",
        min=1,
        max=3,
    ),
]
WarpsOption = Annotated[
    bool, typer.Option("--warps", help="With --game: it may go on behind a warp zone.")
]


def _choose_engine(mode: str) -> str:
    set_engine(mode)
    return mode


EngineOption = Annotated[
    str,
    typer.Option(
        metavar="|".join(ENGINE_MODES),
        help="How games run: the same, byte for byte, only faster as native code.",
        callback=_choose_engine,
        expose_value=False,
    ),
]


def _name_network(code: str | None) -> str | None:
    if code is not None:
        from warpzone.training.network_registry import name_network

        name_network(code)
    return code


NetworkOption = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="MODULE:CLASS",
        help="Of an agent with a network of your own: its code, which is imported only if named.",
        callback=_name_network,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
AgentArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN_OR_AGENT",
        help="A level, for the agent that comes with warpzone, or generalist, for the one for all "
        "levels; a run directory; a .safetensors file; or hf://OWNER/NAME.",
    ),
]
OptionalAgentArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[RUN_OR_AGENT]",
        help="A level, for the agent that comes with warpzone, or generalist, for the one for all "
        "levels; a run directory; a .safetensors file; or hf://OWNER/NAME. Default: for each level "
        "the one that comes with warpzone.",
    ),
]
LevelArgument = Annotated[
    str | None,
    typer.Argument(metavar="[LEVEL]", help="1-1 to 8-4. Default: what the agent was trained on."),
]
PolicyOption = Annotated[
    PolicyChoice | None,
    typer.Option(
        help="Draw from the action probabilities, or take the likeliest. "
        "Default: sample; of an agent that comes with warpzone, what it plays best with."
    ),
]
SeedOption = Annotated[int, typer.Option(help="Of the first episode.", min=0, max=MOST_SEED)]
NoopsOption = Annotated[
    int,
    typer.Option(
        help="Start each episode after 0 to this many no-op frames.", min=0, max=MOST_NOOPS
    ),
]
StickyOption = Annotated[
    float,
    typer.Option(
        "--repeat-action-probability",
        "--sticky",
        help="Probability per frame that the last buttons stay pressed.",
        min=0,
        max=1,
        callback=finite,
    ),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")]

DescriptionOption = Annotated[
    Path | None,
    typer.Option(
        "--description",
        metavar="FILE",
        help="Of an agent of a game of your own: the Python file that describes it.",
    ),
]

AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Of a Ray cluster; auto: the one that this machine is part of. Default: none, this "
        "machine alone.",
    ),
]
