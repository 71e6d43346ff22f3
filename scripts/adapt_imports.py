"""Changes the imports of programs for gym-super-mario-bros, and nothing else, so that they run on
warpzone's console: a copy of a folder is written, and each changed line is shown.

    python scripts/adapt_imports.py SOURCES COPY

`import gym_super_mario_bros`, `nes_py` and `gym` become those of `warpzone.compat`.
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

MODULES = "gym_super_mario_bros|nes_py|gym"
FROM = re.compile(rf"^(\s*)from ({MODULES})((?:\.\w+)*) import\b")
IMPORT = re.compile(rf"^(\s*)import ({MODULES})(\s+as\s+\w+)?\s*(#.*)?$")


def adapted(line: str) -> str:
    """Returns a line of a program with its import changed, or as it is."""
    line = FROM.sub(r"\1from warpzone.compat.\2\3 import", line)
    return IMPORT.sub(lambda m: f"{m[1]}from warpzone.compat import {m[2]}{m[3] or ''}", line)


def adapt(source: Path, copy: Path) -> list[str]:
    """Writes the copy. Returns the changed lines as `FILE: OLD -> NEW`."""
    shutil.copytree(source, copy)
    told = []
    for path in sorted(copy.rglob("*.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        new = [adapted(line) for line in lines]
        name = path.relative_to(copy)
        told += [
            f"{name}: {old.strip()} -> {now.strip()}"
            for old, now in zip(lines, new, strict=True)
            if old != now
        ]
        path.write_text("\n".join(new) + "\n", encoding="utf-8")
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("sources", type=Path)
    parser.add_argument("copy", type=Path, help="a folder that is not there yet")
    args = parser.parse_args()
    for line in adapt(args.sources, args.copy):
        print(line)


if __name__ == "__main__":
    main()
