"""Files `episode_ends.jsonl` as training writes them, without training."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from warpzone.maps.episode_ends import NAME


def end(**changes: Any) -> dict[str, Any]:
    """One line."""
    line = {"step": 1000, "level": "1-1", "area": 1, "x": 300, "y": 79, "death": 1}
    return line | {"cleared": False, "return": 3.5, "frames": 200, "own": True} | changes


def write_ends(run: Path, lines: Iterable[dict[str, Any]]) -> Path:
    """Append lines to the file of a run directory."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / NAME).open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return run / NAME


def random_ends(
    count: int, seed: int = 0, level: str = "1-1", area: int = 1
) -> list[dict[str, Any]]:
    """Ends all over a level, of every kind that there is."""
    random = np.random.default_rng(seed)
    return [
        end(
            step=1000 * i,
            level=level,
            area=area,
            x=int(random.integers(40, 3200)),
            y=int(random.integers(30, 250)),
            death=int(random.integers(0, 5)),
            cleared=bool(random.random() < 0.1),
        )
        for i in range(count)
    ]
