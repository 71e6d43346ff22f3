"""`RecordVideo` as Gymnasium's users know it, with every emulated frame."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from warpzone.errors import ConfigError
from warpzone.extras import need
from warpzone.files import make_directory
from warpzone.nes.console import PALETTE
from warpzone.nes.one_game import OneGame
from warpzone.video.film import DEFAULT_SCALE, check_film_path, pick_scale, write_film

_SHAPE = (240, 256)


def cubes(episode: int) -> bool:
    """Whether that episode is filmed where nobody says which: 0, 1, 8, 27 … 1000, and then every
    1000th, as Gymnasium has it."""
    return episode % 1000 == 0 if episode >= 1000 else round(episode ** (1 / 3)) ** 3 == episode


class RecordVideo(gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """Writes films of episodes, 60 frames a second.

    `gymnasium.wrappers.RecordVideo` asks for one picture a step, and so leaves out three of four
    frames. This one shows all of a step, the last of an episode among them. It needs neither
    `render_mode` nor MoviePy; films are whole or not there at all.

    Args:
        env: made with `keep_frames=True`, of `warpzone.make` or of a described game, wrapped or
            not.
        video_folder: of the films, `PREFIX-episode-N.mp4`; made where there is none.
        episode_trigger: whether the episode of that number, from 0 on, is filmed; None: `cubes`.
        name_prefix: of the files' names.
        scale: pixels of the film per NES pixel, 1 to 8.

    Raises:
        ConfigError: the environment keeps no frames, or films cannot be written there.
        MissingPackageError: imageio-ffmpeg is not installed.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        video_folder: str | Path,
        episode_trigger: Callable[[int], bool] | None = None,
        name_prefix: str = "rl-video",
        scale: int = DEFAULT_SCALE[".mp4"],
    ) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(
            self,
            video_folder=video_folder,
            episode_trigger=episode_trigger,
            name_prefix=name_prefix,
            scale=scale,
        )
        super().__init__(env)
        need("A film (.mp4)", films=("imageio_ffmpeg",))
        game = env.unwrapped
        if not isinstance(game, OneGame) or not game.keeps_frames:
            raise ConfigError(
                "RecordVideo shows every emulated frame: make the environment with keep_frames=True"
            )
        self._game = game
        self._folder = Path(video_folder)
        self._trigger = episode_trigger or cubes
        self._prefix, self._scale = name_prefix, scale
        try:
            make_directory(self._folder)
        except OSError as error:
            raise ConfigError(
                f"films cannot be written to {self._folder}: {error.strerror or error}"
            ) from None
        pick_scale(check_film_path(self._path(0)), scale)
        self._episode = -1
        self._frames: list[bytes] | None = None
        """Of the running film, each packed: an episode may have thousands."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Ends a film and begins an episode, and a film of it where one is wanted.

        Raises:
            FilmError: the film could not be written.
        """
        self._write()
        found = self.env.reset(seed=seed, options=options)
        self._episode += 1
        if self._trigger(self._episode):
            self._frames = []
            self._keep()
        return found

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Steps the game; where it ends, the film is written.

        Raises:
            FilmError: the film could not be written.
        """
        found = self.env.step(action)
        if self._frames is not None:
            self._keep()
            if found[2] or found[3]:
                self._write()
        return found

    def close(self) -> None:
        """Writes what there is of a film, and closes the environment."""
        self._write()
        super().close()

    def _path(self, episode: int) -> Path:
        return self._folder / f"{self._prefix}-episode-{episode}.mp4"

    def _keep(self) -> None:
        assert self._frames is not None
        self._frames += [zlib.compress(frame.tobytes(), 1) for frame in self._game.frames()]

    def _write(self) -> None:
        frames, self._frames = self._frames, None
        if not frames:
            return
        pictures = (
            np.frombuffer(zlib.decompress(packed), np.uint8).reshape(_SHAPE) for packed in frames
        )
        write_film(self._path(self._episode), pictures, palette=PALETTE, scale=self._scale)
