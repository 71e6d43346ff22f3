"""The command line in a process of its own, many commands one after the other.

Each is `python -m warpzone ARGUMENT...`, but importing PyTorch is paid for once. A line of its
standard input is a JSON list of arguments, the answer one of `[exit status, output, complaints]`.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import runpy
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Commands:
    """Starts the process and asks it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.unchanged.commands"],
            cwd=ROOT,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        atexit.register(self.close)

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()

    def run(self, *arguments: str) -> str:
        """Returns what the command prints to standard output. Fails if its status is not 0."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        print(json.dumps(arguments), file=stdin, flush=True)
        answer = stdout.readline()
        assert answer, f"the process of {arguments} has ended"
        status, output, complaints = json.loads(answer)
        assert status == 0, f"warpzone {' '.join(arguments)}: {status}\n{output}{complaints}"
        return str(output)


@cache
def commands() -> Commands:
    """Returns the one process of this session."""
    return Commands()


def _call(arguments: list[str]) -> tuple[int, str, str]:
    output, complaints = io.StringIO(), io.StringIO()
    sys.argv[1:] = arguments
    status = 0
    with redirect_stdout(output), redirect_stderr(complaints):
        try:
            runpy.run_module("warpzone", run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return status, output.getvalue(), complaints.getvalue()


def _serve() -> None:
    # What a child of a command prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        print(json.dumps(_call(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
