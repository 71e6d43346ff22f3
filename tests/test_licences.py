"""Licences of what is shipped and of what is installed beside it."""

from __future__ import annotations

import importlib.metadata
import re

import pytest
from scripts import licences

PAGE = licences.PAGE.read_text(encoding="utf-8")
ROWS = {
    name: (licence, extras)
    for name, licence, extras in re.findall(r"^\| ([\w-]+) \| (.+) \| (.+) \|$", PAGE, re.M)
}


def test_no_dependency_has_a_licence_that_nobody_has_looked_at() -> None:
    assert licences.refused() == []


def test_every_dependency_that_is_installed_is_listed() -> None:
    installed = licences.dependencies()
    assert {"numpy", "llvmlite", "gymnasium"} <= set(installed)
    for name, extras in installed.items():
        if name.startswith(licences.CUDA):
            continue
        assert name in ROWS, f"{name} is not in THIRD_PARTY.md: run python scripts/licences.py"
        assert licences.licence_of(name) in ROWS[name][0]
        if "" in extras:
            assert ROWS[name][1] == "every installation"


def test_what_is_compiled_in_is_told_with_its_text() -> None:
    for part in licences.parts():
        assert f"| {part.name} | {part.licence} |" in PAGE
        assert part.text in PAGE, f"{part.name}: run python scripts/licences.py"
        assert "opyright (c) 20" in part.text
        assert re.fullmatch(r"\d+\.\d+\.\d+", part.version)


@pytest.mark.parametrize(
    ("expression", "good"),
    [
        ("MIT", True),
        ("BSD-3-Clause AND 0BSD AND Zlib", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-2.0-or-later", False),
        ("(MIT OR GPL-3.0-only) AND MIT", False),
        ("", False),
        ("Proprietary", False),
    ],
)
def test_licences_that_ask_for_more_than_their_text_are_refused(
    expression: str, good: bool
) -> None:
    assert licences.allowed(expression) is good


def test_a_dependency_under_other_terms_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licences, "ALLOWED", licences.ALLOWED - {"BSD-2-Clause"})
    assert any(line.startswith("llvmlite: BSD-2-Clause AND") for line in licences.refused())


def test_an_extra_is_told_by_its_name() -> None:
    pytest.importorskip("torch")
    assert "train" in licences.dependencies()["torch"]
    assert importlib.metadata.version("torch")
