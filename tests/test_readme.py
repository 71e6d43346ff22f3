"""What the READMEs promise holds: their commands and files exist. `test_docs` runs their code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.commands import COMMANDS

from warpzone.agents.results import GAMES, read_results

ROOT = Path(__file__).parents[1]


@pytest.fixture(params=["README.md", "README.zh-CN.md"])
def readme(request: pytest.FixtureRequest) -> str:
    return (ROOT / str(request.param)).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_begins_with_the_line_that_does_everything_and_the_line_that_checks(readme: str) -> None:
    first, second = blocks(readme, "sh")[:2]
    assert first.count("\n") == second.count("\n") == 1
    assert "pip install '.[all]'" in first
    assert "warpzone train 1-1 --watch" in first
    assert second == "sh scripts/check.sh\n"
    assert (ROOT / "scripts" / "check.sh").is_file()


def test_commands_exist(readme: str) -> None:
    prose = re.sub(r"^```.*?^```$", "", readme, flags=re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"`warpzone (\w+)", prose))
    assert named == set(COMMANDS)


def test_what_agents_reach_is_what_was_measured(readme: str) -> None:
    results = read_results(ROOT / "docs" / "results.json")
    assert results.team is not None
    alone, team = results.networks["generalist"].games, results.team.games
    numbers = {
        f"{name} {who}": game.saved
        for who, games in (("alone", alone), ("team", team))
        for name, game in games.items()
    }
    assert {game.games for game in (*alone.values(), *team.values())} == {100}
    often = sum(r.rates["noops"].clear_rate >= 0.9 for *_, r in results.entries())
    seldom = {
        level: round(100 * record.rates["noops"].clear_rate)
        for level, _, record in results.entries()
        if record.rates["noops"].clear_rate < 0.9
    }
    sticky = {level: record.rates["sticky"].clear_rate for level, _, record in results.entries()}
    chosen = list(results.packaged.values()).count("specialist")
    assert numbers.keys() == {f"{name} {who}" for name in GAMES for who in ("alone", "team")}
    if "## Limits" in readme:
        counted = ["no", "one", "two", "three", "four", "five", "six", "seven"][chosen]
        told = (
            f"{often} of 32 levels (with specialists) cleared in at least 90 % of episodes",
            f"the princess saved in {numbers['three_lives alone']} of 100 games with three lives",
            f"in {numbers['three_lives team']} with specialists for {counted} levels",
            f"with random starts {often} of 32 in at least 90 %",
            f"sticky buttons {sum(rate >= 0.8 for rate in sticky.values())} in at least 80 %",
            f"8-4 in {round(100 * sticky['8-4'])} %",
            f"with the princess in {numbers['three_lives alone']} of 100 games of the one network,",
            f"and in {numbers['three_lives team']} with the specialists too;",
            f"with one life in {numbers['one_life alone']} and {numbers['one_life team']},",
            f"with sticky buttons in {numbers['three_lives_sticky alone']} and "
            f"{numbers['three_lives_sticky team']};",
            *(f"{level} in {percent}" for level, percent in seldom.items()),
        )
    else:
        counted = "零一二三四五六七"[chosen]
        told = (
            f"32 关中有 {often} 关通关率不低于 90 %",
            f"100 局游戏中有 {numbers['three_lives alone']} 局救出公主",
            f"在{counted}关换用更强的专才后为 {numbers['three_lives team']} 局",
            f"粘滞按键下有 {sum(rate >= 0.8 for rate in sticky.values())} 关不低于 80 %",
            f"8-4 为 {round(100 * sticky['8-4'])} %",
            f"100 局中单用一个网络有 {numbers['three_lives alone']} 局、"
            f"加上专才有 {numbers['three_lives team']} 局救出公主",
            f"只有一条命时为 {numbers['one_life alone']} 局和 {numbers['one_life team']} 局",
            f"粘滞按键下为 {numbers['three_lives_sticky alone']} 局和 "
            f"{numbers['three_lives_sticky team']} 局",
            *(f"{level} 为 {percent} %" for level, percent in seldom.items()),
        )
    text = " ".join(readme.split())
    assert [words for words in told if words not in text] == []


def test_files_exist(readme: str) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", readme)
    assert targets
    for target in targets:
        assert (ROOT / target).is_file(), target
