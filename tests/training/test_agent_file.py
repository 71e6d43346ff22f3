"""Agents as files: they come back as they were, and what is no agent is refused."""

from __future__ import annotations

import json
import os
import resource
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.mutations import JSON, places, replaced

from warpzone.errors import AgentError
from warpzone.ppo.policy import Shapes
from warpzone.smb.config import EnvConfig
from warpzone.training.agent_file import AgentInfo, load_agent, save_agent
from warpzone.training.config import NetworkConfig
from warpzone.training.networks import make_policy

SHAPES: Shapes = {"scalars": (2,), "tiles": (3, 2, 2)}


def agent(tmp_path: Path, **changes: Any) -> Path:
    torch.manual_seed(0)
    network = NetworkConfig(hidden=(8,))
    info = AgentInfo(
        env=EnvConfig(levels={"1-2": 1.0}),
        network=network,
        shapes=SHAPES,
        actions=4,
        preset="tiles",
        seed=1,
        steps=2,
        **changes,
    )
    path = tmp_path / "agent.safetensors"
    save_agent(path, make_policy(network, SHAPES, 4).state_dict(), info)
    return path


def test_an_agent_acts_after_loading_as_before_saving(tmp_path: Path) -> None:
    path = agent(tmp_path, clear_rate=0.75)
    torch.manual_seed(0)
    original = make_policy(NetworkConfig(hidden=(8,)), SHAPES, 4)
    loaded, info = load_agent(path)
    observation = {
        "scalars": torch.randn(5, 2),
        "tiles": torch.randint(0, 256, (5, 3, 2, 2), dtype=torch.uint8),
    }
    for ours, theirs in zip(loaded(observation), original(observation), strict=True):
        assert torch.equal(ours, theirs)
    assert info.env.levels == {"1-2": 1.0}
    assert info.clear_rate == 0.75


def test_errors_of_agents_name_the_file_and_the_fault(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="there is no agent"):
        load_agent(tmp_path / "none.safetensors")
    path = agent(tmp_path, format=99)
    with pytest.raises(AgentError, match="format 99"):
        load_agent(path)
    whole = agent(tmp_path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AgentError, match="not a whole"):
        load_agent(path)
    path.write_bytes(safetensors.torch.save({"a": torch.zeros(1)}))
    with pytest.raises(AgentError, match="not an agent"):
        load_agent(path)
    network = NetworkConfig(hidden=(9,))
    info = load_agent(agent(tmp_path))[1]
    save_agent(path, make_policy(network, SHAPES, 4).state_dict(), info)
    with pytest.raises(AgentError, match="own description"):
        load_agent(path)


def test_half_precision_halves_the_file_and_keeps_the_actions(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = NetworkConfig(hidden=(64, 64))
    policy = make_policy(network, SHAPES, 4)
    # Logits as far apart as those of a trained policy, not as those of a new one.
    with torch.no_grad():
        policy.heads.weight.mul_(100)
    info = load_agent(agent(tmp_path))[1].model_copy(update={"network": network})
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    save_agent(whole, policy.state_dict(), info)
    save_agent(half, policy.state_dict(), info, half=True)
    tensors = safetensors.torch.load_file(half)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    loaded, read = load_agent(half)
    assert read == info
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.float32}
    observation = {
        "scalars": torch.randn(2000, 2),
        "tiles": torch.randint(0, 256, (2000, 3, 2, 2), dtype=torch.uint8),
    }
    same = loaded(observation)[0].argmax(1) == policy(observation)[0].argmax(1)
    assert same.float().mean() >= 0.99


def test_files_of_before_agents_told_where_they_come_from(tmp_path: Path) -> None:
    info = load_agent(agent(tmp_path))[1]
    assert (info.seconds, info.threads, info.commit, info.command) == (None, None, None, None)


def with_header(data: bytes, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> bytes:
    """A file after `change` of its header and of the agent's description in it."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    info = json.loads(header["__metadata__"]["warpzone"])
    header = change(header, info) or header
    if isinstance(header, dict) and "__metadata__" in header:
        header["__metadata__"] = {"warpzone": json.dumps(info)}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(AgentError) as caught:
        load_agent(path)
    text = str(caught.value)
    assert text.isprintable(), text
    assert len(text) < 1500
    return text


def largest_memory() -> int:
    """Bytes that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(
    "claim",
    [
        {"network": {"kind": "tiles", "hidden": [12_000, 12_000]}},
        {"network": {"kind": "tiles", "hidden": [4096] * 8}},
        {"network": {"kind": "tiles", "hidden": [8] * 100_000}},
        {"network": {"kind": "tiles", "hidden": [10**15]}},
        {"shapes": {"tiles": [10**6, 10**6, 10**6]}},
        {"shapes": {"tiles": [1 << 20, 1 << 20, 1 << 20, 1 << 20]}},
        {"shapes": {"tiles": [3] * 50_000}},
        {"shapes": {str(n): [1 << 20] for n in range(1000)}},
        {"actions": 10**12},
    ],
)
def test_a_small_file_that_claims_a_large_network_costs_nothing(
    tmp_path: Path, claim: dict[str, Any]
) -> None:
    path = agent(tmp_path)
    data = path.read_bytes() + bytes(2 << 20)
    hostile = with_header(data, lambda header, info: info.update(claim))
    before, begun = largest_memory(), time.perf_counter()
    text = refused(path, hostile)
    assert time.perf_counter() - begun < 1.0
    assert largest_memory() - before < 64 << 20
    assert "does not fit its own description" in text


def test_a_header_that_claims_much_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "agent.safetensors"
    for length in (0, 1, (1 << 20) + 1, 1 << 40, (1 << 64) - 1):
        assert "header" in refused(path, struct.pack("<Q", length) + b"{}" * 100)


def test_a_file_too_large_for_an_agent_is_not_read(tmp_path: Path) -> None:
    path = agent(tmp_path)
    with path.open("r+b") as file:
        file.truncate(20 << 30)  # takes no room on the disk
    begun = time.perf_counter()
    with pytest.raises(AgentError, match="MB"):
        load_agent(path)
    assert time.perf_counter() - begun < 1.0


def test_what_follows_the_weights_is_refused_and_not_read(tmp_path: Path) -> None:
    path = agent(tmp_path)
    before = largest_memory()
    with path.open("r+b") as file:
        file.truncate(400 << 20)
    with pytest.raises(AgentError, match="not a whole safetensors file"):
        load_agent(path)
    assert largest_memory() - before < 64 << 20


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_only_regular_files_are_opened(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "agent.safetensors"
    make(path)
    with pytest.raises(AgentError, match="not a file"):
        load_agent(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_named(tmp_path: Path, value: float) -> None:
    path = agent(tmp_path)
    info = load_agent(path)[1]
    policy = make_policy(info.network, SHAPES, 4)
    with torch.no_grad():
        policy.heads.weight[1, 2] = value
    save_agent(path, policy.state_dict(), info)
    with pytest.raises(AgentError, match=r"heads\.weight.*no finite numbers.*went astray"):
        load_agent(path)


def test_what_is_printed_of_a_file_obeys_nothing(tmp_path: Path) -> None:
    path = agent(tmp_path)
    evil = "\x1b]0;owned\x07\x1b[2J\r\n\u202e"
    data = path.read_bytes()
    texts = {"rom_revision": evil, "command": evil, "commit": evil, "preset": evil}
    path.write_bytes(with_header(data, lambda header, info: info.update(texts)))
    _, info = load_agent(path)
    for text in (info.rom_revision, info.command, info.commit, info.preset):
        assert text is not None
        assert text.isprintable()
    for change in ({"format": evil}, {"actions": evil}, {"env": {"levels": evil}}, {evil: evil}):
        path.write_bytes(with_header(data, lambda header, info, c=change: info.update(c)))  # type: ignore[misc]
        try:
            load_agent(path)
        except AgentError as error:
            assert str(error).isprintable()  # noqa: PT017 (either is right, nothing else)

    def renamed(header: dict[str, Any], info: dict[str, Any]) -> None:
        header[evil] = header.pop("heads.bias")

    assert "\\x1b" in refused(path, with_header(data, renamed))


def test_loading_draws_nothing_from_the_random_numbers_of_the_program(tmp_path: Path) -> None:
    path = agent(tmp_path)
    torch.manual_seed(5)
    load_agent(path)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))


def test_a_network_for_pictures_and_one_with_finer_scalars_come_back(tmp_path: Path) -> None:
    cases: tuple[tuple[NetworkConfig, Shapes, dict[str, torch.Tensor]], ...] = (
        (
            NetworkConfig(kind="cnn", hidden=(16,)),
            {"array": (4, 84, 84)},
            {"array": torch.randint(0, 256, (3, 4, 84, 84), dtype=torch.uint8)},
        ),
        (
            NetworkConfig(hidden=(8, 8), piecewise_linear=True),
            {"scalars": (64,), "tiles": (3, 4, 4)},
            {
                "scalars": torch.randn(3, 64),
                "tiles": torch.randint(0, 256, (3, 3, 4, 4), dtype=torch.uint8),
            },
        ),
    )
    for network, shapes, observation in cases:
        info = load_agent(agent(tmp_path))[1].model_copy(
            update={"network": network, "shapes": shapes}
        )
        policy = make_policy(network, shapes, 4)
        save_agent(tmp_path / "a.safetensors", policy.state_dict(), info)
        loaded, _ = load_agent(tmp_path / "a.safetensors")
        for ours, theirs in zip(loaded(observation), policy(observation), strict=True):
            assert torch.equal(ours, theirs)
        for name, tensor in policy.state_dict().items():
            assert loaded.state_dict()[name].stride() == tensor.stride()


FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def whole_file(tmp_path: Path) -> bytes:
    path = tmp_path / "whole.safetensors"
    if not path.exists():
        agent(tmp_path).rename(path)
    return path.read_bytes()


def loads_or_refuses(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        load_agent(path)
    except AgentError as error:
        assert str(error).isprintable()  # noqa: PT017 (either is right, but nothing else)


@FUZZ
@given(data=st.data())
def test_a_file_with_any_part_of_its_header_changed(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "agent.safetensors"
    whole = whole_file(tmp_path)
    in_description = data.draw(st.booleans())

    def change(header: dict[str, Any], info: dict[str, Any]) -> Any:
        root: Any = info if in_description else header
        for _ in range(data.draw(st.integers(1, 2))):
            place = data.draw(st.sampled_from(places(root)))
            new = replaced(root, place, data.draw(JSON))
            if place == ():
                if not in_description:
                    return new
                info.clear()
                info.update(new if isinstance(new, dict) else {"value": new})
        return None

    loads_or_refuses(path, with_header(whole, change))


@FUZZ
@given(data=st.data())
def test_a_file_with_bytes_cut_changed_or_put_in(tmp_path: Path, data: st.DataObject) -> None:
    whole = bytearray(whole_file(tmp_path))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(0, len(whole) - 1)))
        match data.draw(st.sampled_from(["cut", "change", "put in", "take out"])):
            case "cut":
                del whole[place:]
            case "change" if whole:
                whole[place] ^= data.draw(st.integers(1, 255))
            case "put in":
                whole[place:place] = data.draw(st.binary(max_size=20))
            case _:
                del whole[place : place + data.draw(st.integers(1, 40))]
    loads_or_refuses(tmp_path / "fuzzed.safetensors", bytes(whole))


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"__metadata__":', '{"env":{"a":'])
@pytest.mark.parametrize("in_description", [False, True])
def test_deep_nesting(tmp_path: Path, opening: str, in_description: bool) -> None:
    for depth in (1, 500, 990, 5_000, 100_000):
        text = opening * depth
        if in_description:
            text = json.dumps({"__metadata__": {"warpzone": text}})
        raw = text.encode()
        refused(tmp_path / "deep.safetensors", struct.pack("<Q", len(raw)) + raw)


def test_a_description_that_is_deep_but_whole(tmp_path: Path) -> None:
    path = agent(tmp_path)
    whole = path.read_bytes()
    for depth in (50, 300, 600, 900):
        deep: Any = {}
        for _ in range(depth):
            deep = {"a": deep}
        hostile = with_header(whole, lambda header, info, d=deep: info.update(env=d))  # type: ignore[misc]
        assert "does not fit" in refused(path, hostile)
