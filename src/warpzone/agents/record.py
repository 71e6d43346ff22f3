"""Films of an agent's play."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from warpzone.agents.film import FilmError, Frame, check_film_path, write_film
from warpzone.agents.playback import Outcome, Playback
from warpzone.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Take:
    """An episode that was filmed.

    Attributes:
        seed: that plays it again.
        tries: how many episodes were played to get it, this one included.
        outcome: how it ended.
    """

    seed: int
    tries: int
    outcome: Outcome

    def __str__(self) -> str:
        """In words, with the tries that were not filmed."""
        if self.outcome.cleared or self.tries == 1:
            which = "1st try" if self.tries == 1 else f"after {self.tries} tries"
        else:
            which = f"the farthest of {self.tries} tries, none of which cleared"
        return f"{self.outcome} ({which}, seed {self.seed})"


@dataclass(frozen=True, slots=True)
class Recording:
    path: Path
    takes: list[Take]
    frames: int


def record(
    playback: Playback,
    path: Path,
    *,
    episodes: int = 1,
    tries: int = 10,
    scale: int | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> Recording:
    """Film `episodes` episodes into one file.

    For each, up to `tries` episodes are played without filming; the first that clears the level
    is played again for the film, or else the one that got farthest. How many tries it took is
    part of the result: a film of the best of ten says little about the other nine.

    Args:
        playback: agent and level.
        path: `.mp4` or `.gif`.
        episodes: how many to film, at least 1.
        tries: most episodes to play for each one that is filmed, at least 1. 1 films what comes.
        scale: see `write_film`.
        seed: of the first try; the following tries count up from it.
        say: receives a line per try.

    Raises:
        ConfigError: bad numbers or path.
        FilmError: the film could not be written.
    """
    if episodes < 1 or tries < 1:
        raise ConfigError(f"episodes is {episodes} and tries is {tries}; both must be at least 1")
    check_film_path(path)
    takes: list[Take] = []
    for _ in range(episodes):
        take = _choose(playback, seed, tries, say)
        takes.append(take)
        seed += take.tries

    def frames() -> Iterator[Frame]:
        for take in takes:
            for moment in playback.episode(take.seed):
                yield from moment.frames
            if Outcome.from_signals(moment.signals) != take.outcome:
                raise FilmError("the filmed episode did not go like the one that was tried")
            yield from playback.aftermath(take.outcome)

    count = write_film(path, frames(), palette=playback.palette, scale=scale)
    return Recording(path, takes, count)


def _choose(playback: Playback, seed: int, tries: int, say: Callable[[str], None]) -> Take:
    best = Take(seed, tries, Outcome(cleared=False, death=0, progress=-1, frames=0))
    for number in range(1, tries + 1):
        outcome = _outcome(playback, seed + number - 1)
        say(f"try {number}: {outcome}")
        if outcome.cleared:
            return Take(seed + number - 1, number, outcome)
        if outcome.progress > best.outcome.progress:
            best = Take(seed + number - 1, tries, outcome)
    return best


def _outcome(playback: Playback, seed: int) -> Outcome:
    for moment in playback.episode(seed):
        if moment.ended:
            return Outcome.from_signals(moment.signals)
    raise AssertionError("an episode came to no end")
