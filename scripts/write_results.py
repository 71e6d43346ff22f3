"""Writes docs/results.md, what packaged agents reach, from docs/results.json, and beside it
docs/results-training.md, how they were trained.

python scripts/write_results.py
"""

from __future__ import annotations

from pathlib import Path

from warpzone.agents.results import read_results
from warpzone.agents.results_page import Frame, text_of, training_text_of

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
    training="results-training.md",
)

TRAINING = """\
# How the packaged agents were trained

Written by `scripts/write_results.py` from [results.json](results.json). Not to be edited by hand.
What the agents reach is told [beside this](results.md).

These are the commands as they were given. Check out the commit behind `#` first: settings had other
names then (`teachers`, `hats`, `route`); `-dirty` means uncommitted changes. With today's code
start from `warpzone campaign all`.

Each line is there once, below the first agent that it led to; an agent that goes on with what one
above began says with which run. Runs behind `--out`, and behind `init=` where they are known, were
named anew for this page. Other files that a line names were made on the way and are not kept: a
line that needs one cannot be repeated to the bit. A run that was gone on with may have begun with
older code than the commit named, with which it ended. The methods are told in
[how levels are learnt](learning.md).
"""


def main() -> None:
    results = read_results(DOCS / "results.json")
    (DOCS / "results.md").write_text(text_of(results, FRAME), encoding="utf-8")
    training = training_text_of(results, TRAINING)
    (DOCS / FRAME.training).write_text(training, encoding="utf-8")


if __name__ == "__main__":
    main()
