"""The learner of networks of kind `tiles` on the CPU, in native code: what `ppo.update.Updater`
does by PyTorch, with the same losses, gradients and Adam within rounding, several times as fast.

It reads only the weights of inputs that differ from what most observations have. Results do not
depend on the number of threads: see native/learn/learner.h.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import warpzone._native as _native
from warpzone.errors import ConfigError
from warpzone.ppo.config import PPOConfig
from warpzone.ppo.policy import SCALARS, Observation, Policy
from warpzone.ppo.update import Batch, Coefficients, checked_means
from warpzone.pqn.network import QNetwork
from warpzone.training.config import TrainConfig
from warpzone.training.networks import Dense

BFLOAT16 = "bfloat16"
"""The loops whose products are of bfloat16 numbers, but for the heads' and the first layer's."""

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def why_not_native(policy: Policy, device: torch.device) -> str | None:
    """Returns what keeps `policy` from being learnt and played natively; None: nothing does."""
    if device.type != "cpu":
        return f"it computes on the CPU, not on {device}"
    if isinstance(policy, QNetwork):
        return "it is for the algorithm ppo"
    if not isinstance(policy.trunk, Dense):
        return "it is for networks of kind tiles"
    if len(policy.trunk.byte_names) > 1:
        return f"it reads one array of bytes, not {len(policy.trunk.byte_names)}"
    return None


def learns_natively(config: TrainConfig, policy: Policy, device: torch.device) -> bool:
    """Returns whether the native learner is to be used.

    Raises:
        ConfigError: it is asked for, and cannot.
    """
    if config.learner == "torch":
        return False
    reason = why_not_native(policy, device)
    if reason is None and kernels_for(config.amp) is None:
        reason = "amp is set, and it computes in bfloat16 only on processors with AVX512_BF16"
    if reason is not None and config.learner == "native":
        raise ConfigError(f"the native learner is not for this run: {reason}; set learner to auto")
    return reason is None


def kernels_for(amp: bool | None) -> str | None:
    """Returns the name of the fastest loops here that compute hidden layers in bfloat16 (True), in
    float32 (False), or in whichever is faster (None); None where there are none."""
    fitting = fitting_kernels(amp)
    return fitting[0] if fitting else None


def fitting_kernels(amp: bool | None) -> list[str]:
    """Returns the names of all loops here that compute so, the fastest first."""
    names: list[str] = _native.learn_kernels()
    return [name for name in names if amp is None or (name == BFLOAT16) == amp]


class NativePolicy:
    """The weights of a `Policy` with a `Dense` trunk as native code reads them: its own memory."""

    def __init__(self, policy: Policy, kernels: str = "") -> None:
        """`kernels`: of those that `_native.learn_kernels()` names; the fastest if empty."""
        trunk = policy.trunk
        assert isinstance(trunk, Dense)
        self.policy, self.trunk = policy, trunk
        self.byte_name = next(iter(trunk.byte_names), None)
        features = trunk.features
        size = features.size if features is not None else 0
        self.scalars = trunk.scalars - size
        inputs = len(trunk.weight)
        self.bytes = inputs - trunk.scalars
        none = np.zeros(0, np.float32)
        if features is None:
            columns, scales, centres, present = none, none, none, none
        else:
            columns, scales = features.columns.numpy(), features.scales.numpy()
            centres, present = features.centres.numpy(), features.who.numpy()
        self.network = _native.Network(
            self.bytes,
            self.scalars,
            columns.astype(np.uint32),
            scales.astype(np.float32),
            centres.astype(np.float32),
            present.astype(np.int32),
            [trunk.weight.shape[1], *(layer.out_features for layer in trunk.dense)],
            policy.actions,
            kernels,
        )
        layers = [p for layer in trunk.dense for p in (layer.weight, layer.bias)]
        heads = policy.heads
        self.parameters: list[Tensor] = [
            *(trunk.weight, trunk.bias, *layers),
            *(heads.weight, heads.bias),
        ]
        """In the order of `_native.Network.use`; what they hold may change, not where they lie."""
        self.network.use([parameter.detach().numpy() for parameter in self.parameters])
        self.network.pack()

    def refresh(self, observations: Observation | None = None) -> None:
        """Takes note of weights that have changed.

        With `observations` [B, ...], what these have in common need not be computed for each one
        from now on; it decides how results are rounded, and nothing that was seen before does.
        """
        if observations is None:
            self.network.pack()
        else:
            self.network.refer_to(*self.arrays(observations))

    def arrays(self, observations: Observation) -> tuple[Bytes, Floats]:
        """Returns observations [B, ...] as bytes uint8 [B, bytes] and floats [B, scalars]: views
        where they lie in one piece."""
        rows = len(next(iter(observations.values())))
        bytes_, floats = np.zeros((rows, 0), np.uint8), np.zeros((rows, 0), np.float32)
        if self.byte_name is not None:
            bytes_ = observations[self.byte_name].numpy().reshape(rows, -1)
        if SCALARS in observations:
            floats = observations[SCALARS].numpy()
        return np.ascontiguousarray(bytes_), np.ascontiguousarray(floats)

    def __call__(self, observations: Observation) -> tuple[Tensor, Tensor]:
        """Returns logits float32 [B, actions] and values float32 [B], as `Policy` does."""
        bytes_, scalars = self.arrays(observations)
        logits = torch.empty(len(bytes_), self.policy.actions)
        values = torch.empty(len(bytes_))
        self.network.decide(bytes_, scalars, logits.numpy(), values.numpy())
        return logits, values


class NativeUpdater:
    """Adam on a policy, as `ppo.update.Updater`."""

    def __init__(self, policy: NativePolicy, config: PPOConfig, threads: int) -> None:
        self.policy, self.config = policy, config
        self.parts = 1  # processes with as many samples each, all of which are in an order
        self.optimizer = torch.optim.Adam(
            policy.policy.parameters(), lr=config.lr, eps=config.adam_eps, fused=True
        )
        """Holds the state, as PyTorch has it; it is the native learner that makes the steps."""
        self.learner = _native.Learner(policy.network, threads)
        self._moments: list[Tensor] = []
        self._begun = False

    def begin(self, observations: Observation) -> None:
        """Begins to read the observations of the next `update` in other threads, which must not
        change until then; what is done meanwhile costs no time of the reading."""
        self.learner.begin_reading(*self.policy.arrays(observations))
        self._begun = True

    def update(
        self, batch: Batch, shuffle: torch.Generator, coefficients: Coefficients
    ) -> dict[str, float]:
        """Learns from `batch`; returns losses and diagnostics, means over the last epoch.

        Raises:
            WarpzoneError: the loss is no longer a finite number.
        """
        config = self.config
        self.optimizer.param_groups[0]["lr"] = coefficients.lr
        states, count = self._use_states(), self.parts * len(batch.actions)
        orders = [torch.randperm(count, generator=shuffle) for _ in range(config.update_epochs)]
        if not self._begun:
            self.begin(batch.observations)
        self._read(batch)
        sums = self._epochs(orders, coefficients)
        # Weights that are no longer finite stay so: the last epoch tells of all.
        means = checked_means(sums, -(-count // config.minibatch_size))
        for state in states:
            state["step"].fill_(self.learner.steps)
        return means

    def compute_gradients(
        self, batch: Batch, index: Tensor, coefficients: Coefficients
    ) -> tuple[list[Tensor], dict[str, float]]:
        """Returns the gradients of the samples `index` [b], by `Policy.parameters`, and losses."""
        self._use_states()
        self.begin(batch.observations)
        self._read(batch)
        losses, flat = self.learner.gradients(index.numpy(), self._objective(coefficients))
        by_parameter = {
            parameter: torch.from_numpy(gradient).view(parameter.shape)
            for parameter, gradient in zip(self.policy.parameters, flat, strict=True)
        }
        return [by_parameter[parameter] for parameter in self.policy.policy.parameters()], losses

    def close(self) -> None:
        """Ends the threads that helped."""
        del self.learner

    def _epochs(self, orders: list[Tensor], coefficients: Coefficients) -> dict[str, float]:
        """Makes the steps of epochs; returns sums of losses over the minibatches of the last."""
        config = self.config
        sums: dict[str, float] = self.learner.epochs(
            torch.stack(orders).numpy(),
            config.minibatch_size,
            self._objective(coefficients),
            coefficients.lr,
            config.adam_eps,
            config.max_grad_norm,
        )
        return sums

    def _use_states(self) -> list[dict[str, Tensor]]:
        """Returns the optimiser's state of each parameter, which native code goes on with."""
        states: list[dict[str, Tensor]] = []
        for parameter in self.policy.parameters:
            state = self.optimizer.state[parameter]
            if not state:  # before the first step
                state["step"] = torch.tensor(0.0)
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
            states.append(state)
        moments = [state[name] for name in ("exp_avg", "exp_avg_sq") for state in states]
        # A snapshot that is restored brings moments of its own.
        known = zip(moments, self._moments, strict=False)
        if not self._moments or any(new is not old for new, old in known):
            arrays = [moment.numpy() for moment in moments]
            half = len(arrays) // 2
            self.learner.use(arrays[:half], arrays[half:], int(states[0]["step"]))
            self._moments = moments
        return states

    def _read(self, batch: Batch) -> None:
        self._begun = False
        self.learner.read(
            batch.actions.numpy(),
            batch.log_probs.contiguous().numpy(),
            batch.advantages.numpy(),
            batch.targets.numpy(),
            _array(batch.distillation_log_probs),
            _array(batch.distillation_mask),
        )

    def _objective(self, coefficients: Coefficients) -> _native.Objective:
        config, objective = self.config, _native.Objective()
        objective.clipped = config.objective == "clip"
        objective.clip, objective.beta = config.clip, coefficients.beta
        objective.policy, objective.value = config.policy_coef, config.value_coef
        objective.entropy = coefficients.entropy
        objective.distillation = coefficients.distillation
        return objective


def _array(tensor: Tensor | None) -> Floats | None:
    return None if tensor is None else tensor.contiguous().numpy()
