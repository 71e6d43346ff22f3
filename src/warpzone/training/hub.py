"""Agents of the Hugging Face Hub by name, `hf://OWNER/NAME`: fetched, and nothing else of their
repositories.

Two files are fetched, `agent.safetensors` and `config.json`, after their sizes have been asked for;
neither can execute code, and `agent_file` believes the first in nothing. Needs the package
huggingface_hub, whose cache, login and endpoint (HF_HOME, HF_TOKEN, HF_ENDPOINT) hold. It knows no
network and plays no game.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warpzone.console_text import announce, one_line
from warpzone.errors import AgentError
from warpzone.extras import need
from warpzone.files import read_regular_file
from warpzone.training.agent_file import MOST_BYTES, PolicyMode

AGENT, CONFIG, CARD = "agent.safetensors", "config.json", "README.md"
"""The files of a shared agent."""
LIBRARY = "warpzone"
"""What `library_name` in its `config.json` is."""
MOST_CONFIG_BYTES = 1 << 20
SCHEME = "hf://"

_SCHEME = re.compile(r"hf:/{1,2}")  # a path holds one of the two strokes
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?"
_NAME = re.compile(rf"({_PART})/({_PART})")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")


@dataclass(frozen=True, slots=True)
class HubName:
    """A repository of the Hub, and which state of it.

    Attributes:
        repo: OWNER/NAME.
        revision: a branch, a tag or a commit; None: the newest.
    """

    repo: str
    revision: str | None = None

    def __str__(self) -> str:
        """Returns it as it is given on the command line."""
        return f"{SCHEME}{self.repo}" + (f"@{self.revision}" if self.revision else "")


def check_repo(repo: str, given: str | None = None) -> str:
    """Returns `repo`, OWNER/NAME.

    Args:
        repo: the name.
        given: what it is part of, for the message.

    Raises:
        AgentError: no repository of the Hub can have that name.
    """
    found = _NAME.fullmatch(repo)
    if found is None or any(mark in repo for mark in ("..", "--")):
        raise AgentError(
            f"{one_line(repr(given or repo))} is no name of a repository: it is OWNER/NAME, each of"
            " letters, digits, '-', '_' and '.'"
        )
    return repo


def hub_name(name: str | Path) -> HubName | None:
    """Returns what `hf://OWNER/NAME` or `hf://OWNER/NAME@REVISION` names; None: it is no such name.

    Raises:
        AgentError: it begins like one, and none can be called so.
    """
    text = name.as_posix() if isinstance(name, Path) else name
    scheme = _SCHEME.match(text)
    if scheme is None:
        return None
    rest = text[scheme.end() :]
    repo, at, revision = rest.partition("@")
    if at and (_REVISION.fullmatch(revision) is None or ".." in revision):
        raise AgentError(f"{one_line(repr(revision))} is no revision: a branch, a tag or a commit")
    return HubName(check_repo(repo, SCHEME + rest), revision or None)


def require_hub() -> Any:
    """Returns the package.

    Raises:
        MissingPackageError: it is not installed.
    """
    need("The Hugging Face Hub", hub=("huggingface_hub",))
    importlib.import_module("huggingface_hub.errors")
    return importlib.import_module("huggingface_hub")


def fetch(name: HubName) -> Path:
    """Returns the folder with the files of an agent, fetched if they are not here.

    What has been fetched before is used where the Hub cannot be reached.

    Raises:
        MissingPackageError: huggingface_hub is not installed.
        AgentError: no such repository or agent, one that is too large, or the Hub cannot be
            reached; the text says which.
    """
    return _fetched(name)


@functools.cache  # one command asks several times, and is to mean one state of it
def _fetched(name: HubName) -> Path:
    hub = require_hub()
    api = hub.HfApi(library_name=LIBRARY)
    revision = name.revision or "main"
    announce(f"Asking the Hugging Face Hub for {name}.")
    try:
        try:
            info = api.model_info(name.repo, revision=name.revision, files_metadata=True)
        except Exception as error:
            if not _unreachable(hub, error):
                raise
            return _cached(api, name, revision, error)
        sizes = {file.rfilename: file.size for file in info.siblings or ()}
        for file, limit in ((AGENT, MOST_BYTES), (CONFIG, MOST_CONFIG_BYTES)):
            if file not in sizes:
                raise AgentError(f"{name} is no agent of warpzone: there is no {file} in it")
            size = sizes[file]
            if size is None or size > limit:
                told = "does not say how large it is" if size is None else f"has {size:,} bytes"
                raise AgentError(f"{name}: {file} {told}, and {limit:,} bytes are the most")
        config = Path(api.hf_hub_download(name.repo, CONFIG, revision=revision))
        # Of the same commit, whatever has been sent there meanwhile; its folder is named after it.
        agent = Path(api.hf_hub_download(name.repo, AGENT, revision=config.parent.name))
    except AgentError:
        raise
    except Exception as error:
        raise problem(hub, name, error) from error
    return agent.parent


def _cached(api: Any, name: HubName, revision: str, error: Exception) -> Path:
    """The folder of what has been fetched before."""
    try:
        files = [
            Path(api.hf_hub_download(name.repo, file, revision=revision, local_files_only=True))
            for file in (CONFIG, AGENT)
        ]
    except Exception:
        raise AgentError(
            f"the Hugging Face Hub cannot be reached ({_reason(error)}), and {name} has not been"
            " fetched before. Go online, or take the file agent.safetensors from somebody who has"
            " it and name that"
        ) from error
    return files[1].parent


def _unreachable(hub: Any, error: Exception) -> bool:
    """Whether no answer came at all."""
    return not isinstance(error, hub.errors.HfHubHTTPError | ValueError)


def problem(hub: Any, name: HubName, error: Exception) -> AgentError:
    """Returns what to tell of an error of the package: in words, with what to do."""
    errors = hub.errors
    if isinstance(error, errors.GatedRepoError):
        return AgentError(f"{name} is gated: ask for access on its page, then `hf auth login`")
    if isinstance(error, errors.RepositoryNotFoundError):
        return AgentError(
            f"there is no {name} on the Hugging Face Hub, or it is private: then `hf auth login`, "
            "or set HF_TOKEN"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return AgentError(f"{name}: there is no such branch, tag or commit")
    if isinstance(error, errors.LocalTokenNotFoundError):
        return AgentError("no login for the Hugging Face Hub: `hf auth login`, or set HF_TOKEN")
    if isinstance(error, errors.HfHubHTTPError):
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            return AgentError(
                f"the Hugging Face Hub refuses {name} to this login: `hf auth login` with a token"
                " that may do that, or set HF_TOKEN"
            )
        return AgentError(f"the Hugging Face Hub does not give {name}: {_reason(error)}")
    return AgentError(f"the Hugging Face Hub cannot be reached: {_reason(error)}")


def shared_config(folder: Path) -> dict[str, Any] | None:
    """Returns what the `config.json` of a folder with a shared agent holds; None: it is none."""
    try:
        found = json.loads(read_regular_file(folder / CONFIG, MOST_CONFIG_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("library_name") != LIBRARY:
        return None
    return found


def shared_policy(folder: Path) -> PolicyMode:
    """Returns what the agent in `folder` plays best with, by its `config.json`; else "sample"."""
    config = shared_config(folder)
    return "argmax" if config is not None and config.get("policy") == "argmax" else "sample"


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return one_line(text)[:300]
