"""Writes which versions CI, releases and their tools are made with, and the hashes of their files.

    python scripts/lock.py                       # after a change of what pyproject.toml requires
    python scripts/lock.py --upgrade             # everything at its newest
    python scripts/lock.py --upgrade-package ruff

Needs uv (`pip install uv`). The files, all in `.ci/`, fit every platform and every Python from the
oldest supported one on:

    requirements.txt  what `scripts/check.sh` installs where WARPZONE_LOCKED=1: the extra `test` and
                      what a wheel is built with, all but PyTorch
    torch-cpu.txt     PyTorch's build for CPUs alone, which is tried first
    torch.txt         PyTorch as the usual index has it, on Linux with CUDA, and what that requires
    build.txt         what released wheels and the source distribution are built with
    tools.txt         what audits and describes a release

Versions that are locked stay as they are while they fit. PyTorch's builds for CPUs alone are not on
the usual index: their files are listed in `other-wheels.txt`, as sha256sum prints them, and one
whose version is no longer the locked one is told. They have a file of their own, since pip prefers
what an index tells the hash of.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / ".ci"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BUILD = [*PROJECT["build-system"]["requires"], "build>=1.2", "cmake>=3.22", "ninja>=1.11"]
TOOLS = ["build>=1.2", "cyclonedx-bom>=7", "pip-audit>=2.9", "uv>=0.9"]
TORCH = ("cuda-", "nvidia-", "torch==", "triton==")
"""How the lines begin of PyTorch, and of what only its CUDA build requires."""

HEADER = "# Written by scripts/lock.py.\n"
Entry = list[str]
"""One package: its line, and one for each hash."""


def entries(text: str) -> dict[str, Entry]:
    """Returns the packages of a lock file by name; a name may have several, for several platforms.

    Args:
        text: of the file, as uv writes it: a line `NAME==VERSION ; MARKER \\`, then a hash a line.

    Returns:
        For each requirement, by its line without hashes, its lines without continuation signs.
    """
    found: dict[str, Entry] = {}
    for line in text.splitlines():
        if line and not line.startswith(("#", " ")):
            lines: Entry = []
            found[line.rstrip(" \\")] = lines
        if line and not line.startswith("#"):
            lines.append(line.rstrip(" \\"))
    return found


def name_of(requirement: str) -> str:
    """Returns the name of a locked package, as it is written there."""
    return requirement.partition("==")[0]


def version_of(requirement: str) -> str:
    """Returns the version of a locked package."""
    return requirement.partition("==")[2].partition(" ")[0]


def written(packages: dict[str, Entry]) -> str:
    """Returns the text of a lock file."""
    return HEADER + "".join(" \\\n".join(lines) + "\n" for lines in packages.values())


def other_wheels(packages: dict[str, Entry], listed: str) -> dict[str, Entry]:
    """Returns, as packages, the files that another index has.

    Args:
        packages: what is locked.
        listed: lines `SHA256  NAME-VERSION-….whl`.

    Raises:
        SystemExit: a file's version is not the locked one, or nothing of its name is locked.
    """
    versions = {name_of(requirement): version_of(requirement) for requirement in packages}
    found: dict[str, Entry] = {}
    for line in filter(None, listed.splitlines()):
        digest, file = line.split()
        name, version = Path(file).name.split("-")[:2]
        name = re.sub(r"[-_.]+", "-", name).lower()
        if versions.get(name) != version.partition("+")[0]:
            sys.exit(
                f"lock.py: .ci/other-wheels.txt has {file}, and locked is {versions.get(name)}"
            )
        requirement = f"{name}=={version}"
        found.setdefault(requirement, [requirement]).append(f"    --hash=sha256:{digest}")
    return found


def compiled(uv: str, wanted: list[str], before: str, options: list[str]) -> dict[str, Entry]:
    """Returns what uv chooses for some requirements.

    Args:
        uv: the program.
        wanted: requirements, or the path of a pyproject.toml and options about it.
        before: text of what was locked, whose versions stay where they fit.
        options: of `uv pip compile`.
    """
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "wanted.in"), Path(folder, "locked.txt")
        source.write_text("\n".join(wanted) + "\n", encoding="utf-8")
        out.write_text(before, encoding="utf-8")
        command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", oldest]
        command += ["--generate-hashes", "--no-header", "--no-annotate", "--no-config"]
        subprocess.run([*command, *options, str(source), "--output-file", str(out)], check=True)
        return entries(out.read_text(encoding="utf-8"))


def requirements(extra: str) -> list[str]:
    """Returns what the package with an extra requires; extras that name extras are followed."""
    extras: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
    found: list[str] = []
    for requirement in extras[extra]:
        own = re.fullmatch(r"warpzone\[([\w,]+)\]", requirement)
        if own:
            for name in own[1].split(","):
                found += requirements(name)
        else:
            found.append(requirement)
    return sorted({*found, *PROJECT["project"]["dependencies"]})


def main() -> int:
    parser = argparse.ArgumentParser(description="Lock what CI and releases are made with.")
    parser.add_argument("--upgrade", action="store_true", help="everything at its newest")
    parser.add_argument("--upgrade-package", action="append", default=[], metavar="NAME")
    arguments = parser.parse_args()
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        print("lock.py: needs uv: pip install uv", file=sys.stderr)
        return 2
    options = ["--upgrade"] if arguments.upgrade else []
    for name in arguments.upgrade_package:
        options += ["--upgrade-package", name]

    def before(*files: str) -> str:
        paths = [LOCKS / file for file in files]
        return "".join(path.read_text(encoding="utf-8") for path in paths if path.exists())

    everything = compiled(
        uv, [*requirements("test"), *BUILD], before("requirements.txt", "torch.txt"), options
    )
    torch = {key: lines for key, lines in everything.items() if key.startswith(TORCH)}
    tests = {key: lines for key, lines in everything.items() if key not in torch}
    listed = (LOCKS / "other-wheels.txt").read_text(encoding="utf-8")
    files = {
        "requirements.txt": tests,
        "torch.txt": torch,
        "torch-cpu.txt": other_wheels(torch, listed),
        # Of the versions that the tests ran with.
        "build.txt": compiled(uv, BUILD, written(tests), []),
        "tools.txt": compiled(uv, TOOLS, before("tools.txt"), options),
    }
    for name, packages in files.items():
        (LOCKS / name).write_text(written(packages), encoding="utf-8")
        print(f".ci/{name}: {len(packages)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
