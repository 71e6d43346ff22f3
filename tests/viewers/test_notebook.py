"""Films inside a notebook, and what is said where there is none."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import imageio_ffmpeg
import pytest

from warpzone.agents.agent import Agent
from warpzone.errors import AgentError, DisplayError, LevelError
from warpzone.viewers.notebook import show


class Video:
    """Stands in for `IPython.display.Video`, which tests do not need installed."""

    def __init__(self, **options: Any) -> None:
        self.options: Mapping[str, Any] = options


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    display: Any = ModuleType("IPython.display")
    display.Video = Video
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)


@pytest.mark.usefixtures("notebook")
def test_the_film_is_in_the_notebook(agent: Agent, tmp_path: Path) -> None:
    said: list[str] = []
    video = show(agent, "1-2", tries=1, seed=2, scale=1, overlay=True, log=said.append)
    assert isinstance(video, Video)
    assert video.options["embed"] is True
    assert video.options["mimetype"] == "video/mp4"

    path = tmp_path / "film.mp4"
    path.write_bytes(video.options["data"])
    reader = imageio_ffmpeg.read_frames(str(path))
    assert next(reader)["size"] == (400, 240)
    assert sum(1 for _ in reader) > 100
    (line,) = said
    assert line.startswith("1-2, sample: ")
    assert "seed 2" in line


@pytest.mark.usefixtures("notebook")
def test_an_unknown_level(agent: Agent) -> None:
    with pytest.raises(LevelError, match="9-9"):
        show(agent, "9-9")


@pytest.mark.usefixtures("notebook")
def test_an_agent_may_be_given_by_its_name(tmp_path: Path, agent_file: Path) -> None:
    said: list[str] = []
    assert isinstance(show(agent_file, "1-1", tries=1, scale=1, log=said.append), Video)
    assert said[0].startswith("1-1, sample: ")
    with pytest.raises(AgentError, match="there is no"):
        show(tmp_path / "nothing")


def test_without_ipython(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", None)
    monkeypatch.delitem(sys.modules, "IPython.display", raising=False)
    with pytest.raises(DisplayError, match=r"pip install ipython.*warpzone record"):
        show(agent, "1-1")
