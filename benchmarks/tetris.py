"""Lines per game of Tetris: actions drawn evenly, a simple hand-written player, and an agent.

    python -m benchmarks.tetris
    python -m benchmarks.tetris --agent runs/tetris-tiles-seed0 --games 100

All play type A from level 0, as the menus begin it, after 0 to 30 idle frames, until the game is
lost or `--minutes` of it have passed. The hand-written player looks at each new piece once: of all
positions and columns it takes the place after which the field is worth most by the description's
own measure (`warpzone.games.tetris.worth`: holes, height, steps), does not look at the next piece,
turns and moves there with two frames of a button and two without, and then lets the piece fall
fast. It is given two frames for a decision and a button to let go, which agents are not: they
decide every four frames and always hold something.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from warpzone.games.tetris import COLUMNS, GAME, SHAPES, field, landing, without_full_rows, worth
from warpzone.nes import make_vec
from warpzone.nes.console import FRAMES_PER_SECOND
from warpzone.nes.variables import Values

NOOPS = 30
WAIT, LEFT, RIGHT, DOWN, TURN = range(5)
BY_HAND = dataclasses.replace(GAME, actions=[[], ["left"], ["right"], ["down"], ["A"]])
FRAMES = 2
KINDS = np.array([0] * 4 + [1] * 4 + [2] * 2 + [3] + [4] * 2 + [5] * 4 + [6] * 2)
"""Which piece each of the positions in `SHAPES` is one of."""


class HandWritten:
    """Plays n games at once; see above."""

    def __init__(self, games: int) -> None:
        self.wanted = np.full((games, 2), -1)
        """Position and column for the piece that falls."""
        self.pressed = np.zeros(games, np.bool_)

    def act(self, now: Values) -> NDArray[np.int64]:
        """Returns what to press, int64[n]."""
        falls = now["phase"] == 1
        tiles = field(now)
        actions = np.full(len(falls), WAIT)
        for game in range(len(falls)):
            if not falls[game]:
                self.wanted[game] = -1
                continue
            piece, x = int(now["piece"][game]), int(now["x"][game])
            if self.wanted[game, 0] < 0:
                self.wanted[game] = best_place(tiles[game], piece, int(now["y"][game]))
            position, column = self.wanted[game]
            if self.pressed[game] and (piece, x) != (position, column):
                continue  # let go, or it would count as held
            if piece != position:
                actions[game] = TURN
            elif x != column:
                actions[game] = LEFT if column < x else RIGHT
            else:
                actions[game] = DOWN
        self.pressed = (actions != WAIT) & (actions != DOWN)
        return actions


def best_place(tiles: NDArray[np.bool_], piece: int, y: int) -> tuple[int, int]:
    """Returns position and column of the best place for a piece, as if it could be put there at
    its height at once."""
    positions = [k for k in range(len(SHAPES)) if KINDS[k] == KINDS[piece]]
    tried = np.array([(k, x) for k in positions for x in range(COLUMNS)])
    many = np.repeat(tiles[None], len(tried), axis=0)
    # As low as its highest tile is within the field.
    rows = np.maximum(y, -SHAPES[tried[:, 0], :, 0].min(axis=1))
    lies = landing(many, tried[:, 0], tried[:, 1], rows)
    possible = lies.any(axis=(1, 2))
    after = many | lies
    lines = after.all(axis=2).sum(axis=1)
    value = np.where(possible, worth(without_full_rows(after)) + lines, -np.inf)
    position, column = tried[int(value.argmax())]
    return int(position), int(column)


def play(player: str, games: int, minutes: float, seed: int, agent: Path | None) -> list[int]:
    """Returns the lines of each game."""
    skip = FRAMES if player == "by hand" else 4
    settings: dict[str, Any] = {
        "noop_max": NOOPS,
        "max_steps": round(minutes * 60 * FRAMES_PER_SECOND / skip),
        "threads": 1,
        "seed": seed,
        "observation": "variables",
    }
    if player == "agent":
        return _by_agent(agent, games, settings)
    game = BY_HAND if player == "by hand" else GAME
    envs = make_vec(None, game, games, frame_skip=skip, autoreset="disabled", **settings)
    rng, hand = np.random.default_rng(seed), HandWritten(games)
    _, infos = envs.reset()
    lines, over = np.zeros(games, np.int64), np.zeros(games, np.bool_)
    while not over.all():
        if player == "by hand":
            actions = hand.act(envs.values())
        else:
            actions = rng.integers(len(game.actions), size=games)
        _, _, terminated, truncated, infos = envs.step(actions)
        ended = (terminated | truncated) & ~over
        lines[ended] = infos["lines"][ended]
        over |= ended
        if (terminated | truncated).any():  # these go on for nothing, so that others can
            envs.reset(options={"reset_mask": terminated | truncated})
    envs.close()
    return [int(one) for one in lines]


def _by_agent(path: Path | None, games: int, settings: dict[str, Any]) -> list[int]:
    from warpzone import Agent
    from warpzone.agents.described import described_envs
    from warpzone.training.evaluation import play_episodes

    loaded = Agent.load(path or "tetris")
    lines: list[int] = []
    seed = settings.pop("seed")
    env = described_envs(loaded, games, seed=seed, **settings)
    random = loaded.random(seed)
    play_episodes(
        lambda seen: loaded.act(seen, "sample", random),
        env,
        games,
        seed=seed,
        on_episode=lambda signals, row: lines.append(int(signals["lines"][row])),
    )
    env.close()
    return lines


app = typer.Typer(add_completion=False)


@app.command()
def main(
    agent: Annotated[Path | None, typer.Option(help="A run, or a file. Default: none.")] = None,
    games: Annotated[int, typer.Option(min=1)] = 100,
    minutes: Annotated[float, typer.Option(help="Of a game at the most.")] = 10.0,
    seed: int = 0,
) -> None:
    """Let each player play."""
    for player in ("even draws", "by hand", *(["agent"] if agent else [])):
        lines = np.array(play(player, games, minutes, seed, agent))
        spread = 1.96 * lines.std() / np.sqrt(len(lines))
        print(
            f"{player}: {lines.mean():.2f} lines per game (95 % interval ± {spread:.2f}), "
            f"{lines.min()} to {lines.max()}, {len(lines)} games",
            flush=True,
        )


if __name__ == "__main__":
    app()
