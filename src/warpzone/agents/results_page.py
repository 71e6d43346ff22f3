"""The page of results as Markdown: what was measured, in which way, and how to repeat it."""

from __future__ import annotations

import itertools
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from warpzone.agents.results import GAMES, AgentRecord, Choice, LevelRecord, Results
from warpzone.nes.console import FRAMES_PER_SECOND
from warpzone.smb.levels import LEVELS, level_kind
from warpzone.training.agent_file import Stage
from warpzone.training.evaluation import EvalResult
from warpzone.training.packaged_index import CONDITIONS, NETWORKS, ConditionName, NetworkName

Rates = dict[ConditionName, EvalResult]
NONE = "–"

TITLES: Mapping[Choice, str] = {
    "generalist": "one network, told the level",
    "generalist-untold": "one network, not told the level",
    "specialist": "best specialist",
}
SHORT: Mapping[Choice, str] = {
    "generalist": "network",
    "generalist-untold": "untold",
    "specialist": "specialist",
}
COLUMNS: Mapping[ConditionName, str] = {
    "fixed": "fixed start",
    "noops": "no-ops",
    "sticky": "no-ops and sticky",
}

WITH_NOOPS: tuple[ConditionName, ...] = ("noops", "sticky")

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

Intervals are Wilson's, 95 %. Of the two policies, sampled and likeliest actions, a specialist plays
with the one that is better by the lower of the rates with no-ops and with sticky buttons too, then
by their mean; a network for all levels plays all of them with the one that is better by the mean of
these, and that network is packaged which saves the princess more often. Agents and policies are
chosen on other episodes than those told here. Weights are in float16, as packaged.

What agents know: no coordinates of any level were written by hand. They see the game's memory
as a map of tiles and a few numbers. Progress, which rewards and partial
episodes are made of, is read from the game's own RAM: the number of the area, the page in it,
and in mazes the game's counter of right and wrong paths.
"""

PACKAGED = """\
Packaged are the networks for all levels, and a specialist where the mean of its rates with
no-ops, and with sticky buttons too, is at least {margin:.0%} above the network's, in the episodes
that agents are chosen by.
"""

TABLE = """\
Clear rates of {counts} episodes per protocol, with 95 % intervals in percent: of one network for
all levels that is told which level it plays, {untold}and of the best
specialist, as far as there are such. Bold is what is packaged for the level. Behind them stands the
time to clear, the mean of the episodes with no-ops that cleared, in seconds of the console; the
policy is the specialist's.
"""

AGENTS = """\
Steps and minutes are those of training until the agent was saved, in brackets the number of
threads; of an agent that began with another one those of both, of one for several levels those of
all together.
"""

WHOLE_GAME = """\
{games} games each, as a person plays: power on, Start, lives, half-way points and 1-ups as the game
gives them, from 1-1 to the princess in 8-4, without warp zones. 0 to {noop_max} frames without
buttons pass whenever Mario can be played again. Shares of games in which the princess is saved with
Wilson's 95 % intervals, means of all games of levels cleared, extra lives and lives lost, minutes
of the console to the princess, and the levels in which most of the other games end.
"""

ENDS = """\
Of the packaged agents, in the episodes with no-ops, sticky buttons or not: how many were not
cleared, and the places where most of these ended. Px are of new-best progress, in steps of 256;
`stuck` means cut for want of progress, `maze` sent back by one.
"""
MOST_PLACES = 4

REPEATING = """\
Behind `#` stands the commit of the code that trained, where it is known. The same seed gives the
same agent on the same processor with the same number of threads."""


@dataclass(frozen=True)
class Frame:
    """What a page says besides the results.

    Attributes:
        head: its heading, and where it comes from.
        measured: what `measuring` measures.
        measuring: a command, without options for levels and protocol.
        playing: the same for whole games of the network.
        packaging: lines of a shell that package and write what was trained.
        training: the name of the page that has the commands of all trainings, see
            `training_text_of`. Without one they are part of this page.
    """

    head: str
    measured: str
    measuring: str
    playing: str
    packaging: str
    training: str = ""


def text_of(results: Results, frame: Frame) -> str:
    """Returns the page of results."""
    text: list[str] = [frame.head]
    text += _summary(results)
    text += _roms(results)
    text += _protocol()
    text += _games(results)
    text += _table(results)
    text += _ends(results)
    text += _agents(results)
    text += _commands(results, frame)
    return "\n".join([*text, ""])


def training_text_of(results: Results, head: str) -> str:
    """Returns a page with the commands of all trainings, below a heading of its own."""
    return "\n".join([head, "```sh", *_trainings(results), "```\n", REPEATING, ""])


def _protocol() -> Iterator[str]:
    sticky = CONDITIONS["sticky"]
    yield PROTOCOL.format(
        noop_max=sticky.noop_max, repeat_action_probability=sticky.repeat_action_probability
    )


def _summary(results: Results) -> Iterator[str]:
    """How many levels are cleared how often, by the packaged agents and by the networks alone."""
    chosen: dict[str, list[LevelRecord]] = {
        "packaged": [record for _, _, record in results.entries()]
    }
    for name in _networks(results):
        chosen[TITLES[name]] = list(results.networks[name].levels.values())
    yield f"Of {len(results.table)} levels\n"
    yield f"| | {' | '.join(chosen)} |"
    yield f"|---|{'--:|' * len(chosen)}"
    rows: dict[str, Callable[[Rates], bool]] = {
        "with an agent": lambda rates: True,
        "cleared at all from a fixed start": lambda rates: rates["fixed"].clear_rate > 0,
        "cleared in at least 95 % of episodes with no-ops": lambda rates: (
            rates["noops"].clear_rate >= 0.95
        ),
        "cleared in at least 90 % of episodes with no-ops": lambda rates: (
            rates["noops"].clear_rate >= 0.9
        ),
        "cleared in at least 80 % of episodes with no-ops and sticky buttons": lambda rates: (
            rates["sticky"].clear_rate >= 0.8
        ),
    }
    for title, holds in rows.items():
        counts = (str(sum(holds(record.rates) for record in found)) for found in chosen.values())
        yield f"| {title} | {' | '.join(counts)} |"
    for condition in WITH_NOOPS:
        means = (_mean(found, condition) for found in chosen.values())
        yield f"| mean clear rate, {COLUMNS[condition]} | {' | '.join(means)} |"
    files = {agent.file for _, agent, _ in results.entries()}
    files |= {network.file for network in results.networks.values()}
    yield ""
    if results.networks:
        yield PACKAGED.format(margin=results.margin).replace("%", " %")
    yield f"Files: {len(files)}, together {results.bytes / 1e6:.1f} MB.\n"


def _mean(records: list[LevelRecord], condition: ConditionName) -> str:
    if not records:
        return NONE
    rates = [record.rates[condition].clear_rate for record in records]
    return f"{100 * sum(rates) / len(rates):.1f} %"


def _roms(results: Results) -> Iterator[str]:
    roms = {(e.rom_revision, e.rom_sha1): None for e in _agents_of(results)}
    for revision, sha1 in roms:
        yield f"ROM: revision {revision}, SHA-1 `{sha1}`.\n"


def _games(results: Results) -> Iterator[str]:
    """Whole games of the networks and of the packaged agents."""
    played = {TITLES[name]: results.networks[name].games for name in _networks(results)}
    if results.team is not None:
        played["the packaged agents, each on its levels"] = results.team.games
    rows = [(who, name, games[name]) for who, games in played.items() for name in games]
    if not rows:
        return
    yield "## The whole game\n"
    counts = sorted({record.games for _, _, record in rows})
    yield WHOLE_GAME.format(
        games=" or ".join(map(str, counts)), noop_max=GAMES["three_lives"].noop_max
    )
    yield (
        "| who plays | lives | sticky | princess | levels cleared | extra lives | lives lost"
        " | minutes | ends |"
    )
    yield "|---|--:|--:|--:|--:|--:|--:|--:|---|"
    for who, name, record in rows:
        conditions, frames = GAMES[name], record.mean_frames
        low, high = record.ci95
        share = f"{record.saved / record.games:.0%} ({100 * low:.0f}–{100 * high:.0f})"
        minutes = NONE if frames is None else f"{frames / FRAMES_PER_SECOND / 60:.1f}"
        ends = Counter(record.ended).most_common(MOST_PLACES)
        yield (
            f"| {who} | {conditions.lives} | {conditions.repeat_action_probability:g}"
            f" | {share.replace('%', ' %')} | {record.mean_levels:.1f}"
            f" | {NONE if record.mean_lives_won is None else f'{record.mean_lives_won:.1f}'}"
            f" | {record.mean_lives_lost:.1f} | {minutes}"
            f" | {', '.join(f'{level}: {count}' for level, count in ends) or NONE} |"
        )
    yield ""


def _table(results: Results) -> Iterator[str]:
    """A row for each level: the networks and the best specialist beside each other."""
    yield "## Level by level\n"
    kinds: list[Choice] = [*_networks(results), "specialist"]
    found = (results.record(level, kind) for level in results.table for kind in kinds)
    episodes = sorted({record.episodes for record in found if record is not None})
    if episodes:
        untold = "of one that is not (untold), " if "generalist-untold" in kinds else ""
        yield TABLE.format(counts=" or ".join(map(str, episodes)), untold=untold)
    titles = [f"{SHORT[kind]}: {title}" for kind in kinds for title in (*COLUMNS.values(), "s")]
    yield f"| level | kind | {' | '.join(titles)} | policy |"
    yield f"|---|---|{'--:|' * len(titles)}---|"
    for level in results.table:
        cells = [level, level_kind(level)]
        for kind in kinds:
            mark = "**" if results.packaged.get(level) == kind else ""
            cells += [f"{mark}{cell}{mark}" for cell in _cells(results.record(level, kind))]
        specialist = results.specialists.get(level)
        cells.append(NONE if specialist is None else specialist.policy)
        yield f"| {' | '.join(cells)} |"
    yield ""


def _cells(record: LevelRecord | None) -> list[str]:
    if record is None:
        return [NONE] * 4
    frames = record.rates["noops"].mean_frames
    seconds = NONE if frames is None else f"{frames / FRAMES_PER_SECOND:.1f}"
    return [*(_rate(record.rates[name]) for name in CONDITIONS), seconds]


def _rate(result: EvalResult) -> str:
    low, high = result.ci95
    return f"{result.clear_rate:.0%} ({100 * low:.0f}–{100 * high:.0f})".replace("%", " %")


def _ends(results: Results) -> Iterator[str]:
    """Where the packaged agents fail, the level with most failures first."""
    failures: dict[str, Counter[str]] = {}
    for level, _, record in results.entries():
        ends = sum((Counter(record.ends.get(name, {})) for name in WITH_NOOPS), Counter[str]())
        if ends:
            failures[level] = ends
    if not failures:
        return
    yield "## Where episodes end\n"
    yield ENDS
    yield "| level | not cleared | where |"
    yield "|---|--:|---|"
    for level, ends in sorted(failures.items(), key=lambda pair: -pair[1].total()):
        places = "; ".join(f"{count} × {text}" for text, count in ends.most_common(MOST_PLACES))
        yield f"| {level} | {ends.total()} | {places} |"
    yield ""


def _agents(results: Results) -> Iterator[str]:
    """How each agent came about."""
    yield "## The agents\n"
    yield AGENTS
    yield "| plays | policy | sees | preset | steps, M | minutes | file | packaged |"
    yield "|---|---|---|---|--:|--:|---|---|"
    packaged = {agent.file for _, agent, _ in results.entries()}
    packaged |= {network.file for network in results.networks.values()}
    plays: dict[str, list[str]] = {}
    policies: dict[str, list[str]] = {}
    agents = {agent.file: agent for agent in _agents_of(results)}
    for name in _networks(results):
        network = results.networks[name]
        plays.setdefault(network.file, []).append(f"all: {TITLES[name]}")
        policies.setdefault(network.file, []).append(network.policy)
    for level, record in results.specialists.items():
        plays.setdefault(record.file, []).append(level)
        policies.setdefault(record.file, []).append(record.policy)
    for file, names in plays.items():
        agent = agents[file]
        seconds = agent.all_seconds
        minutes = NONE if seconds is None else f"{seconds / 60:.1f}"
        threads = "" if agent.threads is None else f" ({agent.threads})"
        mark = "yes" if file in packaged else "no"
        yield (
            f"| {', '.join(names)} | {', '.join(dict.fromkeys(policies[file]))}"
            f" | {agent.observation} | {agent.preset}"
            f" | {agent.all_steps / 1e6:.2f} | {minutes}{threads} | `{file}` | {mark} |"
        )
    yield ""


def _agents_of(results: Results) -> list[AgentRecord]:
    """All agents that are told of, each once."""
    networks = [results.networks[name] for name in _networks(results)]
    agents: list[AgentRecord] = [*networks, *results.specialists.values()]
    return list({agent.file: agent for agent in agents}.values())


def _networks(results: Results) -> list[NetworkName]:
    return [name for name in NETWORKS if name in results.networks]


def _commands(results: Results, frame: Frame) -> Iterator[str]:
    levels = "all" if results.table == LEVELS else ",".join(results.table)
    records = [record for _, _, record in results.entries()]
    yield "## To repeat it\n"
    yield f"The measurements {frame.measured}:\n"
    yield "```sh"
    for episodes, seed in sorted({(record.episodes, record.eval_seed) for record in records}):
        for start in CONDITIONS.values():
            yield (
                f"{frame.measuring} --levels {levels} --episodes {episodes} --seed {seed}"
                f" --noop-max {start.noop_max} --sticky {start.repeat_action_probability:g}"
            )
    # A line that plays the packaged agents each on its levels, where there is one.
    played = [(frame.playing, network.games) for network in results.networks.values()]
    if results.team is not None:
        played.append((frame.measuring, results.team.games))
    games = {
        (who, name, record.games, record.seed): None
        for who, records_of in played
        for name, record in records_of.items()
    }
    for who, name, count, seed in games:
        game = GAMES[name]
        yield (
            f"{who} --game --lives {game.lives} --episodes {count} --seed {seed}"
            f" --noop-max {game.noop_max} --sticky {game.repeat_action_probability:g}"
        )
    yield "```\n"
    if frame.training:
        yield f"How they were trained is on [a page of its own]({frame.training}). Packaging:\n"
        yield "```sh"
        yield frame.packaging
        yield "```"
        return
    yield "The training, and then packaging. A run that was gone on with may have begun with older"
    yield "code than the commit named, with which it ended: then its command repeats what was done,"
    yield "not every bit of it.\n"
    yield "```sh"
    yield from _trainings(results)
    yield frame.packaging
    yield "```\n"
    yield REPEATING


def _trainings(results: Results) -> Iterator[str]:
    """The commands of all agents, in which each begins with the agent of one before. What several
    agents began with is there once."""
    agents = _agents_of(results)
    chains = [agent.stages for agent in agents]
    begun_with = {tuple(stages[:number]) for stages in chains for number in range(1, len(stages))}
    runs: dict[tuple[Stage, ...], str] = {}
    """Where what was trained so far lies, as far as it is known and others begin with it."""
    told: set[tuple[Stage, ...]] = set()
    for agent, stages in zip(agents, chains, strict=True):
        shared = [n for n in range(1, len(stages) + 1) if tuple(stages[:n]) in told]
        origin = runs.get(tuple(stages[: shared[-1]]), "") if shared else ""
        verb = "is the agent of" if len(shared) == len(stages) else "goes on with"
        if len(agents) > 1:
            yield f"# {agent.file}{f': {verb} {origin}' if origin else ''}"
        for number, stage in enumerate(stages, start=1):
            so_far = tuple(stages[:number])
            if so_far in told:
                continue
            told.add(so_far)
            # What a script wrote lies where its line says.
            if so_far in begun_with and (stage.command or "").startswith("warpzone train "):
                name = f"runs/{agent.trained_on[0]}-{number}"
                runs[so_far] = _unused(name, runs.values())
            if stage.command is not None:
                before, run = runs.get(so_far[:-1], ""), runs.get(so_far, "")
                yield _training(stage.command, stage.commit, before, run)


def _unused(name: str, used: Collection[str]) -> str:
    """The name, or with a number behind it the first that is not used yet."""
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(found for found in names if found not in used)


def _training(command: str, commit: str | None, before: str, run: str) -> str:
    """The command of one training, which begins with the agent in `before` and writes `run`, as far
    as these are told."""
    # What was changed on the way follows as a comment, see `provenance.command_of`.
    line, _, changes = command.partition("  # ")
    words = shlex.split(line)
    if before:
        words = [f"init={before}" if word.startswith("init=") else word for word in words]
    if run:
        words += ["--out", run]
    remarks = [remark for remark in (changes, commit) if remark]
    return shlex.join(words) + (f"  # {'; '.join(remarks)}" if remarks else "")
