"""Sets of actions by name, and buttons by name."""

from __future__ import annotations

import pytest

from warpzone.errors import ConfigError
from warpzone.smb.actions import ACTION_SETS, BUTTONS, action_names, buttons_of

SELECT_START = BUTTONS["select"] | BUTTONS["start"]


def test_sizes_are_those_of_gym_super_mario_bros() -> None:
    sizes = {name: len(actions) for name, actions in ACTION_SETS.items()}
    assert sizes == {"right_only": 5, "simple": 7, "complex": 12, "down": 11}


def test_sets_of_gym_super_mario_bros() -> None:
    """Order matters: agents trained with a set mean its positions."""
    right_only = [[], ["right"], ["right", "A"], ["right", "B"], ["right", "A", "B"]]
    assert ACTION_SETS["right_only"] == right_only
    simple = [*right_only, ["A"], ["left"]]
    assert ACTION_SETS["simple"] == simple
    rest = [["left", "A"], ["left", "B"], ["left", "A", "B"], ["down"], ["up"]]
    assert ACTION_SETS["complex"] == simple + rest
    assert ["down"] in ACTION_SETS["down"]


@pytest.mark.parametrize("name", ACTION_SETS)
def test_no_set_pauses_or_repeats_itself(name: str) -> None:
    bytes_ = [buttons_of(names) for names in ACTION_SETS[name]]
    assert not any(byte & SELECT_START for byte in bytes_)
    assert len(set(bytes_)) == len(bytes_)


def test_bits() -> None:
    assert [buttons_of([name]) for name in BUTTONS] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert buttons_of([]) == buttons_of(["NOOP"]) == 0
    assert buttons_of(["right", "A", "B", "A"]) == 131


def test_a_wrong_name_is_told_with_the_right_ones() -> None:
    with pytest.raises(ConfigError, match="no button 'jump': buttons are A, B, select, start"):
        buttons_of(["right", "jump"])


def test_names_for_people() -> None:
    assert action_names([[], ["NOOP"], ["right", "A"], ["down"]]) == [
        "nothing",
        "nothing",
        "right + A",
        "down",
    ]
