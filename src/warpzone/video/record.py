"""Films of an agent's play."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from warpzone.agents.playback import Moment, Playback
from warpzone.episodes.outcome import Outcome
from warpzone.errors import ConfigError
from warpzone.video.film import FilmError, Frame, check_film_path, pick_scale, write_film
from warpzone.video.glow import Glow
from warpzone.video.overlay import Overlay

OVERLAY_SCALE = {".mp4": 4, ".gif": 2}
"""At 1 the text of the overlay cannot be read."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Says which episode was filmed.

    Attributes:
        seed: that plays it again.
        tries: how many episodes were played to get it, this one included.
        outcome: how it ended.
    """

    seed: int
    tries: int
    outcome: Outcome

    def __str__(self) -> str:
        """Says it in words, with the tries that were not filmed."""
        if self.outcome.cleared or self.tries == 1:
            which = "1st try" if self.tries == 1 else f"after {self.tries} tries"
        else:
            which = f"the farthest of {self.tries} tries, none of which cleared"
        return f"{self.outcome} ({which}, seed {self.seed})"


@dataclass(frozen=True, slots=True)
class Recording:
    path: Path
    attempts: list[Attempt]
    frames: int


def record(
    playback: Playback,
    path: Path,
    *,
    episodes: int = 1,
    tries: int = 10,
    scale: int | None = None,
    seed: int = 0,
    overlay: bool = False,
    log: Callable[[str], None] = lambda text: None,
) -> Recording:
    """Films `episodes` episodes into one file.

    For each, up to `tries` episodes are played without filming; the first that clears the level
    is played again for the film, or else the one that got farthest. How many tries it took is
    part of the result: a film of the best of ten says little about the other nine. Where the
    player finds saliency, it glows over the game.

    Args:
        playback: agent and level.
        path: `.mp4` or `.gif`.
        episodes: how many to film, at least 1.
        tries: most episodes to play for each one that is filmed, at least 1. 1 films what comes.
        scale: see `write_film`; with `overlay` the default for GIF is 2.
        seed: of the first try; the following tries count up from it.
        overlay: show the agent's buttons, value and action probabilities beside the game.
        log: receives a line per try.

    Raises:
        ConfigError: bad numbers or path.
        FilmError: the film could not be written.
    """
    if episodes < 1 or tries < 1:
        raise ConfigError(f"episodes is {episodes} and tries is {tries}; both must be at least 1")
    check_film_path(path)
    factor = pick_scale(path, scale, OVERLAY_SCALE) if overlay else pick_scale(path, scale)
    drawing = Overlay(playback, factor) if overlay else None
    attempts: list[Attempt] = []
    for _ in range(episodes):
        attempt = choose(playback, seed, tries, log)
        attempts.append(attempt)
        seed += attempt.tries

    def shown(
        frames: Iterable[Frame], moment: Moment | None, outcome: Outcome | None = None
    ) -> Iterator[Frame]:
        if drawing is None:
            yield from frames
            return
        panel = drawing.panel(moment, outcome)
        for frame in frames:
            yield drawing.beside(frame, panel)

    def pictures() -> Iterator[Frame]:
        glow = Glow(playback.palette)
        for attempt in attempts:
            for moment in playback.episode(attempt.seed):
                yield from shown(glow.frames(moment), moment)
            if Outcome.from_signals(moment.signals) != attempt.outcome:
                raise FilmError("the filmed episode did not go like the one that was tried")
            yield from shown(playback.aftermath(attempt.outcome), None, attempt.outcome)

    count = write_film(
        path,
        pictures(),
        palette=playback.palette,
        scale=1 if overlay else factor,  # the overlay is drawn at its full size
    )
    return Recording(path, attempts, count)


def choose(playback: Playback, seed: int, tries: int, log: Callable[[str], None]) -> Attempt:
    """Returns the first of up to `tries` episodes that clears, else the one that got farthest."""
    best: Attempt | None = None
    for number in range(1, tries + 1):
        outcome = _outcome(playback, seed + number - 1)
        log(f"try {number}: {outcome}")
        if outcome.cleared:
            return Attempt(seed + number - 1, number, outcome)
        if best is None or outcome.progress > best.outcome.progress:
            best = Attempt(seed + number - 1, tries, outcome)
    if best is None:
        raise ConfigError(f"tries is {tries}; it must be at least 1")
    return best


def _outcome(playback: Playback, seed: int) -> Outcome:
    wanted, playback.saliency = playback.saliency, False  # what is only tried is not shown
    try:
        for moment in playback.episode(seed):
            if moment.ended:
                return Outcome.from_signals(moment.signals)
    finally:
        playback.saliency = wanted
    raise AssertionError("an episode came to no end")
