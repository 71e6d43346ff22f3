"""Which parts of the screen a decision depends on, found by taking them away one by one.

The score is that of Greydanus et al. 2018, "Visualizing and Understanding Atari Agents": half the
squared distance between what the policy says with a part and without it. It is taken over logits
less their mean, since a number added to all of them changes no probability.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from warpzone.nes.arrays import Arrays
from warpzone.ppo.policy import ARRAY, Policy
from warpzone.smb.config import EnvConfig
from warpzone.smb.memory import player_x, player_y, screen_left
from warpzone.smb.tile_layout import (
    CELL,
    COLUMNS,
    COLUMNS_BEHIND,
    MAP_TOP,
    OBJECT_SCALARS,
    OBJECTS,
    ROWS,
    object_scalar,
    object_unit,
)
from warpzone.training.recurrent import At

SCREEN_WIDTH, SCREEN_HEIGHT = 256, 240

_PRESENT, _X_DISTANCE, _Y_DISTANCE, _ENEMY, _HAZARD = (
    object_scalar(name) - object_scalar("present")
    for name in ("present", "x_distance", "y_distance", "enemy", "hazard")
)

PITCH, MASK, BLUR = 5.0, 5.0, 3.0
"""px between two parts, and the standard deviations of a part and of its blur, for a picture of
80 x 80: the numbers of Greydanus et al., enlarged with the picture."""
_CHUNK = 64


@dataclass(frozen=True, slots=True)
class Heat:
    """Holds scores of the parts of a rectangle on the screen.

    Attributes:
        scores: float32[rows, columns], at least 0.
        left, top: px from the screen's edges to the rectangle's; it may lie partly outside.
        width, height: of the rectangle in px.
        smooth: whether the parts flow into each other; else they are blocks.
        drift: px that the screen moves to the right in the frames that it stands for.
    """

    scores: NDArray[np.float32]
    left: int
    top: int
    width: int
    height: int
    smooth: bool = False
    drift: int = 0


def saliency(
    policy: Policy | At, observation: Arrays, ram: NDArray[np.uint8], config: EnvConfig
) -> Heat | None:
    """Returns how much each part of the screen counts in the decision about one observation.

    Args:
        policy: that decides.
        observation: of one game, without a first axis.
        ram: uint8[2048], of the game at that moment.
        config: what was observed.

    Returns:
        The scores, at their place on the screen in the first frame after the decision. None for
        an observation of RAM, which has no places.
    """
    if isinstance(observation, dict):
        mario_x = player_x(ram)
        left_column = ((mario_x + 8) >> 4) - COLUMNS_BEHIND
        scores = tile_saliency(policy, observation, mario=(mario_x, player_y(ram)))
        rows, columns = scores.shape
        left = left_column * CELL - screen_left(ram)
        return Heat(scores, left, MAP_TOP, columns * CELL, rows * CELL)
    if config.observation == "ram":
        return None
    top = MAP_TOP if config.observation == "pixels" and config.crop_status_bar else 0
    scores = picture_saliency(policy, observation)
    return Heat(scores, 0, top, SCREEN_WIDTH, SCREEN_HEIGHT - top, smooth=True)


def tile_saliency(
    policy: Policy | At,
    observation: dict[str, NDArray[np.generic]],
    mario: tuple[int, int] = (0, 0),
) -> NDArray[np.float32]:
    """Returns the score of each cell of the map of tiles.

    Without a cell the map is empty there, and the objects in it are missing from the scalars,
    where the farther ones move up, as they would if the game had not made them. All cells are one
    batch; those that are empty anyway are not asked about.

    Args:
        policy: that decides.
        observation: `tiles`, uint8[planes, rows, columns], and `scalars`, float32[n].
        mario: his place in the area and on the screen, in px; only where it lies within a cell
            of the map counts.

    Returns:
        float32[rows, columns], at least 0.
    """
    tiles, scalars = observation["tiles"], observation["scalars"]
    objects = _objects_by_cell(scalars, mario)
    cells = sorted({(int(r), int(c)) for r, c in np.argwhere(tiles.any(axis=0))} | objects.keys())
    scores = np.zeros(tiles.shape[1:], np.float32)
    if not cells:
        return scores
    without_tiles = np.repeat(tiles[None], len(cells) + 1, axis=0)
    without_scalars = np.repeat(scalars[None], len(cells) + 1, axis=0)
    for number, (row, column) in enumerate(cells, start=1):
        without_tiles[number, :, row, column] = 0
        if gone := objects.get((row, column)):
            without_scalars[number] = _without_objects(scalars, gone)
    device = policy.heads.weight.device
    changes = _changes(
        policy,
        {
            "scalars": torch.from_numpy(without_scalars).to(device),
            "tiles": torch.from_numpy(without_tiles).to(device),
        },
    )
    for (row, column), change in zip(cells, changes, strict=True):
        scores[row, column] = change
    return scores


def picture_saliency(policy: Policy | At, picture: NDArray[np.generic]) -> NDArray[np.float32]:
    """Returns the score of each part of a picture; without it, the picture is blurred there.

    Args:
        policy: that decides.
        picture: uint8[channels, height, width] or uint8[height, width, 3].

    Returns:
        float32[rows, columns] of parts that cover the picture, at least 0.
    """
    device = policy.heads.weight.device
    given = torch.from_numpy(picture).to(device).float()
    colour = given.shape[2] == 3
    planes = given.permute(2, 0, 1) if colour else given
    height, width = planes.shape[1:]
    unit = min(height, width) / 80
    blurred = _blur(planes, BLUR * unit)
    rows, columns = (max(1, math.ceil(extent / (PITCH * unit))) for extent in (height, width))
    down = _bumps(height, rows, MASK * unit).to(device)
    along = _bumps(width, columns, MASK * unit).to(device)

    def batches() -> Iterator[Tensor]:
        yield planes[None]
        for part in torch.split(torch.arange(rows * columns, device=device), _CHUNK):
            mask = down[part // columns][:, :, None] * along[part % columns][:, None, :]
            yield planes + mask[:, None] * (blurred - planes)

    logits = torch.cat([_logits(policy, batch, colour) for batch in batches()])
    scores: NDArray[np.float32] = _distances(logits).cpu().numpy()
    return scores.reshape(rows, columns)


def _objects_by_cell(
    scalars: NDArray[np.generic], mario: tuple[int, int]
) -> dict[tuple[int, int], list[int]]:
    """Returns row and column of a cell of the map → its objects, by number in the scalars."""
    found: dict[tuple[int, int], list[int]] = {}
    x, y = mario
    left_column = ((x + 8) >> 4) - COLUMNS_BEHIND
    for number, values in enumerate(_object_scalars(scalars)):
        if not values[_PRESENT]:
            continue
        # What walks is 24 px high, with its feet in the lower 16.
        middle = 12 if values[_ENEMY] or values[_HAZARD] else 4
        dx = round(float(values[_X_DISTANCE]) * object_unit("x_distance"))
        dy = round(float(values[_Y_DISTANCE]) * object_unit("y_distance"))
        row = (y + dy + middle - MAP_TOP) // CELL
        column = (x + dx + CELL // 2) // CELL - left_column
        if 0 <= row < ROWS and 0 <= column < COLUMNS:
            found.setdefault((row, column), []).append(number)
    return found


def _object_scalars(scalars: NDArray[np.generic]) -> NDArray[np.generic]:
    """Returns a view of the objects' values, float32[objects, values]."""
    first, end = object_scalar("present"), object_scalar("present", OBJECTS)
    return scalars[first:end].reshape(OBJECTS, OBJECT_SCALARS)


def _without_objects(scalars: NDArray[np.generic], gone: list[int]) -> NDArray[np.generic]:
    result = scalars.copy()
    left = np.delete(_object_scalars(scalars), gone, axis=0)
    objects = _object_scalars(result)
    objects[:] = 0
    objects[: len(left)] = left
    return result


@torch.inference_mode()
def _logits(policy: Policy | At, planes: Tensor, colour: bool) -> Tensor:
    logits: Tensor = policy({ARRAY: planes.permute(0, 2, 3, 1) if colour else planes})[0]
    return logits


@torch.inference_mode()
def _changes(policy: Policy | At, observation: dict[str, Tensor]) -> list[float]:
    logits, _ = policy(observation)
    return [float(distance) for distance in _distances(logits)]


def _distances(logits: Tensor) -> Tensor:
    """Returns float32 [n]: the score of each row but the first [n + 1, actions], against that."""
    centred = logits.float() - logits.float().mean(1, keepdim=True)
    return (centred[1:] - centred[0]).square().sum(1) / 2


def _bumps(extent: int, count: int, deviation: float) -> Tensor:
    """Returns bells of height 1 in the middles of `count` equal parts: [count, extent]."""
    middles = (torch.arange(count) + 0.5) * extent / count - 0.5
    return torch.exp(-((torch.arange(extent) - middles[:, None]) ** 2) / (2 * deviation**2))


def _blur(planes: Tensor, deviation: float) -> Tensor:
    """Returns [channels, height, width] smoothed by a Gaussian; the edges go on as they end."""
    reach = math.ceil(3 * deviation)
    bell = torch.exp(
        -(torch.arange(-reach, reach + 1, device=planes.device) ** 2 / 2) / deviation**2
    )
    bell = bell / bell.sum()
    padded = F.pad(planes[:, None], (reach, reach, reach, reach), mode="replicate")
    across = F.conv2d(padded, bell[None, None, None, :])
    return F.conv2d(across, bell[None, None, :, None])[:, 0]
