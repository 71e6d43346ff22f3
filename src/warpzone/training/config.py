"""Every setting of a training run, in one place. Unknown names and bad values are errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    model_validator,
)

from warpzone.cpu import MOST_THREADS
from warpzone.nes.env_fields import MOST_NOOPS
from warpzone.nes.game_config import GameConfig
from warpzone.own_code import CODE
from warpzone.ppo.config import Coefficient, Count, Fraction, PPOConfig
from warpzone.pqn.config import PQNConfig
from warpzone.smb.config import EnvConfig
from warpzone.training.migration import CALLED_ELSEWHERE, RENAMED
from warpzone.training.network_registry import NAME

MOST_GAMES = 1 << 16
MOST_LAYERS = 8
WIDEST_LAYER = 4096
MOST_SEED = 2**63 - 1
ALL_LEVELS = "all"
"""In `distillation_policies`: each level that is not named."""

AlgorithmName = Literal["ppo", "pqn"]

OF_ALGORITHM: dict[AlgorithmName, tuple[str, ...]] = {
    "ppo": (
        *("progress_gamma", "gae_lambda", "value_target", "normalize_advantage"),
        *("objective", "clip", "kl_target", "policy_coef", "value_coef", "entropy_coef", "lr_kl"),
        *("distillation_coef", "distillation_policies", "corrections"),
    ),
    "pqn": ("pqn",),
}
"""Settings, or groups of them, that only one algorithm has."""

TENSORBOARD = "tensorboard"
TrackerName = Literal["tensorboard", "wandb", "mlflow", "trackio"]

Width = Annotated[int, Field(ge=1, le=WIDEST_LAYER)]

MOST_OPTIONS = 4096
"""Characters of `network.options` as JSON."""


def _is_network(kind: str) -> str:
    if not (NAME.fullmatch(kind) or CODE.fullmatch(kind)):
        raise ValueError("a network is named by letters, digits, _ and -, or as module:Class")
    return kind


def _are_few(options: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if len(json.dumps(options)) > MOST_OPTIONS:
        raise ValueError(f"options are at most {MOST_OPTIONS} characters of JSON")
    return options


# Which observations a network can read; others read what their class can.
READS = {
    "tiles": ("tiles", "ram", "variables"),
    "patches": ("pixels", "rgb"),
    "cnn": ("pixels", "rgb"),
    "tutorial": ("pixels", "rgb"),
}


class NetworkConfig(BaseModel):
    """The shape of the policy network."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    kind: Annotated[str, Field(max_length=200), AfterValidator(_is_network)] = "tiles"
    """`tiles`: dense layers on bytes and scalars. `patches`: two embeddings of patches of a
    picture, for a CPU. `cnn`: three convolutions as in Mnih et al. 2015. `tutorial`: four
    convolutions of 32 filters, 3×3, stride 2. `gru`: one of these, and a memory beside it. Or one
    of your own: its name, or `module:Class` (see `warpzone.training.network_registry`)."""
    options: Annotated[dict[str, JsonValue], AfterValidator(_are_few)] = Field(default_factory=dict)
    """What a network's class takes by name besides. Of `gru`: `trunk`, the kind of network beside
    the memory; by default `tiles`, or `patches` where pictures are seen."""
    embeddings: tuple[Width, Width] = (16, 32)
    """Of `patches` (and `gru` with it) only: numbers that stand for a square of 4×4 px, and for
    3×3 of those."""
    hidden: tuple[Width, ...] = Field((256, 128), min_length=1, max_length=MOST_LAYERS)
    """Widths of the dense layers before the two heads; the memory of `gru` is as wide as the
    last."""
    piecewise_linear: bool = False
    """Whether the observation `tiles` is seen with positions and speeds in finer detail too (see
    `warpzone.training.piecewise_linear`); of no effect on other observations."""


class DemonstrationConfig(BaseModel):
    """A recorded game to begin with (see `warpzone.episodes.format`); its file's name will do."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    file: str
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    """Of the file; filled in when it is read first."""


def _named(given: Any) -> Any:
    return {"file": str(given)} if isinstance(given, str | Path) else given


def _for_all(given: Any) -> Any:
    return {ALL_LEVELS: str(given)} if isinstance(given, str | Path) else given


class CurriculumConfig(BaseModel):
    """Partial episodes: short ones that begin within a level, along a trajectory that a search has
    found or somebody has demonstrated (see `warpzone.training.curriculum`)."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    share: Fraction = 0.0
    """Of all episodes, at the beginning; 0: no search, no curriculum. Of described games whose
    partial episodes lead on to the end of a whole one (see `episode_steps`), throughout."""
    last_share: Fraction = 0.3
    """Of all episodes, at full competence (see `Learner.competence`)."""
    progress_mask: bool = True
    """Whether only what lies on the trajectory counts as progress (see
    `MarioVectorEnv.set_progress_masks`)."""
    segment: Count = 16
    """Agent steps of the trajectory that have a success rate of their own, together."""
    episode_steps: Count | None = None
    """Of a described game: agent steps after which a partial episode is cut, so that places along
    the demonstrations can be drawn by how often episodes from there fail. None: each leads on to
    the end, and all places are drawn alike. Levels of Super Mario Bros. have `env.start_steps`."""
    search_steps: Count = 20_000_000
    """Agent steps of the search at the most, for each level."""
    demonstrations: tuple[Annotated[DemonstrationConfig, BeforeValidator(_named)], ...] = ()
    """Recorded games: levels that are played in one of them are not searched."""


class PracticeConfig(BaseModel):
    """Partial episodes that begin shortly before the agent failed (see
    `warpzone.training.practice`)."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    share: Fraction = 0.0
    """Of all episodes, as soon as there are failures; 0: none."""
    moments: int = Field(64, ge=1, le=4096)
    """Kept of each level at the most; the newest replaces the oldest."""
    nearest: Count = 20
    """Agent steps before a failure, at the least."""
    farthest: Count = 100
    """Agent steps before a failure, at the most; fewer where a partial episode would not last until
    then and `nearest` steps more."""


class CorrectionsConfig(BaseModel):
    """Search as a teacher, from moments before failures (see `warpzone.training.corrections`)."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    share: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0
    """Agent steps of search for each agent step of training; 0: no search."""
    games: int = Field(64, ge=16, le=4096)
    """Replays at once."""
    repeat_action_probability: float = Field(0.25, ge=0.0, lt=1.0)
    """Probability per frame that buttons stick in a replay."""
    noop_max: int = Field(4, ge=0, le=300)
    """A replay that begins where Mario stands begins after 0 to this many idle frames."""
    most_success: Fraction = 0.2
    """A moment is searched from if no more of the episodes that practise there get through."""
    margin: Fraction = 0.25
    """A correction is learnt from if it raises the share of replays that get through by as much."""
    kept: int = Field(4096, ge=1, le=MOST_GAMES)
    """Observations to learn from at the most; the newest replace the oldest."""
    rows: Fraction = 1 / 16
    """Of them in an update, as a share of a rollout's samples."""
    coef: Coefficient = 1.0
    """Weight of KL(what a correction says ‖ agent), mean over them and the rollout's samples."""
    pull: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.9
    """What is imitated has this probability of the action that a correction says, and is the
    agent's own policy for the rest."""


class GameTraining(GameConfig):
    """Another game than Super Mario Bros., from a description (see `warpzone.nes.game`): then `env`
    is not looked at."""

    name: str | None = None
    """What it is called, one of those that come along or that a program has registered; None: this
    is a training on Super Mario Bros."""

    @model_validator(mode="after")
    def _is_of_use(self) -> Self:
        if self.name is None and self.model_fields_set - {"name"}:
            changed = [
                name
                for name in sorted(self.model_fields_set - {"name"})
                if getattr(self, name) != type(self).model_fields[name].default
            ]
            if changed:
                raise ValueError(f"game.{changed[0]} is for a described game: set game.name too")
        if self.name is not None and self.starts is not None and len(self.starts) != 1:
            raise ValueError("training is on one start: name one in game.starts")
        if len(self.start_states) > 1:
            raise ValueError("training is on one start: name one in game.start_states")
        return self

    def without_name(self) -> GameConfig:
        """Returns the settings without the name."""
        return GameConfig(**self.model_dump(exclude={"name"}))


class TrainConfig(PPOConfig):
    """One training run: the algorithm's settings and all others. The defaults are the preset
    `tiles`."""

    OTHER_NAMES: ClassVar[Mapping[str, str]] = {**CALLED_ELSEWHERE, **RENAMED}

    algorithm: AlgorithmName = "ppo"
    """What learns. `ppo`: proximal policy optimisation. `pqn`: parallelised Q-network, by PyTorch;
    the preset `pqn` has settings for it."""
    pqn: PQNConfig = PQNConfig()
    """What only PQN has."""
    preset: str = "tiles"
    """The preset that this configuration started from."""
    env: EnvConfig = EnvConfig(
        observation="tiles",
        reward="landed",
        noop_max=30,
        no_progress_steps=150,
        show_paths=True,
    )
    """The games that are trained on."""
    game: GameTraining = GameTraining()
    """A described game to train on instead."""
    network: NetworkConfig = NetworkConfig(piecewise_linear=True)
    """The shape of the policy network."""
    init: str | None = None
    """An agent whose weights the run begins with: a file, a run directory, the name of a level for
    the one that is packaged for it, or `hf://OWNER/NAME`."""
    curriculum: CurriculumConfig = CurriculumConfig()
    """Episodes that begin within a level."""
    prioritize_levels: bool = False
    """Draw levels the more often the more of their last 100 episodes failed, besides their weights
    in `env.levels` (see `warpzone.training.level_priority`)."""
    last_end_penalty: float | None = Field(None, ge=0.0, le=100.0)
    """What an end without the flag costs in a level of which all training episodes of late were
    cleared, the last 100 or as many as have ended, be it one; from `env.end_penalty` where none
    was: who cannot play it yet must dare, who can should take care. None: always
    `env.end_penalty`. For the rewards `progress` and `landed` only; a preset's is without effect on
    others, and on other games."""
    progress_gamma: float = Field(1.0, ge=0.0, le=1.0)
    """Discount for each 16 px (a block) that a step gets ahead, beside γ for its time. With γ near
    1 what lies far ahead counts less because of the way, and to wait costs little (see
    `warpzone.training.progress_discounts`)."""
    practice: PracticeConfig = PracticeConfig()
    """Episodes that begin where earlier ones failed."""
    corrections: CorrectionsConfig = CorrectionsConfig()
    """What a search finds where they failed."""

    # Rollout
    num_envs: int = Field(64, ge=2, le=MOST_GAMES)
    """Games played at once, in two halves: one plays while the policy decides for the other. Of
    several ranks (`torchrun`), those of all together."""
    rollout_steps: int = Field(64, ge=1, le=MOST_GAMES)
    """Agent steps of each game between two updates."""
    total_steps: Count = 4_000_000
    """Agent steps of the whole run, all games together; the last rollout is played to its end."""

    # Distillation (see `warpzone.training.distillation`)
    distillation_policies: Annotated[dict[str, str], BeforeValidator(_for_all)] = Field(
        default_factory=dict
    )
    """Agents, named as in `init`, by the level that they show; that of `all` shows each level that
    is not named. One name alone is for all. They need not see what the agent in training sees: of
    our games those that see `tiles` are shown them."""

    # Measuring, stopping, saving
    target_clear_rate: Fraction | None = 0.95
    """Stop as soon as the last 100 training episodes and then a measurement reach this rate."""
    eval_episodes: Count = 100
    """Episodes of a measurement, for each level."""
    eval_noop_max: int = Field(30, ge=0, le=MOST_NOOPS)
    """A measured episode starts after 0 to this many no-op frames."""
    eval_repeat_action_probability: float = Field(0.0, ge=0.0, lt=1.0)
    """Probability per frame that buttons stick in a measured episode."""
    eval_every: Count = 20
    """At least this many updates lie between two measurements of the training agent."""
    checkpoint_every: Count = 100
    """Updates between two checkpoints."""
    keep_checkpoints: Count = 3
    """Of the newest checkpoints, so many stay."""
    watched_games: int = Field(6, ge=0, le=64)
    """Games whose episodes are written down to be looked at (see
    `warpzone.training.episode_writer`)."""
    trackers: tuple[TrackerName, ...] | None = None
    """Where the figures of `metrics.jsonl` are shown too: `tensorboard`, `wandb`, `mlflow`,
    `trackio` (see `warpzone.trackers`). None: TensorBoard, where it is installed."""
    track_project: str = Field("warpzone", min_length=1, max_length=128, pattern=r"^[\w .-]+$")
    """What `wandb`, `mlflow` (as an experiment) and `trackio` list the run in."""
    epoch_lines: bool = False
    """Print a line for each update with the farthest x and the nearest x of an episode's end."""

    # Machine
    seed: int = Field(0, ge=0, le=MOST_SEED)
    """Of everything random."""
    device: str = "auto"
    """`auto` (CUDA where there is one), `cpu`, `cuda`, `cuda:1` …"""
    threads: int | None = Field(None, ge=1, le=MOST_THREADS)
    """CPU threads for the games and for learning, of each rank; None: all cores this process may
    use, which the ranks of a machine divide."""
    learner: Literal["auto", "torch", "native"] = "auto"
    """What plays and learns. `native`: C++, for networks of kind `tiles` on the CPU, several times
    as fast. `torch`: PyTorch, for all networks. `auto`: `native` where it can."""
    amp: bool | None = None
    """Compute hidden layers in bfloat16; None: where the processor has instructions for it."""

    @property
    def batch(self) -> int:
        """Samples in a rollout."""
        return self.num_envs * self.rollout_steps

    @property
    def played(self) -> str:
        """What is trained on, for people: the game, or the levels."""
        return self.game.name or ", ".join(self.env.levels)

    def without_effect(self) -> dict[str, str]:
        """Returns which settings change nothing with this algorithm, by dotted name, and why."""
        return {
            name: f"is for the algorithm {other}, and this is {self.algorithm!r}"
            for other, names in OF_ALGORITHM.items()
            for name in names
            if other != self.algorithm
        }

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name, why in self.without_effect().items():
            given, default = (
                getattr(self, name),
                type(self).model_fields[name].get_default(call_default_factory=True),
            )
            if given != default:
                raise ValueError(f"{_first_change(name, given, default)} {why}")
        if self.algorithm == "pqn" and self.learner == "native":
            raise ValueError("learner 'native' is for the algorithm ppo: set learner to auto")
        if self.minibatch_size > self.batch:
            raise ValueError(
                f"minibatch_size {self.minibatch_size} is larger than a rollout of"
                f" num_envs × rollout_steps = {self.batch} samples"
            )
        seen = self.env.observation if self.game.name is None else self.game.observation
        if seen not in READS.get(self.network.kind, (seen,)):
            kinds = [kind for kind, views in READS.items() if seen in views]
            raise ValueError(
                f"network {self.network.kind!r} cannot read observation {seen!r};"
                f" set network.kind to {' or '.join(kinds)}"
            )
        if self.curriculum.share > 0 and self.game.name is not None:
            if not self.curriculum.demonstrations:
                raise ValueError(
                    "a curriculum of a described game leads along demonstrations: name some in"
                    " curriculum.demonstrations, or set curriculum.share to 0"
                )
        elif self.curriculum.episode_steps is not None and self.game.name is None:
            raise ValueError(
                "curriculum.episode_steps is for described games: set env.start_steps to"
                f" {self.curriculum.episode_steps} and leave it out"
            )
        elif self.curriculum.share > 0 and self.env.start_steps is None:
            raise ValueError(
                "a curriculum needs env.start_steps, the length of its partial episodes, e.g. 96"
            )
        if self.curriculum.demonstrations and self.curriculum.share == 0:
            raise ValueError(
                "demonstrations are for a curriculum: begin with --preset specialist, or set"
                " curriculum.share above 0"
            )
        if self.practice.share > 0:
            self._check_practice()
        if self.corrections.share > 0 and self.practice.share == 0:
            raise ValueError(
                "corrections are searched from the moments that practice keeps: set practice.share"
                " above 0 too"
            )
        if self.env.whole_game:
            raise ValueError(
                "env.whole_game is for playing and measuring: training is on levels, and in rows of"
                " them by env.row_share"
            )
        if self.env.last_level is not None:
            raise ValueError(
                "env.last_level is for playing and measuring: training goes on from level to level"
                " by env.row_share"
            )
        if self.game.autoreset != "same_step":
            raise ValueError(f"training needs game.autoreset same_step, not {self.game.autoreset}")
        if self.env.autoreset != "same_step":
            raise ValueError(
                f"training needs env.autoreset same_step, not {self.env.autoreset!r}:"
                " every stored step is to be one that the agent played"
            )
        return self

    def _check_practice(self) -> None:
        practice, length = self.practice, self.env.start_steps
        if self.game.name is not None:
            raise ValueError(
                "practice is for levels of Super Mario Bros., and this is the game"
                f" {self.game.name!r}: set practice.share to 0"
            )
        if practice.share == 1:
            raise ValueError(
                "practice.share is 1, and failures are those of episodes from a level's own start:"
                " set it below 1"
            )
        if length is None:
            raise ValueError(
                "practice needs env.start_steps, the length of its partial episodes, e.g. 96"
            )
        if not practice.nearest <= practice.farthest:
            raise ValueError(
                f"practice.nearest {practice.nearest} is more than"
                f" practice.farthest {practice.farthest}"
            )
        if length < 2 * practice.nearest:
            raise ValueError(
                f"partial episodes of env.start_steps {length} are too short to practise from"
                f" {practice.nearest} steps before a failure on; set env.start_steps to"
                f" {2 * practice.nearest} or more"
            )


def _first_change(name: str, given: Any, default: Any) -> str:
    """Returns a setting's dotted name, of a group that of its first one that is not the default."""
    if not isinstance(given, BaseModel):
        return name
    changed = (n for n in type(given).model_fields if getattr(given, n) != getattr(default, n))
    return f"{name}.{next(changed)}"
