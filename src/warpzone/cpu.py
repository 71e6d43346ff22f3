"""How many processor cores this process may use, and how many threads it may ask for.

A leaf: knows nothing of games, networks or commands.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import SupportsIndex

from warpzone.errors import ConfigError

MOST_THREADS = 1024
"""More threads than any machine is quicker with; far more end a process instead of an error."""

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def available_cores() -> int:
    """Returns how many cores this process may use, at least 1.

    That is the least of: the machine's cores, the process's affinity (`taskset`), and the CPU quota
    of its control groups (`docker --cpus`, Kubernetes limits; versions 1 and 2), rounded down.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:  # macOS, Windows
        cores = os.cpu_count() or 1
    quota = _quota()
    return cores if quota is None else max(1, min(cores, int(quota)))


def thread_count(threads: int | None) -> int:
    """Returns `threads` if so many are possible, for None one for each core that may be used.

    Raises:
        ConfigError: a number below 1 or above `MOST_THREADS`.
    """
    if threads is None:
        return min(available_cores(), MOST_THREADS)
    if isinstance(threads, bool) or not isinstance(threads, SupportsIndex):
        raise ConfigError(f"threads is {threads!r}: it must be a whole number, or None")
    if not 1 <= (threads := threads.__index__()) <= MOST_THREADS:
        raise ConfigError(
            f"threads is {threads}: it must be from 1 to {MOST_THREADS}, or None for one for each "
            "core that this process may use"
        )
    return threads


def _quota() -> float | None:
    """The smallest CPU quota of this process's control groups, in cores; None: there is none.

    Formats: https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max) and
    https://docs.kernel.org/scheduler/sched-bwc.html (cpu.cfs_quota_us, cpu.cfs_period_us).
    """
    found: list[float] = []
    for folder in _groups():
        try:
            quota, period = (folder / "cpu.max").read_text().split()
            found.append(int(quota) / int(period))
        except (OSError, ValueError, ZeroDivisionError):  # not there, or no quota ("max")
            pass
        try:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
            found.append(int(quota) / int(period))
        except (OSError, ValueError, ZeroDivisionError):
            pass
    return min((cores for cores in found if cores > 0), default=None)  # version 1: -1 is none


def _groups() -> list[Path]:
    """Folders of the control groups that limit this process's CPU time, parents included."""
    try:
        lines = _OWN_GROUPS.read_text().splitlines()
    except OSError:
        return []
    folders: list[Path] = []
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if number == "0" and not controllers:
            root = _CONTROL_GROUPS
        elif "cpu" in controllers.split(","):
            root = _CONTROL_GROUPS / controllers
            if not root.is_dir():
                root = _CONTROL_GROUPS / "cpu"
        else:
            continue
        own = PurePosixPath(name.strip().lstrip("/"))
        # In a container the name is that outside of it, and its own group is at the top.
        folders += [root / own, *(root / parent for parent in own.parents), root]
    return folders
