"""Which cartridges environments take: known ones, unknown ones with a warning, no other game."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import pytest
from tests.parity.peer import cartridge

import warpzone
from warpzone.errors import RomError
from warpzone.nes.rom import Rom, load_rom
from warpzone.smb import cartridges


def changed(rom: Rom, tmp_path: Path, at: int) -> Path:
    data = bytearray(rom.data)
    data[at] ^= 1
    path = tmp_path / "changed.nes"
    path.write_bytes(data)
    return path


def test_known_ones_by_name(rom: Rom) -> None:
    assert rom.revision in ("Europe", "World")
    lost = "Super Mario Bros. 2 (The Lost Levels)"
    drawn_simpler = {"Europe, pixel", "Europe, rectangle", "Europe, downsample"}
    assert {"Europe", "World", *drawn_simpler, lost, f"{lost}, downsample"} == set(
        cartridges.NAMES.values()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warpzone.make("1-1", rom=rom)


def test_an_unknown_revision_is_warned_about(rom: Rom, tmp_path: Path) -> None:
    path = changed(rom, tmp_path, len(rom.data) - 100)  # a picture
    assert load_rom(path).revision == "other NROM"
    with pytest.warns(cartridges.UnknownCartridge, match="is no known revision of Super Mario"):
        env = warpzone.make("1-1", rom=path, engine="interpreter")
    env.reset()


def test_another_game_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.nes"
    path.write_bytes(cartridge(bytes([0x4C, 0x00, 0x80])))
    for make in (warpzone.make, warpzone.make_vec):
        with pytest.raises(RomError, match=r"is not Super Mario Bros\.: level 1-1 does not begin"):
            make("1-1", rom=path, engine="interpreter")
    warpzone.Console(path, engine="interpreter").step(0, 3)


def test_a_known_other_game_is_refused_by_its_hash(
    rom: Rom, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = "Super Mario Bros. 3"
    assert game in cartridges.OTHER_GAMES.values()
    monkeypatch.delitem(cartridges.NAMES, rom.contents_sha1)
    monkeypatch.setitem(cartridges.OTHER_GAMES, rom.contents_sha1, game)
    with pytest.raises(RomError, match=r"is Super Mario Bros\. 3\."):
        warpzone.make("1-1", rom=dataclasses.replace(rom))
