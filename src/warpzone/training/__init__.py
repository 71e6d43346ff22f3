"""Proximal policy optimisation, from a configuration to a run directory with a trained agent.

Knows no window, no film and no browser: who wants to see a run reads its directory.

`train`, which brings torch with it, is loaded at its first use: reading or writing
configurations stays quick.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from warpzone.training.config import NetworkConfig, TrainConfig
from warpzone.training.presets import PRESETS, resolve

if TYPE_CHECKING:
    from warpzone.training.trainer import RunResult, train

# Where torch uses several threads, they wait for each other by spinning. With other programs on the
# cores, as on most laptops, that spinning takes the time that the one waited for needs: under two
# busy loops on two cores two threads learnt less than 1,000 samples/s, and 34,000 with this limit.
# libgomp reads it when torch loads it, so it must be said before.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")

__all__ = ["PRESETS", "NetworkConfig", "RunResult", "TrainConfig", "resolve", "train"]


def __getattr__(name: str) -> Any:
    if name in ("RunResult", "train"):
        from warpzone.training import trainer

        return getattr(trainer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
