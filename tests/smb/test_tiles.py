"""The tile view against what the game draws and knows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.parity.play import load_runs
from tests.support.scripts import (
    ACTIONS,
    AXE,
    FLAGPOLE,
    INDEX,
    LEAP,
    LEFT,
    LIFTS,
    PIPE,
    RUN,
    WALK,
    steps,
)

import warpzone
from warpzone import _native
from warpzone.nes.buttons import BUTTONS
from warpzone.nes.cartridge import RomSource
from warpzone.smb.levels import LEVELS
from warpzone.smb.starts import start_level

PLANES = {name: i for i, name in enumerate(_native.TILE_PLANES)}
MAP_TOP, MARIO_COLUMN = 32, 4
FIREBAR_TILES, GOOMBA_TILES, LIFT_TILES = {0x64, 0x65}, {0x70, 0x71, 0x72, 0x73}, {0x5B}


@dataclass
class Moment:
    tiles: NDArray[np.uint8]
    scalars: NDArray[np.float32]
    ram: NDArray[np.int64]
    sprites: NDArray[np.int64]
    """Those on the picture: y, tile, attributes, x."""
    screen: NDArray[np.uint8]

    def plane(self, name: str) -> NDArray[np.uint8]:
        found: NDArray[np.uint8] = self.tiles[PLANES[name]]
        return found

    @property
    def x(self) -> int:
        return int(self.ram[0x6D] * 256 + self.ram[0x86])

    @property
    def left(self) -> int:
        """The column of the map in the view's first column."""
        return (self.x + 8) // 16 - MARIO_COLUMN

    @property
    def screen_left(self) -> int:
        return int(self.ram[0x071A] * 256 + self.ram[0x071C])

    def cell_of(self, x: float, y: float) -> tuple[int, int]:
        """The view's row and column at a point of the picture."""
        return int(y - MAP_TOP) // 16, int(x + self.screen_left) // 16 - self.left

    def drawn(self, row: int, column: int) -> NDArray[np.uint8] | None:
        """The picture of a cell; None where it is not whole on the screen."""
        x = 16 * (self.left + column) - self.screen_left
        y = MAP_TOP + 16 * row
        return self.screen[y : y + 16, x : x + 16] if 0 <= x <= 240 else None

    def sprites_of(self, tiles: set[int]) -> Iterator[tuple[int, int]]:
        """Middles of the sprites with these pictures, on the screen."""
        for y, tile, _, x in self.sprites:
            if tile in tiles and MAP_TOP <= y < 224:
                yield int(x) + 4, int(y) + 5

    def near(self, plane: str, row: int, column: int, reach: int = 0) -> bool:
        around = self.plane(plane)[
            max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1
        ]
        return bool((around > 0).any())


def watch(
    level: str, buttons: list[int] | Iterator[int], rom: RomSource = None
) -> Iterator[Moment]:
    """One moment per step, until the level ends."""
    env = warpzone.make(level, actions=ACTIONS, keep_frames=True, rom=rom)
    obs, _ = env.reset()
    console = warpzone.Console(env.rom)
    start_level(console, level)
    for byte in buttons:
        obs, _, terminated, truncated, _ = env.step(INDEX[byte])
        if terminated or truncated:
            return
        console.step(byte, 3)
        # The picture shows the sprites as the frame before had put them together.
        sprites = console.ram[0x0200:0x0300].reshape(64, 4).astype(np.int64)
        console.step(byte)
        if not np.array_equal(console.ram, env.ram()):
            return  # a cutscene was skipped
        yield Moment(
            obs["tiles"], obs["scalars"], env.ram().astype(np.int64), sprites, env.frames()[-1]
        )


def wander(level: str, seed: int, count: int = 150, rom: RomSource = None) -> Iterator[Moment]:
    rng = np.random.default_rng(seed)
    buttons: list[int] = []
    while len(buttons) < count:
        choice = rng.choice([RUN, LEAP, WALK, LEFT, 0], p=[0.3, 0.4, 0.15, 0.1, 0.05])
        buttons += [int(choice)] * int(rng.integers(1, 8))
    return watch(level, buttons, rom)


EVERYWHERE = [(level, seed) for level in ("1-1", "1-3", "1-4", "2-1", "4-1") for seed in range(3)]


@pytest.mark.parametrize("level", ["1-1", "1-2", "2-2", "8-4"])
def test_shape_type_and_range(level: str) -> None:
    planes, rows, columns = _native.TILE_SHAPE
    assert (rows, columns) == (13, 16)
    assert planes == len(PLANES) == 8
    for moment in wander(level, seed=0):
        assert moment.tiles.shape == (planes, rows, columns)
        assert moment.tiles.dtype == np.uint8
        assert moment.scalars.shape == (_native.SCALARS,)
        assert moment.scalars.dtype == np.float32
        assert np.isfinite(moment.scalars).all()
        assert np.abs(moment.scalars).max() <= 3
        assert moment.plane("solid").any()


@pytest.mark.parametrize(("level", "seed"), [*EVERYWHERE, ("2-2", 0)])
def test_mario_stands_in_the_fifth_column(level: str, seed: int) -> None:
    for moment in wander(level, seed):
        y = int(moment.ram[0xB5] * 256 + moment.ram[0xCE]) - 256
        feet = (y + 24 - MAP_TOP) // 16
        if 0 <= feet < 13:
            assert moment.plane("mario")[feet, MARIO_COLUMN] == 255
        columns = np.flatnonzero((moment.plane("mario") == 255).any(axis=0))
        assert set(columns.tolist()) <= {MARIO_COLUMN - 1, MARIO_COLUMN, MARIO_COLUMN + 1}


@pytest.mark.parametrize(("level", "seed"), EVERYWHERE)
def test_what_is_solid_is_drawn(level: str, seed: int) -> None:
    """No solid cell shows only background; else the map would be stale or misplaced."""
    assert check_drawn(wander(level, seed), castle=level == "1-4") > 500


def check_drawn(moments: Iterator[Moment], castle: bool) -> int:
    """Returns how many solid cells were looked at."""
    checked = 0
    for moment in moments:
        background = int(np.bincount(moment.screen[MAP_TOP:].ravel()).argmax())
        for row, column in np.argwhere(moment.plane("solid") > 0):
            drawn = moment.drawn(row, column)
            if drawn is None:
                continue
            checked += 1
            if not castle:  # its walls are darker than its background
                assert (drawn != background).any(), (moment.x, row, column)
    return checked


@pytest.mark.parametrize(("level", "seed"), EVERYWHERE)
def test_whoever_stands_stands_on_something(level: str, seed: int) -> None:
    assert check_carried(wander(level, seed)) > 5


def check_carried(moments: Iterator[Moment]) -> int:
    """Returns in how many moments Mario stood."""
    stood = 0
    for moment in moments:
        y = int(moment.ram[0xCE])
        if moment.ram[0x1D] != 0 or moment.ram[0x9F] != 0 or moment.ram[0xB5] != 1:
            continue
        stood += 1
        below = (y + 32 - MAP_TOP) // 16
        columns = {(moment.x + dx) // 16 - moment.left for dx in (2, 8, 13)}
        carried = any(
            moment.near(plane, row, column)
            for plane in ("solid", "block", "platform")
            for row in (below, below - 1)
            for column in columns
            if row < 13
        )
        assert carried, (moment.x, y)
    return stood


def test_landmarks_of_1_1() -> None:
    """Blocks, bricks and a pipe where everybody knows them."""
    for moment in watch("1-1", [WALK] * 60):
        for column, row, plane, value in [
            (16, 7, "block", 255),
            (20, 7, "block", 160),
            (21, 7, "block", 255),
            (22, 3, "block", 255),
            (28, 9, "solid", 255),
            (29, 10, "solid", 255),
            (28, 8, "solid", 0),
            (18, 11, "solid", 255),
            (18, 10, "solid", 0),
        ]:
            if 0 <= column - moment.left < 16 and 16 * column < moment.screen_left + 256:
                assert moment.plane(plane)[row, column - moment.left] == value, (column, row)
        if moment.x > 170:
            break
    assert moment.x > 170


def test_pits_are_open() -> None:
    """1-1's first one lies at columns 69 and 70."""
    seen = False
    for moment in watch("1-1", steps(FLAGPOLE)):
        if moment.left <= 67 <= moment.left + 4:
            solid = moment.plane("solid")
            at = 69 - moment.left
            assert (solid[11:, at : at + 2] == 0).all()
            assert (solid[11:, at - 1] == 255).all()
            assert (solid[11:, at + 2] == 255).all()
            seen = True
    assert seen


def test_nothing_stale_is_seen_ahead() -> None:
    """The game's map is a ring of 32 columns; those that it has not filled yet hold old ones."""
    moments = list(watch("1-1", steps(FLAGPOLE)))
    ground = {
        moment.left + column: moment.plane("solid")[11:, column].tolist()
        for moment in moments
        for column in range(MARIO_COLUMN + 1)  # of each column what is seen last, passing it
    }
    del ground[-1]  # left of the level
    assert sum(column == [0, 0] for column in ground.values()) == 7, "1-1 has three pits"
    for moment in moments:
        for column in range(16):
            ahead = moment.plane("solid")[11:, column].tolist()
            assert ahead == [0, 0] or ahead == ground.get(moment.left + column, ahead)

    beyond = 0
    for moment in watch("1-4", steps(AXE)):  # Mario comes near the right edge before the axe
        filled = int(moment.ram[0x0725] * 16 + moment.ram[0x0726]) - moment.left
        beyond += filled < 16
        assert not moment.tiles[: PLANES["enemy"], :, filled:].any()
    assert beyond > 5


def sprites_are_marked(
    moments: Iterator[Moment], tiles: set[int], plane: str, value: int | None
) -> int:
    """How many such sprites lay within the view; all of them must be in marked cells or beside."""
    seen = exactly = 0
    for moment in moments:
        for x, y in moment.sprites_of(tiles):
            row, column = moment.cell_of(x, y)
            if not (1 <= column < 15 and 0 <= row < 13):  # at the edges the neighbour is missing
                continue
            seen += 1
            exactly += moment.near(plane, row, column)
            assert moment.near(plane, row, column, reach=1), (moment.x, row, column)
            if value is not None:
                assert value in moment.plane(plane), moment.x
    assert exactly > 0.85 * seen
    return seen


def test_goombas_are_enemies() -> None:
    seen = sum(
        sprites_are_marked(wander("1-1", seed), GOOMBA_TILES, "enemy", 255) for seed in range(3)
    )
    assert seen > 100


def test_firebars_are_hazards_along_their_length() -> None:
    assert sprites_are_marked(watch("1-4", steps(AXE)), FIREBAR_TILES, "hazard", 192) > 500


PATH_VALUES = (112, 88, 64, 40)


def hazards(obs: dict[str, np.ndarray]) -> np.ndarray:
    plane: np.ndarray = obs["tiles"][PLANES["hazard"]]
    return plane


def paths_come_true(now: int, moments: list[np.ndarray], pace: int) -> int:
    """Hazards of value `now` are where planes before said, `pace` steps for each value; how
    many."""
    checked = 0
    for ahead, value in enumerate(PATH_VALUES, start=1):
        for before, after in zip(moments, moments[ahead * pace :], strict=False):
            there = after == now
            checked += int(there.sum())
            assert (before[there] >= value).all(), value
    return checked


def test_where_firebars_turn_to_is_shown() -> None:
    """As Mario stands still, so that the map does not move."""
    seen = {}
    for shown in (False, True):
        env = warpzone.make("3-4", actions=ACTIONS, show_paths=shown)
        obs, _ = env.reset()
        for _ in range(20):
            obs, *_ = env.step(INDEX[WALK])
        for _ in range(8):
            obs, *_ = env.step(INDEX[0])
        moments = []
        for _ in range(40):
            moments.append(hazards(obs).copy())
            obs, *_ = env.step(INDEX[0])
        seen[shown] = np.array(moments)
    assert paths_come_true(192, list(seen[True]), 2) > 300
    np.testing.assert_array_equal(seen[True] * (seen[True] >= 128), seen[False])
    for value in PATH_VALUES:
        cells = (seen[True] == value).sum() / (seen[True] == 192).sum()
        assert 0.05 < cells < 1.5, "a path is as thin as what takes it"


def test_where_hammers_fly_to_is_shown() -> None:
    for x_speed, y_speed in [(0x10, 0xFE), (0xF0, 0xFE), (0x10, 0x00), (0xF0, 0xFC)]:
        env = warpzone.make("1-1", actions=ACTIONS, show_paths=True)
        obs, _ = env.reset()
        ram = env.ram()
        for address, value in [(0x2A, 0x81), (0x7A, 0), (0x93, 150), (0xC2, 1), (0xDB, 90)]:
            ram[address] = value
        ram[0x64], ram[0xAC] = x_speed, y_speed
        moments = []
        for _ in range(12):
            obs, *_ = env.step(INDEX[0])
            moments.append(hazards(obs).copy())
        assert paths_come_true(160, moments, 1) > 20
        assert all((plane > 0).sum() <= 16 for plane in moments)


def test_lifts_are_platforms_and_nothing_else() -> None:
    assert sprites_are_marked(watch("1-3", steps(LIFTS)), LIFT_TILES, "platform", 255) > 100
    for moment in watch("1-3", steps(LIFTS)):
        for x, y in moment.sprites_of(LIFT_TILES):
            row, column = moment.cell_of(x, y)
            if 0 <= column < 16 and 0 <= row < 13:
                assert not moment.near("hazard", row, column)


def test_who_rides_a_lift_stands_on_it() -> None:
    ridden = 0
    for moment in watch("1-3", steps(LIFTS)):
        below = (int(moment.ram[0xCE]) + 32 - MAP_TOP) // 16
        standing = moment.ram[0x1D] == 0 and moment.ram[0xB5] == 1 and below < 13
        columns = {(moment.x + dx) // 16 - moment.left for dx in (2, 8, 13)}
        if standing and not any(moment.near("solid", below, column) for column in columns):
            ridden += 1
            assert any(moment.near("platform", below, column, reach=1) for column in columns)
    assert ridden > 10


def test_what_swims_is_a_hazard() -> None:
    """Bloopers and cheep-cheeps cannot be stomped."""
    seen = 0
    for seed in range(4):
        for moment in wander("2-2", seed):
            for slot in range(5):
                if moment.ram[0x0F + slot] and moment.ram[0x16 + slot] in (0x07, 0x0A, 0x0B):
                    x = int(moment.ram[0x6E + slot] * 256 + moment.ram[0x87 + slot]) + 8
                    row, column = moment.cell_of(
                        x - moment.screen_left, moment.ram[0xCF + slot] + 8
                    )
                    if 0 <= row < 13 and 0 <= column < 16 and moment.ram[0xB6 + slot] == 1:
                        seen += 1
                        assert moment.near("hazard", row, column, reach=1)
                        assert not moment.plane("enemy").any()
    assert seen > 50


def test_a_defeated_enemy_is_gone() -> None:
    """The game marks it so while it falls off the screen."""
    env = warpzone.make("1-1", actions=ACTIONS)
    obs, _ = env.reset()
    while not (obs["tiles"][PLANES["enemy"]] > 0).any():
        obs, *_ = env.step(INDEX[WALK])
    ram = env.ram()
    for slot in range(5):
        if ram[0x0F + slot]:
            ram[0x1E + slot] = 0x22
    obs, *_ = env.step(INDEX[0])
    assert (ram[0x1E:0x23] & 0x20).any(), "it is still falling"
    assert not obs["tiles"][PLANES["enemy"]].any()


def test_goals() -> None:
    flagpole = [
        moment.plane("goal")[:, 198 - moment.left]
        for moment in watch("1-1", steps(FLAGPOLE))
        if 198 - moment.left < 12
    ]
    assert len(flagpole) > 3
    assert all((column == 225).sum() > 5 for column in flagpole)

    moments = [moment for moment in watch("1-1", steps(PIPE)) if moment.x > 880]
    for moment in moments:
        assert moment.plane("goal")[7, 57 - moment.left] == 100, "the fourth pipe can be entered"

    axes = [(moment.plane("goal") == 255).sum() for moment in watch("1-4", steps(AXE))]
    assert max(axes) == 1


def test_scalars_tell_position_and_motion() -> None:
    """The first seven: place within the tile, height, speeds, motion since the last step."""
    last = None
    for moment in wander("1-1", seed=1):
        scalars = moment.scalars
        y = int(moment.ram[0xB5] * 256 + moment.ram[0xCE]) - 256
        assert scalars[0] == pytest.approx((moment.x + 8) % 16 / 16)
        assert scalars[1] == pytest.approx(y % 16 / 16)
        assert scalars[3] == pytest.approx(np.int8(moment.ram[0x57]) / 48)
        if last is not None:
            assert scalars[5] == pytest.approx((moment.x - last[0]) / 16)
            assert scalars[6] == pytest.approx(np.clip(y - last[1], -32, 32) / 16)
        assert scalars[7:11].sum() == 1
        assert scalars[7 + moment.ram[0x1D]] == 1
        last = moment.x, y


def test_scalars_tell_what_is_held() -> None:
    names = ["A", "B", "left", "right", "down", "up"]
    actions = [[], ["A"], ["B"], ["left"], ["right"], ["down"], ["up"], ["right", "A", "B"]]
    env = warpzone.make("1-1", actions=actions)
    env.reset()
    for i, held in enumerate(actions):
        obs, *_ = env.step(i)
        assert obs["scalars"][18:24].tolist() == [float(name in held) for name in names]


def test_scalars_tell_where_others_are() -> None:
    """Nine numbers for each object, the nearest first; the rest is zero."""
    seen = 0
    for moment in wander("1-1", seed=2):
        objects = moment.scalars[30:-64].reshape(-1, 9)
        present = objects[:, 0] == 1
        assert (objects[~present] == 0).all()
        assert present.tolist() == sorted(present.tolist(), reverse=True)
        distances = np.abs(objects[present, 1])
        assert (np.diff(distances) >= 0).all()
        goombas = [s for s in range(5) if moment.ram[0x0F + s] and moment.ram[0x16 + s] == 6]
        for slot in goombas:
            if moment.ram[0xB6 + slot] != 1 or moment.ram[0x1E + slot] & 0x20:
                continue
            dx = int(moment.ram[0x6E + slot] * 256 + moment.ram[0x87 + slot]) - moment.x
            assert np.isclose(objects[present, 1], np.clip(dx, -256, 256) / 128).any()
            seen += 1
    assert seen > 20


def test_scalars_tell_the_page_of_the_area() -> None:
    """The first 32 of the last 64, one-hot: what comes is the same each time Mario is there."""
    pages = set()
    for moment in watch("1-1", steps(FLAGPOLE)):
        pages.add(moment.x // 256)
        assert moment.scalars[-64:-32].tolist() == np.eye(32)[moment.x // 256].tolist()
    assert len(pages) > 10


@pytest.mark.parametrize("level", ["1-1", "8-4"])
def test_scalars_name_the_level_where_that_is_wanted(level: str) -> None:
    for shown in (False, True):
        env = warpzone.make(level, show_level=shown)
        first, _ = env.reset()
        for obs in (first, env.step(1)[0]):
            expected = np.eye(32)[LEVELS.index(level)] * shown
            assert obs["scalars"][-32:].tolist() == expected.tolist()


# --- long ways through all levels ----------------------------------------------------------------

WAY_FRAMES, EVERY = 2500, 19
CASTLE_WALL = (0x47, 0x47, 0x47, 0x47)
"""Tiles of the small castle at a level's end: the same bricks as solid ones, but one walks past."""
SPRINGBOARD = {0x67, 0x68}
"""Metatiles that are drawn by sprites only."""
BOUNCING = 0x23


@dataclass
class Sight:
    """A moment with the picture of the frame that shows it: the game draws it one frame later."""

    level: str
    frame: int
    tiles: NDArray[np.uint8]
    ram: NDArray[np.int64]
    before: NDArray[np.int64]
    """RAM one frame ago."""
    vram: NDArray[np.int64]
    screen: NDArray[np.uint8]

    def __post_init__(self) -> None:
        self.left = (int(self.ram[0x6D] * 256 + self.ram[0x86]) + 8) // 16 - MARIO_COLUMN
        self.screen_left = int(self.ram[0x071A] * 256 + self.ram[0x071C])
        self.kind = int(self.ram[0x074E]) & 3

    def plane(self, name: str) -> NDArray[np.uint8]:
        found: NDArray[np.uint8] = self.tiles[PLANES[name]]
        return found

    def cells(self) -> Iterator[tuple[int, int, int]]:
        """Row and column in the view, and x on the screen, where a cell is whole on it."""
        for column in range(16):
            x = 16 * (self.left + column) - self.screen_left
            if 0 <= x <= 240:
                for row in range(13):
                    yield row, column, x

    def metatile(self, row: int, column: int) -> int:
        at = self.left + column
        return int(self.ram[0x0500 + (at >> 4 & 1) * 0xD0 + row * 16 + (at & 15)])

    def undrawn(self, row: int, column: int) -> bool:
        """Solid, but not by what the background shows: a springboard, or a block that has just
        stopped bouncing, for the game draws only one of several in a frame."""
        at = self.left + column
        before = self.before[0x0500 + (at >> 4 & 1) * 0xD0 + row * 16 + (at & 15)]
        return self.metatile(row, column) in SPRINGBOARD or before == BOUNCING

    def drawn(self, row: int, column: int) -> tuple[int, ...]:
        """The four background tiles of a cell."""
        at = self.left + column
        begin = (at >> 4 & 1) * 0x400 + (4 + 2 * row) * 32 + 2 * (at & 15)
        return tuple(int(self.vram[begin + i]) for i in (0, 1, 32, 33))

    def sprites(self, slot: int) -> list[tuple[int, int, int, int]]:
        """x, y, tile, attributes of the sprites of an object that are on the screen."""
        begin = 0x0200 + int(self.ram[0x06E5 + slot])
        table = self.ram[begin : begin + 24].reshape(6, 4)
        return [(int(x), int(y) + 1, int(tile), int(a)) for y, tile, a, x in table if y < 0xEF]

    def marks(self, name: str, x: int, y: int) -> set[int]:
        """What is marked in the cell at a point of the screen, and in those that touch it."""
        row, column = (y - MAP_TOP) // 16, (x + self.screen_left) // 16 - self.left
        around = self.plane(name)[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        return set(around.ravel().tolist())


@cache
def sights(level: str) -> list[Sight]:
    """Along the first ways that lead through a level."""
    everything = [[name for name, bit in BUTTONS.items() if byte & bit] for byte in range(256)]
    env = warpzone.make(level, actions=everything, frame_skip=1)
    console = warpzone.Console(env.rom)
    found = []
    left = WAY_FRAMES
    for run in load_runs():
        if run.start != level or left <= 0:
            continue
        left -= run.frames
        env.reset()
        start_level(console, level)
        frames = 0
        for byte in run.buttons():
            before = console.ram.astype(np.int64)
            obs, _, terminated, _, info = env.step(byte)
            if terminated:
                break
            console.step(byte)
            console.step(0, info["frames"] - frames - 1)  # a cutscene was run through
            cut = info["frames"] - frames > 1
            frames = info["frames"]
            if frames % EVERY or cut:
                continue
            assert np.array_equal(console.ram, env.ram())
            ram = console.ram.astype(np.int64)
            state = console.save()
            console.step()
            after = np.frombuffer(console.save(), np.uint8)
            # At a state's end lie RAM, the nametables, the sprites, the palette.
            assert np.array_equal(after[-0x1120:-0x0920], console.ram)
            vram = after[-0x0920:-0x0120].astype(np.int64)
            found.append(Sight(level, frames, obs["tiles"], ram, before, vram, console.screen()))
            console.load(state)
    return found


@pytest.mark.parametrize("level", LEVELS)
def test_solid_cells_are_seen(level: str) -> None:
    checked = 0
    for sight in sights(level):
        backdrop = int(sight.screen[0, 0])
        solid = sight.plane("solid")
        for row, column, x in sight.cells():
            if solid[row, column] and not sight.undrawn(row, column):
                y = MAP_TOP + 16 * row
                checked += 1
                assert (sight.screen[y : y + 16, x : x + 16] != backdrop).any(), (
                    sight.frame, row, column,
                )  # fmt: skip
    assert checked > 500


def test_solid_and_empty_look_different() -> None:
    """What is drawn on a cell tells whether it carries Mario, in all levels."""
    solid: dict[tuple[int, ...], str] = {}
    empty: dict[tuple[int, ...], str] = {}
    for level in LEVELS:
        for sight in sights(level):
            marked = sight.tiles.max(axis=0)
            for row, column, _ in sight.cells():
                where = f"{level}, frame {sight.frame}, row {row}, column {column}"
                if sight.plane("solid")[row, column]:
                    if not sight.undrawn(row, column):
                        solid[sight.drawn(row, column)] = where
                elif not marked[row, column]:
                    empty[sight.drawn(row, column)] = where
    both = {tiles: (solid[tiles], empty[tiles]) for tiles in solid.keys() & empty.keys()}
    assert both.keys() <= {CASTLE_WALL}, both
    assert len(solid) > 25
    assert len(empty) > 40


def objects(sight: Sight) -> Iterator[tuple[int, list[tuple[int, int, int, int]]]]:
    """Slots of objects that are as they were a frame ago, wholly on the screen."""
    for slot in range(5):
        steady = all(sight.ram[at + slot] == sight.before[at + slot] for at in (0x0F, 0x16, 0x1E))
        sprites = sight.sprites(slot)
        x = int(sight.ram[0x6E + slot] * 256 + sight.ram[0x87 + slot]) - sight.screen_left
        inside = 24 <= x <= 184 and sight.ram[0xB6 + slot] == 1
        column = (x + sight.screen_left) // 16 - sight.left
        if sight.ram[0x0F + slot] and steady and inside and sprites and 1 <= column <= 11:
            yield slot, sprites


def test_enemies_are_where_they_are_drawn() -> None:
    seen: dict[str, int] = defaultdict(int)
    kinds = [
        ("goomba", {0x70, 0x71, 0x72, 0x73}, "enemy", {255}),
        ("piranha plant", {0xE5, 0xE6, 0xEB, 0xEC, 0xED, 0xEE}, "hazard", {240}),
        ("lift", {0x5B}, "platform", {255}),
        ("spiny", {0x9A, 0x9B, 0x9C, 0x9D}, "hazard", {255}),
        ("hammer bro", {*range(0xD1, 0xD6), 0xE2, 0xE3, *range(0x8A, 0x8D)}, "enemy", {96}),
        ("podoboo", {0xD0, 0xD7}, "hazard", {208}),
        ("blooper", {0xDC, 0xDD, 0xDE}, "hazard", {128}),
    ]
    for level in LEVELS:
        for sight in sights(level):
            for slot, sprites in objects(sight):
                if sight.ram[0x0F + slot] & 0x80 or sight.ram[0x1E + slot] & 0x20:
                    continue  # the second half of something; what falls off the screen
                tiles = {tile for _, _, tile, _ in sprites} - {0xFC}
                for name, pictures, plane, values in kinds:
                    if not tiles or not tiles <= pictures:
                        continue
                    middle = sprites[-1]
                    y = middle[1] + 4
                    if MAP_TOP + 8 <= y < 224:
                        seen[name] += 1
                        found = sight.marks(plane, middle[0] + 4, y)
                        assert values <= found, (level, sight.frame, name, slot, sprites, found)
    assert {name for name, *_ in kinds} <= seen.keys(), dict(seen)


def test_what_does_nothing_is_not_marked() -> None:
    """A goomba that lies flat, and what falls off the screen."""
    flat = 0
    for level in LEVELS:
        for sight in sights(level):
            others = sum(
                bool(sight.ram[0x0F + slot]) and sight.ram[0x1E + slot] & 0x27 < 2
                for slot in range(5)
            )
            for slot, sprites in objects(sight):
                if any(tile == 0xEF for _, _, tile, _ in sprites) and not others:
                    flat += 1
                    assert not sight.plane("enemy").any(), (level, sight.frame, slot)
    assert flat > 0


def put(level: str, slot: int, **fields: int) -> NDArray[np.uint8]:
    """The view with an object beside Mario, as the game would hold it in RAM."""
    at = {"active": 0x0F, "number": 0x16, "state": 0x1E, "page": 0x6E, "x": 0x87, "high": 0xB6,
          "y": 0xCF}  # fmt: skip
    env = warpzone.make(level, actions=ACTIONS, frame_skip=1)
    env.reset()
    ram = env.ram()
    ram[0x0F:0x14] = 0
    values = {"active": 1, "state": 0, "page": 0, "x": 96, "high": 1, "y": 160, **fields}
    for name, value in values.items():
        ram[at[name] + slot] = value
    ram[0x0747] = 3  # the game holds everything but Mario
    obs, *_ = env.step(INDEX[0])
    found: NDArray[np.uint8] = obs["tiles"]
    return found


@pytest.mark.parametrize(
    ("number", "state", "value"),
    [(0, 0, 240), (0, 4, 32), (0, 0x84, 64), (2, 4, 32), (3, 0x84, 64), (6, 0, 255), (6, 4, 0),
     (6, 2, 0), (6, 0x22, 0), (0, 0x22, 0), (5, 8, 96)],
)  # fmt: skip
def test_shells_and_flat_goombas(number: int, state: int, value: int) -> None:
    enemies = put("1-1", 2, number=number, state=state)[PLANES["enemy"]]
    assert set(enemies.ravel().tolist()) - {0} == ({value} - {0})


def test_a_second_slot_shows_nothing() -> None:
    """Long firebars and Bowser mark a second slot as taken; its number is an old one's."""
    assert not put("1-1", 2, number=6, active=0x81)[PLANES["enemy"]].any()


@pytest.mark.parametrize(("level", "columns"), [("1-3", 3), ("5-3", 2), ("1-4", 2)])
def test_lifts_are_shorter_in_castles_and_late_worlds(level: str, columns: int) -> None:
    lifts = put(level, 2, number=0x28, x=96)[PLANES["platform"]]
    assert (lifts.any(axis=0)).sum() == columns


def test_balance_lifts_are_seen_at_all_times() -> None:
    """Their state is the number of the other one, 255 for none."""
    assert put("4-3", 2, number=0x24, state=0xFF)[PLANES["platform"]].any()
