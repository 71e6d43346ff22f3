"""Several processes that train one agent together, started by torchrun, and what they tell each
other.

Each is a rank: a number from 0, on this machine or another. `joined` finds out which one this
process is and connects it to the others by `torch.distributed`: gloo between processors, NCCL
between GPUs. For a process alone, all of it does nothing. What is told are numbers, JSON and bytes,
never a pickle. Knows no game, no network and no file.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from warpzone.cpu import available_cores
from warpzone.errors import ConfigError, RankError, WarpzoneError
from warpzone.training.launch import Launch, launched

T = TypeVar("T")

TIMEOUT = timedelta(minutes=10)
"""How long a rank waits for the others, which are all at the same place of the same update."""
RETRY = timedelta(seconds=2)
LOOPBACK = "127.0.0.1"
PLACE = "warpzone/port"
"""Where in torchrun's store rank 0 says which port its own has."""
PATIENCE = timedelta(days=2)
"""How long it waits where some may have work that others have not, as a search has."""


def _listening() -> tuple[int, int | None]:
    """Returns port and descriptor of a socket that waits on the loopback, or a free port alone
    where a store cannot be given one: by itself it waits on all interfaces."""
    if sys.platform == "win32":
        return 0, None
    with socket.socket() as waiting:
        waiting.bind((LOOPBACK, 0))
        waiting.listen(128)
        return waiting.getsockname()[1], waiting.detach()


def _talk_on_the_loopback() -> None:
    """Lets gloo and NCCL wait there, unless the user has named another interface."""
    name = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
    if name is not None:
        for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            os.environ.setdefault(variable, name)


class Ranks:
    """The processes that train together, as one of them sees it. Methods that tell something are
    called by all of them, in the same order, and raise `RankError` where another is gone.

    Args:
        launch: which of them this is.

    Raises:
        RankError: the others cannot be reached.
    """

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.rank, self.size = launch.rank, launch.size
        self._patient: dist.ProcessGroup | None = None
        self._kept: Any = None
        if self.size > 1:
            self._connect()

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which alone writes and prints."""
        return self.launch.first

    def threads(self, wanted: int | None) -> int:
        """Returns how many threads this process may use: `wanted`, or its part of the cores."""
        return wanted or max(1, available_cores() // self.launch.local_size)

    def device(self, name: str) -> str:
        """Returns the name of this rank's device, where `name` is the setting: of several GPUs on
        a machine each rank has its own.

        Raises:
            ConfigError: there are too few, or one is named for all.
        """
        here = self.launch.local_size
        if here == 1 or name == "cpu" or not torch.cuda.is_available():
            return name
        if name not in ("auto", "cuda"):
            raise ConfigError(
                f"device {name!r} is one GPU, and there are {here} ranks on this"
                " machine: set device to cuda, so that each has its own, or to cpu"
            )
        if self.launch.local_rank >= torch.cuda.device_count():
            raise ConfigError(
                f"there are {here} ranks on this machine and"
                f" {torch.cuda.device_count()} GPUs: start as many as there are GPUs"
                " (--nproc-per-node), or set device to cpu"
            )
        return f"cuda:{self.launch.local_rank}"

    def part(self, total: int, setting: str) -> slice:
        """Returns which of `total` things are this rank's.

        Raises:
            ConfigError: they cannot be divided equally; `setting` is what says how many they are.
        """
        if total % self.size:
            fits = max(self.size, round(total / self.size) * self.size)
            raise ConfigError(
                f"{setting} is {total}, for all {self.size} ranks together, and not divisible by"
                f" {self.size}: start another number of them, or set it to, e.g., {fits}"
            )
        each = total // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    # --- what all are told ----------------------------------------------------------------------

    def sum(self, tensor: Tensor) -> None:
        """Replaces `tensor` by the sum over all ranks, the same to the last bit in each."""
        if self.size > 1:
            with self._told():
                dist.all_reduce(tensor)

    def any(self, here: bool) -> bool:
        """Returns whether it is so in any rank."""
        if self.size == 1:
            return here
        return self.largest(float(here)) > 0

    def largest(self, number: float) -> float:
        """Returns the largest number of all ranks."""
        if self.size == 1:
            return number
        found = torch.tensor(number, dtype=torch.float64)
        with self._told():
            dist.all_reduce(found, dist.ReduceOp.MAX)
        return float(found)

    def gather(self, value: Any, *, patiently: bool = False) -> list[Any]:
        """Returns the values of all ranks, by rank, each something that JSON can hold. With
        `patiently` the slowest may need hours for its own."""
        if self.size == 1:
            return [value]
        group = self._patient if patiently else None
        data = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        return [
            json.loads(found.numpy().tobytes()) for found in self._gather(data, torch.uint8, group)
        ]

    def gather_rows(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the rows [k, c] of all ranks, one rank after the other; k may differ."""
        if self.size == 1:
            return rows
        found = self._gather(torch.from_numpy(rows.ravel()), torch.float64, None)
        return np.concatenate([part.numpy() for part in found]).reshape(-1, rows.shape[1])

    # --- from and to the first ------------------------------------------------------------------

    def told(self, make: Callable[[], T]) -> T:
        """Returns what `make` returns in rank 0, which alone calls it: something that JSON can
        hold.

        Raises:
            RankError: in the others, where it failed.
        """
        if self.size == 1:
            return make()
        if self.first:
            try:
                found = make()
            except BaseException as error:
                with suppress(RankError):
                    self.broadcast(json.dumps({"error": str(error) or repr(error)}).encode())
                raise
            self.broadcast(json.dumps({"found": found}).encode())
            return found
        told = json.loads(self.broadcast())
        if "error" in told:
            raise RankError(f"rank 0 has ended this training: {told['error']}")
        result: T = told["found"]
        return result

    def broadcast(self, data: bytes = b"") -> bytes:
        """Returns the `data` of rank 0."""
        if self.size == 1:
            return data
        length = torch.tensor(len(data))
        with self._told():
            dist.broadcast(length, 0)
            if not self.first:
                sent = torch.empty(int(length), dtype=torch.uint8)
            else:
                sent = torch.frombuffer(bytearray(data or b"\0"), dtype=torch.uint8)
            if int(length):
                dist.broadcast(sent, 0)
        return data if self.first else sent.numpy().tobytes()

    def collect(self, rows: Tensor) -> Tensor | None:
        """Returns the rows [n, ...] of all ranks, one rank after the other, in rank 0; n and what
        follows are the same in all."""
        if self.size == 1:
            return rows
        found = [torch.empty_like(rows) for _ in range(self.size)] if self.first else None
        with self._told():
            dist.gather(rows, found, 0)
        return None if found is None else torch.cat(found)

    def distribute(self, rows: Tensor | None) -> Tensor:
        """Returns this rank's part of the rows [n · size, b] that rank 0 has, uint8."""
        if self.size == 1:
            assert rows is not None
            return rows
        shape = torch.tensor([0, 0] if rows is None else [len(rows) // self.size, rows.shape[1]])
        with self._told():
            dist.broadcast(shape, 0)
            part = torch.empty(*shape.tolist(), dtype=torch.uint8)
            parts = None
            if self.first:
                assert rows is not None
                parts = [piece.contiguous() for piece in rows.chunk(self.size)]
            dist.scatter(part, parts, 0)
        return part

    # --- sums over all samples ------------------------------------------------------------------

    def normalized(self, values: Tensor, groups: Tensor) -> Tensor:
        """Returns `values` as `warpzone.ppo.losses.normalize` does, where mean and deviation are
        those over all ranks; `groups` are numbers from 0."""
        flat, members = values.flatten().double(), groups.flatten()
        count = int(self.largest(float(members.max()))) + 1

        def sums(of: Tensor) -> Tensor:
            return torch.zeros(count, dtype=of.dtype, device=of.device).index_add_(0, members, of)

        totals = torch.stack([sums(flat), sums(torch.ones_like(flat))])
        self.sum(totals)
        found = totals[1].clamp(min=1)
        apart = flat - (totals[0] / found)[members]
        squares = sums(apart.square())
        self.sum(squares)
        deviation = (squares / found).sqrt()[members]
        return (apart / (deviation + 1e-8)).to(values.dtype).view_as(values)

    def variances(self, rows: Sequence[Tensor]) -> list[float]:
        """Returns the variance of each of some arrays over all ranks, which have as many numbers
        each."""
        stacked = torch.stack([row.flatten().double() for row in rows])
        means = stacked.mean(1)
        self.sum(means)
        squares = (stacked - (means / self.size)[:, None]).square().mean(1)
        self.sum(squares)
        return [float(found) / self.size for found in squares]

    # --- inside ---------------------------------------------------------------------------------

    def _connect(self) -> None:
        if not dist.is_available():
            raise ConfigError(
                "this build of torch has no torch.distributed: train without torchrun"
            )
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        if self._is_here_alone:
            _talk_on_the_loopback()
        with self._told():
            if not dist.is_initialized():
                dist.init_process_group(
                    backend,
                    timeout=TIMEOUT,
                    store=self._store(),
                    rank=self.rank,
                    world_size=self.size,
                )
                atexit.register(_leave)
            self._patient = dist.new_group(backend="gloo", timeout=PATIENCE)

    @property
    def _is_here_alone(self) -> bool:
        """Whether all ranks are on this machine: then nothing is to listen for others."""
        return self.launch.local_size == self.size

    def _store(self) -> Any:
        """Returns where ranks find each other: a new one each time that they are started. In that
        of torchrun they would find what those before have left, and how often they were started
        is not the same number on all machines."""
        # Not every build of torch has them.
        from torch.distributed import TCPStore  # type: ignore[attr-defined]
        from torch.distributed.rendezvous import rendezvous

        theirs, _, _ = next(rendezvous("env://", timeout=TIMEOUT))
        self._kept = theirs  # which ends with it, if this process has it
        host = LOOPBACK if self._is_here_alone else os.environ["MASTER_ADDR"]
        until = time.monotonic() + TIMEOUT.total_seconds()
        if self.first:
            port, listening = _listening() if self._is_here_alone else (0, None)
            store = TCPStore(
                host, port, self.size, is_master=True, timeout=TIMEOUT, wait_for_workers=False,
                master_listen_fd=listening,
            )  # fmt: skip
            theirs.set(PLACE, str(store.port))
            return store
        while True:
            # It may still be that of an earlier rank 0, which is gone.
            port = int(theirs.get(PLACE))
            try:
                store = TCPStore(host, port, self.size, is_master=False, timeout=RETRY)
            except RuntimeError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
                continue
            store.set_timeout(TIMEOUT)
            return store

    def _gather(
        self, data: Tensor, kind: torch.dtype, group: dist.ProcessGroup | None
    ) -> list[Tensor]:
        """Returns the arrays of all ranks, each of one dimension."""
        length = torch.tensor([len(data)])
        lengths = [torch.zeros_like(length) for _ in range(self.size)]
        with self._told():
            dist.all_gather(lengths, length, group)
            longest = max(int(found) for found in lengths)
            padded = torch.zeros(longest, dtype=kind)
            padded[: len(data)] = data
            found = [torch.empty_like(padded) for _ in range(self.size)]
            if longest:
                dist.all_gather(found, padded, group)
        return [part[: int(length)] for part, length in zip(found, lengths, strict=True)]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Raises `RankError` for what torch.distributed says of the others."""
        try:
            yield
        except WarpzoneError:
            raise
        except RuntimeError as error:  # of which its own errors are
            reason = " ".join(str(error).split())
            raise RankError(
                f"rank {self.rank} of {self.size} on {socket.gethostname()} has lost another one,"
                " which has ended, was killed, or cannot be reached any more. With --max-restarts"
                " torchrun starts all of them again, and they go on from the last checkpoint;"
                " else the same line with --resume does, with as many ranks or another number of"
                f" them. torch.distributed says: {reason[:300]}"
            ) from None


ALONE = Ranks(Launch())
"""A process that trains by itself."""

_ranks: Ranks | None = None


def joined() -> Ranks:
    """Returns the ranks that this process is one of: of those that torchrun has started with it,
    to which it is connected at the first call, or it alone.

    Raises:
        ConfigError: torch cannot do it here, or torchrun has not said which rank this is.
        RankError: the others cannot be reached.
    """
    global _ranks
    if _ranks is None:
        _ranks = Ranks(launched())
    return _ranks


def _leave() -> None:
    with suppress(Exception):  # the others may be gone
        dist.destroy_process_group()
