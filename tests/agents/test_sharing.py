"""Agents for others: the folder, the card, and the way to the Hub and back."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.agents import write_agent
from tests.support.hub import Hub, serving, use_hub
from typer.testing import CliRunner

from warpzone.agents import sharing
from warpzone.agents.agent import Agent
from warpzone.agents.sharing import Protocol, card, measure, push_folder, write_folder
from warpzone.cli import share
from warpzone.cli.app import app
from warpzone.errors import AgentError, MissingPackageError, RomError
from warpzone.smb.cartridges import all_levels
from warpzone.smb.config import EnvConfig
from warpzone.smb.known_cartridges import KNOWN
from warpzone.smb.rom import find_known
from warpzone.training import hub as hub_module
from warpzone.training.hub import HubName, hub_name
from warpzone.training.resolve_agent import resolve_agent


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    found = Hub()
    with serving(found) as address:
        use_hub(monkeypatch, address, tmp_path / "cache")
        yield found


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shared agent, that has been measured in six episodes of each of its levels."""
    agent = Agent.load("1-1")
    measured = measure(agent, Protocol("argmax", 6, 5, 0.25, 3), levels=["1-1"], threads=1)
    return write_folder(
        agent, tmp_path_factory.mktemp("shared") / "mario", measured, repo="me/mario", licence="mit"
    )


def invoke(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


def test_a_folder_holds_the_agent_and_nothing_that_is_executed(folder: Path) -> None:
    assert {file.name for file in folder.iterdir()} == {
        "README.md",
        "agent.safetensors",
        "config.json",
    }
    config = json.loads((folder / "config.json").read_text())
    assert config["library_name"] == "warpzone"
    assert config["policy"] == "argmax"
    assert config["measured"]["results"]["1-1"]["episodes"] == 6
    ours, theirs = Agent.load("1-1"), Agent.load(folder)
    assert theirs.policy_mode == "argmax"
    assert theirs.info == ours.info
    for name, tensor in ours.policy.state_dict().items():
        assert torch.equal(theirs.policy.state_dict()[name], tensor)


def test_the_card_is_made_of_the_measurement(folder: Path) -> None:
    package = pytest.importorskip("huggingface_hub")
    config = json.loads((folder / "config.json").read_text())
    result = config["measured"]["results"]["1-1"]
    text = (folder / "README.md").read_text()
    data = package.ModelCard(text).data
    assert data.library_name == "warpzone"
    assert data.license == "mit"
    assert "super-mario-bros" in data.tags
    assert data.model_name == "mario"
    (entry,) = data.eval_results
    assert entry.task_type == "reinforcement-learning"
    assert entry.dataset_name == "super-mario-bros 1-1"
    assert entry.metric_value == result["clear_rate"]
    assert entry.metric_args == {
        "episodes": 6,
        "ci95_low": result["ci95"][0],
        "ci95_high": result["ci95"][1],
    }
    rom = config["measured"]["rom"]
    assert f"Cartridge: {rom['revision']}, SHA-1 `{rom['sha1']}`" in text
    assert config["agent"]["command"] in text


def test_the_command_of_the_card_gives_its_rates(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (line,) = [
        line
        for line in (folder / "README.md").read_text().splitlines()
        if line.startswith("warpzone eval")
    ]
    words = shlex.split(line)[1:]
    assert words[1] == "hf://me/mario"
    words[1] = str(folder)
    again = json.loads(invoke(*words, "--threads", "1", "--json"))
    assert again["levels"] == config["measured"]["results"]
    assert again["rom"] == config["measured"]["rom"]


def test_a_card_quotes_what_it_is_told(folder: Path) -> None:
    """What a file says of itself cannot end the front matter."""
    package = pytest.importorskip("huggingface_hub")
    agent = Agent.load(folder)
    measured = measure(agent, Protocol(episodes=1), levels=["1-1"], threads=1)
    text = card(agent, measured, name='a"b: c\n---\n# d', licence="x: y")
    data = package.ModelCard(text).data
    assert data.license == "x: y"
    assert data.model_name == 'a"b: c\n---\n# d'


def test_an_agent_goes_to_the_hub_and_comes_back(hub: Hub, folder: Path) -> None:
    address = push_folder(folder, "me/mario", private=True)
    assert address.endswith("/me/mario/commit/" + hub.commit("me/mario"))
    assert hub.private == {"me/mario"}
    assert hub.repos["me/mario"] == {
        file.name: file.read_bytes() for file in sorted(folder.iterdir())
    }
    hub.repos["me/mario"]["evil.py"] = b"raise SystemExit"
    hub.repos["me/mario"]["pytorch_model.bin"] = b"pickle"
    hub.requests.clear()
    source = resolve_agent("hf://me/mario")
    assert source.policy == "argmax"
    assert resolve_agent(Path("hf://me/mario")) == source  # as the command line has it
    assert source.file.read_bytes() == (folder / "agent.safetensors").read_bytes()
    fetched = {line.rpartition("/")[2] for line in hub.requests if "/resolve/" in line}
    assert fetched == {"config.json", "agent.safetensors"}
    assert Agent.load("hf://me/mario").policy_mode == "argmax"


def test_other_files_of_a_folder_are_not_sent(hub: Hub, folder: Path, tmp_path: Path) -> None:
    agent = Agent.load(folder)
    place = write_folder(
        agent, tmp_path / "mine", measure(agent, Protocol(episodes=1), levels=["1-1"], threads=1)
    )
    (place / "smb.nes").write_bytes(b"NES\x1a")
    push_folder(place, "me/mario")
    assert set(hub.repos["me/mario"]) == {"README.md", "config.json", "agent.safetensors"}


def test_commands_take_an_agent_of_the_hub(hub: Hub, tmp_path: Path) -> None:
    env = EnvConfig(levels=["1-1"], no_progress_steps=12)
    write_agent(tmp_path / "mine.safetensors", env)
    told = invoke("push", "mine.safetensors", "me/one", "--episodes", "2", "--film")
    assert "1-1: 0.0% of 2 episodes cleared" in told
    assert "play it: warpzone watch hf://me/one" in told
    assert set(hub.repos["me/one"]) == set(sharing.FILES)
    assert (Path("pushed") / "one" / "README.md").is_file()
    told = invoke("eval", "hf://me/one", "--episodes", "2", "--json")
    found = json.loads(told[told.index("{") :])  # what is fetched is told before it
    assert found["levels"]["1-1"]["episodes"] == 2
    invoke("export", "hf://me/one", "-o", "one.pt2")
    assert Path("one.pt2").is_file()
    # Sent once more, as it lies there, without measuring.
    invoke("push", "pushed/one", "me/two")
    assert hub.repos["me/two"] == hub.repos["me/one"]


def test_a_folder_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    write_agent(tmp_path / "mine.safetensors", EnvConfig(levels=["1-1"], no_progress_steps=12))
    told = invoke("push", "mine.safetensors", "--folder", "mine", "--episodes", "2")
    assert "of 2 episodes cleared" in told
    found = json.loads(invoke("eval", "mine", "--episodes", "2", "--json"))
    assert found["protocol"]["episodes"] == 2
    with pytest.raises(MissingPackageError, match=r"pip install 'warpzone\[hub\]'"):
        resolve_agent("hf://me/mario")
    result = CliRunner().invoke(app, ["push", "mine", "me/mario"])
    assert result.exit_code == 2


def test_an_agent_of_another_game_is_shared(tmp_path: Path) -> None:
    invoke("push", "tetris", "--folder", "tetris-agent", "--episodes", "1")
    text = Path("tetris-agent/README.md").read_text()
    assert '- "tetris"' in text
    assert "Cartridge" not in text


@pytest.mark.parametrize("word", ["--seed", "--episodes"])
def test_a_folder_that_is_sent_as_it_is_refuses_what_would_change_it(
    word: str, folder: Path
) -> None:
    def told(*words: str) -> str:
        result = CliRunner().invoke(app, ["push", str(folder), "me/two", *words])
        assert result.exit_code == 2
        return " ".join(result.output.split())

    assert f"is sent as it is: leave out {word}, or measure it again" in told(word, "100")
    words = ["--license", "mit", "--film", "--levels", "1-1", "--episodes", "100"]
    words += ["--noop-max", "30", "--sticky", "0", "--policy", "sample", "--seed", "0"]
    every = "--license, --film, --levels, --episodes, --noop-max, --sticky, --policy, --seed, --rom"
    assert f"leave out {every}, or" in told(*words, "--rom", "super-mario-bros")
    help_text = CliRunner().invoke(app, ["push", "--help"], env={"COLUMNS": "200"}).output
    for default in ("Default: 100.", "Default: 30.", "stay pressed. Default: 0."):
        assert default in " ".join(help_text.split())


def test_the_film_is_of_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As sticky as the numbers beside it, and on a level that they are of."""
    played: list[tuple[Any, ...]] = []

    def note(playback: Any, path: Path, *_: Any) -> None:
        config = playback.env.config
        seen = (playback.level, playback.policy, config.noop_max, config.repeat_action_probability)
        played.append(seen)
        playback.close()
        path.write_bytes(b"film")

    monkeypatch.setattr(share, "film", note)
    write_agent(tmp_path / "mine.safetensors", EnvConfig(levels=["1-1"], no_progress_steps=12))
    words = ["push", "mine.safetensors", "--folder", "mine", "--episodes", "1", "--film"]
    invoke(*words, "--sticky", "0.25", "--noop-max", "7", "--levels", "1-2", "--policy", "argmax")
    assert played == [("1-2", "argmax", 7, 0.25)]


def test_levels_are_those_of_the_agents_cartridge(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def note(agent: Agent, protocol: Protocol, *, levels: list[str], rom: Any, log: Any) -> Any:
        assert rom.contents_sha1 == theirs.contents_sha1
        measured.append(levels)
        raise AgentError("that is enough")

    try:
        theirs = find_known(KNOWN["lost-levels"])
    except RomError as error:
        pytest.skip(f"no network: {error}")
    measured: list[list[str]] = []
    monkeypatch.setattr(sharing, "measure", note)
    CliRunner().invoke(app, ["push", "lost-levels", "--folder", "lost", "--levels", "all"])
    assert measured == [list(all_levels(theirs))]


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("hf://", "hf://mario", "hf://me/", "hf://me/mario/more", "hf://../mario", "hf://me/.."),
        *("hf://me/a--b", "hf://me/-a", "hf://me/a b", "hf://me/mario@", "hf://me/mario@../x"),
        *("hf://me/a\nb", "hf://me/mario@a b", "hf://me/" + "a" * 97, "hf://me/é"),
    ],
)
def test_names_that_no_repository_has_are_refused(name: str) -> None:
    with pytest.raises(AgentError, match="is no ") as caught:
        resolve_agent(name)
    assert "\n" not in str(caught.value)


def test_a_revision_is_named_behind_the_name() -> None:
    assert hub_name("hf://me/mario@v1.0") == HubName("me/mario", "v1.0")
    assert str(HubName("me/mario", "v1.0")) == "hf://me/mario@v1.0"
    assert hub_name("runs/1-1") is None


def test_what_is_not_there_is_told(hub: Hub) -> None:
    with pytest.raises(AgentError, match=r"there is no hf://me/none on the Hugging Face Hub, or"):
        resolve_agent("hf://me/none")
    hub.repos["me/empty"] = {"README.md": b""}
    with pytest.raises(AgentError, match=r"no agent of warpzone: there is no agent.safetensors"):
        resolve_agent("hf://me/empty")


def test_a_file_that_is_too_large_is_not_fetched(hub: Hub, folder: Path) -> None:
    push_folder(folder, "me/mario")
    hub.sizes["agent.safetensors"] = 1 << 40
    hub.requests.clear()
    with pytest.raises(AgentError, match=r"agent.safetensors has 1,099,511,627,776 bytes"):
        resolve_agent("hf://me/mario")
    assert not any("/resolve/" in line for line in hub.requests)


def test_a_damaged_agent_of_the_hub_is_refused(hub: Hub, folder: Path) -> None:
    push_folder(folder, "me/mario")
    hub.repos["me/mario"]["agent.safetensors"] = b"\x80\x04pickle"
    with pytest.raises(AgentError, match="is not a whole safetensors file"):
        Agent.load("hf://me/mario")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"policy": "argmax"}', "[" * 100_000])
def test_a_config_of_somebody_else_says_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "agent.safetensors").touch()
    (tmp_path / "config.json").write_text(text)
    assert resolve_agent(tmp_path).policy == "sample"


def test_offline_what_was_fetched_before_is_used(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Hub()
    with serving(found) as address:
        use_hub(monkeypatch, address, tmp_path / "cache")
        push_folder(folder, "me/mario")
        file = resolve_agent("hf://me/mario").file
    hub_module._fetched.cache_clear()
    assert resolve_agent("hf://me/mario").file == file
    with pytest.raises(AgentError, match=r"cannot be reached .* has not been fetched before"):
        resolve_agent("hf://me/other")
    with pytest.raises(AgentError, match="the Hugging Face Hub cannot be reached"):
        sharing.check_push("me/mario")
    with pytest.raises(AgentError, match=r"cannot be reached.*later: warpzone push"):
        push_folder(folder, "me/mario")


def test_without_a_login_nothing_is_measured(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    write_agent(tmp_path / "mine.safetensors")
    result = CliRunner().invoke(app, ["push", "mine.safetensors", "me/mario"])
    assert result.exit_code == 2
    assert "hf auth login" in result.output
    assert not Path("pushed").exists()


def test_what_was_measured_is_not_lost_where_it_may_not_be_sent(hub: Hub, tmp_path: Path) -> None:
    write_agent(tmp_path / "mine.safetensors", EnvConfig(levels=["1-1"], no_progress_steps=12))
    hub.refuses = True
    result = CliRunner().invoke(app, ["push", "mine.safetensors", "me/mario", "--episodes", "2"])
    assert result.exit_code == 2
    assert "warpzone push pushed/mario me/mario" in " ".join(result.output.split())
    sharing.require_shared(Path("pushed/mario"))


def test_a_folder_that_holds_no_shared_agent_is_not_sent(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="holds no shared agent"):
        push_folder(tmp_path, "me/mario")
    assert hub.repos == {}


@pytest.mark.parametrize("name", ["config.json", "agent.safetensors", "README.md"])
def test_a_folder_with_something_else_is_not_written_over(name: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / name).write_text("{}")
    result = CliRunner().invoke(app, ["push", "1-1", "--folder", "run", "--episodes", "1"])
    assert result.exit_code == 2
    assert f"has {name}, which is not of a shared agent" in " ".join(result.output.split())
    assert (run / name).read_text() == "{}"
    assert len(list(run.iterdir())) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["push", "1-1"], "where to?"),
        (["push", "1-1", "--folder", "a", "--private"], "--private is for a repository"),
        (["push", "1-1", "mario"], "is no name of a repository"),
        (
            ["push", "tetris", "--folder", "a", "--levels", "1-1"],
            "--levels is for Super Mario Bros., and this agent plays tetris",
        ),
        (["track", "run", "wandb", "--rom", "a.nes"], "--rom a.nes is for a film"),
    ],
)
def test_what_does_not_apply_is_refused(words: list[Any], message: str) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
