"""CHANGELOG.md: its form, and that it names everything that is read under another name now."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from warpzone.training.migration import OLD_FILES, REMOVED, RENAMED, SCHEDULES
from warpzone.version import VERSION

TEXT = (Path(__file__).parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_versions_have_dates_and_the_newest_is_first() -> None:
    headings = re.findall(r"^## (.*)$", TEXT, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    found = [
        re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", text) for text in headings[1:]
    ]
    assert all(found), headings
    days = [date.fromisoformat(match[2]) for match in found if match]
    assert days == sorted(days, reverse=True)
    assert VERSION in {match[1] for match in found if match}


def test_changes_are_of_known_kinds() -> None:
    assert set(re.findall(r"^### (.*)$", TEXT, re.MULTILINE)) <= KINDS


def test_what_is_called_otherwise_is_told() -> None:
    for old, new in RENAMED.items():
        assert f"| `{old}` | `{new}` |" in TEXT
    for new, old in OLD_FILES.items():
        assert re.search(rf"`{re.escape(old)}/?` is `{re.escape(new)}/?`", TEXT), old
    for name in (*REMOVED, *SCHEDULES):
        assert f"`{name}`" in TEXT
