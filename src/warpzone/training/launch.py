"""What torchrun has told the processes that it starts, by their environment, and whether it starts
them again.

Quick to import: it loads no torch. Knows no run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from warpzone.errors import ConfigError
from warpzone.training.run_settings import read_status

RUN_ID = "TORCHELASTIC_RUN_ID"
"""The variable that torchrun alone sets: other launchers set RANK and WORLD_SIZE for programs that
know nothing of `warpzone.training.ranks`."""


@dataclass(frozen=True)
class Launch:
    """Which of several processes this is."""

    rank: int = 0
    """Its number, from 0."""
    size: int = 1
    """How many there are."""
    local_rank: int = 0
    """Its number among those on this machine."""
    local_size: int = 1
    """How many are on this machine."""
    restarts: int = 0
    """How often all were started again after one had failed."""
    name: str | None = None
    """Of all this, whoever comes and goes (`--rdzv-id`); None: it has none."""

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which alone writes and prints."""
        return self.rank == 0

    def started_again(self, run: Path) -> bool:
        """Returns whether the run in a directory, if there is one, was begun by processes that
        these are started in place of: after a failure, or since some have come or gone."""
        if not os.path.lexists(run / "config.json"):
            return False
        return self.restarts > 0 or (
            self.name is not None and read_status(run).get("launch") == self.name
        )


def launched(variables: Mapping[str, str] | None = None) -> Launch:
    """Returns which process this is, by `variables` or (None) those of the environment; alone, if
    torchrun did not start it.

    Raises:
        ConfigError: one of them is missing.
    """
    told = os.environ if variables is None else variables
    if RUN_ID not in told:
        return Launch()
    names = {
        "rank": "RANK",
        "size": "WORLD_SIZE",
        "local_rank": "LOCAL_RANK",
        "local_size": "LOCAL_WORLD_SIZE",
        "restarts": "TORCHELASTIC_RESTART_COUNT",
    }
    try:
        numbers = {name: int(told[variable]) for name, variable in names.items()}
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"torchrun has started this process, but not told it which rank it is: {error}"
        ) from None
    return Launch(**numbers, name=None if told[RUN_ID] in ("", "none") else told[RUN_ID])


def refuse_torchrun(command: str) -> None:
    """Lets a command go on only where torchrun did not start it: each rank would do all of it.

    Raises:
        ConfigError: torchrun did.
    """
    if RUN_ID in os.environ:
        raise ConfigError(
            f"torchrun has started `warpzone {command}`, which does not divide its work among"
            " processes: each of them would do all of it. Start it without torchrun (in a program"
            f" that torchrun has started: without the variable {RUN_ID}). Only `warpzone train`"
            " is for several ranks"
        )
