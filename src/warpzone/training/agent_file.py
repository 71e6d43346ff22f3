"""The file of an agent: its weights, and beside them as JSON all that is needed to use them.

A file may come from anywhere. Nothing in it can execute code, and it is believed in nothing: its
header is read and compared with the network that it describes before any weight is read, so that a
file costs no more memory than it has bytes, several times over, whatever it says of itself; but for
what a network of a user's own does, whose class is imported only if the user has named it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import safetensors
import safetensors.torch
import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from warpzone.console_text import escape_controls, one_line
from warpzone.errors import AgentError, ConfigError
from warpzone.files import open_regular_file, write_atomically
from warpzone.ppo.policy import Policy
from warpzone.pqn.config import Epsilon, PQNConfig
from warpzone.pqn.network import QNetwork
from warpzone.settings import describe
from warpzone.smb.config import EnvConfig
from warpzone.training.config import AlgorithmName, GameTraining, NetworkConfig
from warpzone.training.migration import migrate
from warpzone.training.network_registry import BUILT_IN, network_class
from warpzone.training.networks import make_policy

PolicyMode = Literal["sample", "argmax"]
"""Whether an agent draws its actions from their probabilities, or takes the likeliest one."""

AGENT_FORMAT = 2
MOST_BYTES = 512 << 20
"""A file that is larger is no agent, and none is written: the widest networks for whole pictures
would have more, and are refused before they learn (see `saved_sizes`)."""
MOST_HEADER_BYTES = 1 << 20
"""Names and shapes of the tensors, and the description: some 3 KB, and more with start states."""
_LENGTH_BYTES = 8
_ENTRY_BYTES = 128
"""Of a tensor in the header, besides its name, at the most."""
_DTYPES = {"F16": 2, "BF16": 2, "F32": 4}
"""Of weights, by the name that safetensors has for them, and the bytes of each."""

LONGEST_TEXT = 10_000
"""Characters of a command or another text that says how an agent came about."""
Text = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(escape_controls)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Extent = Annotated[int, Field(ge=0, le=1 << 20)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Stage(BaseModel):
    """A training whose agent a later one began with (`TrainConfig.init`)."""

    model_config = ConfigDict(frozen=True)

    command: Text | None
    commit: Text | None
    steps: Count
    seconds: Seconds | None
    threads: Count | None


class AgentInfo(BaseModel):
    """What must be known about an agent to use it."""

    model_config = ConfigDict(frozen=True)

    format: int = AGENT_FORMAT
    env: EnvConfig
    """The environment that it was trained in, if that was Super Mario Bros."""
    game: GameTraining = GameTraining()
    """The described game that it was trained on instead, where that has a name."""
    network: NetworkConfig
    algorithm: AlgorithmName = "ppo"
    """That taught it, and says what the network's head is."""
    epsilon: Epsilon = PQNConfig().eval_epsilon
    """Of `pqn`: probability of a random action where actions are drawn."""
    shapes: Annotated[
        dict[Text, Annotated[tuple[Extent, ...], Field(min_length=1, max_length=4)]],
        Field(min_length=1, max_length=16),
    ]
    """Shapes of the arrays of one observation, by name."""
    actions: Annotated[int, Field(ge=1, le=256)]
    preset: Text
    seed: int
    steps: Count
    """Agent steps that it was trained for."""
    rom_revision: Text | None = None
    rom_sha1: Text | None = None
    clear_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    """The mean over its levels, as measured in training; None if it was not measured."""
    eval_episodes: Count = 0
    seconds: Seconds | None = None
    """Spent on playing and learning until then, without measurements; None: an older file."""
    threads: Count | None = None
    """CPU threads that it was trained with."""
    commit: Text | None = None
    """Of the code that trained it, `-dirty` behind it if that was changed; None: no checkout."""
    command: Text | None = None
    """The line that trains it again."""
    earlier: tuple[Stage, ...] = ()
    """The trainings before, in their order: each began with the agent of the one before it."""

    @property
    def stage(self) -> Stage:
        """The training that saved it."""
        return Stage.model_validate(self.model_dump(include=set(Stage.model_fields)))


def save_agent(
    path: Path,
    weights: Mapping[str, Tensor],
    info: AgentInfo,
    *,
    half: bool = False,
    durable: bool = True,
) -> None:
    """Writes a policy's `state_dict` and everything needed to use it as one safetensors file.

    Args:
        path: the file.
        weights: tensors by name, on any device.
        info: what `load_agent` needs to rebuild the policy, and where it comes from.
        half: store weights in float16, half the size. Actions stay the same but where two of them
            are all but equally likely.
        durable: see `files.write_atomically`.

    Raises:
        AgentError: it is too large to be loaded again; nothing is written.
        FileError: the disk is full or the directory cannot be written.
    """
    require_readable(weights, info, half=half)
    tensors = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor)
        .detach()
        .cpu()
        .contiguous()
        for name, tensor in weights.items()
    }
    metadata = {"warpzone": info.model_dump_json()}
    write_atomically(path, safetensors.torch.save(tensors, metadata), durable=durable)


def require_readable(weights: Mapping[str, Tensor], info: AgentInfo, *, half: bool = False) -> None:
    """Refuses what `save_agent` would write and `load_agent` would not read.

    Args:
        weights: as `save_agent` takes them.
        info: as `save_agent` takes it.
        half: as `save_agent` takes it.

    Raises:
        AgentError: it is too large; the text says of which size, and what the limit is.
    """
    header = _LENGTH_BYTES + len(json.dumps(info.model_dump_json()).encode())
    header += sum(len(json.dumps(name)) + _ENTRY_BYTES for name in weights)
    if header > MOST_HEADER_BYTES:
        raise AgentError(
            f"the description of this agent would have {header:,} bytes, and one of more than"
            f" {MOST_HEADER_BYTES:,} cannot be loaded again"
        )
    size = header + sum(
        tensor.nbytes // (2 if half and tensor.dtype == torch.float32 else 1)
        for tensor in weights.values()
    )
    if size > MOST_BYTES:
        raise AgentError(
            f"the file of this agent would have {size / 1e6:,.1f} MB, and one of more than"
            f" {MOST_BYTES / 1e6:,.1f} MB cannot be loaded again"
        )


def load_agent(path: Path, device: torch.device | None = None) -> tuple[Policy, AgentInfo]:
    """Reads what `save_agent` wrote; the policy is ready to act, in float32.

    Args:
        path: the file.
        device: that the policy computes on; None: the CPU.

    Raises:
        AgentError: there is no such file, or it is no regular file, or too large, damaged, not an
            agent, of another format, or has weights that are not finite numbers; or its network is
            code that is not here, or that nobody has named (see `network_registry`).
    """
    try:
        with open_regular_file(path, MOST_BYTES) as file:
            start, header = _read_header(path, file)
            info = _read_info(path, header)
            policy = _empty_policy(path, info, header)
            weights = safetensors.torch.load(start + file.read(_bytes(header) + 1))
    except FileNotFoundError:
        raise AgentError(f"there is no agent {str(path)!r}") from None
    except OSError as error:
        raise AgentError(f"the agent {str(path)!r} cannot be read: {error.strerror}") from error
    except safetensors.SafetensorError as error:
        raise _no_safetensors(path, str(error)) from error
    policy.load_state_dict(_fitted(path, weights, policy), assign=True)
    policy = policy.to(device or torch.device("cpu"))
    if isinstance(policy, QNetwork):
        policy.epsilon = info.epsilon
    return policy.requires_grad_(False).eval(), info


def read_info(path: Path) -> AgentInfo:
    """Reads what an agent's file says of it, without its network; raises as `load_agent` does."""
    try:
        with open_regular_file(path, MOST_BYTES) as file:
            return _read_info(path, _read_header(path, file)[1])
    except FileNotFoundError:
        raise AgentError(f"there is no agent {str(path)!r}") from None
    except OSError as error:
        raise AgentError(f"the agent {str(path)!r} cannot be read: {error.strerror}") from error


def _read_header(path: Path, file: BinaryIO) -> tuple[bytes, dict[str, Any]]:
    """The bytes that a safetensors file begins with, and the JSON in them."""
    start = file.read(_LENGTH_BYTES)
    length = int.from_bytes(start, "little")
    if len(start) < _LENGTH_BYTES or not 2 <= length <= MOST_HEADER_BYTES:
        raise _no_safetensors(path, "it does not begin with a header")
    text = file.read(length)
    if len(text) < length:
        raise _no_safetensors(path, "its header is cut short")
    header = _parse(text, path, "header")
    return start + text, header


def _parse(text: bytes | str, path: Path, what: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_safetensors(path, f"its {what} is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise _no_safetensors(path, f"its {what} is no JSON object")
    return values


def _read_info(path: Path, header: dict[str, Any]) -> AgentInfo:
    metadata = header.pop("__metadata__", None)
    text = metadata.get("warpzone") if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise AgentError(f"{str(path)!r} is a safetensors file, but not an agent of warpzone")
    written = _parse(text, path, "description")
    found = written.get("format")
    if found != AGENT_FORMAT:
        raise AgentError(
            f"{str(path)!r} has agent format {one_line(repr(found))}, this warpzone reads format "
            f"{AGENT_FORMAT}; install the version that wrote it"
        )
    try:
        return AgentInfo.model_validate(migrate(written, playing=True))
    except (ValidationError, RecursionError) as error:
        reason = describe(error) if isinstance(error, ValidationError) else "too deeply nested"
        raise _misfit(path, reason) from error


def _empty_policy(path: Path, info: AgentInfo, header: dict[str, Any]) -> Policy:
    """The network that is described, if its weights are in the file, without memory for them; one
    of a user's own with it, as it may hold more than weights."""
    kind = info.network.kind
    try:
        network_class(kind)
    except ConfigError as error:
        raise AgentError(f"the agent {str(path)!r} cannot be loaded: {error}") from error
    if kind in BUILT_IN:
        policy = _made(path, info, "meta")
        _check_weights(path, header, policy)
        return policy
    try:
        policy = _made(path, info, "meta")
    except AgentError:
        pass  # not every class can do without memory
    else:
        _check_weights(path, header, policy)
    with torch.random.fork_rng(devices=[]):
        policy = _made(path, info, "cpu")
    _check_weights(path, header, policy)
    return policy


def _made(path: Path, info: AgentInfo, device: str) -> Policy:
    try:
        with torch.device(device):
            return make_policy(info.network, info.shapes, info.actions, info.algorithm)
    # What a network says to shapes that it was not made for.
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise _misfit(path, f"no such network can be made: {error}") from error


def _check_weights(path: Path, header: dict[str, Any], policy: Policy) -> None:
    """Refuses a file whose weights are others than those of the network."""
    wanted = {name: list(tensor.shape) for name, tensor in policy.state_dict().items()}
    found = {name: _shape(path, name, entry) for name, entry in header.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise _misfit(
                path,
                f"the weights {name} have the shape {found.get(name, 'of nothing')}, and the "
                f"network that it describes has {wanted.get(name, 'no such weights')}",
            )


def _shape(path: Path, name: str, entry: Any) -> list[int]:
    """What the header says of a tensor, if its bytes are as many as it needs."""
    match entry:
        case {
            "dtype": str(dtype),
            "shape": [*shape],
            "data_offsets": [int(begin), int(end)],
        } if dtype in _DTYPES and all(type(extent) is int and extent >= 0 for extent in shape):
            if end - begin == math.prod(shape) * _DTYPES[dtype]:
                return shape
    raise _no_safetensors(path, f"the entry of the weights {name} is damaged")


def _bytes(header: dict[str, Any]) -> int:
    """How many follow the header; of one that `_empty_policy` has accepted."""
    return sum(end - begin for begin, end in (e["data_offsets"] for e in header.values()))


def _fitted(path: Path, weights: dict[str, Tensor], policy: Policy) -> dict[str, Tensor]:
    """The weights in the type and the order in memory that the policy has for them."""
    fitted = {}
    for name, wanted in policy.state_dict().items():
        given = weights[name]
        tensor = torch.empty_strided(wanted.size(), wanted.stride(), dtype=wanted.dtype)
        fitted[name] = tensor.copy_(given)
        if not torch.isfinite(tensor).all():
            raise AgentError(
                f"the agent {str(path)!r} cannot play: among its weights {name} are some that are "
                "no finite numbers (NaN or infinite). Its training went astray; take an agent that "
                "was saved earlier, or train again with a lower lr"
            )
    return fitted


def _no_safetensors(path: Path, reason: str) -> AgentError:
    return AgentError(f"{str(path)!r} is not a whole safetensors file: {one_line(reason)}")


def _misfit(path: Path, reason: str) -> AgentError:
    return AgentError(f"{str(path)!r} does not fit its own description: {one_line(reason)}")
