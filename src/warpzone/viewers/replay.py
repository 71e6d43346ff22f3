"""Episodes played again: in a window, into films and sheets of pictures, into other formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warpzone.episodes import fm2
from warpzone.episodes.format import POWER_ON, SUFFIX, Episode
from warpzone.episodes.replay import Replay
from warpzone.errors import ConfigError, EpisodeError
from warpzone.nes.console import FRAMES_PER_SECOND, PALETTE
from warpzone.nes.rom import Rom
from warpzone.smb.actions import BUTTONS
from warpzone.video.film import SHEET_SUFFIX, SUFFIXES, check_film_path, write_film, write_sheet
from warpzone.viewers.controls import HELP, Controls
from warpzone.viewers.window import Pacer, Window

OUTPUT_SUFFIXES = (*SUFFIXES, SHEET_SUFFIX, fm2.SUFFIX, SUFFIX)
SHEET_PICTURES = 20
REPLAY_HELP = (*HELP[:2], ",\tone frame back", *HELP[2:5], *HELP[-2:])
HELP_FRAMES = round(4 * FRAMES_PER_SECOND)
"""How long the help is shown at the start."""
PAUSED_FPS = 30


def read_episode(path: Path, rom: Rom) -> Episode:
    """Read an episode, or a movie of `rom` by the suffix `.fm2`.

    Raises:
        EpisodeError: missing, damaged, or what cannot be played here.
    """
    return fm2.read_fm2(path, rom) if path.suffix.lower() == fm2.SUFFIX else Episode.load(path)


def check_export(path: Path, episode: Episode) -> None:
    """Raise what `export` would for the name of the file.

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
    """Write an episode as what the suffix says. Needs no screen.

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
    """Numbers of so many frames at equal distances, with the first and the last one."""
    if pictures < 1:
        raise ConfigError(f"pictures is {pictures}, must be at least 1")
    steps = max(pictures - 1, 1)
    return {round(i * (frames - 1) / steps) for i in range(pictures)}


@dataclass(slots=True)
class Shown:
    """What happened in the window."""

    pictures: int = 0
    ended: bool = False
    """Whether the last frame was reached."""


def show(
    replay: Replay, *, title: str = "warpzone", scale: int = 3, max_pictures: int | None = None
) -> Shown:
    """Show an episode until the window is closed; after its last frame that one stays.

    Args:
        replay: the episode, and where it is played.
        title: of the window.
        scale: screen pixels per NES pixel, 1-8.
        max_pictures: close after so many; None waits for the user.

    Raises:
        DisplayError: no window can be opened.
    """
    instead = "To see the episode without one, make a film: warpzone replay … -o clip.mp4"
    with Window(title, PALETTE, scale=scale, instead=instead) as window:
        return _run(window, replay, max_pictures)


def _run(window: Window, replay: Replay, max_pictures: int | None) -> Shown:
    controls = Controls()
    pacer = Pacer()
    shown = Shown()
    replay.seek(0)
    while max_pictures is None or shown.pictures < max_pictures:
        controls.handle(window.events(), window)
        if controls.quit:
            break
        if controls.interrupted:
            controls.take_level_change()
            replay.seek(0)
        moving = (controls.one_frame or not controls.paused) and not replay.ended
        controls.one_frame = False
        if controls.one_back:
            controls.one_back, controls.paused, moving = False, True, False
            replay.seek(max(replay.place - 1, 0))
        if moving:
            replay.step()
        shown.ended |= replay.ended
        if pacer.wait(controls.speed if moving else PAUSED_FPS / FRAMES_PER_SECOND):
            help_wanted = controls.help or shown.pictures <= HELP_FRAMES
            overlay = REPLAY_HELP if help_wanted else _end(replay) if replay.ended else ()
            window.show(replay.console.screen(), status=_status(replay, controls), overlay=overlay)
        shown.pictures += 1
    return shown


def _status(replay: Replay, controls: Controls) -> str:
    episode = replay.episode
    parts = [episode.start, f"frame {replay.place:,} of {episode.frames:,}"]
    if controls.speed != 1.0:
        parts.append(f"×{controls.speed:g}")
    if controls.paused:
        parts.append("paused")
    held = " + ".join(name for name, bit in BUTTONS.items() if replay.buttons & bit)
    # What changes all the time stands last, so that nothing else moves.
    return "    ".join([*parts, held]) + "\tH help"


def _end(replay: Replay) -> tuple[str, ...]:
    outcome = replay.episode.outcome
    verdict = () if replay.exact else ("This is not what was recorded: the RAM differs",)
    return (*((str(outcome),) if outcome else ("The end",)), *verdict)
