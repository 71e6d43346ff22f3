"""Records what is played on a console, by whomever, as an episode."""

from __future__ import annotations

from warpzone.episodes.format import (
    POWER_ON,
    AgentPlayer,
    DescribedStart,
    Episode,
    Person,
    TrainingPlayer,
    rom_identity,
)
from warpzone.episodes.replay import begin, ram_digest
from warpzone.errors import EpisodeError
from warpzone.nes.console import Console
from warpzone.nes.game import Game
from warpzone.nes.game_starts import snapshot_of


class PlayRecorder:
    """Keeps the buttons of a console since it began. Begins anew with every `begin`.

    Attributes:
        console: that is played on.
        game: whose starts are meant, but for `POWER_ON`; None: levels are.
    """

    def __init__(self, console: Console, game: Game | None = None) -> None:
        self.console, self.game = console, game
        self._start = POWER_ON
        self._described: DescribedStart | None = None
        self._first = 0
        self._buttons = bytearray()

    def begin(self, start: str) -> None:
        """Begins anew, see the function `begin`; a described game is played to its start first.

        Raises:
            EngineError: it does not get there.
        """
        self._described = None
        if self.game is not None and start != POWER_ON:
            snapshot = snapshot_of(self.game, start, self.console.rom, None)
            self._described = DescribedStart(game=self.game.name, snapshot=snapshot)
        begin(self.console, start, self._described)
        self._start, self._first = start, self.console.frame
        self._buttons.clear()

    def step(self, buttons: int) -> None:
        """Plays one frame with these buttons held."""
        self._buttons.append(buttons)
        self.console.step(buttons)

    @property
    def frames(self) -> int:
        """Frames since the start."""
        # Not those of the list: Ctrl-C may have come between a frame's two lines.
        return self.console.frame - self._first

    def episode(self, player: Person | AgentPlayer | TrainingPlayer) -> Episode:
        """Returns what was played since the start.

        Raises:
            EpisodeError: nothing was.
        """
        if self.frames == 0:
            raise EpisodeError("nothing was played, so there is no episode to write")
        return Episode(
            rom=rom_identity(self.console.rom),
            start=self._start,
            described=self._described,
            frames=self.frames,
            ram_sha256=ram_digest(self.console),
            player=player,
            buttons=bytes(self._buttons[: self.frames]),
        )
