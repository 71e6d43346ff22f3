"""What must stay the same while the code is put into another order: see `recorded.py`."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.unchanged.recorded import (
    CLEARED_DIFFER,
    GROUPS,
    Result,
    differences,
    load,
    machine,
)

import warpzone

ITEMS = [(group, item) for group, items in GROUPS.items() for item in items]


@pytest.fixture(scope="module", autouse=True)
def recorded_cartridge() -> None:
    revision = warpzone.Console().rom.revision
    if revision != "Europe":
        pytest.skip(f"the records are of the cartridge that `warpzone rom` fetches, not {revision}")


@pytest.mark.parametrize(("group", "item"), ITEMS, ids=[f"{g}: {i}" for g, i in ITEMS])
def test_is_as_recorded(group: str, item: str) -> None:
    found = differences(GROUPS[group][item](), load(group)[item])
    assert not found, (
        "\n".join(found) + f"\nIf that is meant: python -m scripts.record_unchanged {group}"
    )


@pytest.mark.parametrize("group", GROUPS)
def test_every_item_is_recorded_and_no_other(group: str) -> None:
    assert list(load(group)) == list(GROUPS[group])


def _elsewhere(recorded: Any) -> Any:
    """A record as it looks to a machine that it was not made on."""
    return {**recorded, "exact": {"another": "0"}}


def test_another_processor_may_round_otherwise_but_not_learn_otherwise() -> None:
    recorded = load("training")["tiles"]
    near = copy.deepcopy(recorded["near"])
    sums = next(iter(near.values()))
    within = 1e-3
    sums[0][0] += 0.5 * within
    assert not differences(Result("", near, within), _elsewhere(recorded))
    sums[0][0] += within
    assert differences(Result("", near, within), _elsewhere(recorded))
    here = {**recorded, "exact": {machine(): "0"}}
    assert differences(Result("", recorded["near"], within), here)


def test_another_processor_may_clear_a_few_more_but_not_many() -> None:
    recorded = load("evaluation")["1-2, argmax"]
    near = copy.deepcopy(recorded["near"])
    near["cleared"]["1-2"] -= CLEARED_DIFFER
    assert not differences(Result(None, near, CLEARED_DIFFER), _elsewhere(recorded))
    near["cleared"]["1-2"] -= 1
    assert differences(Result(None, near, CLEARED_DIFFER), _elsewhere(recorded))
