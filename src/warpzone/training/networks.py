"""The networks that come along: what is between an observation and the policy's heads.

Knows the observations of `smb`: bytes of a map or a picture, and the scalars beside a map.
"""

from __future__ import annotations

import inspect
import itertools
import math
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import warpzone._native as _native
from warpzone.errors import ConfigError
from warpzone.ppo.policy import ARRAY, SCALARS, Observation, Policy, Shapes
from warpzone.pqn.network import QNetwork
from warpzone.smb import tile_layout
from warpzone.training.config import AlgorithmName, NetworkConfig
from warpzone.training.network_checks import check_made, in_users_code
from warpzone.training.network_registry import BUILT_IN, network_class, register_network
from warpzone.training.piecewise_linear import PiecewiseLinear
from warpzone.training.recurrent import Recurrent, RecurrentPolicy

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)

SETTINGS = {
    "tiles": ("piecewise_linear",),
    "patches": ("embeddings",),
    "gru": ("piecewise_linear", "embeddings"),
}
"""Of `NetworkConfig`, that a network takes by name besides its shapes and widths."""


def make_policy(
    config: NetworkConfig, shapes: Shapes, actions: int, algorithm: AlgorithmName = "ppo"
) -> Policy:
    """Returns a policy with fresh weights, drawn from torch's global generator.

    Args:
        config: kind and widths of the network.
        shapes: of one observation's arrays, as `shapes_of` has them.
        actions: how many there are to choose from.
        algorithm: that the policy is of: of `pqn` it is a `QNetwork`.

    Raises:
        ConfigError: there is no such network; it does not take the options, or fails; what it makes
            is no module from observations to features; or the picture is too small for the
            convolutions.
    """
    kind, options = config.kind, config.options
    network = network_class(kind)
    settings = {name: getattr(config, name) for name in SETTINGS.get(kind, ())}
    twice = sorted(settings.keys() & options.keys())
    if twice:
        raise ConfigError(f"network.options has {twice[0]!r}, which is network.{twice[0]}")
    try:
        inspect.signature(network).bind(shapes, config.hidden, **settings, **options)
    except TypeError as error:
        raise ConfigError(
            f"the network {kind!r} is not made of (shapes, hidden) and network.options"
            f" {options or 'that are empty'}: {error}"
        ) from error
    if kind in BUILT_IN:
        trunk = network(shapes, config.hidden, **settings, **options)
    else:
        with in_users_code(f"the network {kind!r} cannot be made of {shapes}, {config.hidden}"):
            trunk = network(dict(shapes), config.hidden, **options)
        check_made(trunk, kind, shapes, config.hidden[-1])
    recurrent = isinstance(trunk, Recurrent)
    if recurrent and algorithm != "ppo":
        raise ConfigError(
            f"the network {kind!r} has a memory, which is for the algorithm ppo, not {algorithm}"
        )
    policy = QNetwork if algorithm == "pqn" else RecurrentPolicy if recurrent else Policy
    return policy(trunk, config.hidden[-1], actions)


def widen(policy: Policy, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns weights of a network without piecewise-linear features for `policy`, if it has them;
    else `weights` as they are.

    What they do stays the same: inputs that they did not have begin without a say.
    """
    trunk, first = policy.trunk, "trunk.weight"
    if not isinstance(trunk, Dense) or trunk.features is None:
        return weights
    more = len(trunk.weight) - len(weights[first])
    if more != trunk.features.size:
        return weights
    return {**weights, first: F.pad(weights[first], (0, 0, 0, more))}


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


@register_network("tiles")
class Dense(nn.Module):
    """Dense layers on all bytes, as fractions of 255, and on the vector `scalars`, if any."""

    def __init__(
        self, shapes: Shapes, hidden: tuple[int, ...], piecewise_linear: bool = False
    ) -> None:
        super().__init__()
        self.byte_names = [name for name in shapes if name != SCALARS]
        inputs = sum(math.prod(shapes[name]) for name in self.byte_names)
        scalars = shapes.get(SCALARS, (0,))
        if len(scalars) != 1:
            raise ConfigError(f"{SCALARS!r} must be a vector, and has the shape {scalars}")
        self.scalars = scalars[0]
        of_tiles = self.scalars == tile_layout.SCALARS
        self.features = PiecewiseLinear() if piecewise_linear and of_tiles else None
        if self.features is not None:
            self.scalars += self.features.size
        # A row for each input, so that those of inputs that are 0 need not be read.
        first = nn.init.orthogonal_(torch.empty(inputs + self.scalars, hidden[0]), 2**0.5)
        self.weight = nn.Parameter(first)
        self.bias = nn.Parameter(torch.zeros(hidden[0]))
        self.layers = nn.ModuleList(
            _orthogonal(nn.Linear(i, o)) for i, o in itertools.pairwise(hidden)
        )

    @property
    def dense(self) -> list[nn.Linear]:
        """Returns the layers after the first."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def forward(self, observation: Observation) -> Tensor:
        planes = [observation[name].flatten(1) for name in self.byte_names]
        scalars = observation.get(SCALARS)
        if not planes:
            assert scalars is not None
            planes = [scalars.new_empty((scalars.shape[0], 0), dtype=torch.uint8)]
        bytes_ = planes[0] if len(planes) == 1 else torch.cat(planes, 1)
        if scalars is None:
            scalars = self.weight.new_empty((bytes_.shape[0], 0))
        elif self.features is not None:
            scalars = self.features(scalars)
        if bytes_.device.type == "cpu" and not torch.compiler.is_exporting():
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
        x: Tensor = self.bias
        if scalars.shape[1] > 0:
            with torch.autocast(bytes_.device.type, enabled=False):
                x = torch.addmm(self.bias, scalars, self.weight[count:])
        if count > 0:
            # 0..255 are exact in bfloat16, and dividing the sums is cheaper than dividing the
            # inputs.
            sums = bytes_.to(_compute_dtype(bytes_.device)) @ self.weight[:count]
            x = torch.add(x, sums, alpha=1 / 255)
        return F.relu(x)


@register_network("cnn")
class _Convolutions(nn.Module):
    """Convolutions and dense layers on a picture, uint8 [B, channels, H, W] or [B, H, W, 3]."""

    layers: tuple[tuple[int, int, int, int], ...] = ((32, 8, 4, 0), (64, 4, 2, 0), (64, 3, 1, 0))
    """(filters, kernel, stride, padding) of each."""

    def __init__(self, shapes: Shapes, hidden: tuple[int, ...]) -> None:
        super().__init__()
        shape = _picture(shapes)
        self.colour = shape[2] == 3
        channels, *size = (shape[2], *shape[:2]) if self.colour else shape
        convolutions = []
        for filters, kernel, stride, padding in self.layers:
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


@register_network("tutorial")
class _Tutorial(_Convolutions):
    layers = ((32, 3, 2, 1),) * 4


# Sides of the squares: of pixels, and of vectors of those.
_PIXELS, _GROUP = 4, 3
# Brightness is a number from -2 to 2.
_GREY, _CONTRAST = 128, 64


@register_network("patches")
class _Patches(nn.Module):
    """Patch embeddings and dense layers on a picture, uint8 [B, channels, H, W] or [B, H, W, 3].

    The picture is cut into squares that do not overlap, and one layer makes a vector of each
    (https://arxiv.org/abs/2010.11929, section 3.1); the same once more with squares of vectors.
    All of it is products of matrices, a fourteenth of the multiplications of `cnn`.
    """

    def __init__(
        self,
        shapes: Shapes,
        hidden: tuple[int, ...],
        embeddings: tuple[int, int] = (16, 32),
    ) -> None:
        super().__init__()
        shape = _picture(shapes)
        self.colour = shape[2] == 3
        channels, *size = (shape[2], *shape[:2]) if self.colour else shape
        whole = _PIXELS * _GROUP
        rows, columns = (-(-extent // whole) for extent in size)
        below, right = rows * whole - size[0], columns * whole - size[1]
        self.padding = (0, 0, 0, right, 0, below) if self.colour else (0, right, 0, below)
        first, second = embeddings
        self.first = _orthogonal(nn.Linear(channels * _PIXELS**2, first))
        self.second = _orthogonal(nn.Linear(first * _GROUP**2, second))
        widths = (rows * columns * second, *hidden)
        self.dense = nn.ModuleList(
            _orthogonal(nn.Linear(i, o)) for i, o in zip(widths, hidden, strict=False)
        )

    def forward(self, observation: Observation) -> Tensor:
        picture = observation[ARRAY]
        if any(self.padding):
            picture = F.pad(picture, self.padding, value=_GREY)
        wide = 3 * _PIXELS if self.colour else _PIXELS
        x = picture[:, None].flatten(3) if self.colour else picture
        # Pictures of the game are bright all over: what all pixels have in common would drown what
        # differs. Whole numbers stay exact in bfloat16; weights are fewer than pixels to scale.
        if torch.compiler.is_exporting():
            cut = _cut_and_centre_plainly
        else:
            cut = _cut_natively if x.device.type == "cpu" else _cut_and_centre
        x = cut(x, _PIXELS, wide).to(_compute_dtype(x.device))
        x = F.relu(F.linear(x, self.first.weight / _CONTRAST, self.first.bias))
        x = _cut(x[:, None].flatten(3), _GROUP, _GROUP * x.shape[3])
        x = F.relu(self.second(x)).flatten(1)
        for layer in self.dense:
            x = F.relu(layer(x))
        return x


@register_network("gru")
class Gru(nn.Module):
    """A gated recurrent unit beside another network's features (Cho et al. 2014,
    https://arxiv.org/abs/1406.1078), as wide as they are. What it remembers is added to them: what
    can be seen need not go through the memory, and is learnt as without one.

    Args:
        trunk: kind of the other network; None: `patches` of pictures, else `tiles`.
        others: those of the other network.
    """

    def __init__(
        self,
        shapes: Shapes,
        hidden: tuple[int, ...],
        trunk: str | None = None,
        piecewise_linear: bool = False,
        embeddings: tuple[int, int] = (16, 32),
    ) -> None:
        super().__init__()
        picture = len(shapes.get(ARRAY, ())) == 3
        seen = ("patches", "cnn", "tutorial") if picture else ("tiles",)
        trunk = seen[0] if trunk is None else trunk
        if trunk not in seen:
            raise ConfigError(
                f"network.options trunk is {trunk!r}: for this observation there are"
                f" {', '.join(seen)}"
            )
        given = {"piecewise_linear": piecewise_linear, "embeddings": embeddings}
        settings = {name: given[name] for name in SETTINGS.get(trunk, ())}
        self.before = network_class(trunk)(shapes, hidden, **settings)
        self.state_width = hidden[-1]
        self.cell = nn.GRUCell(hidden[-1], hidden[-1])
        for weight, bias in (
            (self.cell.weight_ih, self.cell.bias_ih),
            (self.cell.weight_hh, self.cell.bias_hh),
        ):
            nn.init.orthogonal_(weight)
            nn.init.zeros_(bias)

    def encode(self, observation: Observation) -> Tensor:
        """Returns the other network's features."""
        features: Tensor = self.before(observation)
        return features

    def step(self, seen: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Returns features with what is remembered now, and that alone."""
        state = self.cell(seen, state)
        return seen + state, state


def _cut(x: Tensor, high: int, wide: int) -> Tensor:
    """Returns the rectangles of [B, channels, H, W], each in one piece: a copy
    [B, H / high, W / wide, channels * high * wide]."""
    batch, channels, rows, columns = x.shape
    x = x.view(batch, channels, rows // high, high, columns // wide, wide)
    return x.permute(0, 2, 4, 1, 3, 5).flatten(3)


def _cut_and_centre(x: Tensor, high: int, wide: int) -> Tensor:
    """Returns what `_cut` does, of bytes less 128: int8."""
    return (_cut(x, high, wide) ^ _GREY).view(torch.int8)


def _cut_and_centre_plainly(x: Tensor, high: int, wide: int) -> Tensor:
    """Returns what `_cut_and_centre` does, as float32 and by operations that other programs have
    too."""
    return _cut(x, high, wide).float() - _GREY


def _cut_natively(x: Tensor, high: int, wide: int) -> Tensor:
    """Returns what `_cut_and_centre` does, in a fifth of the time."""
    batch, channels, rows, columns = x.shape
    shape = (batch, rows // high, columns // wide, channels * high * wide)
    out = x.new_empty(shape, dtype=torch.int8)
    _native.cut_patches(x.contiguous().numpy(), high, wide, out.numpy())
    return out


def _picture(shapes: Shapes) -> tuple[int, ...]:
    """Returns the shape of the picture that is observed."""
    shape = shapes.get(ARRAY, ())
    if len(shape) != 3 or min(shape) < 1:
        raise ConfigError(
            f"this network sees a picture of three extents, and the observations are {shapes}:"
            " choose the network 'tiles'"
        )
    return shape


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
