"""Writes docs/results.md, what packaged agents reach, from docs/results.json.

python scripts/write_results.py
"""

from __future__ import annotations

from pathlib import Path

from warpzone.agents.results import read_results
from warpzone.agents.results_page import Frame, text_of

DOCS = Path(__file__).resolve().parents[1] / "docs"

FRAME = Frame(
    head="""\
# What the packaged agents reach

Written by `scripts/write_results.py` from [results.json](results.json), which
`scripts/package_agents.py` measures. Not to be edited by hand.
""",
    measured="""\
of the packaged agents, which play with `warpzone watch LEVEL`, on all levels or on
one (`warpzone eval 1-1 …`), and those of one network by its name (`warpzone eval generalist …`)""",
    measuring="warpzone eval",
    playing="warpzone eval generalist",
    packaging="""\
python scripts/package_agents.py runs/*
python scripts/write_results.py""",
)


def main() -> None:
    text = text_of(read_results(DOCS / "results.json"), FRAME)
    (DOCS / "results.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
