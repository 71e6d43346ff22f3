"""The game as gym-super-mario-bros 7.x tells it: `scripts/record_gym.py` took down what it says."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.parity.play import DATA, parse_moves

import warpzone
from warpzone.nes.buttons import BUTTONS
from warpzone.nes.cartridge import open_rom
from warpzone.smb.known_cartridges import DEFAULT, KNOWN
from warpzone.smb.levels import LEVELS

COLUMNS = (
    "reward", "done", "flag_get", "x_pos", "y_pos", "coins", "score", "time", "life", "world",
    "stage", "status",
)  # fmt: skip
STACK = slice(0x0160, 0x0200)
"""What lies below in that page are the game's own variables."""
ALL_BUTTONS = [[name for name, bit in BUTTONS.items() if byte & bit] for byte in range(256)]


@dataclass(frozen=True)
class Record:
    level: str
    ram: NDArray[np.uint8]
    """Before the first step."""
    buttons: list[int]
    values: NDArray[np.int64]
    """What each step tells, in `COLUMNS`."""


@pytest.fixture(scope="module", autouse=True)
def recorded_cartridge() -> None:
    if open_rom().sha256 != KNOWN[DEFAULT].sha256:
        pytest.skip("the records are of the cartridge that `warpzone rom` fetches")


def unpack(text: str) -> bytes:
    return zlib.decompress(base64.b85decode(text))


@cache
def records() -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for line in (DATA / "gym.jsonl").read_text().splitlines():
        fields = json.loads(line)
        changes = np.frombuffer(unpack(fields["values"]), "<i4").reshape(len(COLUMNS), -1)
        record = Record(
            fields["level"],
            np.frombuffer(unpack(fields["ram"]), np.uint8),
            [byte for byte, count in parse_moves(fields["buttons"]) for _ in range(count)],
            changes.T.astype(np.int64).cumsum(axis=0),
        )
        assert len(record.buttons) == len(record.values)
        found.setdefault(record.level, []).append(record)
    return found


def told(reward: float, terminated: bool, info: dict[str, Any]) -> list[int]:
    """Ours in the words of `COLUMNS`."""
    names = ("x", "y", "coins", "score", "time", "lives", "world", "stage", "status")
    return [int(reward), terminated, info["flag"], *(info[name] for name in names)]


@pytest.mark.parametrize("level", LEVELS)
def test_same_words(level: str) -> None:
    env = warpzone.make(level, reward="gym", frame_skip=1, actions=ALL_BUTTONS, observation="ram")
    for number, record in enumerate(records()[level]):
        env.reset()
        ram = env.ram()
        stack = ram[STACK].copy()
        ram[:] = record.ram
        ram[STACK] = stack
        for i, (buttons, values) in enumerate(zip(record.buttons, record.values, strict=True)):
            _, reward, terminated, _, info = env.step(buttons)
            ours = told(reward, terminated, info)
            wrong = {
                name: f"{theirs}, ours {mine}"
                for name, theirs, mine in zip(COLUMNS, values.tolist(), ours, strict=True)
                if theirs != mine
            }
            if i == 0:  # it compares with what was before the RAM was put in
                wrong.pop("reward", None)
            if info["frames"] > i + 1:
                # Theirs tells where a pipe is entered, ours where it has led to.
                assert i + 1 == len(record.values)
                wrong = {name: what for name, what in wrong.items() if name in COLUMNS[:3]}
            assert not wrong, f"record {number}, step {i} of {len(record.values)}: {wrong}"


def test_the_records_are_long_and_varied() -> None:
    assert records().keys() == set(LEVELS)
    everything = [record for level in LEVELS for record in records()[level]]
    values = np.concatenate([record.values for record in everything])
    columns = dict(zip(COLUMNS, values.T, strict=True))
    assert len(values) > 60_000
    assert columns["done"].sum() > 40
    assert columns["flag_get"].sum() >= 8
    assert set(np.unique(columns["status"]).tolist()) >= {0, 1}
    for name in ("coins", "score", "time", "x_pos", "y_pos", "reward"):
        assert len(np.unique(columns[name])) > 8, name
