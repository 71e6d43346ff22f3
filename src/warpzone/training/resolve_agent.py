"""Which agent a name means: one answer for the command line, trainings and Python."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warpzone.errors import AgentError
from warpzone.smb.levels import LEVELS
from warpzone.training import hub, packaged_index
from warpzone.training.agent_file import PolicyMode
from warpzone.training.packaged_index import NETWORKS

AGENT_FILES = ("best.safetensors", "agent.safetensors")
"""What is looked for in a run directory, the better one first."""
RUN_FILES = ("config.json", "metrics.jsonl", "checkpoints")
TRAIN_HINT = "`warpzone train 1-1` makes one in runs/"


@dataclass(frozen=True, slots=True)
class AgentSource:
    """Where an agent is, and what the name that it was found by says of it.

    Attributes:
        file: its file.
        level: that it was asked for by, of a packaged agent; else None.
        policy: what a packaged agent plays this level best with, or without a level the first that
            it is packaged for; what a shared agent's folder says; of others "sample".
    """

    file: Path
    level: str | None = None
    policy: PolicyMode = "sample"


def resolve_agent(name: str | Path) -> AgentSource:
    """Returns the agent that `name` means.

    Args:
        name: a path to a `.safetensors` file; to a run directory, of which the best agent is
            taken, else the final one; or to a folder that `warpzone push --folder` has written.
            Where there is no such path: a level, "1-1" to "8-4", for the agent that is packaged
            for it; "generalist", for the packaged agent for all levels, or "generalist-untold", for
            the one that is not told which level it plays; the name of a packaged agent's file, with
            or without `.safetensors`, also of one that plays another game; or `hf://OWNER/NAME`,
            for the agent in that repository of the Hugging Face Hub, which is fetched
            (`hf://OWNER/NAME@REVISION`: in that state).

    Raises:
        MissingPackageError: an agent of the Hub, and huggingface_hub is not installed.
        AgentError: nothing there, no run, or no agent in it yet; the text says what there is
            instead.
    """
    path = Path(name)
    try:
        if path.is_file():
            return AgentSource(path)
        if path.exists():
            return AgentSource(_best_of_run(path), policy=hub.shared_policy(path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AgentError(f"the agent {str(path)!r} cannot be looked for: {reason}") from error
    if (remote := hub.hub_name(name)) is not None:
        folder = hub.fetch(remote)
        return AgentSource(folder / hub.AGENT, policy=hub.shared_policy(folder))
    text = str(name)
    if text in LEVELS:
        folder = packaged_index.trained_folder()
        entry = packaged_index.read_index(folder)[text]
        return AgentSource(folder / entry.file, text, entry.policy)
    if text in NETWORKS:
        folder = packaged_index.trained_folder()
        network = packaged_index.read_index(folder).network(text)
        return AgentSource(folder / network.file, policy=network.policy)
    if (of_game := packaged_index.game_agents().get(text)) is not None:
        return AgentSource(of_game, policy="argmax")  # what they play best with, or as well
    if path.name == text and (packaged := _packaged_by_file(text)):
        return packaged
    raise AgentError(f"there is no {text!r}: no run, no agent, no level. {TRAIN_HINT}")


def _packaged_by_file(name: str) -> AgentSource | None:
    """The packaged agent whose file has that name; None as well where no agents are installed."""
    folder = packaged_index.trained_folder()
    try:
        index = packaged_index.read_index(folder)
    except AgentError:
        return None
    for entry in index.agents:
        if name in (entry.file, Path(entry.file).stem):
            return AgentSource(folder / entry.file, policy=entry.policy)
    return None


def _best_of_run(path: Path) -> Path:
    """The best agent of a run directory."""
    if not path.is_dir():
        raise AgentError(f"{str(path)!r} is no agent: it is neither a file nor a directory")
    for name in AGENT_FILES:
        if (path / name).is_file():
            return path / name
    if any((path / name).exists() for name in RUN_FILES):
        raise AgentError(
            f"the run {str(path)!r} has no agent yet. Wait until training has measured or finished "
            "one, or go on with it: the same `warpzone train` command with --resume"
        )
    runs = [run.parent for run in sorted(path.glob("*/*.safetensors")) if run.name in AGENT_FILES]
    if runs:
        names = ", ".join(dict.fromkeys(str(run) for run in runs))
        raise AgentError(f"{str(path)!r} is not a run, but these in it are: {names}")
    raise AgentError(
        f"{str(path)!r} is not a run: it holds neither {' nor '.join(AGENT_FILES)}. {TRAIN_HINT}"
    )
