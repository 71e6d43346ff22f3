"""An agent for others: a folder with its weights, its description and a card, and that folder in a
repository of the Hugging Face Hub.

The card is made of what has been measured just before, on which cartridge, and says the command
that measures it again. No cartridge is in the folder, and nothing that is executed.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from warpzone.agents.agent import Agent
from warpzone.agents.described import evaluate_described
from warpzone.agents.evaluate import evaluate
from warpzone.console_text import announce
from warpzone.errors import AgentError, ConfigError, FileError
from warpzone.files import make_directory, replacing, write_atomically
from warpzone.nes.cartridge import RomSource, open_rom
from warpzone.training import hub
from warpzone.training.agent_file import PolicyMode, load_agent, save_agent
from warpzone.training.evaluation import EvalResult
from warpzone.training.hub import AGENT, CARD, CONFIG, HubName
from warpzone.version import VERSION

FILM = "replay.mp4"
"""A film of the agent, as the Hub shows one."""
FILES = (CARD, CONFIG, AGENT, FILM)
"""All that is ever sent."""


@dataclass(frozen=True)
class Protocol:
    """How an agent is measured for its card.

    Attributes:
        policy: "sample" or "argmax".
        episodes: of each level.
        noop_max: each episode starts after 0 to this many frames without buttons.
        repeat_action_probability: probability per frame that the last buttons stay pressed.
        seed: of everything random.
    """

    policy: PolicyMode = "sample"
    episodes: int = 100
    noop_max: int = 30
    repeat_action_probability: float = 0.0
    seed: int = 0

    def __str__(self) -> str:
        """Says it in a line, for people."""
        drawn = "sampled actions" if self.policy == "sample" else "likeliest actions"
        return (
            f"{self.episodes} episodes each, {drawn}, 0–{self.noop_max} no-op frames at the start,"
            f" sticky {self.repeat_action_probability:g}, seed {self.seed}"
        )

    @property
    def options(self) -> list[str]:
        """Returns it as options of `warpzone eval`."""
        return [
            *("--episodes", str(self.episodes), "--noop-max", str(self.noop_max)),
            *("--sticky", f"{self.repeat_action_probability:g}", "--policy", self.policy),
            *("--seed", str(self.seed)),
        ]


@dataclass(frozen=True)
class Measured:
    """What an agent reached.

    Attributes:
        results: by level, or by start of another game.
        protocol: how.
        rom: `revision` and `sha1` of the cartridge.
    """

    results: Mapping[str, EvalResult]
    protocol: Protocol
    rom: Mapping[str, str]


def measure(
    agent: Agent,
    protocol: Protocol,
    *,
    levels: Sequence[str] | None = None,
    rom: RomSource = None,
    threads: int | None = None,
    log: Any = lambda text: None,
) -> Measured:
    """Plays the episodes that a card tells of.

    Args:
        agent: who plays.
        protocol: how.
        levels: of Super Mario Bros.; None: those that it was trained on.
        rom: the ROM, or None to look for it.
        threads: for the games; None: all cores.
        log: receives a line before each level.

    Raises:
        AgentError: levels are named, and it plays another game.
        ConfigError: a number out of its range.
        LevelError: an unknown level.
    """
    settings = {**asdict(protocol), "threads": threads}
    if agent.info.game.name is not None:
        if levels is not None:
            raise AgentError(f"{agent.path} plays {agent.info.game.name}: leave out the levels")
        log(f"{agent.info.game.name}, {protocol.episodes} episodes")
        found = evaluate_described(agent, rom=rom, **settings)
        # The cartridge of a game that comes along is part of its description.
        return Measured({found.start: found.result}, protocol, {})
    cartridge = open_rom(rom)
    evaluation = evaluate(agent, levels or agent.levels, rom=cartridge, log=log, **settings)
    return Measured(evaluation.levels, protocol, evaluation.rom)


def check_folder(folder: Path) -> None:
    """Makes a folder for a shared agent, before minutes are spent on measuring it.

    Raises:
        ConfigError: it cannot be made or written, or holds something else, e.g. a run.
    """
    try:
        folder.absolute().name.encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"cannot write to {str(folder)!r}: the name is not UTF-8; choose another --folder"
        ) from None
    try:
        make_directory(folder)
        writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError as error:
        raise ConfigError(
            f"cannot write to {str(folder)!r}: {error.strerror or error}; choose another --folder"
        ) from error
    if not writable:
        raise ConfigError(f"the folder {str(folder)!r} may not be written; choose another --folder")
    if hub.shared_config(folder) is None:
        found = [name for name in FILES if os.path.lexists(folder / name)]
        if found:
            raise ConfigError(
                f"{str(folder)!r} has {found[0]}, which is not of a shared agent and would be"
                " overwritten; choose another --folder"
            )


def write_folder(
    agent: Agent,
    folder: Path,
    measured: Measured,
    *,
    repo: str | None = None,
    licence: str | None = None,
    film: Path | None = None,
) -> Path:
    """Writes what is shared of an agent: weights, `config.json`, the card, a film.

    Args:
        agent: from `Agent.load`.
        folder: see `check_folder`; other files in it stay, and are never sent.
        measured: from `measure`.
        repo: OWNER/NAME that it is for; None: the card names the folder.
        licence: of the agent, as the Hub names them, e.g. "mit"; None: the card says none.
        film: an MP4 file to go with it.

    Returns:
        The folder.

    Raises:
        ConfigError: see `check_folder`.
        FileError: it cannot be written.
    """
    check_folder(folder)
    try:
        save_agent(folder / AGENT, agent.policy.state_dict(), agent.info)
        config = {
            "library_name": hub.LIBRARY,
            "warpzone": VERSION,
            "policy": measured.protocol.policy,
            "measured": {
                "protocol": asdict(measured.protocol),
                "results": {name: result.as_dict() for name, result in measured.results.items()},
                "rom": dict(measured.rom),
            },
            "agent": agent.info.model_dump(mode="json"),
        }
        write_atomically(folder / CONFIG, json.dumps(config, indent=2).encode())
        if film is not None:
            with replacing(folder / FILM) as temporary:
                shutil.copyfile(film, temporary)
        else:
            (folder / FILM).unlink(missing_ok=True)
        text = card(agent, measured, name=_called(repo, folder), licence=licence)
        write_atomically(folder / CARD, text.encode())
    except OSError as error:
        raise FileError(
            f"cannot write {str(folder)!r}: {error.strerror or error}", error.errno
        ) from error
    return folder


def _called(repo: str | None, folder: Path) -> str:
    return f"{hub.SCHEME}{repo}" if repo is not None else folder.absolute().name


def card(agent: Agent, measured: Measured, *, name: str, licence: str | None = None) -> str:
    """Returns the text of an agent's card: front matter as the Hub reads it, then Markdown.

    Args:
        agent: the agent.
        measured: from `measure`.
        name: that users load it by, "hf://OWNER/NAME" or a folder.
        licence: see `write_folder`.
    """
    info = agent.info
    game = info.game.name or "super-mario-bros"
    settings = info.game if info.game.name is not None else info.env
    title = name.removeprefix(hub.SCHEME).rpartition("/")[2]
    front = [
        "---",
        f"library_name: {hub.LIBRARY}",
        "pipeline_tag: reinforcement-learning",
        *([] if licence is None else [f"license: {_scalar(licence)}"]),
        "tags:",
        *(
            f"- {_scalar(tag)}"
            for tag in ("reinforcement-learning", "ppo", "nes", game, "warpzone")
        ),
        "model-index:",
        f"- name: {_scalar(title)}",
        "  results:",
    ]
    for level, result in measured.results.items():
        low, high = result.ci95
        front += [
            "  - task:",
            "      type: reinforcement-learning",
            "      name: Reinforcement learning",
            "    dataset:",
            f"      type: {_scalar(game)}",
            f"      name: {_scalar(f'{game} {level}')}",
            "    metrics:",
            "    - type: clear_rate",
            f"      value: {result.clear_rate!r}",
            f"      name: {_scalar(f'clear rate, {result.episodes} episodes')}",
            "      args:",
            f"        episodes: {result.episodes}",
            f"        ci95_low: {low!r}",
            f"        ci95_high: {high!r}",
        ]
    front.append("---")
    return "\n".join([*front, "", *_body(agent, measured, name, title, game, settings), ""])


def _body(
    agent: Agent, measured: Measured, name: str, title: str, game: str, settings: Any
) -> list[str]:
    info = agent.info
    words = ["warpzone", "eval", name]
    if info.game.name is None:
        words += ["--levels", ",".join(measured.results)]
    again = shlex.join([*words, *measured.protocol.options])
    rows = []
    for level, result in measured.results.items():
        low, high = result.ci95
        rows.append(
            f"| {level} | {result.clear_rate:.1%} | {low:.1%} to {high:.1%} | {result.episodes} |"
            f" {result.mean_progress:,.0f} |"
        )
    lines = [
        f"# {title}",
        "",
        f"An agent that plays {game}, trained with warpzone {VERSION} on what the observation"
        f" `{settings.observation}` shows.",
        "",
        "```sh",
        "pip install 'warpzone[hub]'",
        f"warpzone watch {shlex.quote(name)}",
        "```",
        "",
        "```python",
        "from warpzone import Agent",
        "",
        f"agent = Agent.load({name!r})",
        "```",
        "",
        "## What it reaches",
        "",
        "| level | clear rate | 95 % interval (Wilson) | episodes | mean progress |",
        "|---|---|---|---|---|",
        *rows,
        "",
        f"{measured.protocol}. Measured again:",
        "",
        "```sh",
        again,
        "```",
        "",
    ]
    if measured.rom:
        lines += [
            f"Cartridge: {measured.rom['revision']}, SHA-1 `{measured.rom['sha1']}`. It is not in"
            " this repository: bring your own.",
            "",
        ]
    lines += ["## How it was trained", ""]
    for stage in (*info.earlier, info.stage):
        told = [f"{stage.steps:,} agent steps"]
        if stage.seconds is not None:
            told.append(f"{stage.seconds / 60:,.0f} minutes")
        if stage.threads is not None:
            told.append(f"{stage.threads} thread{'' if stage.threads == 1 else 's'}")
        if stage.commit is not None:
            told.append(f"code at {stage.commit[:12]}")
        lines += [", ".join(told) + (":" if stage.command else "."), ""]
        if stage.command is not None:
            lines += ["```sh", stage.command.replace("```", "'''"), "```", ""]
    lines += [
        "## What is in it",
        "",
        f"`{AGENT}`: weights in safetensors, with their description as metadata. `{CONFIG}`: that"
        " description and the measurement as JSON. Nothing in it can execute code.",
    ]
    return lines


def _scalar(text: str) -> str:
    """Text for YAML: what JSON writes, YAML reads."""
    return json.dumps(text, ensure_ascii=False)


def check_push(repo: str) -> None:
    """Sees to it, before anything is measured, that an agent can be sent to the Hub.

    Raises:
        MissingPackageError: huggingface_hub is not installed.
        AgentError: a bad name, no login, or the Hub cannot be reached.
    """
    name = HubName(hub.check_repo(repo))
    package = hub.require_hub()
    announce("Asking the Hugging Face Hub whether there is a login.")
    try:
        package.HfApi(library_name=hub.LIBRARY).whoami()
    except Exception as error:
        raise hub.problem(package, name, error) from error


def push_folder(folder: Path, repo: str, *, private: bool = False, message: str = "") -> str:
    """Sends the folder of a shared agent to a repository of the Hub, which is made if need be.

    Args:
        folder: from `write_folder`.
        repo: OWNER/NAME.
        private: whether a repository that is made is only for its owner.
        message: of the commit.

    Returns:
        The address of the commit.

    Raises:
        MissingPackageError: huggingface_hub is not installed.
        AgentError: the folder holds no shared agent, or it cannot be sent; the folder stays.
    """
    name = HubName(hub.check_repo(repo))
    package = hub.require_hub()
    require_shared(folder)
    api = package.HfApi(library_name=hub.LIBRARY)
    announce(f"Sending {folder} to {name} on the Hugging Face Hub.")
    try:
        api.create_repo(repo, private=private or None, exist_ok=True)
        sent = api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            allow_patterns=list(FILES),
            commit_message=message or f"An agent of warpzone {VERSION}",
        )
    except Exception as error:
        problem = hub.problem(package, name, error)
        raise AgentError(
            f"{problem}. What was to be sent is in {str(folder)!r}; later: "
            + shlex.join(["warpzone", "push", str(folder), repo])
        ) from error
    return str(sent.commit_url)


def require_shared(folder: Path) -> None:
    """Raises `AgentError` where `folder` is none that `write_folder` has written, whole."""
    if hub.shared_config(folder) is None or not (folder / CARD).is_file():
        raise AgentError(
            f"{str(folder)!r} holds no shared agent: `warpzone push AGENT --folder DIR` writes one"
        )
    load_agent(folder / AGENT)
