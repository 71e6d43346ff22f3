"""An agent shows itself inside a notebook, as a film."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from warpzone.agents.agent import Agent
from warpzone.agents.playback import Playback
from warpzone.errors import DisplayError
from warpzone.nes.cartridge import RomSource
from warpzone.training.agent_file import PolicyMode
from warpzone.video.record import record


def show(
    agent: Agent | str | Path,
    level: str | None = None,
    *,
    policy: PolicyMode | None = None,
    tries: int = 10,
    seed: int = 0,
    scale: int = 2,
    overlay: bool = False,
    saliency: bool = False,
    noop_max: int = 30,
    repeat_action_probability: float = 0.0,
    rom: RomSource = None,
    log: Callable[[str], None] = print,
) -> Any:
    """Plays one episode and returns it as a film that a notebook shows.

    Args:
        agent: who plays: an agent, or a name of one for `Agent.load`, such as a level or a run.
        level: "1-1" to "8-4"; None: the level that the agent is packaged for, else the first that
            it was trained on.
        policy: draw from the action probabilities ("sample"), or take the likeliest action
            ("argmax"); None: what a packaged agent plays best with, of others "sample".
        tries: the first of so many episodes that clears is shown, or else the farthest.
        seed: of the first try.
        scale: screen pixels per NES pixel, 1-8.
        overlay: show buttons, value and action probabilities beside the game.
        saliency: show over the game what the agent's decisions depend on.
        noop_max: most random no-op frames before the agent's first decision.
        repeat_action_probability: probability per emulated frame that the
            buttons of the last one stay pressed.
        rom: the ROM, or None to look for it.
        log: receives one line: how the episode went and which try it is.

    Returns:
        `IPython.display.Video`, which holds the whole film.

    Raises:
        DisplayError: IPython is not installed.
        AgentError: no such agent.
        LevelError: no such level.
        ConfigError: a number out of its range, or saliency of an agent that sees RAM.
    """
    try:
        from IPython.display import Video
    except ImportError:
        raise DisplayError(
            "cannot show a film here: IPython is not installed. In a notebook it is; elsewhere "
            "install it (pip install ipython), or write a file: warpzone record … -o clip.mp4"
        ) from None
    agent = agent if isinstance(agent, Agent) else Agent.load(agent)
    name = agent.level if level is None else level
    policy = policy or agent.policy_mode
    playback = Playback(
        agent,
        name,
        policy=policy,
        noop_max=noop_max,
        repeat_action_probability=repeat_action_probability,
        saliency=saliency,
        rom=rom,
    )
    with closing(playback), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        recording = record(playback, path, tries=tries, scale=scale, seed=seed, overlay=overlay)
        film = path.read_bytes()
    (attempt,) = recording.attempts
    log(f"{name}, {policy}: {attempt}")
    return Video(
        data=film,
        embed=True,
        mimetype="video/mp4",
        html_attributes="controls autoplay loop muted",
    )
