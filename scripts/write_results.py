"""Writes docs/results.md, what packaged agents reach, from docs/results.json.

python scripts/write_results.py
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from warpzone.agents.results import Record, Results, read_results
from warpzone.nes.console import FRAMES_PER_SECOND
from warpzone.smb.levels import LEVELS, level_kind
from warpzone.training.evaluation import EvalResult
from warpzone.training.packaged_index import CONDITIONS

DOCS = Path(__file__).resolve().parents[1] / "docs"
NONE = "–"

HEAD = """\
# What the packaged agents reach

Written by `scripts/write_results.py` from [results.json](results.json), which
`scripts/package_agents.py` measures. Not to be edited by hand.
"""

PROTOCOL = """\
## How it is measured

A level counts as cleared when Mario takes the flag or the axe within the game's own timer, without
losing the life he began with. An episode in which an agent makes no progress for as long as its
training allowed is cut and counts as not cleared. Every agent acts once in four frames. There are
three protocols:

| protocol | start of an episode | buttons |
|---|---|---|
| fixed start | always the same | as the agent chooses |
| no-ops | after 0 to {noop_max} frames without buttons, drawn evenly | as the agent chooses |
| no-ops and sticky | after 0 to {noop_max} frames without buttons, drawn evenly | each frame \
stays with probability {repeat_action_probability:g} at the last buttons |

Under a fixed start likeliest actions (`argmax`) play one and the same episode each time, so that
there the rate is 0 % or 100 % and its interval says nothing.

Intervals are Wilson's, 95 %. Of the two policies, sampled and likeliest actions, an agent plays
with the one that is better by the worst of the three rates, then by their mean. Agents and
policies are chosen on other episodes than those told here. Weights are in float16, as packaged.

What agents know: no coordinates of any level were written by hand. They see the game's memory
as a map of tiles and a few numbers. Progress, which rewards and partial
episodes are made of, is read from the game's own RAM: the number of the area, the page in it,
and in mazes the game's counter of right and wrong paths.
"""

TABLE = """\
Clear rates of {counts} episodes per protocol, with 95 % intervals in percent. Time to clear is the
mean of the episodes with no-ops that cleared, in seconds of the console. Steps and minutes are
those of training until the agent was saved that is packaged, in brackets the number of threads; of
an agent that began with another one those of both, of one for several levels those of all together.
"""

REPEATING = """\
Behind `#` stands the commit of the code that trained, where it is known. The same seed gives the
same agent on the same processor with the same number of threads."""


def text_of(results: Results) -> str:
    """The whole of docs/results.md."""
    parts = (_summary, _roms, _protocol, _table, _commands)
    return "\n".join([HEAD, *(line for part in parts for line in part(results)), ""])


def _protocol(results: Results) -> Iterator[str]:
    sticky = CONDITIONS["sticky"]
    yield PROTOCOL.format(
        noop_max=sticky.noop_max, repeat_action_probability=sticky.repeat_action_probability
    )


def _summary(results: Results) -> Iterator[str]:
    found = results.levels.values()
    cleared = sum(entry.rates["fixed"].clear_rate > 0 for entry in found)
    steady = sum(entry.rates["noops"].clear_rate >= 0.9 for entry in found)
    robust = sum(entry.rates["sticky"].clear_rate >= 0.8 for entry in found)
    files = len({entry.file for entry in found})
    yield f"Of {len(LEVELS)} levels\n"
    yield f"- with a packaged agent: {len(found)} (files: {files})"
    yield f"- cleared at all from a fixed start: {cleared}"
    yield f"- cleared in at least 90 % of episodes with no-ops: {steady}"
    yield f"- cleared in at least 80 % of episodes with no-ops and sticky buttons: {robust}\n"


def _roms(results: Results) -> Iterator[str]:
    roms = {(e.rom_revision, e.rom_sha1): None for e in results.levels.values()}
    for revision, sha1 in roms:
        yield f"ROM: revision {revision}, SHA-1 `{sha1}`.\n"


def _table(results: Results) -> Iterator[str]:
    yield "## Level by level\n"
    episodes = sorted({entry.episodes for entry in results.levels.values()})
    if episodes:
        counts = " or ".join(map(str, episodes))
        yield TABLE.format(counts=counts)
    yield (
        "| level | kind | fixed start | no-ops | no-ops and sticky | seconds | policy | sees "
        "| steps, M | minutes | file |"
    )
    yield "|---|---|--:|--:|--:|--:|---|---|--:|--:|---|"
    for level in LEVELS:
        yield f"| {' | '.join([level, level_kind(level), *_cells(results.levels.get(level))])} |"
    yield ""


def _cells(entry: Record | None) -> list[str]:
    if entry is None:
        return [NONE] * 9
    frames = entry.rates["noops"].mean_frames
    seconds = entry.all_seconds
    minutes = NONE if seconds is None else f"{seconds / 60:.1f}"
    threads = "" if entry.threads is None else f" ({entry.threads})"
    return [
        *(_rate(entry.rates[name]) for name in CONDITIONS),
        NONE if frames is None else f"{frames / FRAMES_PER_SECOND:.1f}",
        entry.policy,
        entry.observation,
        f"{entry.all_steps / 1e6:.2f}",
        minutes + threads,
        f"`{entry.file}`",
    ]


def _rate(result: EvalResult) -> str:
    low, high = result.ci95
    return f"{result.clear_rate:.0%} ({100 * low:.0f}–{100 * high:.0f})".replace("%", " %")


def _commands(results: Results) -> Iterator[str]:
    found = list(results.levels.values())
    yield "## To repeat it\n"
    yield "The measurements, of all levels or of one (`warpzone eval 1-1 …`):\n"
    yield "```sh"
    for episodes, seed in sorted({(entry.episodes, entry.eval_seed) for entry in found}):
        for start in CONDITIONS.values():
            yield (
                f"warpzone eval --levels all --episodes {episodes} --seed {seed}"
                f" --noop-max {start.noop_max} --sticky {start.repeat_action_probability:g}"
            )
    yield "```\n"
    yield "The training, and then packaging. A run that was gone on with may have begun with older"
    yield "code than the commit named, with which it ended: then its command repeats what was done,"
    yield "not every bit of it.\n"
    yield "```sh"
    for entry in {e.file: e for e in found}.values():
        yield from _training(entry)
    yield "python scripts/package_agents.py runs/*"
    yield "python scripts/write_results.py"
    yield "```\n"
    yield REPEATING


def _training(entry: Record) -> Iterator[str]:
    """The commands of one agent, of which each begins with the agent of the one before."""
    before = ""
    for number, stage in enumerate(entry.stages, start=1):
        if stage.command is None:
            continue
        words = shlex.split(stage.command)
        if before:
            words = [f"init={before}" if word.startswith("init=") else word for word in words]
        if number < len(entry.stages):
            before = f"runs/{entry.trained_on[0]}-{number}"
            words += ["--out", before]
        yield shlex.join(words) + ("" if stage.commit is None else f"  # {stage.commit}")


def main() -> None:
    text = text_of(read_results(DOCS / "results.json"))
    (DOCS / "results.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
