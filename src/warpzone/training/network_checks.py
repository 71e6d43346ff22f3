"""What a user's network is looked at for, before a run spends hours on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from warpzone.errors import ConfigError, WarpzoneError
from warpzone.own_code import described
from warpzone.ppo.policy import SCALARS, Observation, Policy, Shapes
from warpzone.training.recurrent import Recurrent, RecurrentPolicy

ROWS = 2
_UNFIT = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


@contextmanager
def in_users_code(what: str) -> Iterator[None]:
    """Turns whatever is raised within into a `ConfigError` that begins with `what` and tells where
    in the user's code it came from."""
    try:
        yield
    except WarpzoneError:
        raise
    except Exception as error:
        raise ConfigError(f"{what}: {described(error)}") from error


def check_made(trunk: object, kind: str, shapes: Shapes, width: int) -> None:
    """Refuses what a network's class has made where that cannot be trained and saved.

    Raises:
        ConfigError: it is no module, or has layers that a policy cannot have; weights of another
            type than float32, or that are not trained; or it fails, or its features have another
            shape than [B, width].
    """
    if not isinstance(trunk, nn.Module):
        raise ConfigError(f"the network {kind!r} has made {trunk!r}, not a torch.nn.Module")
    for module in trunk.modules():
        if isinstance(module, _UNFIT):
            raise ConfigError(
                f"the network {kind!r} has a {type(module).__name__}, which gives one answer while"
                " playing and another while learning, what PPO's ratio of the two does not allow:"
                " take nn.LayerNorm or nn.GroupNorm, or leave it out"
            )
    for name, tensor in trunk.state_dict().items():
        if tensor.dtype != torch.float32:
            raise ConfigError(
                f"the network {kind!r} has {name} of {tensor.dtype}: what is saved with an agent"
                " must be float32; register others with register_buffer(…, persistent=False)"
            )
    for name, parameter in trunk.named_parameters():
        if not parameter.requires_grad:
            raise ConfigError(
                f"the network {kind!r} has the parameter {name}, which is not trained: make it a"
                " buffer, register_buffer(name, tensor)"
            )
    training = trunk.training
    trunk.eval()
    with torch.no_grad(), in_users_code(f"the network {kind!r} fails at an observation"):
        features = _features(trunk, kind, _blank(shapes))
    trunk.train(training)
    if not isinstance(features, Tensor) or features.shape != (ROWS, width):
        found = list(features.shape) if isinstance(features, Tensor) else features
        raise ConfigError(
            f"the network {kind!r} makes features {found} of {ROWS} observations: they must be"
            f" [{ROWS}, {width}], as wide as the last of network.hidden"
        )


def check_trainable(policy: Policy, kind: str, shapes: Shapes) -> None:
    """Refuses a user's network of which something would never learn.

    Raises:
        ConfigError: a parameter has no part in what it gives out, or none has a gradient.
    """
    observation = _blank(shapes)
    with in_users_code(f"the network {kind!r} fails where gradients are computed"):
        if isinstance(policy, RecurrentPolicy):
            begins = torch.zeros(2, ROWS, dtype=torch.bool)
            twice = {name: torch.cat((array, array)) for name, array in observation.items()}
            state = torch.zeros(ROWS, policy.state_width)
            logits, values = policy.sequences(twice, state, begins)
        else:
            logits, values = policy(observation)
        names, parameters = zip(*policy.named_parameters(), strict=True)
        loss = logits.sum() + values.sum()
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    unused = [name for name, found in zip(names, gradients, strict=True) if found is None]
    if unused:
        raise ConfigError(
            f"the network {kind!r} does not learn {', '.join(unused)}: what it gives out does not"
            " depend on that. Use it or leave it out, and do not detach what it makes"
        )


def _features(trunk: nn.Module, kind: str, observation: Observation) -> object:
    if not isinstance(trunk, Recurrent):
        return trunk(observation)
    if type(trunk.state_width) is not int or trunk.state_width < 1:
        raise ConfigError(f"the network {kind!r} has state_width {trunk.state_width!r}: 1 or more")
    state = torch.zeros(ROWS, trunk.state_width)
    features, following = trunk.step(trunk.encode(observation).float(), state)
    if following.shape != state.shape:
        raise ConfigError(
            f"the network {kind!r} makes states {list(following.shape)} of {list(state.shape)}:"
            " they must have the same shape"
        )
    return features


def _blank(shapes: Shapes) -> Observation:
    """Returns observations in which nothing is to be seen, where torch makes tensors by default."""
    return {
        name: torch.zeros((ROWS, *shape), dtype=torch.float32 if name == SCALARS else torch.uint8)
        for name, shape in shapes.items()
    }
