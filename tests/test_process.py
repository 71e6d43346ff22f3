"""Settings of the whole process: only the command line makes them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = """
import resource, sys
import torch
from warpzone import process
torch.set_num_threads(1)
if sys.argv[1] == "keep":
    assert process.keep_freed_memory()
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


LIBRARY = """
import ctypes, os, sys
from pathlib import Path
called = []
real = ctypes.CDLL

class Watched(real):
    def __getattr__(self, name):
        if name == "mallopt":
            called.append(name)
        return super().__getattr__(name)

ctypes.CDLL = Watched
before, mask = dict(os.environ), os.umask(0o022)
sys.path.insert(0, sys.argv[1])
from tests.support.toy import corridors, toy_config
import warpzone
from warpzone.training import train
train(toy_config(total_steps=512), Path(sys.argv[2]), make_env=corridors)
changed = {k: v for k, v in os.environ.items() if before.get(k) != v}
print(called, {k: v for k, v in changed.items() if k.startswith(("GOMP", "OMP", "MALLOC"))})
print(oct(os.umask(0)))
"""


@pytest.mark.skipif(os.name != "posix", reason="umask and mallopt of POSIX")
def test_a_library_call_changes_nothing_of_the_process(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", LIBRARY, str(root), str(tmp_path / "run")],
        env={k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-2:] == ["[] {}", "0o22"]


COMMAND = """
import os, sys
from warpzone.cli.app import app
assert "torch" not in sys.modules
import warpzone.training

def train(*_, **__):
    print(os.environ.get("GOMP_SPINCOUNT"))
    os._exit(sys.stdout.flush() or 0)

warpzone.training.train = train
app(["train", "1-1", "--out", sys.argv[1]])
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "2000"),
        ({"GOMP_SPINCOUNT": "5"}, "5"),
        ({"OMP_WAIT_POLICY": "active"}, "None"),
    ],
)
def test_the_command_line_keeps_threads_from_spinning_unless_the_user_says_so(
    tmp_path: Path, given: dict[str, str], expected: str
) -> None:
    kept = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    output = subprocess.run(
        [sys.executable, "-c", COMMAND, str(tmp_path / "run")],
        env={**kept, **given},
        check=True,
        capture_output=True,
        text=True,
    )
    assert output.stdout.strip() == expected
