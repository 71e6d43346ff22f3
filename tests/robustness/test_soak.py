"""What a soak says of curves that grow and that do not; and that its turns leave nothing behind."""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("psutil")

from scripts import soak
from scripts.soak import BOUNDS, DAY, MB, SPEEDS, failures, judged, theil_sen, thinned

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_a_slope_is_that_of_the_line_whatever_lies_beside_it() -> None:
    times = np.arange(40.0)
    values = 5 + 0.25 * times
    values[[3, 20, 31]] = 1e6, -1e6, 1e6
    slope = theil_sen(times, values)
    assert slope.value == pytest.approx(0.25)
    assert slope.low <= 0.25 <= slope.high


def test_the_interval_of_noise_holds_nothing_and_that_of_a_rise_does_not() -> None:
    random = np.random.default_rng(0)
    times = np.linspace(0, 3600, 100)
    inside = 0
    for _ in range(200):
        slope = theil_sen(times, random.normal(100, 5, 100))
        inside += slope.low <= 0 <= slope.high
    assert 180 <= inside <= 199  # 95 %, four standard deviations of a share
    risen = theil_sen(times, random.normal(100, 5, 100) + times / 100)
    assert risen.low > 0


def test_a_slope_of_one_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="two moments"):
        theil_sen([1.0, 1.0], [2.0, 3.0])


def test_many_points_become_medians() -> None:
    t, v = thinned(list(range(1000)), [1.0] * 999 + [1e9], most=10)
    assert len(t) == len(v) == 10
    assert (v == 1).all()
    assert t.tolist() == [49.5 + 100 * i for i in range(10)]


def record(**changes: float) -> dict[str, Any]:
    """An hour of a soak; `changes`: what a quantity grows by in a day, by the name of its role and
    kind with an underscore, or `train`: the share of its speed that is lost."""
    made: dict[str, Any] = {
        "begun": 1000.0, "browser": True, "samples": [], "marks": [], "ended": {},
    }  # fmt: skip
    for i in range(60):
        time = 1000.0 + 60 * i

        def value(name: str, level: float, days: float = i * 60 / DAY) -> float:
            return level + changes.get(name, 0.0) * days

        processes = {
            role: {
                kind: value(f"{role}_{kind}", level)
                for kind, level in (("own", 3e8), ("fds", 9), ("threads", 4), ("children", 0))
            }
            for role in ("work", "dashboard", "browser")
        }
        disk = {kind: value(f"disk_{kind}", 1e7) for kind in soak.DISK}
        made["samples"].append({"time": time, "processes": processes, "disk": disk})
        for role, kinds in soak.HELD.items():
            held = {kind: value(f"{role}_{kind}", 1e6) for kind in kinds}
            made["marks"].append({"role": role, "turn": i, "time": time, "held": held})
        for part in SPEEDS:
            steps = round(10_000 * (1 - changes.get(part, 0.0) * i / 60))
            made["marks"].append(
                {"role": "work", "turn": i, "time": time, "part": part, "cpu": 2.0, "steps": steps}
            )
    return made


def wrong(made: dict[str, Any]) -> list[str]:
    return failures(made, judged(soak.series_of(made)))


def test_what_stays_as_it_is_passes() -> None:
    made = record()
    verdicts = judged(soak.series_of(made))
    assert {one.name for one in verdicts} == {*BOUNDS, *(f"speed: {part}" for part in SPEEDS)}
    assert all(one.growth == 0 and one.holds for one in verdicts)
    assert wrong(made) == []


@pytest.mark.parametrize(
    ("grows", "by", "text"),
    [
        ("work_own", 300 * MB, "work: own memory grows by 300.0 MB a day, allowed are 256.0 MB"),
        ("work_heap", 65 * MB, "work: C heap after a turn grows by 65.0 MB a day"),
        ("dashboard_fds", 48, "dashboard: open files grows by 48 a day, allowed are 4"),
        ("page_listeners", 5_000, "page: listeners grows by 5,000 a day"),
        ("disk_tmp", 1_000 * MB, "disk: temporary files grows by 1,000.0 MB a day"),
        ("train", 0.3, "speed: train sank by "),
    ],
)
def test_what_grows_is_told(grows: str, by: float, text: str) -> None:
    (told,) = wrong(record(**{grows: by}))
    assert told.startswith(text)


def test_what_ended_or_failed_or_is_missing_is_told() -> None:
    made = record()
    made["ended"]["dashboard"] = -9
    made["marks"].append({"role": "page", "error": "x is not defined"})
    for sample in made["samples"]:
        del sample["disk"]["films"]
    assert wrong(made) == [
        "dashboard ended by itself with status -9",
        "the page: x is not defined",
        "too few points after the warm-up to judge disk: films",
    ]


def test_a_record_is_judged_and_drawn_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "soak.json").write_text(json.dumps({**record(work_fds=100), "seconds": 3600}))
    picture, verdicts = tmp_path / "soak.png", tmp_path / "verdicts.json"
    given = ["--judge", tmp_path / "soak.json", "--plot", picture, "--report", verdicts]
    assert soak.main([str(one) for one in given]) == 1
    told = capsys.readouterr().out
    assert "1.00 hours, 60 samples, 60 turns" in told
    assert "| work: open files | 11 | 100 (100 to 100) | 4 | **broken** |" in told
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert json.loads(verdicts.read_text())["wrong"] == [
        "work: open files grows by 100 a day, allowed are 4"
    ]


@pytest.mark.parametrize(
    "given",
    [
        ["--hours", "1"],
        ["--hours", "1", "--out", "."],
        ["--hours", "0", "--out", "new"],
        ["--hours", "nan", "--out", "new"],
        ["--hours", "1", "--judge", "x"],
        [],
    ],
)
def test_wrong_arguments_are_refused(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        soak.main(given)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


@LINUX
def test_turns_leave_nothing_behind(tmp_path: Path) -> None:
    """Counted, not timed: open files, threads, objects and temporary files after each turn."""
    pytest.importorskip("torch")
    from scripts.soak_work import Work, held

    work = Work(tmp_path, updates=1, steps=3)
    quick = [
        (name, part)
        for name, part in work.parts()
        if name in ("train: corridor", "train: 1-1, tiles", "train: catch")
        or name.startswith("games: ")
    ]
    found = []
    for _ in range(5):
        for _, part in quick:
            assert part() > 0
        work.turn += 1
        counts = held()
        found.append(
            (len(os.listdir("/proc/self/fd")), threading.active_count(), counts["objects"])
        )
    work.kept.close()
    files, threads, objects = zip(*found[2:], strict=True)
    assert len(set(files)) == 1, files
    assert len(set(threads)) == 1, threads
    # Statistics of episodes fill up: the last 100 of each level.
    assert objects[-1] - objects[0] < 1000, objects
    gc.collect()
