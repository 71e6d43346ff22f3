"""What a process that meets faults does before a campaign: its trainings are programs of a moment,
and its agents are not measured (see `tests.support.faults.Machine.run`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from warpzone.agents import campaign_results
from warpzone.training import campaign, sweep
from warpzone.training.sweep import Entry

TRAIN = """
import json, pathlib, sys
path = pathlib.Path(sys.argv[1])
path.mkdir(parents=True, exist_ok=True)
(path / "best.safetensors").touch()
state = {"state": "finished", "step": 1000, "best_clear_rate": 0.99}
(path / "status.json").write_text(json.dumps(state))
"""


def specialist(
    entry: Entry, preset: str, steps: int, settings: Sequence[str], rom: Path | None
) -> list[str]:
    return [sys.executable, "-I", "-c", TRAIN, str(entry.path)]


def prepare() -> None:
    defaults = campaign.run.__kwdefaults__
    assert defaults is not None
    defaults["make_command"] = specialist
    campaign_results.measure_campaign = lambda *_, **__: None  # type: ignore[assignment]
    sweep.POLL = sweep.PAUSE = 0.01
    campaign.SAVE_EVERY = 0.0
