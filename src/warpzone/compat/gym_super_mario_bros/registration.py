"""The ids, and `make`."""

from __future__ import annotations

import difflib
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from warpzone.compat.gym_super_mario_bros.random_stages import SuperMarioBrosRandomStagesEnv
from warpzone.compat.gym_super_mario_bros.smb_env import SuperMarioBrosEnv
from warpzone.errors import ConfigError
from warpzone.nes.checks import require
from warpzone.smb.known_cartridges import LOST_LEVELS
from warpzone.smb.levels import LEVELS

OldEnv: TypeAlias = SuperMarioBrosEnv | SuperMarioBrosRandomStagesEnv

ROM_MODES = ("vanilla", "downsample", "pixel", "rectangle")
"""By version, v0 to v3; the Lost Levels have the first two."""


def _ids() -> dict[str, tuple[type[OldEnv], dict[str, Any]]]:
    found: dict[str, tuple[type[OldEnv], dict[str, Any]]] = {}
    for version, mode in enumerate(ROM_MODES):
        rom: dict[str, Any] = {"rom_mode": mode}
        found[f"SuperMarioBros-v{version}"] = SuperMarioBrosEnv, rom
        found[f"SuperMarioBrosRandomStages-v{version}"] = SuperMarioBrosRandomStagesEnv, rom
        for name in LEVELS:
            stage = {**rom, "target": _target(name)}
            found[f"SuperMarioBros-{name}-v{version}"] = SuperMarioBrosEnv, stage
        if version < 2:
            lost = {**rom, "lost_levels": True}
            found[f"SuperMarioBros2-v{version}"] = SuperMarioBrosEnv, lost
            for name in LOST_LEVELS:
                stage = {**lost, "target": _target(name)}
                found[f"SuperMarioBros2-{name}-v{version}"] = SuperMarioBrosEnv, stage
    return found


def _target(name: str) -> tuple[int, int]:
    world, stage = map(int, name.split("-"))
    return world, stage


IDS = _ids()
"""Id → class and its arguments."""


class FiveValues(gymnasium.Wrapper[NDArray[np.uint8], int, NDArray[np.uint8], int]):
    """Makes an environment of the old kind one of Gymnasium's: `reset` gives two values, `step`
    five. No episode is ever cut, so `truncated` is False.

    Args:
        env: of the old kind.
        render_mode: None; "rgb_array": `render` returns the picture; "human": each is shown.
    """

    def __init__(self, env: OldEnv, render_mode: str | None = None) -> None:
        super().__init__(env)
        self._old, self._mode = env, render_mode

    @property
    def render_mode(self) -> str | None:  # type: ignore[override]  # Gymnasium's wrappers have it so
        return self._mode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        observation = self._old.reset(seed=seed, options=options)
        self._show()
        return observation, {}

    def step(self, action: int) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        observation, reward, done, info = self._old.step(action)
        self._show()
        return observation, reward, done, False, info

    def render(self) -> Any:
        return None if self._mode is None else self._old.render(self._mode)

    def _show(self) -> None:
        if self._mode == "human":
            self._old.render("human")


def make(
    id: str,
    *,
    apply_api_compatibility: bool = False,
    render_mode: str | None = None,
    **kwargs: Any,
) -> Any:
    """Makes an environment by its id.

    Args:
        id: see `IDS`.
        apply_api_compatibility: `reset` and `step` as in Gymnasium, see `FiveValues`.
        render_mode: "rgb_array" or "human", with `apply_api_compatibility`; without it `render` is
            told.
        kwargs: arguments of the class, such as `stages`.

    Raises:
        ConfigError: no such id, or arguments that it does not take.
        RomError: the cartridge is neither here nor can it be fetched.
    """
    require(isinstance(id, str), "id", id, "a name such as 'SuperMarioBros-v0'")
    if id not in IDS:
        close = difflib.get_close_matches(id, IDS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigError(f"there is no environment {id!r}{hint}")
    if render_mode not in (None, "rgb_array", "human"):
        raise ConfigError(f"render_mode {render_mode!r}: there is None, 'rgb_array' or 'human'")
    if render_mode is not None and not apply_api_compatibility:
        raise ConfigError(
            "render_mode is for apply_api_compatibility=True; without it call render(mode)"
        )
    made, given = IDS[id]
    try:
        env = made(**{**given, **kwargs})
    except TypeError as error:
        raise ConfigError(f"{id}: {error}") from None
    env.spec = EnvSpec(id=id, entry_point=f"{made.__module__}:{made.__name__}", kwargs=given)
    return FiveValues(env, render_mode) if apply_api_compatibility else env
