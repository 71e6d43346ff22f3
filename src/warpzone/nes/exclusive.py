"""Keeps a second thread away from what one thread is using."""

from __future__ import annotations

import functools
from collections.abc import Callable
from threading import RLock
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

from warpzone.errors import EngineError

Given = ParamSpec("Given")
Result = TypeVar("Result")
Owner = TypeVar("Owner", bound="InUse")


class InUse:
    """Has methods of which only one thread at a time may be in any."""

    _USED: ClassVar[str] = "these games"
    _OWN: ClassVar[str] = "an environment"
    """What each thread can have of its own instead."""

    def __init__(self) -> None:
        self._in_use = RLock()  # a reward function may look at the games that it is called for


def exclusive(
    method: Callable[Concatenate[Owner, Given], Result],
) -> Callable[Concatenate[Owner, Given], Result]:
    """Makes a method of an `InUse` raise `EngineError`, and do nothing, while another thread is in
    one that is marked so too."""

    @functools.wraps(method)
    def guarded(self: Owner, /, *args: Given.args, **kwargs: Given.kwargs) -> Result:
        lock: Any = self._in_use
        if not lock.acquire(blocking=False):
            raise EngineError(
                f"{method.__name__}: another thread is using {self._USED}. One thread at a time "
                f"may; make {self._OWN} for each thread, or take a lock around all calls"
            )
        try:
            return method(self, *args, **kwargs)
        finally:
            lock.release()

    return guarded
