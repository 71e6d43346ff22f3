"""An agent's play as an episode, which can be played again without the agent."""

from __future__ import annotations

import hashlib

from warpzone.agents.playback import Playback
from warpzone.episodes.format import AgentPlayer, Episode, rom_identity
from warpzone.episodes.outcome import Outcome
from warpzone.episodes.replay import Replay
from warpzone.errors import EpisodeError
from warpzone.nes.console import Console


def record_episode(playback: Playback, seed: int) -> Episode:
    """Plays the episode of `seed` and returns it, to its last frame.

    The environment keeps which buttons each frame held, so that frames that stuck to the buttons
    before and frames that nobody was asked about are in it as they were.

    Raises:
        EpisodeError: what was kept does not lead to the same game.
    """
    env = playback.env
    env.keep_inputs()
    for moment in playback.episode(seed):
        last = moment.signals
    kept = env.inputs()
    if kept is None or kept.level != playback.level:
        raise EpisodeError("the episode cannot be written: its inputs were not kept")
    file = playback.agent.path
    episode = Episode(
        rom=rom_identity(env.rom),
        start=kept.level,
        frames=len(kept.buttons),
        ram_sha256=hashlib.sha256(env.ram().tobytes()).hexdigest(),
        player=AgentPlayer(
            file=file.name,
            sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
            policy=playback.policy,
            seed=seed,
            noops=env.config.noop_max,
            sticky=env.config.repeat_action_probability,
        ),
        outcome=Outcome.from_signals(last),
        buttons=kept.buttons,
    )
    replay = Replay(episode, Console(env.rom))
    replay.seek(episode.frames)
    if not replay.exact:
        raise EpisodeError(
            f"the episode of seed {seed} cannot be written: its {episode.frames:,} frames, played "
            "again on a console, lead to another game. Please report this"
        )
    return episode
