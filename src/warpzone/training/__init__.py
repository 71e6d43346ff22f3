"""Learning, from a configuration to a run directory with a trained agent.

Knows no window, no film and no browser: who wants to see a run reads its directory.

`train`, which brings torch with it, is loaded at its first use: reading or writing
configurations stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from warpzone.extras import AGENT, need

need("Training", train=AGENT)

from warpzone.training.config import NetworkConfig, TrainConfig
from warpzone.training.network_registry import name_network, register_network
from warpzone.training.presets import PRESETS, resolve

if TYPE_CHECKING:
    from warpzone.training.trainer import RunResult, train

__all__ = [
    "PRESETS",
    "NetworkConfig",
    "RunResult",
    "TrainConfig",
    "name_network",
    "register_network",
    "resolve",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in ("RunResult", "train"):
        from warpzone.training import trainer

        return getattr(trainer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
