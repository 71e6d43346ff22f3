"""The networks: observations in, logits of the actions and the value of the state out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any, TypeVar

import gymnasium
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from warpzone import _native
from warpzone.errors import ConfigError
from warpzone.ppo.piecewise_linear import Hats
from warpzone.training.config import NetworkConfig

Observation = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)

# The name under which an observation that is one array goes.
ARRAY = "array"


def as_dict(observation: Any) -> dict[str, Any]:
    """Give an observation (or space) that is a single array the form of one that is a dict."""
    return dict(observation) if isinstance(observation, Mapping) else {ARRAY: observation}


def shapes_of(space: gymnasium.Space[Any]) -> Shapes:
    """Shapes of one observation's arrays; uint8 arrays are bytes, float32 ones scalars."""
    boxes = as_dict(space.spaces if isinstance(space, gymnasium.spaces.Dict) else space)
    return {name: tuple(box.shape) for name, box in boxes.items()}


def to_tensors(observation: Any, device: torch.device) -> Observation:
    """View arrays [n, ...] as tensors, or copy them to `device` where that is another."""
    return {k: torch.from_numpy(v).to(device) for k, v in as_dict(observation).items()}


class Policy(nn.Module):
    """A shared trunk with a head for the policy and one for the value.

    Weights are float32. With `amp` the trunk computes in bfloat16; scalars of the observation
    and the heads stay in float32, since eight bits are too coarse for positions and ratios.
    """

    def __init__(self, config: NetworkConfig, shapes: Shapes, actions: int) -> None:
        super().__init__()
        self.actions = actions
        self.amp = False
        if config.kind == "tiles":
            self.trunk: nn.Module = _Dense(shapes, config.hidden, config.hats)
        else:
            layers = _TUTORIAL if config.kind == "tutorial" else _NATURE
            self.trunk = _Convolutions(shapes[ARRAY], layers, config.hidden)
        # One layer for both heads: at a batch of 32 each call costs as much as its arithmetic.
        self.heads = nn.Linear(config.hidden[-1], actions + 1)
        nn.init.orthogonal_(self.heads.weight[:actions], 0.01)
        nn.init.orthogonal_(self.heads.weight[actions:], 1.0)
        nn.init.zeros_(self.heads.bias)

    def widened(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of a network without hats for this one, if it has them; else as they are.

        What they do stays the same: inputs that they did not have begin without a say.
        """
        if not (isinstance(self.trunk, _Dense) and self.trunk.hats):
            return weights
        first = "trunk.weight"
        more = len(self.trunk.weight) - len(weights[first])
        if more != self.trunk.hats.size:
            return weights
        return {**weights, first: F.pad(weights[first], (0, 0, 0, more))}

    def autocast(self) -> torch.autocast:
        """The context the trunk computes in.

        Held open around many calls under `no_grad`, it casts each weight only once
        (`inference_mode` would cast them at each call: it keeps no autocast cache).
        """
        device = self.heads.weight.device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.amp)

    def forward(self, observation: Observation) -> tuple[Tensor, Tensor]:
        """Return logits float32 [B, actions] and values float32 [B].

        `observation`: arrays [B, ...] by name, as the environment gives them: uint8 or float32.
        """
        with self.autocast():
            features = self.trunk(observation)
        with torch.autocast(features.device.type, enabled=False):
            heads = self.heads(features.float())
        return heads[:, :-1], heads[:, -1]


class _Sparse(torch.autograd.Function):
    """relu(bytes / 255 @ weight[:n] + scalars @ weight[n:] + bias), by native code that reads only
    the weights of inputs that are not 0: some eighty of 1,800 in a tile view."""

    @staticmethod
    def forward(ctx: Any, bytes_: Tensor, scalars: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        out = weight.new_empty((len(bytes_), weight.shape[1]))
        _native.sparse_forward(
            bytes_.numpy(),
            scalars.numpy(),
            weight.detach().numpy(),
            bias.detach().numpy(),
            out.numpy(),
        )
        ctx.save_for_backward(bytes_, scalars, out)
        ctx.inputs = len(weight)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor, Tensor]:
        bytes_, scalars, out = ctx.saved_tensors
        weight_gradient = out.new_zeros((ctx.inputs, out.shape[1]))
        bias_gradient = out.new_zeros(out.shape[1])
        _native.sparse_backward(
            bytes_.numpy(),
            scalars.numpy(),
            out.numpy(),
            gradients[0].contiguous().numpy(),
            weight_gradient.numpy(),
            bias_gradient.numpy(),
        )
        return None, None, weight_gradient, bias_gradient


class _Dense(nn.Module):
    """Dense layers on all bytes, as fractions of 255, and on the vector `scalars`, if any."""

    def __init__(self, shapes: Shapes, hidden: tuple[int, ...], hats: bool) -> None:
        super().__init__()
        self.byte_names = [name for name in shapes if name != "scalars"]
        inputs = sum(math.prod(shapes[name]) for name in self.byte_names)
        self.scalars = shapes.get("scalars", (0,))[0]
        self.hats = Hats() if hats and self.scalars else None
        if self.hats is not None:
            self.scalars += self.hats.size
        # A row for each input, so that those of inputs that are 0 need not be read.
        first = nn.init.orthogonal_(torch.empty(inputs + self.scalars, hidden[0]), 2**0.5)
        self.weight = nn.Parameter(first)
        self.bias = nn.Parameter(torch.zeros(hidden[0]))
        self.layers = nn.ModuleList(
            _orthogonal(nn.Linear(i, o)) for i, o in itertools.pairwise(hidden)
        )

    def forward(self, observation: Observation) -> Tensor:
        planes = [observation[name].flatten(1) for name in self.byte_names]
        bytes_ = planes[0] if len(planes) == 1 else torch.cat(planes, 1)
        scalars = observation.get("scalars")
        if scalars is None:
            scalars = self.weight.new_empty((len(bytes_), 0))
        elif self.hats is not None:
            scalars = self.hats(scalars)
        if bytes_.device.type == "cpu":
            # torch leaves `apply` without types.
            x: Tensor = _Sparse.apply(  # type: ignore[no-untyped-call]
                bytes_.contiguous(), scalars.contiguous(), self.weight, self.bias
            )
        else:
            x = self.dense_first(bytes_, scalars)
        for layer in self.layers:
            x = F.relu(layer(x))
        return x

    def dense_first(self, bytes_: Tensor, scalars: Tensor) -> Tensor:
        """What `_Sparse` computes, by ordinary matrix products."""
        count = bytes_.shape[1]
        with torch.autocast(bytes_.device.type, enabled=False):
            x = torch.addmm(self.bias, scalars, self.weight[count:])
        # 0..255 are exact in bfloat16, and dividing the sums is cheaper than dividing the inputs.
        sums = bytes_.to(_compute_dtype(bytes_.device)) @ self.weight[:count]
        return F.relu(torch.add(x, sums, alpha=1 / 255))


# (filters, kernel, stride, padding) of each layer.
_NATURE = ((32, 8, 4, 0), (64, 4, 2, 0), (64, 3, 1, 0))
_TUTORIAL = ((32, 3, 2, 1),) * 4


class _Convolutions(nn.Module):
    """Convolutions and dense layers on a picture, uint8 [B, channels, H, W] or [B, H, W, 3]."""

    def __init__(
        self,
        shape: tuple[int, ...],
        layers: tuple[tuple[int, int, int, int], ...],
        hidden: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.colour = shape[2] == 3
        channels, *size = (shape[2], *shape[:2]) if self.colour else shape
        convolutions = []
        for filters, kernel, stride, padding in layers:
            convolution = nn.Conv2d(channels, filters, kernel, stride, padding)
            convolutions.append(_orthogonal(convolution))
            size = [(extent + 2 * padding - kernel) // stride + 1 for extent in size]
            if min(size) < 1:
                raise ConfigError(
                    f"a picture of {shape} is too small for this network: choose a larger size"
                )
            channels = filters
        widths = (channels * math.prod(size), *hidden)
        self.dense = nn.ModuleList(
            _orthogonal(nn.Linear(i, o)) for i, o in zip(widths, hidden, strict=False)
        )
        self.first, *others = convolutions
        self.others = nn.ModuleList(others)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, observation: Observation) -> Tensor:
        picture = observation[ARRAY]
        x = (picture.permute(0, 3, 1, 2) if self.colour else picture).to(
            _compute_dtype(picture.device), memory_format=torch.channels_last
        )
        # Bytes become fractions in the weights, of which there are fewer than pixels.
        first = self.first
        x = F.conv2d(x, first.weight / 255, first.bias, first.stride, first.padding)
        x = F.relu(x, inplace=True)
        for convolution in self.others:
            x = F.relu(convolution(x), inplace=True)
        x = x.flatten(1)
        for layer in self.dense:
            x = F.relu(layer(x), inplace=True)
        return x


def _orthogonal(layer: Layer) -> Layer:
    nn.init.orthogonal_(layer.weight, 2**0.5)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def _compute_dtype(device: torch.device) -> torch.dtype:
    """What matrix products are computed in here."""
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    return torch.float32
