"""A few agents from the course of a run, evenly spread over it, to see how it learnt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from torch import Tensor

from warpzone.errors import FileError
from warpzone.files import by_number
from warpzone.training.agent_file import AgentInfo, save_agent

_NAME = re.compile(r"step-(\d{12,})\.safetensors")

MOST = 8
"""Agents that a run keeps of its course."""


class Milestones:
    """At most `MOST` agents of one run in one directory, named by step.

    A run does not know how long it will be. So an agent is kept after each update at first, then
    after every second, every fourth …, and those between are deleted: there are always more than
    half of `MOST`, as far apart as each other. Which ones depends on nothing but the step, so
    that a run which was interrupted keeps the same ones.
    """

    def __init__(self, directory: Path, batch: int) -> None:
        """`batch`: steps of an update."""
        self.directory, self._batch = directory, batch

    def paths(self) -> list[Path]:
        """Newest last."""
        with suppress(OSError):
            found = (p for p in self.directory.iterdir() if _NAME.fullmatch(p.name))
            return sorted(found, key=by_number)
        return []

    def due(self, step: int) -> bool:
        """Returns whether an agent is to be kept of this step."""
        return step > 0 and step % self._apart(step) == 0

    def add(self, weights: Mapping[str, Tensor], info: AgentInfo) -> None:
        """Keeps an agent, in float16, and deletes those that lie between the kept ones now.

        Raises:
            FileError: the disk is full or the directory cannot be written.
        """
        apart = self._apart(info.steps)
        path = self.directory / f"step-{info.steps:012d}.safetensors"
        save_agent(path, weights, info, half=True, durable=False)  # there are others
        for old in self.paths():
            if _step(old) % apart:
                with suppress(OSError):  # it goes after the next
                    old.unlink(missing_ok=True)

    def _apart(self, step: int) -> int:
        apart = self._batch
        while step > MOST * apart:
            apart *= 2
        return apart

    def forget_after(self, step: int) -> None:
        """Deletes what a run that goes on from `step` will learn otherwise.

        Raises:
            FileError: one cannot be deleted.
        """
        for path in self.paths():
            if _step(path) > step:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    reason = error.strerror or str(error)
                    raise FileError(
                        f"cannot delete {str(path)!r}: {reason}. The run goes on from an earlier"
                        " step and must not keep it",
                        error.errno,
                        reason,
                    ) from error


def _step(path: Path) -> int:
    found = _NAME.fullmatch(path.name)
    assert found is not None
    return int(found[1])
