"""The log of experiments: newest first, dated, with an index, and failures marked as such."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "experiments.md"
HEADING = re.compile(r"(\d{4}-\d\d-\d\d): (\S.*?)( \(negative\))?")
NOT_REACHED = re.compile(r"\b(no|not|nothing|never|neither)\b", re.IGNORECASE)


def text() -> str:
    return PAGE.read_text(encoding="utf-8")


def headings() -> list[str]:
    found = re.findall(r"^## (.*)$", re.sub(r"^```.*?^```$", "", text(), flags=re.S | re.M), re.M)
    assert found[0] == "Index"
    return found[1:]


def anchor(heading: str) -> str:
    """As GitHub and the site both make it, where a heading has only plain punctuation."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_entries_are_dated_and_newest_first() -> None:
    assert len(headings()) > 30
    matched = [HEADING.fullmatch(heading) for heading in headings()]
    wrong = [heading for heading, found in zip(headings(), matched, strict=True) if not found]
    assert wrong == [], "a heading is `## YYYY-MM-DD: what was tried`, then perhaps `(negative)`"
    days = [date.fromisoformat(found[1]) for found in matched if found]
    assert days == sorted(days, reverse=True)


def test_the_index_has_every_entry_in_order() -> None:
    index = text().partition("\n## Index\n")[2].partition("\n## ")[0].split("\n")
    expected = [f"- [{heading}](#{anchor(heading)})" for heading in headings()]
    assert [line for line in index if line] == expected


def test_anchors_are_the_same_on_github_and_on_the_site() -> None:
    for heading in headings():
        assert "--" not in anchor(heading), heading
        assert not anchor(heading).endswith("-"), heading


def test_failures_are_marked() -> None:
    marked = [heading for heading in headings() if heading.endswith("(negative)")]
    assert marked
    for heading in marked:
        body = text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        assert NOT_REACHED.search(body), f"{heading}: the text does not say what was not reached"
