"""The versions and hashes that CI and releases install: whole, and what is asked for."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from scripts import lock

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / ".ci"
FILES = ("requirements.txt", "torch.txt", "torch-cpu.txt", "build.txt", "tools.txt")
DIGEST = "0" * 64


def locked(name: str) -> dict[str, lock.Entry]:
    return lock.entries((LOCKS / name).read_text(encoding="utf-8"))


def here(name: str) -> dict[str, str]:
    """What a lock file installs on this machine: versions by names."""
    found: dict[str, str] = {}
    for line in locked(name):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            found[canonicalize_name(requirement.name)] = lock.version_of(line)
    return found


@pytest.mark.parametrize("name", FILES)
def test_everything_has_a_version_and_hashes_and_no_index_is_named(name: str) -> None:
    text = (LOCKS / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert "index" not in text
    packages = locked(name)
    assert packages
    for requirement, lines in packages.items():
        assert re.match(r"[a-z0-9-]+==[\w.+]+( ; .+)?$", requirement), requirement
        assert len(lines) > 1, f"{requirement} has no hash"
        for line in lines[1:]:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", line), (requirement, line)
    assert text == lock.written(packages), "written by hand; run python scripts/lock.py"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("requirements.txt", [*lock.requirements("test"), *lock.BUILD]),
        ("build.txt", lock.BUILD),
        ("tools.txt", lock.TOOLS),
    ],
    ids=["tests", "build", "tools"],
)
def test_what_is_required_is_locked_at_a_version_that_fits(name: str, wanted: list[str]) -> None:
    versions = here(name) | (here("torch.txt") if name == "requirements.txt" else {})
    for line in wanted:
        requirement = Requirement(line)
        version = versions.get(canonicalize_name(requirement.name))
        assert version, f"{line} is not in .ci/{name}: run python scripts/lock.py"
        assert requirement.specifier.contains(version, prereleases=True), (line, version)


def test_wheels_are_built_with_what_tests_are() -> None:
    tests = here("requirements.txt")
    assert {name: tests.get(name) for name in here("build.txt")} == here("build.txt")


def test_extras_that_name_extras_are_followed() -> None:
    names = {Requirement(line).name for line in lock.requirements("all")}
    assert {"torch", "pygame-ce", "uvicorn", "tensorboard", "numpy"} <= names
    assert "warpzone" not in names


def test_entries_are_read_as_they_are_written() -> None:
    text = lock.HEADER + (
        "one==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
        "two==2 ; sys_platform == 'linux' \\\n    --hash=sha256:cc\n"
    )
    packages = lock.entries(text)
    assert list(packages) == ["one==1.0", "two==2 ; sys_platform == 'linux'"]
    assert lock.version_of("two==2 ; sys_platform == 'linux'") == "2"
    assert lock.written(packages) == text


def test_files_of_another_index_are_taken_where_their_version_is_locked() -> None:
    listed = f"{DIGEST}  A_b-1.0+cpu-cp311-cp311-linux_x86_64.whl\n"
    found = lock.other_wheels({"a-b==1.0": ["a-b==1.0"]}, listed)
    assert found == {"a-b==1.0+cpu": ["a-b==1.0+cpu", f"    --hash=sha256:{DIGEST}"]}
    for locked_one in ("a-b==1.1", "c==1.0"):
        with pytest.raises(SystemExit, match=r"A_b-1\.0\+cpu-cp311.* locked is (1\.1|None)"):
            lock.other_wheels({locked_one: [locked_one]}, listed)


def test_both_builds_of_torch_are_of_one_version() -> None:
    listed = (LOCKS / "other-wheels.txt").read_text(encoding="utf-8")
    assert lock.other_wheels(locked("torch.txt"), listed) == locked("torch-cpu.txt")
    assert not set(here("torch.txt")) & set(here("requirements.txt"))


def test_ci_installs_by_hash_and_nothing_besides() -> None:
    assert "export WARPZONE_LOCKED=1" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    script = (ROOT / "scripts" / "check.sh").read_text(encoding="utf-8")
    (how,) = re.findall(r"^locked\(\) \{\n(.*)\n\}", script, re.M)
    assert {"--require-hashes", "--no-deps", "--only-binary :all:"} <= set(
        re.findall(r"--only-binary :all:|--[\w-]+", how)
    )
    assert "pip check" in script


@pytest.mark.skipif("WARPZONE_LOCKED" not in os.environ, reason="this environment is not locked")
def test_this_environment_has_what_is_locked() -> None:
    versions = here("requirements.txt") | here("torch.txt")
    for distribution in importlib.metadata.distributions():
        name = canonicalize_name(distribution.metadata["Name"])
        if name in ("warpzone", "pip"):
            continue
        assert name in versions, f"{name} is installed, and no lock names it"
        assert Version(distribution.version).public == versions[name], name


def test_a_wrong_hash_is_refused(tmp_path: Path) -> None:
    """By pip as it is used, of a wheel that needs no network."""
    wheel = tmp_path / "nothing-1.0-py3-none-any.whl"
    wheel.write_bytes(b"not what was locked")
    wanted = tmp_path / "requirements.txt"
    wanted.write_text(f"nothing==1.0 --hash=sha256:{DIGEST}\n")
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--find-links", str(tmp_path)]
    command += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--target"]
    command += [str(tmp_path / "out"), "-r", str(wanted)]
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PIP_")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not (tmp_path / "out").exists()
