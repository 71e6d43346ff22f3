"""Maps with heat and traces as one picture, and the command that draws them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor
from tests.support.endings import end, random_ends, write_ends
from tests.support.episodes import CLEAR, make_episode
from typer.testing import CliRunner

from warpzone.cli.app import app
from warpzone.maps.cache import open_map
from warpzone.maps.episode_ends import END_KINDS, KINDS
from warpzone.maps.picture import draw, heat_colour
from warpzone.maps.run_map import HEAT, TRACE
from warpzone.nes.rom import Rom
from warpzone.smb.signals import DEATHS
from warpzone.training import TrainConfig, resolve

LEVELS = {"1-1": 1.0, "1-2": 1.0}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "runs" / "run"
    write_ends(run, [*random_ends(40), end(x=500), end(x=500), end(x=500)])
    (run / "config.json").write_text(resolve(env={"levels": LEVELS}).model_dump_json())
    (run / "episodes").mkdir()
    make_episode(CLEAR, cleared=True).save(run / "episodes/000001000-000.json")
    return run


def test_there_is_one_list_of_deaths_and_all_are_shown() -> None:
    assert (*DEATHS[1:], "cut", "cleared") == KINDS
    assert len({kind.colour for kind in END_KINDS}) == len({kind.text for kind in END_KINDS}) == 7


def test_the_picture_has_heat_where_mario_died(rom: Rom) -> None:
    level_map = open_map("1-1", rom)
    plain, enemy = np.array(draw(level_map)), KINDS.index("enemy")
    np.testing.assert_array_equal(plain[:208], level_map.strips[0].rgb())
    counted = [(0, 31, 10, enemy, 9), (0, 40, 10, enemy, 1), (0, 50, 3, KINDS.index("cleared"), 5)]
    hot = np.array(draw(level_map, counted=counted))
    assert hot.shape == plain.shape
    for column, colour in ((31, HEAT[-1]), (40, heat_colour(1, 9))):
        cell = hot[160:176, column * 16 : column * 16 + 16]
        assert (cell == ImageColor.getrgb(colour)).all()
    dark = hot[48:64, 800:816]
    assert (dark < plain[48:64, 800:816]).all()  # a clear is no death
    assert heat_colour(9, 9) != heat_colour(1, 9)
    assert heat_colour(1, 1) == HEAT[-1]


def test_the_command_draws(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "map.png"
    done = CliRunner().invoke(app, ["map", "1-1", "-o", str(file), "--run", str(run)])
    assert done.exit_code == 0, done.output
    assert "43 episodes ended" in done.output
    assert "1 lines" in done.output
    with Image.open(file) as picture:
        pixels = np.array(picture)
    assert pixels.shape == (2 * 208 + 8, 3328, 3)
    green = np.array(ImageColor.getrgb(TRACE[True]))
    assert (pixels == green).all(axis=2).sum() > 3000
    assert CliRunner().invoke(app, ["map", "1-1", "-o", str(file)]).exit_code == 0
    with Image.open(file) as picture:
        assert not (np.array(picture) == pixels).all()


def test_the_command_tells_what_is_wrong(run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    other = tmp_path / "new"
    other.mkdir()
    (other / "config.json").write_text(TrainConfig().model_dump_json())
    for arguments, text in (
        (["9-9"], "no level"),
        (["1-1", "-o", "map.jpg"], ".png"),
        (["1-1", "--last", "5"], "--run"),
        (["1-1", "--run", str(tmp_path / "empty")], "holds no run"),
        (["1-1", "--run", str(other)], "no ends of episodes yet"),
        (["4-1", "--run", str(run)], "is about 1-1"),
        (["1-1", "--rom", str(tmp_path / "no.nes")], "no.nes"),
    ):
        done = CliRunner().invoke(app, ["map", *arguments])
        assert done.exit_code == 2
        assert text in done.output.replace("\n", " ")
