"""Sets of actions by name, and buttons by name."""

from __future__ import annotations

import pytest

from warpzone.errors import ConfigError
from warpzone.nes.buttons import BUTTONS, action_names, buttons_of, keys_to_action
from warpzone.smb.actions import ACTION_SETS, action_set

SELECT_START = BUTTONS["select"] | BUTTONS["start"]


def test_sizes_are_those_of_gym_super_mario_bros() -> None:
    sizes = {name: len(actions) for name, actions in ACTION_SETS.items()}
    assert sizes == {"right_only": 5, "simple": 7, "complex": 12, "down": 11, "all": 256}


def test_sets_of_gym_super_mario_bros() -> None:
    """Order matters: agents trained with a set mean its positions."""
    right_only = [[], ["right"], ["right", "A"], ["right", "B"], ["right", "A", "B"]]
    assert ACTION_SETS["right_only"] == right_only
    simple = [*right_only, ["A"], ["left"]]
    assert ACTION_SETS["simple"] == simple
    rest = [["left", "A"], ["left", "B"], ["left", "A", "B"], ["down"], ["up"]]
    assert ACTION_SETS["complex"] == simple + rest
    assert ["down"] in ACTION_SETS["down"]


@pytest.mark.parametrize("name", [name for name in ACTION_SETS if name != "all"])
def test_no_set_pauses_or_repeats_itself(name: str) -> None:
    bytes_ = [buttons_of(names) for names in ACTION_SETS[name]]
    assert not any(byte & SELECT_START for byte in bytes_)
    assert len(set(bytes_)) == len(bytes_)


def test_all_are_the_states_of_the_controller() -> None:
    assert [buttons_of(names) for names in ACTION_SETS["all"]] == list(range(256))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("RIGHT_ONLY", "right_only"),
        ("SIMPLE_MOVEMENT", "simple"),
        ("COMPLEX_MOVEMENT", "complex"),
        ("simple_movement", "simple"),
        ("down", "down"),
        ("all", "all"),
    ],
)
def test_names_of_gym_super_mario_bros_are_understood(given: str, name: str) -> None:
    assert action_set(given) == name
    with pytest.raises(ConfigError, match=f"there is no action set '{given}_'"):
        action_set(f"{given}_")


def test_keys_are_those_of_nes_py() -> None:
    keys = keys_to_action(ACTION_SETS["simple"])
    assert keys[(ord("d"),)] == 1
    assert keys[tuple(sorted(map(ord, "dop")))] == 4
    assert keys[(ord("o"),)] == 5
    assert keys[(ord("a"),)] == 6
    assert () not in keys  # no keys: gymnasium.utils.play has its own word for nothing
    assert len(keys) == 6


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
