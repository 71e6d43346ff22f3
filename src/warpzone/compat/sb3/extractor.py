"""What is between the observation `tiles` and the heads of a policy of Stable-Baselines3."""

from __future__ import annotations

import math

import gymnasium
import torch
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from warpzone.errors import ConfigError

_MOST = 255.0


# What Stable-Baselines3 has is not looked at by mypy, because it is not installed everywhere.
class TilesExtractor(BaseFeaturesExtractor):  # type: ignore[misc]
    """One dense layer on the map as fractions of 255 and on the scalars beside it: the first layer
    of the network that `warpzone train` has for tiles.

    Stable-Baselines3's own extractor hands the map on as bytes from 0 to 255, beside scalars of
    about -1 to 1.

    Args:
        observation_space: a dict of `tiles` and `scalars`.
        features_dim: width of the layer.

    Raises:
        ConfigError: another observation.
    """

    def __init__(self, observation_space: gymnasium.Space[object], features_dim: int = 256) -> None:
        if not isinstance(observation_space, gymnasium.spaces.Dict) or set(
            observation_space.keys()
        ) != {"tiles", "scalars"}:
            raise ConfigError(
                f"TilesExtractor is for the observation 'tiles', not {observation_space}: "
                "for pictures take CnnPolicy"
            )
        super().__init__(observation_space, features_dim)
        inputs = sum(math.prod(space.shape or ()) for space in observation_space.values())
        self.first = nn.Linear(inputs, features_dim)

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Returns float32[n, features_dim] of `tiles` [n, 8, 13, 16] and `scalars` [n, 148]."""
        tiles = observations["tiles"].flatten(1).float() / _MOST
        return torch.relu(self.first(torch.cat((tiles, observations["scalars"]), 1)))
