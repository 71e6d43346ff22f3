"""What an environment is: the one place of its defaults."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Any, Literal, TypedDict

from gymnasium.vector import AutoresetMode
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

import warpzone._native as _native
from warpzone.errors import ConfigError, WarpzoneError
from warpzone.nes.buttons import buttons_of
from warpzone.nes.env_fields import (
    MOST_ACTIONS,
    MOST_STEPS,
    Actions,
    Autoreset,
    autoreset_named,
    size_of,
)
from warpzone.nes.start_states import OwnStarts, StartState, StartStates
from warpzone.own_code import CODE
from warpzone.settings import describe
from warpzone.smb.actions import ACTION_SETS, action_set
from warpzone.smb.levels import LEVELS, level_index, parse_levels

Observation = Literal["tiles", "pixels", "rgb", "ram"]
REWARDS = ("progress", "landed", "gym", "tutorial")
"""Those that come along."""
PAID_BY_PROGRESS = ("progress", "landed")
OF_PROGRESS = ("end_penalty", "step_penalty", "coin_reward", "life_reward", "power_reward")
"""Settings that only these two have."""

_OF_PIXELS = ("frame_stack", "size", "crop_status_bar", "max_pool", "consecutive")
_ALSO_ELSEWHERE = {"frame_stack", "sticky_share", "row_share"}


def _reward_named(name: str) -> str:
    if name in REWARDS or CODE.fullmatch(name):
        return name
    raise ValueError(
        f"there is no reward {name!r}: there are {', '.join(REWARDS)}, or one of your own as"
        " module:function"
    )


class EnvConfig(BaseModel):
    """How an environment behaves. Unknown names are errors.

    Steps are agent steps of `frame_skip` emulated frames; the console makes 60.0988 a second.
    """

    model_config = ConfigDict(
        defer_build=True,  # by whoever makes the first, not by `import warpzone`
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
    )

    levels: Annotated[dict[str, float], BeforeValidator(parse_levels)] = {"1-1": 1.0}
    """Levels and their weights; each episode draws its level."""
    observation: Observation = "tiles"
    """What the agent sees. `tiles`: the map around Mario. `pixels`: grey pictures. `rgb`: the whole
    picture. `ram`: the work RAM."""
    actions: Annotated[str | list[list[str]], BeforeValidator(action_set)] = "simple"
    """A name out of `ACTION_SETS`, "SIMPLE_MOVEMENT" and the like too, or a list of lists of
    buttons. "all": the 256 states of the controller."""
    reward: Annotated[str, AfterValidator(_reward_named)] = "progress"
    """`progress`: new-best px, and the end. `landed`: that, paid once Mario stands again, so that a
    jump into a pit brings nothing. `gym`: as gym-super-mario-bros. `tutorial`: that, +50 for the
    flag, -50 for another end, divided by 10. Or `module:function`: a function of your own
    (`warpzone.smb.reward.RewardFunction`), imported where a training's settings, or an argument,
    name it; a search for a way through a level, which no reward is needed for, looks for progress
    then."""
    end_penalty: float = Field(2.5, ge=0.0, le=100.0)
    """What `progress` and `landed` take for an end other than the flag."""
    step_penalty: float = Field(0.01, ge=0.0, le=10.0)
    """What they take for each step: the dearer it is, the less an agent waits."""
    coin_reward: float = Field(0.0, ge=0.0, le=100.0)
    """What `progress` and `landed` pay for a coin. A hundred of them are an extra life."""
    life_reward: float = Field(0.0, ge=0.0, le=100.0)
    """What they pay for an extra life. A search for a way through a level then looks for one with
    as many as can be found."""
    power_reward: float = Field(0.0, ge=0.0, le=100.0)
    """What they pay for a mushroom, and for a flower once more; taken where a hit costs them. A
    search looks for these too."""
    frame_skip: int = Field(4, ge=1, le=60)
    """Emulated frames that an action is held for: an agent step."""
    frame_stack: int = Field(4, ge=1, le=16)
    """Pictures in a `pixels` observation."""
    size: Annotated[tuple[int, int], BeforeValidator(size_of)] = (84, 84)
    """Height and width of a `pixels` observation, in px; one number: of a square."""
    crop_status_bar: bool = False
    """Leave the 32 lines with score and time out of `pixels`."""
    max_pool: bool = False
    """Brighter of the last two frames for each pixel: undoes flicker."""
    consecutive: bool = False
    """Stack the frames of one step instead of the last frame of each of several steps."""
    skip_cutscenes: bool = True
    """Run through pipes, loading and entrances without asking the agent."""
    noop_max: int = Field(0, ge=0, le=300)
    """An episode, and each level that the game goes on into, begins after 0 to this many idle
    frames, drawn anew each time. In 1-2 an enemy reaches an idle Mario after 318, in no level
    sooner."""
    start_noop_max: int = Field(0, ge=0, le=300)
    """An episode that begins within a level begins after 0 to this many idle frames, where Mario
    stands and comes to no harm by them: what moves is then elsewhere each time."""
    start_halt_share: float = Field(0.0, ge=0.0, le=1.0)
    """Share of such episodes in which Mario first comes to a stand, where that takes a second at
    most and does no harm: an agent on its way never stands there, and learns what to do from
    there only so. The idle frames of `start_noop_max` come behind it."""
    repeat_action_probability: float = Field(0.0, ge=0.0, lt=1.0)
    """Probability per emulated frame that the buttons stay as they were (Machado et al. 2018)."""
    sticky_share: float = Field(1.0, ge=0.0, le=1.0)
    """Share of episodes in which buttons are sticky at all."""
    end_thrown_back: bool = False
    """Whether an episode ends, as by a death, where a maze sends Mario back."""
    show_level: bool = False
    """Whether the scalars of `tiles` name the level, one-hot."""
    show_paths: bool = False
    """Whether the hazards' plane of `tiles` also shows where thrown hammers will be 4, 8, 12 and 16
    frames on, and firebars 8, 16, 24 and 32."""
    last_level: str | None = None
    """The game goes on by itself from level to level, and an episode is cleared with this one;
    None: each level is an episode of its own."""
    row_share: float = Field(0.0, ge=0.0, le=1.0)
    """Share of cleared levels after which the next episode begins as the game goes on, in the level
    that follows, with all that Mario has; where that is not one of `levels`, none does."""
    life_share: float = Field(0.0, ge=0.0, le=1.0)
    """Share of lost lives of whole episodes after which the next episode begins as the game goes
    on: in the same level, at its half-way point if Mario came past it, with a life less, while any
    is left. Clear rates of training episodes count these too."""
    phase_share: float = Field(0.0, ge=0.0, le=1.0)
    """Share of episodes that do not go on from another, in which what the game counts by is drawn
    anew, as if it had been going on for any time: its random numbers, its frame counter and the
    tick of its timers. Enemies then meet Mario in phases that no wait at the level's own start
    brings. Buttons alone do not lead to where such an episode is, so it cannot be saved as one; see
    `InputLog.variation`."""
    power_share: float = Field(0.0, ge=0.0, le=1.0)
    """Share of those episodes that begin at a level's own start, in which Mario is big there, or,
    in half of them, has fire: as he comes from another level. The same holds of its buttons."""
    whole_game: bool = False
    """An episode is the game as it is played: power on, Start, the console's lives, half-way points
    and 1-ups. It is cleared when the princess is saved. Each time that Mario can be played again,
    `noop_max` holds."""
    lives: Literal[1, 3] = 3
    """Of the whole game: the console's three, or 1, with which it ends at the first death."""
    warps: bool = False
    """Whether the whole game goes on behind a warp zone; else that ends an episode."""
    max_steps: int | None = Field(None, ge=1, le=MOST_STEPS)
    """Steps after which an episode is truncated; None: no limit but the game's own timer."""
    no_progress_steps: int | None = Field(None, ge=1, le=MOST_STEPS)
    """Steps without a new farthest point after which an episode is truncated."""
    start_steps: int | None = Field(None, ge=1, le=MOST_STEPS)
    """Steps after which an episode that began within its level is truncated."""
    start_states: OwnStarts = ()
    """Moments of your own at which episodes begin in place of the start of their level, as whole
    ones: files of what `Console.save` or an environment's `console_state` returned, with commas
    between or as a list, in which these bytes themselves may stand too; or a mapping from files to
    weights. Where `levels` are not given they are those of these moments."""
    start_state_share: float = Field(1.0, ge=0.0, le=1.0)
    """Share of the episodes of their levels that begin at `start_states`, with `start_noop_max`,
    not `noop_max`. Measurements in a training begin there too where it is 1, and otherwise none
    does."""
    autoreset: Annotated[Autoreset, BeforeValidator(autoreset_named)] = "same_step"
    """When a game of many begins anew: in the step that ended its episode, in the next, or when
    asked to. Gymnasium's `AutoresetMode` works too."""

    @model_validator(mode="before")
    @classmethod
    def _other_names(cls, data: Any) -> Any:
        """`autoreset_mode`, as in Gymnasium's vector environments, is `autoreset`; levels that are
        not given are those of `start_states`."""
        if not isinstance(data, dict):
            return data
        if "autoreset_mode" in data:
            if "autoreset" in data:
                raise ValueError(
                    "autoreset and autoreset_mode are the same setting: give one of them"
                )
            renamed = {"autoreset_mode": "autoreset"}
            data = {renamed.get(name, name): value for name, value in data.items()}
        return _with_levels(data)

    @model_validator(mode="after")
    def _fits_together(self) -> EnvConfig:
        if not self.action_list:
            raise ValueError("actions: there must be at least one")
        if len(self.action_list) > MOST_ACTIONS:
            raise ValueError(
                f"actions: there are {len(self.action_list)}, and at most {MOST_ACTIONS}"
            )
        try:
            for names in self.action_list:
                buttons_of(names)
        except WarpzoneError as error:
            raise ValueError(str(error)) from error
        if self.last_level is not None:
            level_index(self.last_level)
            if self.row_share > 0:
                raise ValueError(
                    "row_share is for episodes of one level, and there is a last_level"
                )
        if not self.whole_game:
            for state in self.start_states:
                if not self.levels.get(level := level_played(state)):
                    raise ValueError(
                        f"start_states: {state.name!r} is a moment of {level}, which is none of the"
                        f" levels {', '.join(self.levels)}: name it there too"
                    )
        height, width = self.size
        if not (1 <= height <= 240 and 1 <= width <= 256):
            raise ValueError(f"size {self.size}: at least (1, 1) and at most (240, 256)")
        if self.consecutive and self.frame_stack != self.frame_skip:
            raise ValueError(
                f"consecutive stacking shows the frames of one step, so frame_stack "
                f"({self.frame_stack}) must equal frame_skip ({self.frame_skip})"
            )
        # Starts within levels are recorded with a stack whatever is seen, evaluations switch sticky
        # actions on and off, and one configuration serves many levels and one.
        fields = type(self).model_fields
        for name, reason in self.without_effect(set(fields) - _ALSO_ELSEWHERE).items():
            if getattr(self, name) != fields[name].default:
                raise ValueError(f"{name} {reason}")
        return self

    def without_effect(self, names: Iterable[str]) -> dict[str, str]:
        """Returns which of these settings change nothing in what is played or seen, and why."""
        reasons: dict[str, str] = {}
        if self.observation != "pixels":
            why = f"is for the observation 'pixels', and this is {self.observation!r}"
            reasons |= dict.fromkeys(_OF_PIXELS, why)
        if self.observation != "tiles":
            why = f"is for the observation 'tiles', and this is {self.observation!r}"
            reasons |= dict.fromkeys(("show_level", "show_paths"), why)
        if self.reward not in PAID_BY_PROGRESS:
            why = f"is for the rewards progress and landed, not {self.reward!r}"
            reasons |= dict.fromkeys(OF_PROGRESS, why)
        if self.repeat_action_probability == 0:
            reasons["sticky_share"] = "needs a repeat_action_probability above 0"
        if not any(pair[0] in self.levels and pair[1] in self.levels for pair in pairwise(LEVELS)):
            reasons["row_share"] = "needs two levels, of which one follows the other in the game"
        elif self.last_level is not None:
            reasons["row_share"] = "is for episodes of one level, and there is a last_level"
        if not self.start_states:
            reasons["start_state_share"] = "needs start_states"
        if self.whole_game:
            why = "is for episodes that begin at levels, and this is the whole game"
            reasons |= dict.fromkeys(
                (
                    *("levels", "last_level", "row_share", "life_share", "phase_share"),
                    "power_share",
                    *("start_steps", "start_noop_max", "start_halt_share"),
                    *("start_states", "start_state_share"),
                ),
                why,
            )
        else:
            why = "is for the whole game: set whole_game too"
            reasons |= {"lives": why, "warps": why}
        return {name: why for name, why in reasons.items() if name in names}

    @property
    def action_list(self) -> list[list[str]]:
        """The actions as lists of buttons."""
        return ACTION_SETS[self.actions] if isinstance(self.actions, str) else self.actions

    @property
    def own_reward(self) -> str | None:
        """The reward as `module:function`, if it is code of a user's own."""
        return None if self.reward in REWARDS else self.reward

    def without_own_reward(self) -> EnvConfig:
        """The same with a reward that comes along, if this one is code of a user's own: for
        playing, which needs no reward."""
        if self.own_reward is None:
            return self
        return self.model_copy(update={"reward": type(self).model_fields["reward"].default})

    def native_rules(self) -> _native.Rules:
        """What an episode is, as the native core takes it."""
        rules = _native.Rules()
        rules.actions = [buttons_of(names) for names in self.action_list]
        rules.level_weights = [self.levels.get(name, 0.0) for name in LEVELS]
        rules.frame_skip = self.frame_skip
        rules.noop_max = self.noop_max
        rules.start_noop_max = self.start_noop_max
        rules.start_halt_share = self.start_halt_share
        rules.repeat_action_probability = self.repeat_action_probability
        rules.sticky_share = self.sticky_share
        rules.end_thrown_back = self.end_thrown_back
        rules.show_level = self.show_level
        rules.show_paths = self.show_paths
        rules.last_level = -1 if self.last_level is None else level_index(self.last_level)
        rules.row_share = self.row_share
        rules.life_share = self.life_share
        rules.phase_share = self.phase_share
        rules.power_share = self.power_share
        rules.end_penalty = self.end_penalty
        rules.step_penalty = self.step_penalty
        rules.coin_reward = self.coin_reward
        rules.life_reward = self.life_reward
        rules.power_reward = self.power_reward
        rules.whole_game = self.whole_game
        rules.one_life = self.lives == 1
        rules.warps = self.warps
        rules.max_steps = self.max_steps or 0
        rules.no_progress_steps = self.no_progress_steps or 0
        rules.start_steps = self.start_steps or 0
        rules.skip_cutscenes = self.skip_cutscenes
        rules.reward = getattr(_native.Reward, "progress" if self.own_reward else self.reward)
        return rules


class EnvSettings(TypedDict, total=False):
    """The fields of `EnvConfig`, where they are documented, as keywords of `make` and `make_vec`,
    but for the levels and the reward, which are arguments of their own."""

    observation: Observation
    actions: Actions
    frame_skip: int
    frame_stack: int
    size: int | tuple[int, int]
    crop_status_bar: bool
    max_pool: bool
    consecutive: bool
    skip_cutscenes: bool
    noop_max: int
    start_noop_max: int
    start_halt_share: float
    repeat_action_probability: float
    sticky_share: float
    end_thrown_back: bool
    show_level: bool
    show_paths: bool
    last_level: str | None
    row_share: float
    life_share: float
    phase_share: float
    power_share: float
    end_penalty: float
    step_penalty: float
    coin_reward: float
    life_reward: float
    power_reward: float
    whole_game: bool
    lives: Literal[1, 3]
    warps: bool
    max_steps: int | None
    no_progress_steps: int | None
    start_steps: int | None
    start_states: StartStates
    start_state_share: float


class VectorEnvSettings(EnvSettings, total=False):
    """The same for many games: those reset themselves. Both names mean one setting."""

    autoreset: Autoreset | AutoresetMode
    autoreset_mode: Autoreset | AutoresetMode


def level_played(state: StartState) -> str:
    """Returns the level that is played at a moment. Raises `ValueError` where none is."""
    try:
        return LEVELS[_native.level_of_snapshot(state.snapshot)]
    except ValueError as error:
        raise ValueError(f"start_states: {state.name!r}: {error}") from None


def _with_levels(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of an `EnvConfig`, with the levels of its moments where none are given."""
    given = fields.get("start_states")
    if "levels" in fields or not given or fields.get("whole_game"):
        return fields
    levels: dict[str, float] = {}
    try:
        states = _STATES.validate_python(given)
        for state in states:
            level = level_played(state)
            levels[level] = levels.get(level, 0.0) + state.weight
    except ValueError:
        return fields  # it is said of the field itself
    return {**fields, "start_states": states, "levels": levels}


_STATES: TypeAdapter[tuple[StartState, ...]] = TypeAdapter(OwnStarts)


def env_config(**fields: Any) -> EnvConfig:
    """An `EnvConfig`. Raises `ConfigError` that says which value is wrong."""
    try:
        return EnvConfig(**fields)
    except ValidationError as error:
        raise ConfigError(describe(error)) from None
