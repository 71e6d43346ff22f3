"""What is said where a package that does not come along is not there."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
sys.modules[{package!r}] = None  # as if it were not installed
from warpzone.errors import WarpzoneError
try:
    import {module}
except WarpzoneError as error:
    assert isinstance(error, ImportError) and error.name == {package!r}
    print(error)
"""


@pytest.mark.parametrize(("module", "package"), [("warpzone.compat.sb3", "stable_baselines3")])
def test_a_missing_package_is_named(module: str, package: str) -> None:
    program = PROGRAM.format(module=module, package=package)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "pip install " + package.replace("_", "-") in done.stdout
