"""How an environment of a described game behaves: the one place of its defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from warpzone.errors import ConfigError
from warpzone.nes.env_fields import MOST_NOOPS, MOST_STEPS, Autoreset, autoreset_named, size_of
from warpzone.nes.game import Game
from warpzone.nes.start_states import OwnStarts
from warpzone.settings import describe

Observation = Literal["pixels", "variables", "ram", "rgb"]

_OF_PIXELS = ("frame_stack", "size", "crop_status_bar", "max_pool", "consecutive")


def _starts(value: Any) -> Any:
    """A name, several with commas between or as a list, or a mapping from names to weights."""
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",")]
    if isinstance(value, Mapping) or value is None:
        return value
    if not isinstance(value, Iterable) or not all(isinstance(name, str) for name in value):
        raise ValueError("it must be a name, several, or a mapping from names to weights")
    return dict.fromkeys(value, 1.0)


class GameConfig(BaseModel):
    """Settings of environments of described games. Unknown names are errors.

    Steps are agent steps of `frame_skip` emulated frames; the console makes 60.0988 a second.
    """

    model_config = ConfigDict(
        defer_build=True,  # by whoever makes the first, not by `import warpzone`
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
    )

    starts: Annotated[dict[str, float] | None, BeforeValidator(_starts)] = None
    """Where episodes begin, and how often: a name of the game's starts, several, or a mapping from
    names to weights; None: the first of them."""
    start_states: OwnStarts = ()
    """Moments of your own at which episodes begin in place of the game's starts: files of what
    `Console.save` or an environment's `console_state` returned, with commas between or as a list,
    in which these bytes themselves may stand too; or a mapping from files to weights."""
    observation: Observation = "pixels"
    """What the agent sees. `pixels`: grey pictures. `variables`: those that the game observes.
    `ram`: the work RAM. `rgb`: the whole picture."""
    frame_skip: int = Field(4, ge=1, le=60)
    """Emulated frames that an action is held for: an agent step."""
    frame_stack: int = Field(4, ge=1, le=16)
    """Pictures in a `pixels` observation."""
    size: Annotated[tuple[int, int], BeforeValidator(size_of)] = (84, 84)
    """Height and width of a `pixels` observation, in px; one number: of a square."""
    crop_status_bar: bool = False
    """Leave the lines that show no play out of `pixels`."""
    max_pool: bool = False
    """Brighter of the last two frames for each pixel: undoes flicker."""
    consecutive: bool = False
    """Stack the frames of one step instead of the last frame of each of several steps."""
    noop_max: int = Field(0, ge=0, le=MOST_NOOPS)
    """An episode begins after 0 to this many idle frames, drawn anew each time."""
    repeat_action_probability: float = Field(0.0, ge=0.0, lt=1.0)
    """Probability per emulated frame that the buttons stay as they were (Machado et al. 2018)."""
    max_steps: int | None = Field(None, ge=1, le=MOST_STEPS)
    """Steps after which an episode is truncated."""
    no_progress_steps: int | None = Field(None, ge=1, le=MOST_STEPS)
    """Steps in which the game's progress has not grown after which an episode is truncated."""
    autoreset: Annotated[Autoreset, BeforeValidator(autoreset_named)] = "same_step"
    """When a game of many begins anew: in the step that ended its episode, in the next, or when
    asked to. Gymnasium's `AutoresetMode` works too."""

    @model_validator(mode="after")
    def _fits_together(self) -> GameConfig:
        if self.starts is not None and self.start_states:
            raise ValueError("starts and start_states both say where episodes begin: give one")
        height, width = self.size
        if not (1 <= height <= 240 and 1 <= width <= 256):
            raise ValueError(f"size {self.size}: at least (1, 1) and at most (240, 256)")
        if self.consecutive and self.frame_stack != self.frame_skip:
            raise ValueError(
                f"consecutive stacking shows the frames of one step, so frame_stack "
                f"({self.frame_stack}) must equal frame_skip ({self.frame_skip})"
            )
        if self.observation != "pixels":
            fields = type(self).model_fields
            for name in _OF_PIXELS:
                if getattr(self, name) != fields[name].default:
                    raise ValueError(
                        f"{name} is for the observation 'pixels', and this is {self.observation!r}"
                    )
        return self


def game_config(game: Game, settings: Mapping[str, Any]) -> GameConfig:
    """Returns the settings that are given, with the game's own defaults for those that are not.

    Raises:
        ConfigError: an unknown or impossible setting, one that is given by two names, or a start
            that the game does not have.
    """
    if "autoreset" in settings and "autoreset_mode" in settings:
        raise ConfigError("autoreset and autoreset_mode are the same setting: give one of them")
    named = {"autoreset_mode": "autoreset"}
    given = {named.get(name, name): value for name, value in settings.items()}
    try:
        config = GameConfig(**with_defaults(game, given))
    except ValidationError as error:
        raise ConfigError(describe(error)) from None
    check_config(game, config)
    return config


def with_defaults(game: Game, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns settings with the game's own defaults for those that are not given."""
    defaults = dict(game.settings)
    if given.get("observation", defaults.get("observation", "pixels")) != "pixels":
        defaults = {name: value for name, value in defaults.items() if name not in _OF_PIXELS}
    return {**defaults, **given}


def check_config(game: Game, config: GameConfig) -> None:
    """Raises `ConfigError` where settings ask for what a game does not have."""
    for name, weight in (config.starts or {}).items():
        if name not in game.starts:
            raise ConfigError(
                f"{game.name} has no start {name!r}: there are {', '.join(game.starts)}"
            )
        if not 0 <= weight < 1e300:
            raise ConfigError(f"the weight of start {name!r} is {weight}: it must be at least 0")
    if config.starts is not None and not sum(config.starts.values()) > 0:
        raise ConfigError("starts: one of them must have a weight above 0")
    if config.no_progress_steps is not None and game.progress is None:
        raise ConfigError(f"no_progress_steps: {game.name} does not say what its progress is")
    if config.crop_status_bar and game.status_bar == 0:
        raise ConfigError(f"crop_status_bar: {game.name} has no status bar")
