"""Runs, games and maps in a browser, served on this machine.

Answers, and leaves it to `runs`, `maps` and `episodes` to read and compute. Must not know: how a
run is trained. Never writes into a run; nothing but the command line imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from warpzone.extras import DASHBOARD, need

need("The dashboard", dashboard=DASHBOARD)

if TYPE_CHECKING:
    from warpzone.dashboard.notebook import show

__all__ = ["show"]


def __getattr__(name: str) -> Any:
    if name == "show":
        from warpzone.dashboard.notebook import show

        return show
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
