"""The console by itself: snapshots, memory, buttons, and the skipping of loops that only wait."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tests.parity.peer import CODE, QUIET, cartridge, stop
from tests.support.recompiler import banked_image
from tests.support.scripts import ACTIONS, FLAGPOLE, INDEX, steps

from warpzone import Console, MarioEnv
from warpzone._native import Console as NativeConsole
from warpzone.errors import EngineError
from warpzone.maps.renderer import render_level
from warpzone.nes.cartridge import cartridge_of
from warpzone.nes.console import PALETTE
from warpzone.nes.rom import Rom
from warpzone.smb.levels import LEVELS
from warpzone.smb.observations import grey, tiles
from warpzone.smb.starts import level_starts, start_level

RIGHT_B = 130


def play(console: Console, frames: int, seed: int) -> list[bytes]:
    """Random buttons, the RAM after every frame."""
    rng = np.random.default_rng(seed)
    seen = []
    for _ in range(frames):
        console.step(int(rng.choice([RIGHT_B, RIGHT_B | 1, 128, 0, 64])))
        seen.append(console.ram.tobytes())
    return seen


def test_power_on_is_always_the_same(rom: Rom) -> None:
    console = Console(rom)
    begin = console.save()
    console.step(8, 100)
    assert console.save() != begin
    console.reset()
    assert console.save() == begin
    assert Console(rom).save() == begin
    assert console.frame == 0


def test_frames_are_counted_and_run(rom: Rom) -> None:
    one, many = Console(rom), Console(rom)
    for _ in range(50):
        one.step(8)
    many.step(8, 50)
    assert one.frame == many.frame == 50
    assert one.save() == many.save()
    many.step(8, 0)
    assert many.frame == 50


def test_a_snapshot_goes_on_exactly(rom: Rom) -> None:
    console = Console(rom)
    start_level(console, "1-2")
    play(console, 37, seed=0)
    snapshot = console.save()
    picture = console.screen()
    first = play(console, 200, seed=1)
    after = console.save()

    for other in (console, Console(rom)):
        other.load(snapshot)
        assert other.save() == snapshot
        assert np.array_equal(other.screen(), picture)
        assert play(other, 200, seed=1) == first
        assert other.save() == after


def test_snapshots_that_cannot_be_loaded_say_why(rom: Rom, tmp_path: Path) -> None:
    console = Console(rom)
    console.step(0, 60)
    good = console.save()
    other_game = tmp_path / "other.nes"
    other_game.write_bytes(cartridge(QUIET + stop(CODE + len(QUIET))))

    def changed(at: int, value: int) -> bytes:
        return good[:at] + bytes([value]) + good[at + 1 :]

    cases = {
        "empty": (b"", "these are 0"),
        "cut short": (good[:-1], f"has {len(good)} bytes, these are {len(good) - 1}"),
        "too long": (good + b"\0", f"these are {len(good) + 1}"),
        "not a snapshot": (changed(0, ord("X")), "not a snapshot of a console"),
        "another version": (changed(8, 99), "version 99, this program reads version "),
        "another cartridge": (Console(other_game).save(), "made with another cartridge"),
        "damaged": (good[:40] + b"\xff" * 40 + good[80:], "is damaged"),
    }
    messages = set()
    for name, (snapshot, words) in cases.items():
        with pytest.raises(EngineError, match="the snapshot cannot be loaded") as error:
            console.load(snapshot)
        assert words in str(error.value), name
        messages.add(str(error.value))
        assert console.save() == good, f"{name}: the state was touched"
    assert len(messages) == len(cases)


def test_ram_is_a_view_that_can_be_written(rom: Rom) -> None:
    console = Console(rom)
    start_level(console, "1-1")
    ram = console.ram
    assert ram.shape == (2048,)
    assert ram.dtype == np.uint8
    ram[0x07F8:0x07FB] = 0, 0, 1
    console.step(0, 60)
    assert ram[0x07F8:0x07FB].tolist() == [0, 0, 0], "the timer has run out"
    assert ram[0x000E] == 0x0B, "and Mario dies of it"
    assert np.shares_memory(ram, console.ram)


def test_the_view_keeps_its_console_alive(rom: Rom) -> None:
    ram = Console(rom).ram
    ram[:] = 7
    assert ram.sum() == 7 * 2048


@pytest.mark.parametrize("buttons", [-1, 256])
def test_buttons_must_fit_a_byte(rom: Rom, buttons: int) -> None:
    with pytest.raises(ValueError, match=f"0-255, not {buttons}"):
        Console(rom).step(buttons)


def test_frames_must_not_be_negative(rom: Rom) -> None:
    with pytest.raises(ValueError, match="0 or more, not -2"):
        Console(rom).step(0, -2)


@pytest.mark.parametrize(
    ("bit", "name"),
    list(enumerate(["A", "B", "select", "start", "up", "down", "left", "right"])),
)
def test_each_button_is_read_at_its_place(tmp_path: Path, bit: int, name: str) -> None:
    """A program that strobes the controller once a frame and keeps the eight reports."""
    loop = CODE + len(QUIET)
    code = QUIET + bytes.fromhex("2C 02 20 2C 02 20 10 FB A9 01 8D 16 40 A9 00 8D 16 40 A2 00")
    # LDA $4016; AND #1; STA $10,X; INX; CPX #8; BNE
    code += bytes.fromhex("AD 16 40 29 01 95 10 E8 E0 08 D0 F4")
    code += b"\x4c" + loop.to_bytes(2, "little")
    path = tmp_path / "controller.nes"
    path.write_bytes(cartridge(code))
    console = Console(path)
    console.step(1 << bit, 4)
    assert console.ram[0x10:0x18].tolist() == [int(i == bit) for i in range(8)], name


@pytest.mark.parametrize("opcode", [0x02, 0x12, 0x92, 0xF2])
def test_an_opcode_that_halts_the_processor_is_an_error(tmp_path: Path, opcode: int) -> None:
    path = tmp_path / "halts.nes"
    path.write_bytes(cartridge(QUIET + bytes([opcode])))
    console = Console(path)
    for _ in range(2):  # it stays halted
        with pytest.raises(EngineError, match=r"'halts\.nes' has crashed: it ran into an opcode"):
            console.step()
    console.reset()
    assert console.frame == 0


def test_another_cartridge_has_no_levels(tmp_path: Path) -> None:
    path = tmp_path / "other.nes"
    path.write_bytes(cartridge(QUIET + stop(CODE + len(QUIET))))
    console = Console(path)
    with pytest.raises(EngineError, match=r"level 1-1: .*is this cartridge Super Mario Bros\.\?"):
        start_level(console, "1-1")


def test_a_cartridge_with_banks_has_no_levels(tmp_path: Path) -> None:
    path = tmp_path / "other.nes"
    path.write_bytes(banked_image(2, [b"\xea" * 0x4000] * 2))
    other = r"none of Super Mario Bros\.: it has mapper 2"
    with pytest.raises(EngineError, match=other):
        start_level(Console(path), "1-1")
    with pytest.raises(EngineError, match=other):
        MarioEnv("1-1", rom=path)
    with pytest.raises(EngineError, match=other):
        render_level("1-1", path)


def test_the_picture_in_both_forms(rom: Rom) -> None:
    console = Console(rom)
    start_level(console, "1-1")
    screen, rgb = console.screen(), console.rgb()
    assert screen.shape == (240, 256)
    assert rgb.shape == (240, 256, 3)
    assert screen.dtype == rgb.dtype == np.uint8
    assert screen.max() < 64
    assert np.array_equal(rgb, PALETTE[screen])
    assert screen[100, 100] == 0x22, "the sky of 1-1"
    console.step(0)
    assert not np.shares_memory(screen, console.screen())


def test_the_grey_bit_keeps_the_greys(tmp_path: Path) -> None:
    """$2001 bit 0 leaves the first column of the palette: colour AND $30."""
    code = QUIET
    for register, value in [(0x2006, 0x3F), (0x2006, 0x00), (0x2007, 0x2A), (0x2001, 0x01)]:
        code += bytes([0xA9, value, 0x8D]) + register.to_bytes(2, "little")
    path = tmp_path / "grey.nes"
    path.write_bytes(cartridge(code + stop(CODE + len(code))))
    console = Console(path)
    console.step(0, 3)
    assert np.unique(console.screen()).tolist() == [0x20]


@pytest.mark.parametrize("level", LEVELS)
def test_skipping_a_waiting_loop_is_the_same_as_executing_it(rom: Rom, level: str) -> None:
    cartridge = cartridge_of(rom, "interpreter")
    skipping, executing = NativeConsole(cartridge.native), NativeConsole(cartridge.native)
    for console in (skipping, executing):
        console.load(level_starts(cartridge).start(LEVELS.index(level)))
    rng = np.random.default_rng(LEVELS.index(level))
    for frame in range(400):
        buttons = int(rng.choice([RIGHT_B, RIGHT_B | 1, 129, 0, 64, 32]))
        skipping.step(buttons)
        executing.step(buttons, 1, skip_waiting=False)
        assert skipping.save() == executing.save(), f"frame {frame}"


def test_skipping_is_the_same_from_power_on(rom: Rom) -> None:
    cartridge = cartridge_of(rom, "interpreter")
    skipping, executing = NativeConsole(cartridge.native), NativeConsole(cartridge.native)
    for frame in range(300):
        buttons = 8 if frame % 90 == 80 else 128
        skipping.step(buttons)
        executing.step(buttons, 1, skip_waiting=False)
        assert skipping.save() == executing.save(), f"frame {frame}"


def test_the_map_is_the_one_that_an_agent_sees(rom: Rom) -> None:
    env = MarioEnv("1-1", actions=ACTIONS, rom=rom)
    observation, _ = env.reset(seed=0)
    console = Console(rom)
    start_level(console, "1-1")
    assert np.array_equal(tiles(console), observation["tiles"])
    for buttons in list(steps(FLAGPOLE))[:120]:
        observation, *_ = env.step(INDEX[buttons])
        console.step(buttons, 4)
        assert np.array_equal(tiles(console), observation["tiles"])


@pytest.mark.parametrize(("crop", "pool"), [(False, False), (True, False), (False, True)])
def test_the_grey_picture_is_the_one_that_an_agent_sees(rom: Rom, crop: bool, pool: bool) -> None:
    env = MarioEnv(
        "1-1",
        observation="pixels",
        size=(60, 72),
        crop_status_bar=crop,
        max_pool=pool,
        actions=ACTIONS,
        rom=rom,
    )
    env.reset(seed=0)
    console = Console(rom)
    start_level(console, "1-1")
    for buttons in list(steps(FLAGPOLE))[:120]:
        observation, *_ = env.step(INDEX[buttons])
        console.step(buttons, 3)
        before = console.save() if pool else None
        console.step(buttons)
        picture = grey(console, (60, 72), crop_status_bar=crop, before=before)
        assert np.array_equal(picture, observation[-1])


def test_a_grey_picture_has_a_possible_size(rom: Rom) -> None:
    with pytest.raises(ValueError, match="1x1 to 240x256"):
        grey(Console(rom), (0, 84))
    with pytest.raises(ValueError, match="1x1 to 240x256"):
        grey(Console(rom), (84, 257))


@pytest.mark.parametrize("frames", [20_000_000, 2**31 - 1])
def test_ctrl_c_ends_a_long_step(frames: int) -> None:
    console = Console(engine="interpreter")
    timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        console.step(0, frames)
    assert time.monotonic() - began < 1.2
    before = console.frame
    console.step(0, 3)
    assert console.frame == before + 3
