"""Tests the warpzone that is installed, as a wheel would be, without what only training needs.

    python scripts/try_wheel.py [OPTION OF PYTEST ...]

Runs the tests that `tests/environments.txt` names with the Python that runs this. They are those of
consoles and environments, and need pytest, pytest-timeout and hypothesis beside warpzone.
"""

import os
import sys
from pathlib import Path

import pytest

import warpzone

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    place = Path(warpzone.__file__).resolve()
    if place.is_relative_to(ROOT / "src"):
        print(f"try_wheel.py: {place.parent} are the sources; install the wheel", file=sys.stderr)
        return 2
    print(f"warpzone {warpzone.__version__} in {place.parent}, Python {sys.version.split()[0]}")
    os.chdir(ROOT)
    tests = (ROOT / "tests" / "environments.txt").read_text().split()
    return int(pytest.main(["-q", "-p", "no:cacheprovider", *tests, *sys.argv[1:]]))


if __name__ == "__main__":
    sys.exit(main())
