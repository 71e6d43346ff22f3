"""Native code in processes that have little room for it. LLVM ends a process that it fails in, so
each of these is a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.recompiler import image

from warpzone import _native
from warpzone.nes.recompiler.translate import translate

FAR = """
import ctypes, sys
from pathlib import Path
import llvmlite.binding as llvm
from warpzone.nes.recompiler.loader import load

code = Path(sys.argv[1]).read_bytes()
load(code)  # all that is made once has its place
text = next(s.size() for s in llvm.ObjectFileRef.from_data(code).sections() if s.name() == b".text")

c = ctypes.CDLL(None)
c.mmap.restype = ctypes.c_void_p
c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
c.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

def take(size):
    return c.mmap(None, size, 0, 0x4022, -1, 0)  # PROT_NONE, private, anonymous, no reserve

PAGE, SIZE = 4096, 16 << 30
taken = take(SIZE)
for size in (1 << 24, 1 << 20, 1 << 16, PAGE):  # the system gives the highest addresses first
    while (at := take(size)) > taken:
        pass
    c.munmap(at, size)
room = (text // PAGE + 2) * PAGE  # for the code, and nothing else
c.munmap(taken + SIZE - room, room)
print(load(code).region_count)
"""

POOR = """
import resource, sys
from pathlib import Path
from warpzone.errors import EngineError
from warpzone.nes.recompiler.loader import load

code = Path(sys.argv[1]).read_bytes()
load(code)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 16384, used + 16384))
try:
    load(code)
except EngineError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def object_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is made of a program that counts, with 32 KB that its code reads from."""
    # INC $10, LDA $9000,X, INX, JMP $8000
    program = image({0x8000: b"\xe6\x10\xbd\x00\x90\xe8\x4c\x00\x80"}, reset=0x8000, nmi=0, irq=0)
    path = tmp_path_factory.mktemp("object") / "program.o"
    path.write_bytes(translate(_native.Cartridge(program)).object_code)
    return path


def run(script: str, object_file: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, object_file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="it arranges the addresses of a Linux process")
def test_where_free_addresses_lie_far_apart(object_file: Path) -> None:
    """Code and what it reads by distances of 32 bits do not come to lie further apart."""
    assert int(run(FAR, object_file)) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts and limits addresses")
def test_without_memory_it_is_an_error(object_file: Path) -> None:
    assert run(POOR, object_file).startswith("no memory for the compiled cartridge")
