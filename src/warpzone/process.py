"""Settings of the whole process, for who owns it: the command line and benchmarks.

They change what other code in the process meets, so nothing that is imported or called as a library
uses them. Loads no torch: some of it must be said before.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8
# From <linux/prctl.h>.
_PR_SET_PDEATHSIG = 1


def prepare_for_training() -> None:
    """Makes training quicker; to be called before anything imports torch."""
    limit_spinning()
    keep_freed_memory()


def limit_spinning() -> None:
    """Lets threads of torch that wait for each other sleep soon, unless the user says otherwise.

    They wait by spinning. With other programs on the cores, as on most laptops, that takes the time
    that the one waited for needs: under two busy loops on two cores two threads learnt less than
    1,000 samples/s, and 34,000 with this limit. libgomp reads it when torch loads it.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed; return whether it agreed (False: another C library).

    By default large activations are mapped at each pass and given back after it, and the kernel
    fills every page of them with zeros once more: 35,000 pages for 512 samples of the tutorial's
    network, a third of the learner's time. A higher M_MMAP_THRESHOLD would not do, since glibc
    caps it at 32 MiB, so nothing is mapped at all; and threads share one arena, since arenas of
    their own are given back whenever they are empty.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = (
        (_M_MMAP_MAX, 0),
        (_M_ARENA_MAX, 1),
        (_M_TRIM_THRESHOLD, (1 << 31) - 1),
        (_M_TOP_PAD, 64 << 20),
    )
    return all(mallopt(name, value) == 1 for name, value in settings)


def end_with_parent() -> None:
    """Asks the system to end this process by SIGTERM when the one that started it is gone, however
    that ended. To be called between fork and exec; does nothing where the system has no such thing.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
