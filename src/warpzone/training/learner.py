"""What training changes, and one update of it.

A `Learner` holds the policy and its optimiser, the games and the rollout that they fill, the random
state of shuffling samples, the statistics of episodes, the curriculum, and the counters; `snapshot`
and `restore` copy all of that. Knows no file and no display. One file because what `improve`
changes, `snapshot` must copy and `restore` bring back.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch

from warpzone import hardware
from warpzone.errors import AgentError, ConfigError
from warpzone.ppo import losses as ppo
from warpzone.ppo.policy import shapes_of, to_tensors
from warpzone.ppo.rollout import Rollout, VectorEnv, collect
from warpzone.ppo.update import Batch
from warpzone.smb.search import Trajectory
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.training import ranked_games
from warpzone.training.agent_file import AgentInfo, Stage, load_agent
from warpzone.training.algorithm import PPO, Moment, make_algorithm
from warpzone.training.checkpoint import Snapshot
from warpzone.training.config import TrainConfig
from warpzone.training.corrections import Corrections
from warpzone.training.curriculum import Curriculum, merged_ways, search_part
from warpzone.training.described_curriculum import DescribedCurriculum
from warpzone.training.described_games import DescribedEnv
from warpzone.training.distillation import DistillationPolicies, TilesBeside
from warpzone.training.episode_writer import EpisodeWriter
from warpzone.training.evaluation import EvalResult, play_episodes
from warpzone.training.frame_stacks import StoredStacks, shows_stacks
from warpzone.training.gpu_rollout import GpuPlayer
from warpzone.training.initial_weights import begin_with
from warpzone.training.level_env import LevelEnv, level_env, logged_env
from warpzone.training.level_priority import level_priorities
from warpzone.training.metrics import EpisodeStats
from warpzone.training.native_play import NativePlay
from warpzone.training.native_update import NativePolicy, learns_natively
from warpzone.training.network_checks import check_trainable
from warpzone.training.network_registry import BUILT_IN
from warpzone.training.networks import make_policy
from warpzone.training.practice import Practice
from warpzone.training.progress_discounts import ProgressDiscounts
from warpzone.training.provenance import code_commit, command_of
from warpzone.training.ranked_update import agree_on
from warpzone.training.ranks import ALONE, Ranks
from warpzone.training.recurrent import Memory, RecurrentPlayer, RecurrentPolicy
from warpzone.training.resolve_agent import resolve_agent
from warpzone.training.run_settings import SettingChange
from warpzone.training.step_result import StepResult
from warpzone.version import VERSION


class Learner:
    """A policy in training on its games.

    Args:
        config: all settings.
        env: the games, `config.num_envs` of them.
        demonstrated: ways through levels by level, for the curriculum.
        ranks: the processes that learn together, of whose games `env` has this one's.

    A new one is not yet what it begins with: `begin` or `restore` comes next.

    Raises:
        ConfigError: settings that do not fit these games or this machine.
        AgentError: a distillation policy that is missing or damaged.
    """

    def __init__(
        self,
        config: TrainConfig,
        env: VectorEnv,
        demonstrated: Mapping[str, Sequence[Trajectory]] | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        if getattr(env, "action_masks", None) is not None:
            raise ConfigError(
                "these games have action_masks, and what learns here chooses from all actions:"
                " leave them out, or train with MaskablePPO (warpzone.compat.sb3)"
            )
        self.config, self.env, self.ranks = config, env, ranks
        self.demonstrated = demonstrated
        self.device = hardware.pick_device(ranks.device(config.device))
        self.threads = ranks.threads(config.threads)
        # While playing, the games' threads work too.
        self.playing_threads = max(1, self.threads // 2)
        self.shapes = shapes_of(env.single_observation_space)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            policy = make_policy(
                config.network, self.shapes, int(env.single_action_space.n), config.algorithm
            )
        if config.network.kind not in BUILT_IN:
            check_trainable(policy, config.network.kind, self.shapes)
        if isinstance(policy, RecurrentPolicy) and config.corrections.share > 0:
            raise ConfigError(
                "corrections are not for a network with a memory, which a search does not carry"
                " along; set corrections.share=0"
            )
        self.earlier: tuple[Stage, ...] = ()
        """Of the agent that this one began with."""
        self.policy = policy.to(self.device)
        native = learns_natively(config, self.policy, self.device)
        fast = hardware.has_bfloat16(self.device) and not native
        kernels = agree_on(self.device, native, config.amp, ranks)
        fast = not ranks.any(not fast)
        self.policy.amp = fast if config.amp is None else config.amp
        ranked_games.begin(env, config.seed, ranks)
        # Native code and a GPU read plain arrays.
        plain = native or self.device.type != "cpu"
        stacks = not plain and shows_stacks(config.env, self.shapes)
        if stacks and config.corrections.share > 0:
            raise ConfigError("corrections are not for stacks of pictures; set corrections.share=0")
        keep = StoredStacks.zeros if stacks else torch.zeros
        self.rollout = Rollout(config.rollout_steps, env, self.device, keep)
        self.rollout.stride = ranks.size * env.num_envs
        self.progress_discounts: ProgressDiscounts | None = None
        if config.progress_gamma < 1:
            self.progress_discounts = ProgressDiscounts(
                level_env(env, "progress_gamma"),
                config.rollout_steps,
                config.gamma,
                config.progress_gamma,
            )
        self.games = slice(ranks.rank * env.num_envs, (ranks.rank + 1) * env.num_envs)
        """This rank's games, of all ranks'."""
        self.player: RecurrentPlayer | None = None
        """Of a network with a memory, which it holds."""
        if isinstance(policy, RecurrentPolicy):
            if ranks.size > 1:
                raise ConfigError(
                    "a network with a memory learns from whole sequences, which ranks do not divide"
                    " among them: train it in one process, without torchrun"
                )
            self.player = RecurrentPlayer(env, policy, self.rollout)
        self.algorithm = make_algorithm(
            config,
            self.policy,
            self.rollout,
            kernels,
            threads=self.threads,
            player=self.player,
            ranks=ranks,
        )
        self.decider, self.updater = self.algorithm.decider, self.algorithm.updater
        self.native_play: NativePlay | None = None
        """Of a native network in our own games: no Python between their steps."""
        if native and isinstance(env, MarioVectorEnv) and env.reward_function is None:
            self.native_play = NativePlay(env, self.rollout)
        on_gpu = self.device.type == "cuda" and self.player is None
        self.gpu_player = GpuPlayer(env, self.rollout) if on_gpu else None
        self.shuffling = torch.Generator().manual_seed(config.seed)
        trained = config.env.levels if isinstance(env, LevelEnv) else env.tasks()
        self.stats = EpisodeStats(list(trained), env.tasks())
        self.curriculum: Curriculum | DescribedCurriculum | None = self._places()
        self.levels: LevelEnv | None = None
        for setting, wanted in (
            ("curriculum.share", config.curriculum.share > 0 and config.game.name is None),
            ("prioritize_levels", config.prioritize_levels),
        ):
            if wanted:
                self.levels = level_env(env, setting)
        self.penalized: LevelEnv | None = None
        """Games with a reward that takes something for an end without the flag."""
        if isinstance(env, LevelEnv) and not config.env.without_effect({"end_penalty"}):
            self.penalized = env
        self.practice: Practice | None = None
        self.logged = logged_env(env, "practice.share") if config.practice.share > 0 else None
        self.corrections: Corrections | None = None
        self.distillation: DistillationPolicies | None = None
        if config.distillation_policies:
            level_env(env, "distillation_policies")
            self.distillation = DistillationPolicies(
                config.distillation_policies, env, config.env, config.rollout_steps, self.device
            )
            if self.distillation.beside is not None:
                self.native_play = None  # which shows its games to nobody between their steps
            self.ppo.distill = self.distillation.log_probs
        self.step = 0
        self.updates = 0
        self.seconds = 0.0
        self.changes: Sequence[SettingChange] = ()
        """What was set anew when the run went on."""
        self.episode_writer: EpisodeWriter | None = None
        """Of what is played in training, where it is wanted."""
        self._ended: list[np.ndarray] = []
        """Where other ranks play too: the episodes of this one that ended in this rollout."""
        self._pace: deque[float] = deque(maxlen=10)
        self._told: tuple[Sequence[SettingChange], str] | None = None

    def begin(self) -> None:
        """Takes over the weights of the agent to begin with (`init`), where there is one.

        Raises:
            ConfigError: its network is another one.
            AgentError: it is missing or damaged.
        """
        if self.config.init is not None:
            info = begin_with(self.policy, self.config.init)
            self.earlier = (*info.earlier, info.stage)

    @property
    def to_prepare(self) -> bool:
        """Whether there is to be a curriculum, and is none yet."""
        wanted = self.levels is not None and self.config.curriculum.share > 0
        return wanted and self.curriculum is None

    def search(self, log: Callable[[str], None]) -> dict[str, Any]:
        """Returns this rank's part of the ways for the curriculum, for `prepare`."""
        assert self.levels is not None
        part = self.ranks.rank, self.ranks.size
        return search_part(self.config, self.levels, self.demonstrated, *part, log)

    def prepare(
        self,
        log: Callable[[str], None] = lambda text: None,
        parts: Sequence[dict[str, Any]] = (),
    ) -> None:
        """Makes the curriculum, if there is to be one, which may search for minutes; `log`
        receives lines meanwhile. `parts`: what `search` has found in each of several ranks."""
        if self.to_prepare and self.levels is not None:
            given = self.config, self.levels, self.demonstrated, merged_ways(parts)
            self.curriculum = Curriculum(*given, log=log)
        if self.logged is not None and self.practice is None:
            self.practice = self._new_practice()
            self._renew_corrections()

    def improve(self) -> dict[str, float]:
        """Plays one rollout and learns from it; returns metrics by name."""
        config, began = self.config, time.perf_counter()
        self.prepare()
        progress, competence = min(1.0, self.step / config.total_steps), self.competence
        weights: Mapping[str, float] = config.env.levels
        if config.prioritize_levels and self.levels is not None:
            weights = level_priorities(weights, self.stats.clear_rates)
            self.levels.set_level_weights(weights)
        if config.last_end_penalty is not None and self.penalized is not None:
            first, last = config.env.end_penalty, config.last_end_penalty
            rates = self.stats.clear_rates
            self.penalized.set_end_penalties(
                {level: first + rates.get(level, 0.0) * (last - first) for level in weights}
            )
        if self.practice is not None:
            self.practice.apply(self._ways, competence, self.step, weights)
        elif self.curriculum is not None:
            self.curriculum.apply(competence, weights)

        # Play.
        self.stats.start_rollout()
        moment = Moment(progress, competence)
        self._prepare(moment)
        if self.corrections is not None and self.practice is not None:
            with self._playing():
                self.corrections.look(self.practice, self.decider)
        self._play()
        if self.progress_discounts is not None:
            self.rollout.discounts = self.progress_discounts.discounts().to(self.device)
        if self.ranks.size > 1:
            self._take_in(ranked_games.ended_everywhere(self._ended, self.ranks))
            self._ended.clear()
            assert self.stats.best_x is not None
            self.stats.best_x = round(self.ranks.largest(self.stats.best_x))
        played = time.perf_counter()

        # Learn.
        with hardware.torch_threads(1):
            batch = self.algorithm.make_batch(self.rollout)
        if self.episode_writer is not None:
            self.episode_writer.keep(self.step, self.rollout)
        statistics = self.stats.summary()
        losses = self.algorithm.update(batch, self.shuffling, moment)
        learnt = time.perf_counter()
        self.step += config.batch
        self.updates += 1
        self.seconds += learnt - began
        self._pace.append(learnt - began)
        return {
            "charts/SPS": self.steps_per_second,
            "charts/learning_rate": self.updater.optimizer.param_groups[0]["lr"],
            "charts/competence": competence,
            "charts/rollout_seconds": played - began,
            "charts/update_seconds": learnt - played,
            **statistics,
            **(self.curriculum.summary() if self.curriculum else {}),
            **(self.practice.summary() if self.practice else {}),
            **(self.corrections.summary() if self.corrections else {}),
            **losses,
        }

    @property
    def competence(self) -> float:
        """Returns how far the agent has come, 0 to 1: its clear rate in training, or what it would
        be if two partial episodes made a level. A long level is only cleared once all of its parts
        go well, and for that large steps and random actions must have become fewer before."""
        partial = self.curriculum.success_rate if self.curriculum else 0.0
        return max(self.stats.clear_rate, partial**2)

    @property
    def steps_per_second(self) -> float:
        """Returns agent steps per second, playing and learning, over the last ten updates."""
        return self.config.batch * len(self._pace) / sum(self._pace)

    def measure(self, env: VectorEnv, episodes: int, seed: int) -> EvalResult:
        """Plays whole episodes on other games, with random numbers that training does not use."""
        generator = torch.Generator(self.device).manual_seed(seed)
        self._prepare(None)

        def act(observation: Any, memory: Memory | None = None) -> np.ndarray:
            decide = self.decider if memory is None else memory.decide
            logits, _ = decide(to_tensors(observation, self.device))
            return ppo.sample(logits, generator).cpu().numpy()

        of = self.policy if isinstance(self.policy, RecurrentPolicy) else None
        memory = None if of is None else Memory.of(of, env.num_envs)
        with self._playing():
            return play_episodes(act, env, episodes, seed=seed, memory=memory)

    def agent_info(self, clear_rate: float | None = None) -> AgentInfo:
        """Returns what is saved with the weights."""
        config, rom = self.config, getattr(self.env, "rom", None)
        return AgentInfo(
            env=config.env,
            game=config.game,
            network=config.network,
            algorithm=config.algorithm,
            epsilon=config.pqn.eval_epsilon,
            shapes=self.shapes,
            actions=int(self.env.single_action_space.n),
            preset=config.preset,
            seed=config.seed,
            steps=self.step,
            rom_revision=rom.revision if rom else None,
            rom_sha1=rom.sha1 if rom else None,
            clear_rate=clear_rate,
            eval_episodes=config.eval_episodes if clear_rate is not None else 0,
            seconds=self.seconds,
            threads=self.threads,
            commit=code_commit(),
            command=self._command(),
            earlier=self.earlier,
        )

    def _command(self) -> str:
        # An agent is described after each update.
        if self._told is None or self._told[0] is not self.changes:
            self._told = self.changes, command_of(self.config, self.changes)
        return self._told[1]

    def snapshot(self, **others: Any) -> Snapshot:
        """Returns a copy of the state between two updates, and `others` with it; of several ranks,
        all of which must call it, that of rank 0 alone has all games."""
        tensors = {
            f"policy.{name}": _copy(tensor) for name, tensor in self.policy.state_dict().items()
        }
        for index, state in self.updater.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": _copy(value) for name, value in state.items()}
        tensors["shuffling"] = self.shuffling.get_state()
        if self.player is not None:
            tensors["memory"] = _copy(self.player.memory.state)
        tensors |= ranked_games.saved(self.env, self.ranks)
        values = {
            "version": VERSION,
            "step": self.step,
            "updates": self.updates,
            "seconds": self.seconds,
            "beta": 1.0,  # of an algorithm that has none, and so the next
            "lr_scale": 1.0,
            **self.algorithm.state(),
            "stats": self.stats.state(),
            "curriculum": self.curriculum.state() if self.curriculum else None,
            "earlier": [stage.model_dump(mode="json") for stage in self.earlier],
            **others,
        }
        if self.practice is not None and self.logged is not None:
            values["practice"] = self.practice.state()
            logs = np.frombuffer(self.logged.save_input_logs(), np.uint8)
            tensors["input_logs"] = torch.from_numpy(logs.copy())
        if self.corrections is not None:
            values["corrections"] = self.corrections.state()
            tensors |= self.corrections.tensors()
        return Snapshot(tensors, values)

    def restore(self, snapshot: Snapshot) -> None:
        """Goes back to a snapshot of a learner with the same configuration.

        Raises:
            KeyError, TypeError, ValueError, RuntimeError: something is missing or does not fit.
                Another snapshot can be restored afterwards.
        """
        tensors, values = snapshot.tensors, snapshot.values
        self.policy.load_state_dict(snapshot.weights)
        optimizer = self.updater.optimizer
        parameters = list(self.policy.parameters())
        # The fused optimiser walks through memory: moments must lie as their parameter does.
        state = {
            index: {
                name: value.clone()
                if name == "step"
                else torch.empty_like(parameters[index]).copy_(value)
                for name, value in saved.items()
            }
            for index, saved in snapshot.moments(parameters).items()
        }
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.shuffling.set_state(tensors["shuffling"])
        ranked_games.load(self.env, tensors)
        if self.player is not None:
            self.player.memory.state.copy_(tensors["memory"])
            if getattr(self.env, "begins_anew", False):
                self.player.memory.state.zero_()
        self.step, self.updates = values["step"], values["updates"]
        self.seconds = values["seconds"]
        self.algorithm.load_state(values)
        self.stats.load_state(values["stats"])
        self.earlier = self._earlier_in(values)
        self.curriculum = self._places()
        found = values["curriculum"]
        if found is not None and isinstance(self.curriculum, DescribedCurriculum):
            self.curriculum.load_state(found)
        elif found is not None and self.levels is not None:
            self.curriculum = Curriculum(
                self.config, self.levels, self.demonstrated, Curriculum.searched_in(found)
            )
            self.curriculum.load_state(found)
        self.practice = None
        found = values.get("practice")
        if found is not None and self.logged is not None:
            self.practice = self._new_practice()
            self.practice.load_state(found)
            self.logged.load_input_logs(tensors["input_logs"].numpy().tobytes())
            self._renew_corrections()
            if self.corrections is not None and values.get("corrections") is not None:
                self.corrections.load_state(values["corrections"], tensors)

    def _earlier_in(self, values: Mapping[str, Any]) -> tuple[Stage, ...]:
        found, init = values.get("earlier"), self.config.init
        if found is not None:
            return tuple(Stage.model_validate(stage) for stage in found)
        if init is not None:  # a checkpoint of an earlier version; the agent may be gone
            with suppress(AgentError):
                info = load_agent(resolve_agent(init).file)[1]
                return (*info.earlier, info.stage)
        return ()

    def close(self) -> None:
        """Ends the threads that helped."""
        self.updater.close()
        if self.corrections is not None:
            self.corrections.close()

    def _play(self) -> None:
        draws = self.config.seed, self.step + self.games.start
        if self.beside is not None:
            self.beside.begin()
        if self.progress_discounts is not None:
            self.progress_discounts.begin()
        if self.native_play is not None and isinstance(self.decider, NativePolicy):
            self.native_play.collect(self.decider.network, *draws, self._observe)
            return
        with self._playing():
            if self.player is not None:
                self.player.play(*draws, self._observe)
            elif self.gpu_player is not None:
                self.gpu_player.play(self.policy, *draws, self._observe)
            else:
                collect(self.env, self.decider, self.rollout, *draws, self._observe)

    @contextmanager
    def _playing(self) -> Iterator[None]:
        threads = hardware.torch_threads(self.playing_threads)
        with threads, torch.no_grad(), self.policy.autocast():
            yield

    def _prepare(self, moment: Moment | None) -> None:
        self.algorithm.prepare(lambda: to_tensors(self.env.observations(), self.device), moment)

    @property
    def ppo(self) -> PPO:
        """Returns the algorithm where it can only be PPO."""
        assert isinstance(self.algorithm, PPO)
        return self.algorithm

    @property
    def beside(self) -> TilesBeside | None:
        """Returns what distillation policies see beside what the agent sees, if they do."""
        return self.distillation.beside if self.distillation is not None else None

    def _observe(self, first: int, step: StepResult) -> None:
        if self.beside is not None:
            self.beside.observe(first)
        if self.progress_discounts is not None:
            self.progress_discounts.observe(first, step)
        if self.episode_writer is not None:
            self.episode_writer.observe(first, step)
        if self.ranks.size > 1:
            self.stats.reach(step.position)
            games = self.rollout.stride
            self._ended.append(ranked_games.ended_rows(first, step, games, self.games))
            return
        self._take_in(step)
        if self.practice is not None:
            self.practice.observe(self.step + first, step)

    def _take_in(self, step: StepResult) -> None:
        """Counts episodes that ended, in whichever rank."""
        self.stats.observe(step)
        if self.curriculum is not None:
            self.curriculum.observe(step)

    @property
    def _ways(self) -> Curriculum | None:
        return self.curriculum if isinstance(self.curriculum, Curriculum) else None

    def _places(self) -> DescribedCurriculum | None:
        env = self.env
        if not isinstance(env, DescribedEnv) or env.places is None:
            return None
        return DescribedCurriculum(self.config.curriculum, env, env.places)

    def _new_practice(self) -> Practice:
        assert self.logged is not None
        first = 0 if self._ways is None else len(self._ways.segments)
        return Practice(self.config, self.logged, first)

    def _renew_corrections(self) -> None:
        if self.corrections is not None:
            self.corrections.close()
        self.corrections = None
        if self.logged is not None and self.config.corrections.share > 0:
            shown = to_tensors(self.env.observations(), self.device)
            self.corrections = Corrections(self.config, self.logged, shown, self.device)
            self.ppo.amend = self._amend

    def _amend(self, batch: Batch, distillation: float) -> Batch:
        assert self.corrections is not None
        with self._playing():
            return self.corrections.beside(batch, self.decider, self.updates, distillation)


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
