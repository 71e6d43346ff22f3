"""Which agent a name means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from warpzone.errors import AgentError
from warpzone.training import packaged_index
from warpzone.training.agent_file import load_agent
from warpzone.training.packaged_index import read_index, trained_folder
from warpzone.training.resolve_agent import AgentSource, resolve_agent


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_file_is_itself() -> None:
    Path("mine.safetensors").touch()
    assert resolve_agent("mine.safetensors") == AgentSource(Path("mine.safetensors"))
    assert resolve_agent(Path("mine.safetensors")).policy == "sample"


def test_a_run_gives_its_best_agent_else_its_final_one() -> None:
    run = Path("run")
    run.mkdir()
    (run / "agent.safetensors").touch()
    assert resolve_agent("run").file == run / "agent.safetensors"
    (run / "best.safetensors").touch()
    assert resolve_agent("run").file == run / "best.safetensors"


def test_a_level_means_the_agent_that_is_packaged_for_it() -> None:
    source = resolve_agent("1-1")
    entry = read_index(trained_folder()).levels["1-1"]
    assert source == AgentSource(trained_folder() / entry.file, "1-1", entry.policy)
    assert "1-1" in load_agent(source.file)[1].env.levels


def test_what_the_user_has_under_the_name_of_a_level_comes_first() -> None:
    Path("1-1").mkdir()
    (Path("1-1") / "best.safetensors").touch()
    assert resolve_agent("1-1").file == Path("1-1/best.safetensors")


@pytest.mark.parametrize("suffix", ["", ".safetensors"])
def test_a_packaged_agent_goes_by_the_name_of_its_file(suffix: str) -> None:
    entry = next(iter(read_index(trained_folder()).levels.values()))
    source = resolve_agent(Path(entry.file).stem + suffix)
    assert source == AgentSource(trained_folder() / entry.file, None, entry.policy)


def test_a_level_without_an_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged_index, "trained_folder", lambda: tmp_path)
    with pytest.raises(AgentError, match=r"agents\.json.*Install warpzone again"):
        resolve_agent("8-4")
    (tmp_path / "agents.json").write_text("{")
    with pytest.raises(AgentError, match=r"agents\.json is damaged"):
        resolve_agent("8-4")
    (tmp_path / "agents.json").write_text('{"levels": {}}')
    with pytest.raises(AgentError, match=r"no agent for level 8-4.*warpzone train 8-4"):
        resolve_agent("8-4")


def test_an_index_names_no_file_outside_its_folder(tmp_path: Path) -> None:
    text = (trained_folder() / "agents.json").read_text()
    file = read_index(trained_folder()).levels["1-1"].file
    (tmp_path / "agents.json").write_text(text.replace(file, f"../{file}"))
    with pytest.raises(AgentError, match="without a folder"):
        read_index(tmp_path)


@pytest.mark.parametrize(
    "name", ["nowhere", "runs/none", "9-9", "a" * 300, "a\0b", "file/below", "\udc80"]
)
def test_a_name_that_means_nothing_is_one_line(name: str) -> None:
    Path("file").touch()
    with pytest.raises(AgentError) as caught:
        resolve_agent(name)
    assert "\n" not in str(caught.value)


def test_a_pipe_is_no_agent() -> None:
    os.mkfifo("pipe")
    with pytest.raises(AgentError, match="neither a file nor a directory"):
        resolve_agent("pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_folder_that_may_not_be_looked_into() -> None:
    Path("closed").mkdir(mode=0)
    with pytest.raises(AgentError, match="Permission denied"):
        resolve_agent("closed/agent.safetensors")
