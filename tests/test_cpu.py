"""How many cores a process may use, by affinity and by the quotas of control groups."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import warpzone
from warpzone import cpu
from warpzone.errors import ConfigError


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 64 cores without any quota, to which a test adds some."""
    (tmp_path / "fs").mkdir()
    (tmp_path / "own").write_text("0::/\n")
    monkeypatch.setattr(cpu, "_CONTROL_GROUPS", tmp_path / "fs")
    monkeypatch.setattr(cpu, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    return tmp_path


def test_it_is_a_number_of_cores_that_are_there() -> None:
    assert 1 <= cpu.available_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 64), ("250000 100000", 2), ("50000 100000", 1), ("9900000 100000", 64)],
)
def test_a_quota_of_version_2(groups: Path, quota: str, cores: int) -> None:
    (groups / "fs" / "cpu.max").write_text(quota + "\n")
    assert cpu.available_cores() == cores


def test_the_smallest_quota_of_nested_groups_counts(groups: Path) -> None:
    (groups / "own").write_text("0::/user.slice/session.scope\n")
    session = groups / "fs" / "user.slice" / "session.scope"
    session.mkdir(parents=True)
    (session / "cpu.max").write_text("max 100000\n")
    (session.parent / "cpu.max").write_text("300000 100000\n")
    assert cpu.available_cores() == 3
    (session / "cpu.max").write_text("200000 100000\n")
    assert cpu.available_cores() == 2


@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize("name", ["/", "/docker/0123abcd"])
def test_a_quota_of_version_1(groups: Path, folder: str, name: str) -> None:
    """Inside a container the group is named as outside of it, and lies at the top."""
    (groups / "own").write_text(f"12:pids:/\n3:cpuset:/\n2:cpu,cpuacct:{name}\n0::/\n")
    (groups / "fs" / folder).mkdir()
    quota = groups / "fs" / folder / "cpu.cfs_quota_us"
    quota.write_text("-1\n")
    (groups / "fs" / folder / "cpu.cfs_period_us").write_text("100000\n")
    assert cpu.available_cores() == 64
    quota.write_text("400000\n")
    assert cpu.available_cores() == 4


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_threads_of_an_environment_are_what_the_process_may_use() -> None:
    program = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        "from pathlib import Path; import warpzone\n"
        "envs = warpzone.make_vec('1-1', 8)\n"
        "print(len(list(Path('/proc/self/task').iterdir())))\n"
        "more = warpzone.make_vec('1-1', 8, threads=4)\n"
        "print(len(list(Path('/proc/self/task').iterdir())))"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import warpzone; warpzone.set_engine('interpreter')\n" + program],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    before, after = map(int, done.stdout.split())
    assert after - before == 3
    assert before < 4


@pytest.mark.parametrize("threads", [0, -1, 1025, 40_000, 1_000_000, 2**40])
def test_impossible_numbers_of_threads_are_refused(threads: int) -> None:
    with pytest.raises(ConfigError, match=f"threads is {threads}: it must be from 1 to 1024"):
        warpzone.make_vec("1-1", 2000, threads=threads)


def test_cores_are_counted_in_one_place() -> None:
    """Who asks the operating system by itself forgets affinity, or a container's quota."""
    source = Path(warpzone.__file__).parent
    asking = []
    for path in sorted(source.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("cpu_count", "sched_getaffinity"):
                asking.append(path.relative_to(source).as_posix())
    # A benchmark's report says what the machine has, beside what may be used of it.
    assert set(asking) == {"cpu.py", "bench/report.py"}
