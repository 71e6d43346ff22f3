"""Measurements that are made up: results, and a pool in which they are made at once."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from warpzone.training.evaluation import EvalResult, wilson


def result(rate: float, episodes: int = 100) -> EvalResult:
    cleared = round(rate * episodes)
    frames = 1202.0 if cleared else None
    return EvalResult(rate, episodes, wilson(cleared, episodes), 2000.0, frames)


class Here:
    """A pool of no threads."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        pass

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *arguments: object) -> None:
        pass

    def shutdown(self, **settings: object) -> None:
        pass

    def submit(self, work: Any, *arguments: Any) -> Any:
        future: Future[Any] = Future()
        future.set_result(work(*arguments))
        return future
