"""Run directories as a training leaves them, without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LINES = {
    "charts/SPS": 9000.0,
    "charts/rollout_seconds": 0.5,
    "charts/update_seconds": 0.5,
    "rollout/best_x": 700.0,
    "rollout/episode_return": 12.0,
    "losses/entropy": 1.9,
    "losses/kl": 0.01,
    "losses/explained_variance": 0.4,
}


def metrics_line(step: int, **values: Any) -> str:
    """A line of metrics.jsonl; `values` by the part of the name after its slash."""
    row = {name: values.pop(name.partition("/")[2], value) for name, value in LINES.items()}
    rate = values.pop("clear_rate", min(1.0, step / 100_000))
    return json.dumps({"step": step, "rollout/clear_rate": rate, **row, **values}) + "\n"


def make_run(
    path: Path,
    *,
    level: str = "1-1",
    state: str = "finished",
    updates: int = 20,
    measured: float | None = 0.9,
    **config: Any,
) -> Path:
    """A run directory as a training leaves it, as far as readers look."""
    path.mkdir(parents=True)
    settings = {
        "preset": "tiles",
        "env": {"levels": {level: 1.0}, "noop_max": 30},
        "total_steps": 100_000,
        "lr": 0.002,
        "seed": 0,
    }
    (path / "config.json").write_text(json.dumps(settings | config))
    status: dict[str, Any] = {"state": state, "step": updates * 1000}
    if state != "running":
        status["best_clear_rate"] = measured
    if measured is not None and state == "finished":
        result = {"clear_rate": measured, "episodes": 100, "ci95": [measured - 0.1, measured]}
        status["measured"] = {level: result | {"mean_progress": 3000.0, "mean_frames": None}}
    (path / "status.json").write_text(json.dumps(status))
    lines = [metrics_line(1000 * (i + 1)) for i in range(updates)]
    (path / "metrics.jsonl").write_text("".join(lines))
    return path
