"""The game, or one of its stages, by the rules of gym-super-mario-bros 7.x."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from warpzone.compat.nes_py import NESEnv
from warpzone.errors import ConfigError
from warpzone.smb import memory
from warpzone.smb.memory import MEMORY, STATES, player_x

ROMS: dict[tuple[bool, str], str] = {
    (False, "vanilla"): "super-mario-bros",
    (False, "downsample"): "super-mario-bros-downsample",
    (False, "pixel"): "super-mario-bros-pixel",
    (False, "rectangle"): "super-mario-bros-rectangle",
    (True, "vanilla"): "lost-levels",
    (True, "downsample"): "lost-levels-downsample",
}
"""Names of known cartridges, by whether these are the Lost Levels and by `rom_mode`."""

START = 8
TITLE, CASTLE_VICTORY = 0, 2
BOWSER, FLAG = 0x2D, 0x31
CLIMBING = 3
PRELEVEL_TIMER = 0x07A0
"""Of the black screen before a level."""
BUSY = {0, *(STATES[name] for name in ("vine", "side_pipe", "pipe", "flagpole", "end_of_level"))}
BUSY |= {STATES["entrance"]}
"""States of Mario in which nobody plays him."""
NO_LIVES = 0xFF
STATUS = ("small", "tall", "fireball")
WALKS: dict[bool, set[int]] = {False: {1, 2, 4, 7}, True: {1, 3}}
"""Worlds that count the walk to a pipe before their second stage as an area of its own."""
WORLDS: dict[bool, int] = {False: 8, True: 4}
MOST_MOVED = 5
"""px in a step: more is a jump between areas."""


class SuperMarioBrosEnv(NESEnv):
    """Super Mario Bros. or the Lost Levels, from power-on with three lives, or one stage.

    A step is a frame. The reward is px moved, minus ticks of the clock, minus 25 in death, cut to
    ±15. An episode of the whole game ends with the last life, one of a stage with a death or the
    flag. Cutscenes are hurried through after the step in which they begin.

    Args:
        rom_mode: "vanilla", "downsample", "pixel" or "rectangle".
        lost_levels: the other game, of which there are the first two modes.
        target: (world, stage) to play as a stage; None: the whole game.

    Raises:
        ConfigError: no such mode or stage.
        RomError: the cartridge is neither here nor can it be fetched.
    """

    reward_range: ClassVar[tuple[float, float]] = (-15, 15)

    def __init__(
        self,
        rom_mode: str = "vanilla",
        lost_levels: bool = False,
        target: tuple[int, int] | None = None,
    ) -> None:
        if not isinstance(lost_levels, bool):
            raise ConfigError("lost_levels must be of type: bool")
        if (lost_levels, rom_mode) not in ROMS:
            raise ConfigError(f"rom_mode ({rom_mode}) not supported!")
        self._target = None if target is None else _target_bytes(target, lost_levels)
        self._time_last = self._x_last = 0
        super().__init__(ROMS[lost_levels, rom_mode])
        self.reset()
        self._skip_start_screen()
        self._backup()

    @property
    def is_single_stage_env(self) -> bool:
        """Whether an episode is one stage."""
        return self._target is not None

    # --- what the game says ---------------------------------------------------------------------

    def _digits(self, name: str, count: int) -> int:
        digits = self.ram[MEMORY[name] : MEMORY[name] + count].tolist()
        return int("".join(map(str, digits)))

    @property
    def _time(self) -> int:
        return self._digits("time", 3)

    @property
    def _x_position(self) -> int:
        return player_x(self.ram)

    @property
    def _y_position(self) -> int:
        ram = self.ram
        above = 255 if ram[memory.Y_PAGE] < 1 else 0
        return above + 255 - int(ram[MEMORY["y_on_screen"]])

    @property
    def _is_dying(self) -> bool:
        ram = self.ram
        return bool(ram[memory.PLAYER_STATE] == STATES["dying"] or ram[memory.Y_PAGE] > 1)

    @property
    def _is_dead(self) -> bool:
        return bool(self.ram[memory.PLAYER_STATE] == STATES["lose_life"])

    @property
    def _is_game_over(self) -> bool:
        return bool(self.ram[MEMORY["lives"]] == NO_LIVES)

    @property
    def _is_busy(self) -> bool:
        return int(self.ram[memory.PLAYER_STATE]) in BUSY

    @property
    def _is_world_over(self) -> bool:
        return bool(self.ram[memory.OPER_MODE] == CASTLE_VICTORY)

    @property
    def _is_stage_over(self) -> bool:
        """At the flagpole; a vine is climbed, too."""
        ids = set(self.ram[memory.OBJECT_ID : memory.OBJECT_ID + 5].tolist())
        return bool(ids & {BOWSER, FLAG}) and bool(self.ram[memory.FLOAT_STATE] == CLIMBING)

    @property
    def _flag_get(self) -> bool:
        return self._is_world_over or self._is_stage_over

    # --- hurrying through what nobody plays -----------------------------------------------------

    def _skip_start_screen(self) -> None:
        """Presses Start until the title is over, and on until the clock of the first, or of the
        wanted, level begins to run."""
        self._frame_advance(START)
        self._frame_advance(0)
        while self.ram[memory.OPER_MODE] == TITLE:
            self._frame_advance(START)
            if self._target is not None:
                for name, value in zip(("world", "stage", "area"), self._target, strict=True):
                    self.ram[MEMORY[name]] = value
            self._frame_advance(0)
        ticked = False
        while not ticked:
            before = self._time
            self._frame_advance(START)
            self._frame_advance(0)
            ticked = self._time < before
        self._time_last = self._time

    def _skip_end_of_world(self) -> None:
        if self._is_world_over:
            time = self._time
            while self._time == time:
                self._frame_advance(0)

    def _skip_change_area(self) -> None:
        if 1 < self.ram[memory.CHANGE_AREA_TIMER] < 255:
            self.ram[memory.CHANGE_AREA_TIMER] = 1

    def _skip_occupied_states(self) -> None:
        while self._is_busy or self._is_world_over:
            self.ram[PRELEVEL_TIMER] = 0
            self._frame_advance(0)

    def _kill_mario(self) -> None:
        """Without the animation."""
        self.ram[memory.PLAYER_STATE] = STATES["lose_life"]
        self._frame_advance(0)

    # --- for NESEnv -----------------------------------------------------------------------------

    def _will_reset(self) -> None:
        self._time_last = self._x_last = 0

    def _did_reset(self) -> None:
        self._time_last, self._x_last = self._time, self._x_position

    def _did_step(self, done: bool) -> None:
        if done:
            return
        if self._is_dying:
            self._kill_mario()
        if not self.is_single_stage_env:
            self._skip_end_of_world()
        self._skip_change_area()
        self._skip_occupied_states()

    def _get_reward(self) -> float:
        moved, ticked = self._x_position - self._x_last, self._time - self._time_last
        self._x_last, self._time_last = self._x_position, self._time
        death = -25 if self._is_dying or self._is_dead else 0
        return (moved if abs(moved) <= MOST_MOVED else 0) + min(ticked, 0) + death

    def _get_done(self) -> bool:
        if self.is_single_stage_env:
            return self._is_dying or self._is_dead or self._flag_get
        return self._is_game_over

    def _get_info(self) -> dict[str, Any]:
        ram = self.ram
        return {
            "coins": self._digits("coins", 2),
            "flag_get": self._flag_get,
            "life": np.int64(ram[MEMORY["lives"]]),
            "score": self._digits("score", 6),
            "stage": np.int64(ram[memory.STAGE]) + 1,
            "status": STATUS[min(int(ram[memory.POWER]), 2)],
            "time": self._time,
            "world": np.int64(ram[memory.WORLD]) + 1,
            "x_pos": np.int64(self._x_position),
            "y_pos": np.int64(self._y_position),
        }


def _target_bytes(target: tuple[int, int], lost_levels: bool) -> tuple[int, int, int]:
    """Returns what the game's RAM has to say for a stage: world, stage and area, from 0."""
    if not isinstance(target, tuple) or len(target) != 2:
        raise ConfigError("target must be of type tuple: (world, stage)")
    world, stage = target
    for name, value, most in (("world", world, WORLDS[lost_levels]), ("stage", stage, 4)):
        if not isinstance(value, int) or not 1 <= value <= most:
            raise ConfigError(f"target_{name} must be in {{1, ..., {most}}}")
    walk = world in WALKS[lost_levels] and stage >= 2
    return world - 1, stage - 1, stage - 1 + walk
