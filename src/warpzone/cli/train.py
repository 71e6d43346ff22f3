"""`warpzone train`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warpzone.cli.choose import (
    described_agent,
    described_game,
    find_rom,
    levels_from,
    load_agent,
)
from warpzone.cli.options import (
    EXIT_INTERRUPTED,
    MOST_GAMES,
    MOST_SEED,
    MOST_STEPS,
    EngineOption,
    LearnerChoice,
    Preset,
    RomOption,
    TrackerChoice,
)
from warpzone.cli.output import out, plain
from warpzone.cli.share import film_of_run, send_to_tracker
from warpzone.cli.watch import described_starts, open_described, open_window
from warpzone.cpu import MOST_THREADS
from warpzone.errors import ConfigError, DisplayError, LevelError
from warpzone.extras import AGENT, DASHBOARD, FILM, WINDOW, need
from warpzone.smb.levels import LEVELS, parse_levels

if TYPE_CHECKING:
    from warpzone.nes.game import Game
    from warpzone.training import TrainConfig


def train(
    level: Annotated[
        str | None,
        typer.Argument(
            metavar="LEVEL",
            help="1-1 to 8-4, several with commas (1-1,1-2), or all; or another game: tetris, "
            "super-mario-bros-3 …, or a Python file that describes one. "
            "May be left out with --resume --out, but for such a file.",
        ),
    ] = None,
    preset: Annotated[
        Preset | None,
        typer.Option(
            help="What the agent sees, and every other setting. Default: tiles; for another game "
            "that has no observation of its own pixels."
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Agent steps to train. Default: the preset's.", min=1, max=MOST_STEPS),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of everything random. Default: 0.", min=0, max=MOST_SEED)
    ] = None,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Default: runs/<level>-<preset>-seed<seed>."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda, cuda:1 … Default: auto.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in DIR, with its settings.")
    ] = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="At the end, watch the agent (without a screen: a film)."),
    ] = False,
    dashboard: Annotated[
        bool,
        typer.Option("--dashboard", help="Show the training in a browser while it runs."),
    ] = False,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads. Default: all cores.", min=1, max=MOST_THREADS)
    ] = None,
    learner: Annotated[
        LearnerChoice | None,
        typer.Option(help="What plays and learns: native code, PyTorch, or (auto) what is faster."),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Kind of network: tiles, patches, cnn, tutorial, gru, or one of your own by name "
            "or as module:Class. Default: the preset's.",
        ),
    ] = None,
    num_envs: Annotated[
        int | None, typer.Option(help="Games played at once.", min=2, max=MOST_GAMES)
    ] = None,
    demonstrations: Annotated[
        list[Path] | None,
        typer.Option(
            "--demonstration",
            metavar="FILE",
            help="A recorded game of the level (`warpzone play LEVEL --record FILE`), along which "
            "training begins; may be given several times. The preset is then specialist.",
        ),
    ] = None,
    track: Annotated[
        list[TrackerChoice] | None,
        typer.Option(
            "--track",
            help="Show the figures there too; may be given several times. Default: tensorboard, "
            "where it is installed.",
        ),
    ] = None,
    track_project: Annotated[
        str | None,
        typer.Option("--track-project", help="To list the run in. Default: warpzone."),
    ] = None,
    track_film: Annotated[
        bool,
        typer.Option("--track-film", help="At the end, send a film of the agent to the trackers."),
    ] = False,
    reward: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="progress, landed, gym, tutorial, or module:function, code of your own in this "
            "folder, which --resume knows then.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other setting, e.g. lr=0.0003."),
    ] = None,
    rom: RomOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Train an agent and write a run directory."""
    if level is None and not (resume and out_dir):
        raise LevelError("which level? For example: warpzone train 1-1")
    _check_installed(dashboard=dashboard, watch=watch)
    game = None if level is None else described_game(level)
    levels = None if level is None or game is not None else parse_levels(level)
    name = preset or _preset_for(game, settings or [], shown=bool(demonstrations))
    played = game.name if game else run_name(levels or {})
    run = out_dir or Path("runs") / f"{played}-{name}-seed{seed or 0}"

    from warpzone.process import prepare_for_training

    prepare_for_training()

    from warpzone import training
    from warpzone.nes.game import game_names
    from warpzone.settings import merge, parse_overrides
    from warpzone.training.launch import launched
    from warpzone.training.run_settings import check_directory, resumed

    launch = launched()

    def settle() -> tuple[bool, training.TrainConfig]:
        goes_on = resume or launch.started_again(run)
        check_directory(run, goes_on)
        given: dict[str, Any] = {
            "seed": seed,
            "device": device,
            "total_steps": steps,
            "threads": threads,
            "learner": None if learner is None else learner.value,
            "num_envs": num_envs,
            "trackers": [tracker.value for tracker in track] if track else None,
            "track_project": track_project,
            "network": None if network is None else {"kind": network},
            "env": _env(levels, reward) or None,
            "game": None if game is None else _settings_for(game, name, resume=goes_on),
            "curriculum": {"demonstrations": demonstrations} if demonstrations else None,
        }
        if game is not None and demonstrations:
            given["curriculum"] = {"demonstrations": demonstrations, "share": 0.5}
        changes = merge(
            {name: value for name, value in given.items() if value is not None},
            parse_overrides(settings or [], training.TrainConfig),
        )
        if not goes_on:
            return False, training.resolve(name.value, **changes)
        if preset is not None:
            changes["preset"] = preset.value
        if network is not None:
            changes["network"]["kind"] = _kind_on_resume(run, network)
        config = resumed(run, changes)
        if config.game.name is not None and config.game.name not in game_names():
            raise ConfigError(
                f"{run} was trained on {config.game.name}, a game that does not come along: name"
                f" the file that describes it, warpzone train FILE.py --resume --out {run}"
            )
        return True, config

    resume, config = settle() if launch.size == 1 else _told(settle)
    if config.game.name is not None and (
        reward is not None or any(text.startswith("env.") for text in settings or [])
    ):
        raise ConfigError("env.… is for Super Mario Bros.: settings of other games are game.…")
    services = [service for service in config.trackers or () if service != "tensorboard"]
    if track_film and not services:
        raise ConfigError(
            "--track-film sends a film to wandb, mlflow or trackio: name one with --track"
        )
    cartridge = find_rom(rom) if config.game.name is None else rom
    with _dashboard_beside(run) if dashboard and launch.first else nullcontext():
        result = training.train(config, run, resume=resume, rom=cartridge)
        if result.interrupted:
            raise typer.Exit(EXIT_INTERRUPTED)
        if track_film and launch.first:
            film_path = film_of_run(run, rom)
            for service in services:
                send_to_tracker(run, service, config.track_project, [film_path])
        if watch and launch.first:
            _watch_or_film(run, rom)


def _check_installed(*, dashboard: bool, watch: bool) -> None:
    """Before anything is learnt: what a command asks for must be there when it is over."""
    from warpzone.viewers.window import missing_display

    wanted: dict[str, tuple[str, ...]] = {"train": AGENT}
    if dashboard:
        wanted["dashboard"] = DASHBOARD
    if watch and missing_display() is None:
        wanted["watch"] = (*WINDOW, *FILM)
    elif watch:
        wanted["films"] = FILM
    need("warpzone train", **wanted)


def _kind_on_resume(run: Path, network: str) -> str:
    """Returns the kind that is meant by --network: code that registers the run's under another
    name is named as well."""
    from warpzone.own_code import CODE
    from warpzone.training.network_registry import BUILT_IN, name_network
    from warpzone.training.run_settings import read_config

    begun = read_config(run).network.kind
    if CODE.fullmatch(network) and begun not in BUILT_IN and not CODE.fullmatch(begun):
        name_network(network)
        return begun
    return network


def _env(levels: Mapping[str, float] | None, reward: str | None) -> dict[str, Any]:
    given = {"levels": levels, "reward": reward}
    return {name: value for name, value in given.items() if value is not None}


def _told(settle: Callable[[], tuple[bool, TrainConfig]]) -> tuple[bool, TrainConfig]:
    """Returns what `settle` returns in the first of several processes that train together, which
    alone has the run directory."""
    from warpzone.training import TrainConfig
    from warpzone.training.ranks import joined

    def as_json() -> tuple[bool, str]:
        resume, config = settle()
        return resume, config.model_dump_json()

    resume, config = joined().told(as_json)
    return resume, TrainConfig.model_validate_json(config)


def _preset_for(game: Game | None, settings: list[str], *, shown: bool) -> Preset:
    """Returns the preset where none is named: a described game is learnt from what it observes, if
    it says what that is, and from pictures else."""
    if game is None:
        return Preset.specialist if shown else Preset.tiles
    chosen = [text.split("=")[1] for text in settings if text.startswith("game.observation=")]
    seen = chosen[-1] if chosen else "variables" if game.observe is not None else "pixels"
    return Preset.pixels if seen in ("pixels", "rgb") else Preset.tiles


def _settings_for(game: Game, preset: Preset, *, resume: bool) -> dict[str, str]:
    """Returns the settings that name a game, and what it shows, which a run that goes on knows."""
    if resume or game.observe is None or preset is not Preset.tiles:
        return {"name": game.name}
    return {"name": game.name, "observation": "variables"}


def _dashboard_beside(run: Path) -> AbstractContextManager[None]:
    from warpzone.dashboard.server import beside

    return beside(run, log=lambda text: out.print(plain(text), soft_wrap=True))


def run_name(levels: Mapping[str, float]) -> str:
    if len(levels) == len(LEVELS):
        return "all"
    if len(levels) <= 4:
        return "+".join(levels)
    return f"{len(levels)}-levels"


def _watch_or_film(run: Path, rom: Path | None) -> None:
    """Show the agent of a finished run: in a window, or where there is no screen in a film."""
    from warpzone.viewers.window import missing_display

    described = described_agent(run, "cpu", None)
    if described is not None:
        agent, order = described, described_starts(described, None)
    else:
        agent, cartridge = load_agent(run, "cpu", rom)
        order = levels_from(agent.levels[0])
    reason = missing_display()
    if reason is None:
        try:
            if described is not None:
                open_described(described, order, None, 0, 30, 0.0, 3, rom)
            else:
                open_window(
                    lambda name: (agent, "sample"), order, agent.title, None, 0, 30, 0.0, 3,
                    cartridge,
                )  # fmt: skip
            return
        except DisplayError as error:
            reason = str(error)
    out.print(f"No window: {plain(reason)}. Making a film instead.", soft_wrap=True)
    film_of_run(run, rom)
