from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from warpzone import hardware
from warpzone.errors import ConfigError


def test_devices() -> None:
    assert hardware.pick_device("cpu") == torch.device("cpu")
    assert hardware.pick_device("auto").type in ("cpu", "cuda")
    for name in ("gpu", "mps", "meta", "cuda:99"):
        with pytest.raises(ConfigError, match=f"device '{name}'"):
            hardware.pick_device(name)


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with hardware.torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


FAULTS = """
import resource, sys
import torch
from warpzone import hardware
torch.set_num_threads(1)
if sys.argv[1] == "keep":
    assert hardware.keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        activations = [torch.zeros(size << 20, dtype=torch.uint8) for size in (10, 30, 60)]
        del activations
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
# Where blocks come to lie settles within some rounds: a small one may take the place of a large.
print(min(faults() for _ in range(6)))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_freed_memory_is_not_mapped_anew() -> None:
    def pages(how: str) -> int:
        output = subprocess.run(
            [sys.executable, "-c", FAULTS, how], check=True, capture_output=True, text=True
        )
        return int(output.stdout)

    # At times the system puts something right behind the heap, which then cannot grow.
    kept = min(pages("keep") for _ in range(3))
    assert kept < 100
    assert pages("default") > 10 * max(1, kept)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="libgomp only")
def test_waiting_threads_do_not_spin_for_long_unless_the_user_says_so() -> None:
    program = "import os, warpzone.training; print(os.environ.get('GOMP_SPINCOUNT'))"
    for given, expected in (({}, "2000"), ({"OMP_WAIT_POLICY": "active"}, "None")):
        kept = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT",)}
        kept.pop("OMP_WAIT_POLICY", None)
        output = subprocess.run(
            [sys.executable, "-c", program],
            env={**kept, **given},
            check=True,
            capture_output=True,
            text=True,
        )
        assert output.stdout.strip() == expected
