"""The command `warpzone`. Each command only reads its arguments, calls the library and prints.

What is slow to import (torch, pygame, TensorBoard) is imported inside the commands that need it:
`warpzone --help`, `levels` and `rom` answer at once.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

import warpzone
from warpzone.errors import (
    AgentError,
    ConfigError,
    DisplayError,
    EngineError,
    LevelError,
    WarpzoneError,
)
from warpzone.nes.console import ENGINE_MODES, FRAMES_PER_SECOND, PALETTE, set_engine
from warpzone.nes.rom import Rom, find_rom
from warpzone.smb.level_guide import GUIDE
from warpzone.smb.levels import LEVELS, level_index, level_kind, parse_levels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from warpzone.agents.agent import Agent, PolicyMode
    from warpzone.agents.evaluate import Evaluation, RowEvaluation
    from warpzone.agents.packaged import Collection, PackagedEvaluation
    from warpzone.agents.playback import Playback
    from warpzone.episodes.episode import Episode
    from warpzone.training.config import TrainConfig

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class _Commands(TyperGroup):
    """Prints what a user can mend as one message; anything else keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except WarpzoneError as error:
            err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
            raise typer.Exit(EXIT_ERROR) from error
        except KeyboardInterrupt as error:
            err.print("interrupted")
            raise typer.Exit(EXIT_INTERRUPTED) from error


app = typer.Typer(
    name="warpzone",
    help="Teach Super Mario Bros. to an agent with PPO, measure it, and watch it play.",
    epilog="Start with: [cyan]warpzone train 1-1 --watch[/]",
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _Exhibited(NamedTuple):
    """An agent in a film of several."""

    label: str
    agent: Agent
    level: str
    policy: PolicyMode


class Preset(StrEnum):
    tiles = "tiles"
    specialist = "specialist"
    generalist = "generalist"
    pixels = "pixels"
    tutorial = "tutorial"


class Policy(StrEnum):
    sample = "sample"
    argmax = "argmax"


RomOption = Annotated[
    Path | None,
    typer.Option("--rom", metavar="PATH", help="The ROM file. Default: looked for, see `rom`."),
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
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
AgentArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN_OR_AGENT",
        help="A level, for the agent that comes with warpzone; a run directory; "
        "or a .safetensors file.",
    ),
]
OptionalAgentArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[RUN_OR_AGENT]",
        help="A level, for the agent that comes with warpzone; a run directory; "
        "or a .safetensors file. Default: for each level the one that comes with warpzone.",
    ),
]
LevelArgument = Annotated[
    str | None,
    typer.Argument(metavar="[LEVEL]", help="1-1 to 8-4. Default: what the agent was trained on."),
]
PolicyOption = Annotated[
    Policy | None,
    typer.Option(
        help="Draw from the action probabilities, or take the likeliest. "
        "Default: sample; of an agent that comes with warpzone, what it plays best with."
    ),
]
SeedOption = Annotated[int, typer.Option(help="Of the first episode.", min=0)]
NoopsOption = Annotated[
    int, typer.Option(help="Start each episode after 0 to this many no-op frames.", min=0)
]
StickyOption = Annotated[
    float,
    typer.Option(
        "--repeat-action-probability",
        "--sticky",
        help="Probability per frame that the last buttons stay pressed.",
        min=0,
        max=1,
    ),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")]


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"warpzone {warpzone.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: [cyan]warpzone train 1-1 --seed 1 --watch[/]")
def train(
    level: Annotated[
        str | None,
        typer.Argument(
            metavar="LEVEL",
            help="1-1 to 8-4, several with commas (1-1,1-2), or all. "
            "May be left out with --resume --out.",
        ),
    ] = None,
    preset: Annotated[
        Preset | None,
        typer.Option(help="What the agent sees, and every other setting. Default: tiles."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Agent steps to train. Default: the preset's.", min=1)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of everything random. Default: 0.", min=0)
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
        int | None, typer.Option(help="CPU threads. Default: all cores.", min=1)
    ] = None,
    num_envs: Annotated[int | None, typer.Option(help="Games played at once.", min=2)] = None,
    demonstrations: Annotated[
        list[Path] | None,
        typer.Option(
            "--demonstration",
            metavar="FILE",
            help="A recorded game of the level (`warpzone play LEVEL --record FILE`), along which "
            "training begins; may be given several times. The preset is then specialist.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other setting, e.g. lr=0.0003."),
    ] = None,
    rom: RomOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Train an agent with PPO and write a run directory."""
    if level is None and not (resume and out_dir):
        raise LevelError("which level? For example: warpzone train 1-1")
    levels = None if level is None else parse_levels(level)
    name = preset or (Preset.specialist if demonstrations else Preset.tiles)
    run = out_dir or Path("runs") / f"{_run_name(levels or {})}-{name}-seed{seed or 0}"
    _check_run_directory(run, resume)

    from warpzone import training
    from warpzone.settings import merge, parse_overrides

    given = {
        "seed": seed,
        "device": device,
        "total_steps": steps,
        "threads": threads,
        "num_envs": num_envs,
        "env": None if levels is None else {"levels": levels},
        "curriculum": {"demonstrations": demonstrations} if demonstrations else None,
    }
    changes = merge(
        {name: value for name, value in given.items() if value is not None},
        parse_overrides(settings or [], training.TrainConfig),
    )
    config = _resumed(run, preset, changes) if resume else training.resolve(name.value, **changes)
    cartridge = _find_rom(rom)
    with _dashboard_beside(run) if dashboard else nullcontext():
        result = training.train(config, run, resume=resume, rom=cartridge)
        if result.interrupted:
            raise typer.Exit(EXIT_INTERRUPTED)
        if watch:
            _watch_or_film(run, rom)


def _dashboard_beside(run: Path) -> AbstractContextManager[None]:
    from warpzone.dashboard.server import beside

    return beside(run, say=lambda text: out.print(escape(text), soft_wrap=True))


def _resumed(run: Path, preset: Preset | None, changes: dict[str, Any]) -> TrainConfig:
    """The settings of the run in `run`, with those given now laid over them.

    What must not change in the middle of a run is for `training.train` to say.
    """
    from warpzone.settings import apply
    from warpzone.training.run_directory import read_config

    config = read_config(run)
    if preset is not None:
        changes = {**changes, "preset": preset.value}
    if "levels" in changes.get("env", {}):
        # Other levels would replace the run's, not join them.
        config = config.model_copy(
            update={"env": config.env.model_copy(update={"levels": changes["env"]["levels"]})}
        )
    return apply(config, changes)


@app.command(
    epilog="Example: [cyan]warpzone campaign all --hours 8[/]  (the same line goes on with it)"
)
def campaign(
    levels: Annotated[str, typer.Argument(help="1-1 to 8-4, several with commas, or all.")] = "all",
    out_dir: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the runs go, one for each level.")
    ] = Path("runs/campaign"),
    hours: Annotated[float, typer.Option(help="For all levels together.")] = 8.0,
    jobs: Annotated[
        int | None, typer.Option(help="Levels trained at once. Default: one for each core.", min=1)
    ] = None,
    preset: Annotated[Preset, typer.Option(help="Of every run.")] = Preset.specialist,
    target: Annotated[
        float, typer.Option(help="Measured clear rate with which a level is done.", min=0, max=1)
    ] = 0.95,
    slice_steps: Annotated[
        int, typer.Option(help="Agent steps of a level before another has its turn.", min=1)
    ] = 1_000_000,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting, for every run."),
    ] = None,
    as_json: JsonOption = False,
    rom: RomOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Train an agent for each of many levels within a time budget."""
    from warpzone.hardware import available_cores
    from warpzone.settings import parse_overrides
    from warpzone.training import TrainConfig
    from warpzone.training import sweep as many

    parse_overrides(settings or [], TrainConfig)  # a misspelt name is told now, not by each run
    _find_rom(rom)
    entries = many.run(
        list(parse_levels(levels)),
        out_dir,
        hours=hours,
        jobs=jobs or available_cores(),
        preset=preset.value,
        slice_steps=slice_steps,
        target=target,
        settings=settings or [],
        rom=rom,
        say=lambda text: err.print(escape(text), soft_wrap=True),
    )
    if as_json:
        print(json.dumps(many.summary(entries), indent=2))
        return
    table = Table("level", "steps", "best measured", "run", box=None, header_style="bold")
    for entry in entries:
        rate = "–" if entry.clear_rate is None else f"{entry.clear_rate:.0%}"
        table.add_row(
            entry.level, f"{entry.steps:,}", rate, escape(entry.reason or str(entry.path))
        )
    out.print(table)


@app.command(epilog="Example: [cyan]warpzone dashboard runs[/]  (Ctrl-C ends it)")
def dashboard(
    folder: Annotated[
        Path,
        typer.Argument(metavar="[RUNS_DIR]", help="The folder that holds run directories."),
    ] = Path("runs"),
    port: Annotated[
        int, typer.Option(help="On this machine; 0: any free one.", min=0, max=65535)
    ] = 1985,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open it in the browser, too.")
    ] = False,
) -> None:
    """Show runs in a browser of this machine: curves, settings, results, live."""
    from warpzone.dashboard.server import serve

    def say(address: str) -> None:
        out.print(f"dashboard of {escape(str(folder))}: {address}  (Ctrl-C ends it)")
        if open_browser:
            import webbrowser

            webbrowser.open(address)

    serve(folder, port, say=say)


@app.command(
    epilog="Example: [cyan]warpzone watch 1-1[/]  (or runs/1-1-tiles-seed0; over ssh: "
    "[cyan]warpzone watch 1-1 --terminal[/])"
)
def watch(
    agent_path: AgentArgument,
    level: LevelArgument = None,
    policy: PolicyOption = None,
    seed: SeedOption = 0,
    noop_max: NoopsOption = 30,
    repeat_action_probability: StickyOption = 0.0,
    scale: Annotated[int, typer.Option(help="Screen pixels per NES pixel.", min=1, max=8)] = 3,
    terminal: Annotated[
        bool,
        typer.Option("--terminal", help="Draw in this terminal, in 24-bit colours; no window."),
    ] = False,
    device: DeviceOption = "cpu",
    rom: RomOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Open a window in which the agent plays. Keys are shown in it."""
    if _is_packaged(agent_path) and level is None:
        agent_of, order, cartridge = _packaged_players(str(agent_path), device, rom)
        title = "packaged agents"
    else:
        agent, cartridge = _load_agent(agent_path, device, rom)
        mode = _policy(None, agent_path)
        order, title = _levels_from(_one_level(level, agent, agent_path)), agent.title

        def agent_of(level: str) -> tuple[Agent, PolicyMode]:
            return agent, mode

    # What is wrong with the agent comes first: another screen would not help there.
    if terminal:
        from warpzone.viewers.terminal import require_terminal

        require_terminal(out)
    else:
        from warpzone.viewers.window import require_display

        require_display(
            f"Draw in this terminal instead: warpzone watch {agent_path} --terminal; or make a "
            f"film: warpzone record {agent_path} -o clip.mp4"
        )
    size = None if terminal else scale
    _open_window(
        agent_of, order, title, policy, seed, noop_max, repeat_action_probability, size, cartridge
    )


@app.command(
    epilog="Example: [cyan]warpzone record 1-1 -o clip.mp4[/]  (or runs/1-1-tiles-seed0, clip.gif; "
    "how it learnt: [cyan]warpzone record runs/1-1-tiles-seed0 --progress[/]; "
    "all 32 levels: [cyan]warpzone record all -o mosaic.mp4[/])"
)
def record(
    agents_and_level: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN_OR_AGENT... [LEVEL]",
            help="A level, for the agent that comes with warpzone; a run directory; or a "
            ".safetensors file. Several are shown side by side; all means every agent that comes "
            "with warpzone, each on its level. Then the level, by default what the (first) agent "
            "was trained on.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Where to: name.mp4 or name.gif.")
    ] = Path("clip.mp4"),
    episodes: Annotated[int, typer.Option(help="Episodes in the film.", min=1)] = 1,
    until_clear: Annotated[
        int | None,
        typer.Option(
            help="Most tries to get a clear for each episode; 1 films what comes. "
            "Default: 10; 1 where agents are compared on one level.",
            min=1,
        ),
    ] = None,
    scale: Annotated[
        int | None,
        typer.Option(
            help="Default: 3 for mp4 (less for many agents), 1 for gif (2 with --overlay).",
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
            "kept of its course (in its history/), the best and the last.",
        ),
    ] = False,
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
    device: DeviceOption = "cpu",
    rom: RomOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Make a film of the agent: the first try that clears the level."""
    from warpzone.video.film import check_film_path

    check_film_path(output)
    (agent_path, *others), level = _agents_and_level(agents_and_level)
    every = str(agent_path) == "all" and not agent_path.exists()
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
            exhibited, cartridge = _every_packaged(device, rom)
        else:
            exhibited, cartridge = _compared([agent_path, *others], level, progress, device, rom)
        tries = until_clear or (10 if every else 1)
        _film_together(
            exhibited,
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
        from warpzone.episodes.episode import check_episode_path

        check_episode_path(episode)
        if episodes > 1:
            raise ConfigError(f"--episode writes one episode, and --episodes is {episodes}")

    from warpzone.agents.playback import Playback

    agent, cartridge = _load_agent(agent_path, device, rom)
    playback = Playback(
        agent,
        _one_level(level, agent, agent_path),
        policy=_policy(policy, agent_path),
        noop_max=noop_max,
        repeat_action_probability=repeat_action_probability,
        saliency=saliency,
        rom=cartridge,
    )
    _film(playback, output, episodes, until_clear or 10, scale, seed, overlay, episode)


@app.command(
    "eval",
    epilog="Example: [cyan]warpzone eval runs/1-1-tiles-seed0 --sticky 0.25 --json[/]",
)
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
            "agent's first) through to this one."
        ),
    ] = None,
    episodes: Annotated[int, typer.Option(help="Per level.", min=1)] = 100,
    noop_max: NoopsOption = 30,
    repeat_action_probability: StickyOption = 0.0,
    policy: PolicyOption = None,
    seed: SeedOption = 0,
    threads: Annotated[int | None, typer.Option(help="For the games.", min=1)] = None,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
    rom: RomOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Measure how often the agent clears levels, with 95 % intervals (Wilson).

    Without an agent: for each level the agent that comes with warpzone for it.
    """
    from warpzone.agents.evaluate import RowEvaluation, evaluate_row
    from warpzone.agents.evaluate import evaluate as measure
    from warpzone.agents.packaged import evaluate_packaged

    evaluation: Evaluation | PackagedEvaluation | RowEvaluation
    with err.status("") as status:
        settings: dict[str, Any] = {
            "episodes": episodes,
            "noop_max": noop_max,
            "repeat_action_probability": repeat_action_probability,
            "seed": seed,
            "threads": threads,
            "say": status.update,
        }
        if through is not None:
            if agent_path is None:
                raise ConfigError("--through needs an agent that knows all of the levels; name one")
            agent, cartridge = _load_agent(agent_path, device, rom)
            first = levels or min(agent.levels, key=level_index)
            status.update(f"from {first} to {through}, {episodes} episodes")
            del settings["say"]
            evaluation = evaluate_row(
                agent,
                _check_level(first),
                _check_level(through),
                policy=_policy(policy, agent_path),
                rom=cartridge,
                **settings,
            )
        elif agent_path is None:
            collection, cartridge = _open_collection(device, rom)
            evaluation = evaluate_packaged(
                collection,
                _packaged_levels(levels, collection),
                policy=None if policy is None else policy.value,
                rom=cartridge,
                **settings,
            )
        else:
            agent, cartridge = _load_agent(agent_path, device, rom)
            own = [str(agent_path)] if _is_packaged(agent_path) else list(agent.levels)
            evaluation = measure(
                agent,
                list(parse_levels(levels)) if levels else own,
                policy=_policy(policy, agent_path),
                rom=cartridge,
                **settings,
            )
    if as_json:
        print(json.dumps(evaluation.as_json(), indent=2))
    elif isinstance(evaluation, RowEvaluation):
        _print_row(evaluation)
    else:
        _print_evaluation(evaluation)


@app.command(epilog="Example: [cyan]warpzone play 1-1[/]  (or --power-on --record game.json)")
def play(
    level: Annotated[str, typer.Argument(help="1-1 to 8-4.")] = "1-1",
    power_on: Annotated[
        bool, typer.Option("--power-on", help="Begin at the title screen, not at a level.")
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write what is played since the last start as an episode, name.json, "
            "for `warpzone replay`.",
        ),
    ] = None,
    scale: Annotated[int, typer.Option(help="Screen pixels per NES pixel.", min=1, max=8)] = 3,
    rom: RomOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Play a level yourself, with keyboard or gamepad."""
    from warpzone.episodes.episode import POWER_ON, Person, Recorder, check_episode_path
    from warpzone.viewers.window import require_display

    order = _levels_from(_check_level(level))
    if power_on:
        order = [POWER_ON, *order]
    if record is not None:
        check_episode_path(record)
    require_display("To play, run this where there is a screen")

    from warpzone.viewers.play import play as open_window

    recorder = Recorder(warpzone.Console(_find_rom(rom)))
    try:
        open_window(recorder.console, order, scale=scale, recorder=recorder)
    finally:  # Ctrl-C ends a game like closing the window does
        if record is not None and recorder.frames > 0:
            episode = recorder.episode(Person())
            episode.save(record)
            _print_episode(record, episode)
        elif record is not None:
            err.print(f"nothing was played: {escape(str(record))} is not written", soft_wrap=True)


@app.command(
    epilog="Example: [cyan]warpzone replay game.json[/]  (or -o clip.mp4; or movie.fm2)",
)
def replay(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="An episode (.json), or an FM2 movie that begins at power-on."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="No window, but a file: a film (.mp4, .gif), a sheet of pictures (.png), "
            "a movie (.fm2) or an episode (.json).",
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="No window: say whether the game goes as it was recorded."),
    ] = False,
    scale: Annotated[
        int | None,
        typer.Option(
            help="Screen or film pixels per NES pixel. Default: 3; for gif 1.", min=1, max=8
        ),
    ] = None,
    pictures: Annotated[
        int | None, typer.Option(help="On a sheet (.png). Default: 20.", min=1, max=1000)
    ] = None,
    rom: RomOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Play an episode again, exactly: in a window, or into a film, a sheet or an FM2 movie."""
    from warpzone.episodes.episode import Replay
    from warpzone.viewers import replay as again

    cartridge = _find_rom(rom)
    episode = again.read_episode(file, cartridge)
    player = Replay(episode, warpzone.Console(cartridge))
    if not check and output is None:
        from warpzone.viewers.window import require_display

        require_display(f"Make a film instead: warpzone replay {file} -o clip.mp4")
    if output is not None:
        again.export(player, output, scale=scale, pictures=pictures)
    elif check:
        player.verify()
    else:
        shown = again.show(player, title=f"warpzone: {file.name}", scale=scale or 3)
        if shown.ended:
            player.verify()
        else:
            return
    _print_episode(file, episode)
    known = "as recorded" if episode.ram_sha256 else "played to the end (no checksum to compare)"
    out.print(f"RAM after the last frame: {known}")
    if output is not None:
        size = output.stat().st_size / 1e6
        out.print(f"[bold]{escape(str(output))}[/]  {size:.2f} MB", soft_wrap=True)


@app.command(epilog="Example: [cyan]warpzone levels[/]")
def levels(as_json: JsonOption = False) -> None:
    """List the 32 levels."""
    if as_json:
        rows = {name: {"kind": level_kind(name), "note": GUIDE[name]} for name in LEVELS}
        print(json.dumps(rows, indent=2))
        return
    table = Table("level", "kind", "what makes it hard", box=None, header_style="bold")
    for name in LEVELS:
        table.add_row(name, level_kind(name), GUIDE[name])
    out.print(table)


@app.command("map", epilog="Example: [cyan]warpzone map 1-1 --run runs/1-1-tiles-seed0[/]")
def level_map(
    level: Annotated[str, typer.Argument(metavar="LEVEL", help="1-1 to 8-4.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Where to: name.png. Default: map-LEVEL.png."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Draw where Mario died in this run's training, and the ways of its stored "
            "episodes.",
        ),
    ] = None,
    last: Annotated[
        int | None, typer.Option(help="Only so many ends, the latest. Default: all.", min=1)
    ] = None,
    rom: RomOption = None,
) -> None:
    """Draw a level as one long picture, with a heat map of a run's deaths."""
    from warpzone.dashboard import level_map as drawing
    from warpzone.files import write_atomically
    from warpzone.video.film import SHEET_SUFFIX, check_film_path

    path = check_film_path(output or Path(f"map-{_check_level(level)}.png"), (SHEET_SUFFIX,))
    if last is not None and run is None:
        raise ConfigError("--last counts the ends of a run; name the run with --run")
    picture, lines = drawing.draw_run(_check_level(level), run, last=last, rom=_find_rom(rom))
    write_atomically(path, drawing.png(picture))
    for line in lines:
        out.print(escape(line), soft_wrap=True)
    out.print(f"[bold]{escape(str(path))}[/]  {picture.width}×{picture.height} px", soft_wrap=True)


@app.command(epilog="Example: [cyan]warpzone report runs/1-1-tiles-seed0[/]")
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Where to: name.html. Default: report.html in RUN."),
    ] = None,
    films: Annotated[
        int, typer.Option(help="Levels that the agent is filmed on, at the most.", min=0)
    ] = 3,
    rom: RomOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Write one HTML file about a run, to be sent to somebody: it holds all that it shows."""
    from warpzone.report.page import NAME, write_report

    _use_one_torch_thread()
    written = write_report(
        run,
        output or run / NAME,
        films=films,
        rom=rom,
        say=lambda text: err.print(escape(text), soft_wrap=True),
    )
    for line in written.missing:
        err.print(f"[yellow]left out:[/] {escape(line)}", soft_wrap=True)
    size = written.size / 1e6
    out.print(f"[bold]{escape(str(written.path))}[/]  {size:.2f} MB", soft_wrap=True)


@app.command(epilog="Example: [cyan]warpzone doctor[/]")
def doctor(
    as_json: JsonOption = False, rom: RomOption = None, engine: EngineOption = "auto"
) -> None:
    """Check what is installed, the device, the ROM, and that the game runs."""
    from warpzone import doctor as ward

    findings = ward.examine(rom)
    if as_json:
        print(json.dumps(ward.as_json(findings), indent=2))
    else:
        table = Table(box=None, show_header=False)
        marks = {True: "[green]ok[/]", False: "[bold red]bad[/]", None: "[dim]--[/]"}
        for finding in findings:
            table.add_row(marks[finding.ok], finding.name, escape(finding.text))
        out.print(table)
    if not ward.healthy(findings):
        raise typer.Exit(1)


@app.command(epilog="Example: [cyan]warpzone bench --json > bench.json[/]")
def bench(
    threads: Annotated[
        int | None, typer.Option(help="For several. Default: all cores.", min=1)
    ] = None,
    as_json: JsonOption = False,
    rom: RomOption = None,
) -> None:
    """Measure how fast games run here, beside the other emulators that are installed."""
    from warpzone.bench import report, run
    from warpzone.hardware import available_cores
    from warpzone.nes.console import cartridge_of

    found = _find_rom(rom)
    with err.status("making native code"):
        cartridge = cartridge_of(found)
        if cartridge.engine is not None:
            with suppress(EngineError):  # the table says so
                cartridge.engine.wait()
    with err.status("") as status:
        result = run.measure_all(found, threads or available_cores(), status.update)
    if as_json:
        print(json.dumps(run.as_json(result, found), indent=2))
        return
    for line in report.describe(report.machine(), found):
        out.print(f"[dim]{escape(line)}[/]", soft_wrap=True)
    out.print(f"games run {escape(cartridge.running)}", soft_wrap=True)
    table = Table(box=None, header_style="bold")
    table.add_column("one thread unless it says more")
    table.add_column("median (range)", justify="right")
    table.add_column("")
    for title, unit in result.units.items():
        spread = result.rates.get(title)
        text = result.problems[title] if spread is None else spread.text(",.0f")
        table.add_row(title, escape(text), unit)
    for title, seconds in result.times.items():
        table.add_row(title, f"{seconds * 1e6:,.1f}", "µs")
    out.print(table)
    for title, ratio in result.ratios.items():
        out.print(f"{title}: [bold]{ratio:.1f}[/]")


@app.command(epilog="Example: [cyan]warpzone rom --rom my-copy.nes[/]")
def rom(
    path: RomOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which ROM is used; fetch one where there is none."""
    found = _find_rom(path)
    facts = {
        "path": str(found.path),
        "found": found.origin,
        "revision": found.revision,
        "sha1": found.sha1,
        "sha256": found.sha256,
    }
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    for name, text in facts.items():
        out.print(f"[bold]{name:<10}[/]{escape(text)}", soft_wrap=True)


def main() -> None:
    """Entry point of the command."""
    app()


def _find_rom(path: Path | None) -> Rom:
    return find_rom(path, say=lambda text: err.print(escape(text), soft_wrap=True))


def _run_name(levels: Mapping[str, float]) -> str:
    if len(levels) == len(LEVELS):
        return "all"
    if len(levels) <= 4:
        return "+".join(levels)
    return f"{len(levels)}-levels"


def _check_run_directory(run: Path, resume: bool) -> None:
    if run.exists() and not run.is_dir():
        raise ConfigError(f"cannot write a run to {str(run)!r}: it is a file; choose another --out")
    used = run.is_dir() and any(run.iterdir())
    if used and not resume:
        raise ConfigError(
            f"{str(run)!r} already holds something. Go on with that run: add --resume. "
            "Start a new one: choose another --out or --seed, or delete the directory"
        )
    if resume and not used:
        raise ConfigError(
            f"there is no run to go on with in {str(run)!r}; leave out --resume to start one"
        )


def _one_level(level: str | None, agent: Agent, path: Path) -> str:
    """The level asked for, or that of the packaged agent, or the first it was trained on."""
    if level is not None:
        return _check_level(level)
    return str(path) if _is_packaged(path) else agent.levels[0]


def _check_level(level: str) -> str:
    (name, *more) = parse_levels(level)
    if more:
        raise LevelError(f"{level!r} names {len(more) + 1} levels; give one, e.g. {name}")
    return name


def _levels_from(first: str) -> list[str]:
    """All levels in the order of the game, starting with `first`."""
    start = LEVELS.index(first)
    return [*LEVELS[start:], *LEVELS[:start]]


def _is_packaged(path: Path) -> bool:
    """Whether an argument for an agent names a level; a file or directory of that name wins."""
    return str(path) in LEVELS and not path.exists()


def _policy(given: Policy | None, path: Path) -> PolicyMode:
    """What was asked for, or what a packaged agent plays best with, or sampled actions."""
    from warpzone.agents.packaged import Collection

    if given is not None:
        return given.value
    return Collection()[str(path)].policy if _is_packaged(path) else "sample"


def _use_one_torch_thread() -> None:
    """Acting is many small pieces of work: a second thread costs more than it brings, and the
    games have use for the other cores."""
    import torch

    torch.set_num_threads(1)


def _load_agent(path: Path, device: str, rom: Path | None) -> tuple[Agent, Rom]:
    from warpzone.agents.agent import Agent
    from warpzone.agents.packaged import Collection

    _use_one_torch_thread()
    if _is_packaged(path):
        agent = Collection(device=device).agent(str(path))
    else:
        agent = Agent.load(path, device=device)
    cartridge = _find_rom(rom)
    _warn_of_rom(agent, cartridge)
    return agent, cartridge


def _warn_of_rom(agent: Agent, cartridge: Rom) -> None:
    warning = agent.rom_mismatch(cartridge)
    if warning:
        err.print(f"[yellow]warning:[/] {escape(warning)}", soft_wrap=True)


def _open_collection(device: str, rom: Path | None) -> tuple[Collection, Rom]:
    from warpzone.agents.packaged import Collection

    _use_one_torch_thread()
    return Collection(device=device), _find_rom(rom)


def _packaged_levels(spec: str | None, collection: Collection) -> list[str]:
    """The levels that `spec` means; of all only those that have an agent, and which have none."""
    chosen = list(LEVELS) if spec is None else list(parse_levels(spec))
    if len(chosen) < len(LEVELS):
        return chosen
    if not collection.levels:
        raise AgentError(
            "no agents come with this version of warpzone. Name a run directory or a .safetensors "
            "file; `warpzone train 1-1` makes one in runs/"
        )
    missing = [name for name in chosen if name not in collection.levels]
    if missing:
        err.print(f"[yellow]without an agent:[/] {', '.join(missing)}", soft_wrap=True)
    return collection.levels


def _packaged_players(
    first: str, device: str, rom: Path | None
) -> tuple[Callable[[str], tuple[Agent, PolicyMode]], list[str], Rom]:
    """Who plays a level and with which policy; levels that have an agent, from `first` on."""
    collection, cartridge = _open_collection(device, rom)
    warned = set()

    def agent_of(level: str) -> tuple[Agent, PolicyMode]:
        agent = collection.agent(level)
        if agent.path not in warned:
            warned.add(agent.path)
            _warn_of_rom(agent, cartridge)
        return agent, collection[level].policy

    agent_of(first)  # errors come before the window
    return agent_of, [name for name in _levels_from(first) if name in collection.levels], cartridge


def _watch_or_film(run: Path, rom: Path | None) -> None:
    """Show the agent of a finished run: in a window, or where there is no screen in a film."""
    from warpzone.agents.playback import Playback
    from warpzone.viewers.window import missing_display

    agent, cartridge = _load_agent(run, "cpu", rom)
    level = agent.levels[0]
    reason = missing_display()
    if reason is None:
        try:
            order = _levels_from(level)
            _open_window(
                lambda name: (agent, "sample"), order, agent.title, None, 0, 30, 0.0, 3, cartridge
            )
            return
        except DisplayError as error:
            reason = str(error)
    out.print(f"No window: {escape(reason)}. Making a film instead.", soft_wrap=True)
    playback = Playback(agent, level, rom=cartridge)
    _film(playback, run / f"{level}.mp4", episodes=1, tries=10, scale=None, seed=0)


def _open_window(
    agent_of: Callable[[str], tuple[Agent, PolicyMode]],
    order: Sequence[str],
    title: str,
    policy: Policy | None,
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

    if scale is None:
        from warpzone.viewers.terminal import watch_in_terminal

        tally = watch_in_terminal(open_playback, order, console=out, seed=seed)
    else:
        from warpzone.viewers.watch import watch as show

        tally = show(
            open_playback,
            order,
            palette=PALETTE,
            title=f"warpzone: {title}",
            scale=scale,
            seed=seed,
        )
    out.print(f"{tally.cleared} of {tally.episodes} episodes cleared")


def _film(
    playback: Playback,
    path: Path,
    episodes: int,
    tries: int,
    scale: int | None,
    seed: int,
    overlay: bool = False,
    episode: Path | None = None,
) -> None:
    from warpzone.agents.trace import trace
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
            say=lambda text: err.print(escape(text)),
        )
        traced = None if episode is None else trace(playback, recording.takes[0].seed)
    for take in recording.takes:
        out.print(f"{playback.level}, {playback.policy}: {take}")
    _print_film(path, recording.frames)
    if episode is not None and traced is not None:
        traced.save(episode)
        _print_episode(episode, traced)


def _agents_and_level(arguments: Sequence[Path]) -> tuple[list[Path], str | None]:
    """Of several arguments the last is the level, where it is no path."""
    *paths, last = arguments
    name = str(last)
    if paths and not last.exists() and len(last.parts) == 1 and not last.suffix:
        return paths, name
    return [*paths, last], None


def _every_packaged(device: str, rom: Path | None) -> tuple[list[_Exhibited], Rom]:
    collection, cartridge = _open_collection(device, rom)
    exhibited = []
    for level in _packaged_levels(None, collection):
        agent = collection.agent(level)
        exhibited.append(_Exhibited(level, agent, level, collection[level].policy))
    _warn_of_rom(exhibited[0].agent, cartridge)
    return exhibited, cartridge


def _compared(
    paths: Sequence[Path], level: str | None, progress: bool, device: str, rom: Path | None
) -> tuple[list[_Exhibited], Rom]:
    """Several agents, or with `progress` those of one run, all on one level."""
    if progress:
        from warpzone.agents.milestones import stages

        _use_one_torch_thread()
        agents = stages(paths[0], device=device)
        cartridge = _find_rom(rom)
        _warn_of_rom(agents[-1], cartridge)
        name = agents[0].levels[0] if level is None else _check_level(level)
        return [
            _Exhibited(f"{agent.info.steps:,} steps", agent, name, "sample") for agent in agents
        ], cartridge
    loaded = [_load_agent(path, device, rom) for path in paths]
    name = _one_level(level, loaded[0][0], paths[0])
    return [
        _Exhibited(str(path), agent, name, _policy(None, path))
        for path, (agent, _) in zip(paths, loaded, strict=True)
    ], loaded[0][1]


def _film_together(
    exhibited: Sequence[_Exhibited],
    cartridge: Rom,
    path: Path,
    policy: Policy | None,
    tries: int,
    scale: int | None,
    seed: int,
    **start: Any,
) -> None:
    from warpzone.agents.playback import Playback
    from warpzone.video.grid import Exhibit, record_together

    with ExitStack() as stack:
        exhibits = []
        for shown in exhibited:
            mode = shown.policy if policy is None else policy.value
            playback = Playback(shown.agent, shown.level, policy=mode, rom=cartridge, **start)
            stack.enter_context(closing(playback))
            exhibits.append(Exhibit(shown.label, playback))
        recording = record_together(
            exhibits,
            path,
            tries=tries,
            scale=scale,
            seed=seed,
            say=lambda text: out.print(escape(text), soft_wrap=True),
        )
    _print_film(path, recording.frames)


def _print_film(path: Path, frames: int) -> None:
    seconds = frames / FRAMES_PER_SECOND
    size = path.stat().st_size / 1e6
    out.print(f"[bold]{escape(str(path))}[/]  {seconds:.1f} s, {size:.1f} MB", soft_wrap=True)


def _print_episode(path: Path, episode: Episode) -> None:
    ended = f", {episode.outcome}" if episode.outcome else ""
    out.print(
        f"[bold]{escape(str(path))}[/]  from {episode.start}, {episode.frames:,} frames "
        f"({episode.seconds:.1f} s), by {escape(str(episode.player))}{escape(ended)}",
        soft_wrap=True,
    )


def _print_evaluation(evaluation: Evaluation | PackagedEvaluation) -> None:
    from warpzone.agents.packaged import PackagedEvaluation

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


def _print_origin(protocols: Iterable[str], rom: Mapping[str, str]) -> None:
    for protocol in protocols:
        out.print(f"[dim]{protocol}[/]", soft_wrap=True)
    text = f"ROM: {rom['revision']}, SHA-1 {rom['sha1']}"
    out.print(f"[dim]{escape(text)}[/]", soft_wrap=True)
