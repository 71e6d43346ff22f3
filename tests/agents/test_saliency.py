"""Saliency finds what a network is known to depend on, and puts it where that is on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.support.agents import write_agent
from tests.support.playback import PALETTE, FakePlayback

from warpzone import _native
from warpzone.agents.agent import Agent
from warpzone.agents.playback import Moment, Playback
from warpzone.agents.saliency import Heat, picture_saliency, saliency, tile_saliency
from warpzone.errors import ConfigError
from warpzone.ppo.policy import ARRAY, Policy
from warpzone.smb.config import EnvConfig
from warpzone.training.config import NetworkConfig
from warpzone.training.networks import make_policy
from warpzone.video.glow import Glow
from warpzone.video.record import record

PLANES, ROWS, COLUMNS = _native.TILE_SHAPE
PLANE = ROWS * COLUMNS
ENEMIES = _native.TILE_PLANES.index("enemy")
FIRST_OBJECT = _native.MARIO_SCALARS
EACH = _native.OBJECT_SCALARS
MARIO = (640, 176)


def silent_policy() -> Policy:
    """Sees tiles and says the same whatever they are; its first hidden unit moves action 1."""
    shapes = {"scalars": (_native.SCALARS,), "tiles": _native.TILE_SHAPE}
    policy = make_policy(NetworkConfig(kind="tiles", hidden=(4,)), shapes, 3)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.zero_()
        policy.heads.weight[1, 0] = 1.0
    policy.requires_grad_(False)
    return policy


def depending_on(input_number: int, weight: float = 6.0) -> Policy:
    policy = silent_policy()
    dict(policy.named_parameters())["trunk.weight"][input_number, 0] = weight
    return policy


def observation() -> dict[str, NDArray[Any]]:
    """Something in every cell and every scalar that tells of no object."""
    scalars = np.full(_native.SCALARS, 0.5, np.float32)
    scalars[FIRST_OBJECT : FIRST_OBJECT + 6 * EACH] = 0
    return {"scalars": scalars, "tiles": np.full(_native.TILE_SHAPE, 255, np.uint8)}


def test_the_cell_that_counts_lights_up_and_no_other() -> None:
    policy = depending_on(ENEMIES * PLANE + 7 * COLUMNS + 11)
    scores = tile_saliency(policy, observation())
    assert np.argwhere(scores).tolist() == [[7, 11]]
    # One of three logits falls by 6: (-4)² + 2² + 2², halved.
    assert scores[7, 11] == pytest.approx(12.0)


def test_what_moves_all_actions_alike_moves_no_probability() -> None:
    policy = depending_on(ENEMIES * PLANE + 7 * COLUMNS + 11)
    policy.heads.weight[:3, 0] = 1.0
    np.testing.assert_allclose(tile_saliency(policy, observation()), 0, atol=1e-9)


def test_an_empty_map_has_no_heat() -> None:
    seen = observation()
    seen["tiles"][:] = 0
    assert not tile_saliency(depending_on(100), seen).any()


def with_objects(*distances: tuple[float, float]) -> dict[str, NDArray[Any]]:
    """Enemies at distances in px from Mario, on an empty map."""
    seen = observation()
    seen["tiles"][:] = 0
    for number, (dx, dy) in enumerate(distances):
        values = np.array([1, dx / 128, dy / 128, 0, 0, 1, 0, 0, 0], np.float32)
        seen["scalars"][FIRST_OBJECT + number * EACH :][:EACH] = values
    return seen


def test_an_object_belongs_to_the_cell_that_it_is_in() -> None:
    there = FIRST_OBJECT  # whether there is a first object
    seen = with_objects((48, 8))
    scores = tile_saliency(depending_on(PLANES * PLANE + there), seen, MARIO)
    # Mario's column is the fifth; the enemy has its feet at 176 + 8 + 24 = 208 px, row 10.
    assert np.argwhere(scores).tolist() == [[10, 7]]


def test_farther_objects_move_up_where_one_is_gone() -> None:
    second_there = PLANES * PLANE + FIRST_OBJECT + EACH
    seen = with_objects((48, 8), (96, 8))
    scores = tile_saliency(depending_on(second_there), seen, MARIO)
    # With either of the two gone there is no second one any more.
    assert np.argwhere(scores).tolist() == [[10, 7], [10, 10]]


def test_an_object_beside_the_map_has_no_cell() -> None:
    seen = with_objects((-200, 8))
    assert not tile_saliency(depending_on(PLANES * PLANE + FIRST_OBJECT), seen, MARIO).any()


class Spot(torch.nn.Module):
    """Looks at one pixel of a picture."""

    def __init__(self, row: int, column: int, *, colour: bool = False) -> None:
        super().__init__()
        self.heads = torch.nn.Linear(1, 1)
        self._place = (slice(None), row, column, 1) if colour else (slice(None), 0, row, column)

    def forward(self, seen: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        pixel = seen[ARRAY][self._place]
        return torch.stack([pixel, torch.zeros_like(pixel)], 1), pixel


@pytest.mark.parametrize(("row", "column"), [(40, 60), (2, 2), (83, 10)])
def test_the_pixel_that_counts_lights_up(row: int, column: int) -> None:
    picture = np.zeros((4, 84, 84), np.uint8)
    picture[:, row, column] = 255
    spot: Any = Spot(row, column)
    scores = picture_saliency(spot, picture)
    assert scores.shape == (16, 16)
    found = divmod(int(scores.argmax()), 16)
    assert found == (row * 16 // 84, column * 16 // 84)
    far = np.hypot(*(np.indices(scores.shape) - np.reshape(found, (2, 1, 1)))) > 4
    assert scores[far].max() < 1e-3 * scores.max()


def test_colour_pictures() -> None:
    picture = np.zeros((240, 256, 3), np.uint8)
    picture[120, 200] = 255
    spot: Any = Spot(120, 200, colour=True)
    scores = picture_saliency(spot, picture)
    rows, columns = scores.shape
    assert divmod(int(scores.argmax()), columns) == (120 * rows // 240, 200 * columns // 256)


def test_a_picture_without_its_status_bar_begins_under_it(tmp_path: Path) -> None:
    env = EnvConfig(observation="pixels", crop_status_bar=True)
    picture = np.zeros((4, 84, 84), np.uint8)
    policy: Any = Spot(0, 0)
    heat = saliency(policy, picture, np.zeros(2048, np.uint8), env)
    assert heat is not None
    assert (heat.left, heat.top, heat.width, heat.height) == (0, 32, 256, 208)
    whole = saliency(policy, picture, np.zeros(2048, np.uint8), EnvConfig(observation="pixels"))
    assert whole is not None
    assert (whole.top, whole.height) == (0, 240)


def moment(heat: Heat | None, colour: int = 3) -> Moment:
    frames = np.full((4, 240, 256), colour, np.uint8)
    return Moment(0, frames, {}, False, 0.0, np.ones(1, np.float32), heat)


def one_cell(row: int, column: int, *, score: float = 1.0, **place: Any) -> Heat:
    scores = np.zeros((ROWS, COLUMNS), np.float32)
    scores[row, column] = score
    where = {"left": 0, "top": 32, "width": 256, "height": 208, **place}
    return Heat(scores, **where)


def lit(frame: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what has another colour than the corner."""
    rows, columns = np.nonzero((frame != frame[-1, -1]).any(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_a_cell_glows_over_its_16_pixels_and_moves_with_the_screen() -> None:
    heat = one_cell(2, 3, left=-5, drift=8)
    frames = list(Glow(PALETTE).frames(moment(heat)))
    assert [lit(frame) for frame in frames] == [
        (left, 64, left + 16, 80) for left in (43, 41, 39, 37)
    ]


def test_cells_beside_the_screen_are_not_drawn() -> None:
    frame = next(Glow(PALETTE).frames(moment(one_cell(2, 0, left=-30))))
    assert (frame == frame[0, 0]).all()
    half = next(Glow(PALETTE).frames(moment(one_cell(2, 0, left=-6))))
    assert lit(half) == (0, 64, 10, 80)


def test_without_heat_frames_stay_as_they_are() -> None:
    given = moment(None)
    for frame, before in zip(Glow(PALETTE).frames(given), given.frames, strict=True):
        np.testing.assert_array_equal(frame, before)


def test_brightness_is_measured_by_the_largest_of_the_last_seconds() -> None:
    def brightness(glow: Glow, score: float) -> int:
        frame = next(glow.frames(moment(one_cell(2, 3, score=score), colour=0)))
        return int(frame[72, 56].astype(int).sum() - frame[0, 0].astype(int).sum())

    full = brightness(Glow(PALETTE), 100.0)
    assert brightness(Glow(PALETTE), 1.0) == full, "a film of small scores is as bright"
    glow = Glow(PALETTE)
    brightness(glow, 100.0)
    faint = brightness(glow, 1.0)
    assert abs(faint) < full / 2
    for _ in range(300):
        brightness(glow, 1.0)
    assert brightness(glow, 1.0) == full


def test_nothing_counts_anywhere() -> None:
    frame = next(Glow(PALETTE).frames(moment(one_cell(0, 0, score=0.0))))
    assert (frame == frame[0, 0]).all()


def test_heat_lies_where_the_game_shows_what_the_map_tells(agent: Agent) -> None:
    """In the first frame after a decision: solid blocks in solid cells, sky in empty ones."""
    playback = Playback(agent, "1-1", noop_max=0, saliency=True)
    env = playback.env
    observation, _ = env.reset(seed=0)
    right = env.action_meanings.index("right + B")
    checked = 0
    for _ in range(60):
        ram = env.ram().copy()
        heat = agent.saliency(observation, ram)
        assert heat is not None
        tiles: NDArray[np.uint8] = observation["tiles"]
        observation, _, ended, _, _ = env.step(right)
        picture = env.frames()[0]
        sky = picture[40, 128]
        # The ground of 1-1 is its two lowest rows; pits are empty.
        for column in range(COLUMNS):
            left = heat.left + 16 * column
            if not 0 <= left <= 240:
                continue
            block = picture[heat.top + 16 * 11 : heat.top + 16 * 12, left : left + 16]
            assert bool(tiles[0, 11, column]) == bool((block != sky).any())
            checked += 1
        if ended:
            break
    playback.close()
    assert checked > 300


def test_it_changes_nothing_in_the_episode(agent: Agent) -> None:
    def play(saliency: bool) -> list[tuple[int, bytes, bool]]:
        playback = Playback(agent, "1-1", saliency=saliency)
        moments = [(m.action, m.frames.tobytes(), m.heat is None) for m in playback.episode(1)]
        playback.close()
        return moments

    plain, hot = play(False), play(True)
    assert [m[:2] for m in plain] == [m[:2] for m in hot]
    assert all(m[2] for m in plain)
    assert not any(m[2] for m in hot)


def test_an_agent_that_sees_ram_has_none(agent_file: Path, agent: Agent) -> None:
    ram_env = agent.info.env.model_copy(update={"observation": "ram"})
    blind = Agent(agent.policy, agent.info.model_copy(update={"env": ram_env}), agent.path)
    with pytest.raises(ConfigError, match=r"sees the game's RAM"):
        Playback(blind, "1-1", saliency=True)
    assert blind.saliency(np.zeros(2048, np.uint8), np.zeros(2048, np.uint8)) is None


@pytest.mark.parametrize("observation", ["tiles", "pixels"])
def test_a_film_with_saliency(tmp_path: Path, observation: Any) -> None:
    env = EnvConfig(levels=["1-1"], observation=observation, max_steps=5)
    agent = Agent.load(write_agent(tmp_path / "agent.safetensors", env))
    playback = Playback(agent, "1-1", saliency=True)
    path = tmp_path / "clip.mp4"
    recording = record(playback, path, tries=1, scale=1, overlay=True)
    assert playback.saliency
    playback.close()
    reader = imageio_ffmpeg.read_frames(str(path))
    assert next(reader)["size"] == (400, 240)
    assert sum(1 for _ in reader) == recording.frames


def test_tries_that_are_not_filmed_cost_no_saliency(tmp_path: Path) -> None:
    asked: list[tuple[int, bool]] = []

    class Watched(FakePlayback):
        saliency = True

        def episode(self, seed: int) -> Any:
            asked.append((seed, self.saliency))
            return super().episode(seed)

    playback: Any = Watched(clears=(2,))
    record(playback, tmp_path / "clip.gif", tries=5)
    assert asked == [(0, False), (1, False), (2, False), (2, True)]
