"""The pages in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.views.conftest import OpenTab, make_run, serving


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    make_run(tmp_path / "one", seed=1)
    make_run(tmp_path / "two", seed=2, lr=0.001, measured=0.7)
    make_run(tmp_path / "camp" / "1-2", level="1-2", updates=900)
    with serving(tmp_path) as url:
        yield url


def test_list_curves_differences_and_results(site: str, open_tab: OpenTab) -> None:
    page = open_tab(site).page
    expect(page.locator(".runs tbody tr")).to_have_count(3)
    expect(page.locator("#chart-clear_rate .scatterlayer .trace")).to_have_count(3)
    expect(page.locator(".differences")).to_contain_text("lr")
    expect(page.locator(".results")).to_contain_text("90 %")


def test_one_run(site: str, open_tab: OpenTab) -> None:
    page = open_tab(f"{site}/#/run/camp%2F1-2").page
    expect(page.get_by_role("heading", name="camp/1-2")).to_be_visible()
    expect(page.locator("#chart-best_x .scatterlayer .trace").first).to_be_attached()
    page.get_by_role("tab", name="Settings").click()
    expect(page.locator(".settings")).to_contain_text("env.noops")
