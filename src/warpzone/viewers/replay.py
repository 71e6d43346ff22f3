"""Episodes played again: in a window, into films and sheets of pictures, into other formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warpzone.episodes import fm2
from warpzone.episodes.format import POWER_ON, SUFFIX, Episode
from warpzone.episodes.replay import Replay
from warpzone.errors import ConfigError, EpisodeError
from warpzone.nes.buttons import BUTTONS
from warpzone.nes.console import PALETTE
from warpzone.nes.rom import Rom
from warpzone.video.film import SHEET_SUFFIX, SUFFIXES, check_film_path, write_film, write_sheet
from warpzone.viewers.controls import HELP, Controls
from warpzone.viewers.loop import Picture, Show, run
from warpzone.viewers.window_display import open_display

OUTPUT_SUFFIXES = (*SUFFIXES, SHEET_SUFFIX, fm2.SUFFIX, SUFFIX)
SHEET_PICTURES = 20
REPLAY_HELP = (*HELP[:2], ",\tone frame back", *HELP[2:5], *HELP[-2:])


def read_episode(path: Path, rom: Rom) -> Episode:
    """Reads an episode, or a movie of `rom` by the suffix `.fm2`.

    Raises:
        EpisodeError: missing, damaged, or what cannot be played here.
    """
    return fm2.read_fm2(path, rom) if path.suffix.lower() == fm2.SUFFIX else Episode.load(path)


def check_export(path: Path, episode: Episode) -> None:
    """Raises what `export` would for the name of the file.

    Raises:
        ConfigError: see `warpzone.files.check_output_path`.
        EpisodeError: a movie of an episode that begins at a level.
    """
    check_film_path(path, OUTPUT_SUFFIXES)
    if path.suffix.lower() == fm2.SUFFIX and episode.start != POWER_ON:
        raise EpisodeError(fm2.no_movie_of(episode))


def export(
    replay: Replay, path: Path, *, scale: int | None = None, pictures: int | None = None
) -> None:
    """Writes an episode as what the suffix says. Needs no screen.

    Args:
        replay: the episode, and where it is played.
        path: `.mp4` or `.gif`, a film; `.png`, a sheet of pictures at equal distances, the first
            and the last frame among them; `.fm2`, a movie; `.json`, an episode.
        scale: of a film, see `write_film`.
        pictures: on a sheet; None: 20.

    Raises:
        ConfigError: unknown suffix, missing folder, bad numbers.
        EpisodeError: the RAM after the last frame is not the one that was recorded, or a movie of
            an episode that begins at a level. Nothing is written then.
        FilmError: a film or sheet could not be written.
        FileError: another file could not be written.
    """
    check_export(path, replay.episode)
    suffix = path.suffix.lower()
    if scale is not None and suffix not in SUFFIXES:
        raise ConfigError(f"a scale is for films ({', '.join(SUFFIXES)}), not for {path.name}")
    if pictures is not None and suffix != SHEET_SUFFIX:
        raise ConfigError(f"pictures are for sheets ({SHEET_SUFFIX}), not for {path.name}")
    episode = replay.verify()
    if suffix == SUFFIX:
        episode.save(path)
    elif suffix == fm2.SUFFIX:
        fm2.write_fm2(path, episode, replay.console.rom)
    elif suffix == SHEET_SUFFIX:
        chosen = _spread(episode.frames, SHEET_PICTURES if pictures is None else pictures)
        frames = [frame for n, frame in enumerate(replay.pictures()) if n in chosen]
        write_sheet(path, frames, palette=PALETTE)
    else:
        write_film(path, replay.pictures(), palette=PALETTE, scale=scale)


def _spread(frames: int, pictures: int) -> set[int]:
    """Returns the numbers of frames at equal distances, with the first and the last one."""
    if pictures < 1:
        raise ConfigError(f"pictures is {pictures}, must be at least 1")
    steps = max(pictures - 1, 1)
    return {round(i * (frames - 1) / steps) for i in range(pictures)}


@dataclass(frozen=True, slots=True)
class Shown:
    """Says what happened in the window.

    Attributes:
        pictures: that were shown, pauses among them.
        ended: whether the last frame was reached.
    """

    pictures: int = 0
    ended: bool = False


def show(
    replay: Replay, *, title: str = "warpzone", scale: int = 3, max_pictures: int | None = None
) -> Shown:
    """Shows an episode until the window is closed; after its last frame that one stays.

    Args:
        replay: the episode, and where it is played.
        title: of the window.
        scale: screen pixels per NES pixel, 1-8.
        max_pictures: close after so many; None waits for the user.

    Raises:
        DisplayError: no window can be opened.
    """
    instead = "To see the episode without one, make a film: warpzone replay … -o clip.mp4"
    with open_display(title, scale=scale, instead=instead) as display:
        shown = _ReplayShow(replay)
        _, pictures = run(shown, display, most_pictures=max_pictures)
    return Shown(pictures, shown.was_ended)


class _ReplayShow(Show):
    help = REPLAY_HELP
    goes_back = True

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self.was_ended = False
        replay.seek(0)

    @property
    def ended(self) -> bool:
        return self._replay.ended

    def obey(self, controls: Controls) -> None:
        if controls.interrupted:
            controls.take_level_change()
            self._replay.seek(0)

    def advance(self) -> None:
        self._replay.step()
        self.was_ended |= self._replay.ended

    def back(self) -> None:
        self._replay.seek(max(self._replay.place - 1, 0))

    def picture(self) -> Picture:
        replay, episode = self._replay, self._replay.episode
        held = " + ".join(name for name, bit in BUTTONS.items() if replay.buttons & bit)
        return Picture(
            replay.console.screen(),
            [episode.start, f"frame {replay.place:,} of {episode.frames:,}"],
            held,
            _end(replay) if replay.ended else (),
        )


def _end(replay: Replay) -> tuple[str, ...]:
    outcome = replay.episode.outcome
    verdict = () if replay.exact else ("This is not what was recorded: the RAM differs",)
    return (*((str(outcome),) if outcome else ("The end",)), *verdict)
