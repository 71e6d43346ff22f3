"""`warpzone eval`."""

from __future__ import annotations

import json

from tests.support.commands import error_of, run


def test_a_row_of_levels_needs_one_agent_and_one_first_level() -> None:
    assert "--through needs an agent" in error_of("eval", "--through", "1-2")
    several = error_of("eval", "1-1", "--levels", "1-1,1-2", "--through", "1-3")
    assert "names 2 levels" in several


def test_a_row_of_levels() -> None:
    told = run("eval", "4-1", "--through", "4-2", "--episodes", "3", "--json")
    assert set(json.loads(told.stdout)["reached"]) == {"4-1", "4-2"}
    shown = run("eval", "4-1", "--through", "4-2", "--episodes", "3")
    assert "4-1 to 4-2 with one life: 0.0% of 3 episodes" in shown.stdout
