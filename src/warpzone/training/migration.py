"""Settings as older versions of warpzone wrote them, under the names of today.

Run directories and agents keep their settings as JSON. Where a name has changed since, what was
written before must still be read; this is the one place that knows how.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RENAMED: dict[str, str] = {
    "passes": "update_epochs",
    "minibatch": "minibatch_size",
    "eval_noops": "eval_noop_max",
    "eval_sticky": "eval_repeat_action_probability",
    "env.noops": "env.noop_max",
    "env.sticky": "env.repeat_action_probability",
}
"""Old dotted names of settings, and what they are called now. A new name is in the same group."""


def migrate(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `settings`, a run's or an agent's as read from JSON, with today's names.

    What has today's names already comes back equal; values are never changed. A name that is
    neither old nor known is kept, for the model that reads it to refuse.
    """
    return _renamed(settings, "")


def _renamed(settings: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    result = {}
    for name, value in settings.items():
        new = RENAMED.get(prefix + name, prefix + name).removeprefix(prefix)
        result[new] = _renamed(value, f"{prefix}{name}.") if isinstance(value, Mapping) else value
    return result
