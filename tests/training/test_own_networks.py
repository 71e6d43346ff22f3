"""A network of a user's own: trained, gone on with, loaded and packaged by its name alone, and
never imported because a file names it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.commands import error_of, plain, run
from tests.support.toy import corridors, toy_config

import warpzone
from warpzone.agents.agent import Agent
from warpzone.agents.packaging import stage
from warpzone.agents.playback import Playback
from warpzone.errors import AgentError, ConfigError
from warpzone.training import name_network, network_registry, register_network
from warpzone.training.agent_file import AgentInfo, load_agent, save_agent
from warpzone.training.checkpoint import Checkpoints
from warpzone.training.config import NetworkConfig, TrainConfig
from warpzone.training.networks import make_policy
from warpzone.training.trainer import train
from warpzone.viewers import watch

SHAPES = {"scalars": (5,), "tiles": (3, 2, 2)}
CODE = """
import torch
from torch import nn

class Rows(nn.Module):
    def __init__(self, shapes, hidden, filters=4):
        super().__init__()
        planes, rows, columns = shapes["tiles"]
        self.convolution = nn.Conv2d(planes, filters, 1)
        width = filters * rows * columns + shapes["scalars"][0]
        self.dense = nn.Linear(width, hidden[-1])
        self.register_buffer("scale", torch.full((1,), 1 / 255), persistent=False)

    def forward(self, observation):
        seen = torch.relu(self.convolution(observation["tiles"] * self.scale)).flatten(1)
        return torch.relu(self.dense(torch.cat((seen, observation["scalars"]), 1)))

class Remembering(nn.Module):
    def __init__(self, shapes, hidden):
        super().__init__()
        self.state_width = 2 * hidden[-1]
        self.cell = nn.LSTMCell(shapes["scalars"][0], hidden[-1])

    def encode(self, observation):
        return observation["scalars"]

    def step(self, seen, state):
        hidden, cell = self.cell(seen, state.chunk(2, 1))
        return hidden, torch.cat((hidden, cell), 1)

class WithoutMeta(Rows):
    def __init__(self, shapes, hidden):
        super().__init__(shapes, hidden)
        self.times = float(torch.linspace(0, 1, 3).sum())  # a number, which no meta tensor has

class TooWide(Rows):
    def forward(self, observation):
        return torch.cat(2 * [super().forward(observation)], 1)

class Unused(Rows):
    def __init__(self, shapes, hidden):
        super().__init__(shapes, hidden)
        self.more = nn.Linear(2, 2)

class Frozen(Rows):
    def __init__(self, shapes, hidden):
        super().__init__(shapes, hidden)
        self.dense.requires_grad_(False)

class Normed(Rows):
    def __init__(self, shapes, hidden):
        super().__init__(shapes, hidden)
        self.norm = nn.BatchNorm1d(4)

class Counting(Rows):
    def __init__(self, shapes, hidden):
        super().__init__(shapes, hidden)
        self.register_buffer("count", torch.zeros(1, dtype=torch.int64))

class Broken(Rows):
    def __init__(self, shapes, hidden):
        raise ZeroDivisionError("no such thing")

class Failing(Rows):
    def forward(self, observation):
        return observation["map"]

class Other(nn.Module):
    def __init__(self, shapes):
        super().__init__()

number = 3
"""


@pytest.fixture(autouse=True)
def _registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_torch_thread: None
) -> Iterator[None]:
    """A folder with code, in a process that knows nothing of it yet."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "mine.py").write_text(CODE)
    monkeypatch.setattr(network_registry, "_registered", dict(network_registry._registered))
    monkeypatch.setattr(network_registry, "_named", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(folder)
    yield
    forget()


def forget() -> None:
    """As in a new process."""
    for name in ("mine", "installed_rows"):
        sys.modules.pop(name, None)
    network_registry._named.clear()


def own(kind: str, **options: Any) -> TrainConfig:
    network = NetworkConfig(kind=kind, hidden=(16, 8), options=options)
    return toy_config(network=network, total_steps=16 * 32 * 4)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("mine:Rows", {"filters": 6}), ("mine:Remembering", {}), ("mine:WithoutMeta", {})],
)
def test_it_is_trained_gone_on_with_and_loaded(
    kind: str, options: dict[str, Any], tmp_path: Path
) -> None:
    config, out = own(kind, **options), tmp_path / "run"
    train(config, tmp_path / "whole", make_env=corridors)
    train(config.model_copy(update={"total_steps": 16 * 32 * 2}), out, make_env=corridors)
    forget()  # a run's own settings are enough to go on
    train(config, out, make_env=corridors, resume=True)
    whole, parts = (
        Checkpoints(folder / "checkpoints", 3).newest(pytest.fail)
        for folder in (tmp_path / "whole", out)
    )
    assert whole is not None
    assert parts is not None
    for name, tensor in whole.tensors.items():
        assert torch.equal(tensor, parts.tensors[name]), name
    forget()
    with pytest.raises(AgentError, match=f"not imported because a file names it.*--network {kind}"):
        load_agent(out / "agent.safetensors")
    assert "mine" not in sys.modules
    name_network(kind)
    drawn = torch.random.get_rng_state()
    policy, info = load_agent(out / "agent.safetensors")
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert info.network == config.network
    for name, tensor in policy.state_dict().items():
        assert torch.equal(tensor, whole.weights[name]), name
    if kind == "mine:Rows":
        assert policy.trunk.convolution.out_channels == 6  # type: ignore[union-attr]
        assert float(policy.trunk.scale) == pytest.approx(1 / 255)  # type: ignore[arg-type]


def test_it_learns(tmp_path: Path) -> None:
    """The corridor, as far as networks that come along do."""
    config = own("mine:Rows").model_copy(update={"total_steps": 16 * 32 * 15, "lr": 1e-2})
    result = train(config, tmp_path / "run", make_env=corridors)
    assert result.measured["1-1"].clear_rate > 0.8


def test_a_registered_name_is_all_that_is_saved(tmp_path: Path) -> None:
    register_network("squares", make_rows())
    train(own("squares"), tmp_path / "run", make_env=corridors)
    assert load_agent(tmp_path / "run" / "agent.safetensors")[1].network.kind == "squares"
    network_registry._registered.pop("squares")
    with pytest.raises(AgentError, match="there is no network 'squares'; there are cnn, gru"):
        load_agent(tmp_path / "run" / "agent.safetensors")
    # Code that registers it may be named as well.
    Path("mine.py").write_text(
        f"from warpzone.training import register_network\n{CODE}\n"
        "register_network('squares', Rows)\n"
    )
    forget()
    name_network("mine:Rows")
    assert load_agent(tmp_path / "run" / "agent.safetensors")[1].network.kind == "squares"


def test_a_second_algorithm_learns_it_too(tmp_path: Path) -> None:
    changes = {"algorithm": "pqn", "entropy_coef": 0.01, "lr_kl": 0.015}
    config = own("mine:Rows").model_copy(update=changes)
    train(config, tmp_path / "run", make_env=corridors)
    policy, info = load_agent(tmp_path / "run" / "agent.safetensors")
    assert info.algorithm == "pqn"
    assert type(policy.trunk).__module__ == "mine"


def make_rows() -> Any:
    space: dict[str, Any] = {"__name__": "written"}
    exec(CODE, space)
    return space["Rows"]


def test_names_are_kept_apart() -> None:
    rows = make_rows()
    register_network("squares", rows)
    register_network("squares", make_rows())  # the same code once more, as in a notebook
    with pytest.raises(ConfigError, match="there is a network 'squares' already"):
        register_network("squares", torch.nn.Linear)
    with pytest.raises(ConfigError, match="there is a network 'tiles' already"):
        register_network("tiles", rows)
    with pytest.raises(ConfigError, match="cannot be named 'a:b'"):
        register_network("a:b", rows)
    with pytest.raises(ConfigError, match="write module:Class"):
        name_network("mine")


def test_an_installed_package_offers_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    info = site / "installed_rows-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: installed-rows\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[warpzone.networks]\ninstalled = installed_rows:Rows\nlost = installed_rows:Lost\n"
    )
    (site / "installed_rows.py").write_text(CODE)
    monkeypatch.syspath_prepend(site)
    policy = make_policy(NetworkConfig(kind="installed", hidden=(8,)), SHAPES, 3)
    assert type(policy.trunk).__module__ == "installed_rows"
    with pytest.raises(ConfigError, match="'lost' of an installed package cannot be loaded"):
        network_registry.network_class("lost")
    with pytest.raises(ConfigError, match="no network 'mislaid'") as refused:
        network_registry.network_class("mislaid")
    assert {"gru", "installed", "lost", "tiles"} <= set(re.findall(r"[\w-]+", str(refused.value)))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("mine:Missing", "network 'mine:Missing' is not there: mine has no 'Missing'"),
        ("mine:number", "the network mine:number is 3, not a class of torch.nn.Module"),
        ("nowhere:Rows", "there is no module 'nowhere'. Begin in the folder that it lies in"),
        ("mine:TooWide", r"features \[2, 16\] of 2 observations: they must be \[2, 8\]"),
        ("mine:Unused", "does not learn trunk.more.weight, trunk.more.bias"),
        ("mine:Frozen", "has the parameter dense.weight, which is not trained"),
        ("mine:Normed", "has a BatchNorm1d.*nn.LayerNorm"),
        ("mine:Counting", "has count of torch.int64.*persistent=False"),
        ("mine:Broken", r"cannot be made of .*ZeroDivisionError: no such thing \(.*mine.py, line"),
        ("mine:Failing", r"fails at an observation: KeyError: 'map' \(.*mine.py, line"),
        ("mine:Other", "not made of .shapes, hidden. and network.options that are empty"),
    ],
)
def test_what_is_wrong_with_it_is_said_before_anything_is_played(
    kind: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        train(own(kind), tmp_path / "run", make_env=corridors)
    assert not (tmp_path / "run").exists()


def test_options_are_those_of_the_class(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unexpected keyword argument 'width'"):
        train(own("mine:Rows", width=3), tmp_path / "run", make_env=corridors)
    with pytest.raises(ValueError, match="at most 4096 characters"):
        NetworkConfig(options={"a": "b" * 5000})
    with pytest.raises(ValueError, match="letters, digits, _ and -"):
        NetworkConfig(kind="os.system('')")


def test_a_module_that_fails_is_told_with_its_place(tmp_path: Path) -> None:
    Path("mine.py").write_text("import torch\n\n1 / 0\n")
    with pytest.raises(ConfigError, match=r"ZeroDivisionError: division by zero \(.*mine.py, line"):
        train(own("mine:Rows"), tmp_path / "run", make_env=corridors)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    name_network("mine:Rows")
    network = NetworkConfig(kind="mine:Rows", hidden=(8,))
    weights = make_policy(network, SHAPES, 3).state_dict()
    info = AgentInfo(
        env=TrainConfig().env,
        network=network.model_copy(update={"options": {"filters": 5}}),
        shapes=SHAPES,
        actions=3,
        preset="tiles",
        seed=0,
        steps=0,
    )
    save_agent(tmp_path / "a.safetensors", weights, info)
    with pytest.raises(AgentError, match=r"trunk.convolution.bias have the shape \[4\], and"):
        load_agent(tmp_path / "a.safetensors")


def test_other_options_are_another_network_to_a_run(tmp_path: Path) -> None:
    train(own("mine:Rows"), tmp_path / "run", make_env=corridors)
    with pytest.raises(ConfigError, match=r"network.options: \{\} then, \{'filters': 5\} now"):
        train(own("mine:Rows", filters=5), tmp_path / "run", make_env=corridors, resume=True)


def test_commands_train_measure_show_film_and_package_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(open_playback: Callable[[str], Playback], order: list[str], **_: Any) -> watch.Stats:
        with closing(open_playback(order[0])) as playback:
            show = watch.AgentShow(lambda name: playback, order, 0)
            while show.stats.episodes == 0:
                show.advance()
            return show.stats

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(watch, "watch", look)
    out = tmp_path / "run"
    done = run(
        "train", "1-1", "--network", "mine:Rows", "--num-envs", "4", "--steps", "128", "--out", out,
        "--threads", "1", "--set", "rollout_steps=16", "--set", "minibatch_size=32",
        "--set", "eval_episodes=2", "--set", "network.hidden=[16]",
        "--set", 'network.options={"filters":3}',
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "--network mine:Rows" in plain(done.output)
    forget()
    said = error_of("eval", out, "--episodes", "2")
    assert "which is not imported because a file names it" in said
    assert "write module:Class" in error_of("eval", out, "--network", "mine")
    done = run("eval", out, "--episodes", "2", "--network", "mine:Rows")
    assert done.exit_code == 0, done.output
    done = run("watch", out, "--network", "mine:Rows")
    assert done.exit_code == 0, done.output
    assert "of 1 episodes cleared" in done.output
    film = tmp_path / "film.mp4"
    done = run("record", out, "-o", film, "--until-clear", "1", "--network", "mine:Rows")
    assert done.exit_code == 0, done.output
    assert film.stat().st_size > 0
    packaged = tmp_path / "packaged"
    packaged.mkdir()
    name_network("mine:Rows")  # a command that named it was a process of its own
    name = stage(out, packaged)
    agent = Agent.load(packaged / name)
    assert agent.info.network.options == {"filters": 3}
    found = warpzone.evaluate(agent, ["1-1"], episodes=2, threads=1)
    assert found.levels["1-1"].episodes == 2
    forget()
    done = run("train", "--resume", "--out", out, "--steps", "192")
    assert done.exit_code == 0, done.output


def test_a_run_with_a_registered_network_goes_on_where_its_code_is_named(tmp_path: Path) -> None:
    out = tmp_path / "run"
    Path("mine.py").write_text(
        f"from warpzone.training import register_network\n{CODE}\n"
        "register_network('squares', Rows)\n"
    )
    name_network("mine:Rows")
    network = NetworkConfig(kind="squares", hidden=(8,))
    config = TrainConfig(
        network=network, num_envs=4, rollout_steps=8, minibatch_size=32, total_steps=32,
        eval_episodes=1, threads=1,
    )  # fmt: skip
    train(config, out)
    network_registry._registered.pop("squares")
    forget()
    more = "train", "--resume", "--out", out, "--steps", "64"
    assert "there is no network 'squares'" in error_of(*more)
    assert "weights in the checkpoints have its shape" in error_of(*more, "--network", "tiles")
    done = run(*more, "--network", "mine:Rows")
    assert done.exit_code == 0, done.output
