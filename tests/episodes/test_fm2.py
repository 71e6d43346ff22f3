"""FM2 movies: out and in again, and what cannot be played is refused with a reason."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from warpzone.episodes.fm2 import read_fm2, rom_checksum, write_fm2
from warpzone.episodes.format import POWER_ON, Episode, MoviePlayer, Person
from warpzone.episodes.play_recorder import PlayRecorder
from warpzone.episodes.replay import Replay
from warpzone.errors import ConfigError, EpisodeError
from warpzone.nes.console import Console
from warpzone.nes.rom import Rom

START = 8


def recorded(start: str = POWER_ON) -> tuple[Episode, Console]:
    """From the title screen into 1-1, with random buttons there."""
    recorder = PlayRecorder(Console())
    recorder.begin(start)
    random = np.random.default_rng(0).integers(0, 256, 60).repeat(5).tolist()
    for buttons in [*[0] * 40, START, START, *[0] * 250, *random]:
        recorder.step(buttons)
    return recorder.episode(Person()), recorder.console


@pytest.fixture
def movie(tmp_path: Path, rom: Rom) -> Path:
    path = tmp_path / "movie.fm2"
    write_fm2(path, recorded()[0], rom)
    return path


def test_out_and_in_again_is_the_same_game(tmp_path: Path, rom: Rom) -> None:
    episode, console = recorded()
    path = tmp_path / "movie.fm2"
    write_fm2(path, episode, rom)
    read = read_fm2(path, rom)
    assert read == episode.model_copy(update={"player": MoviePlayer()})
    replay = Replay(read, Console())
    replay.verify()
    assert replay.console.save() == console.save()
    assert console.ram[0x0770] == 1  # the game has begun, or this would test a title screen

    again = tmp_path / "again.fm2"
    write_fm2(again, read, rom)
    assert again.read_bytes() == path.read_bytes()


def test_header_and_frames(movie: Path, rom: Rom) -> None:
    lines = movie.read_text().splitlines()
    assert lines[0] == "version 3"
    header = dict(line.split(" ", 1) for line in lines if not line.startswith("|"))
    assert {"emuVersion", "romFilename", "guid"} <= set(header)
    digest = base64.b64encode(hashlib.md5(rom.data[16 : 16 + 40960]).digest()).decode()
    assert header["romChecksum"] == f"base64:{digest}"
    assert (header["port0"], header["port1"], header["port2"]) == ("1", "0", "0")
    frames = [line for line in lines if line.startswith("|")]
    assert frames[0] == "|0|........|||"
    assert frames[40] == "|0|....T...|||"


def test_each_letter_is_its_button(movie: Path, rom: Rom) -> None:
    text = movie.read_text()
    header = text[: text.index("|")]
    lines = [f"|0|{'.' * i}x{' ' * (7 - i)}|........||" for i in range(8)]
    movie.write_text(header + "\r\n".join(lines))  # no last newline; other letters mean pressed
    assert list(read_fm2(movie, rom).buttons) == [128, 64, 32, 16, 8, 4, 2, 1]


def test_a_movie_without_our_checksum_can_be_played(movie: Path, rom: Rom) -> None:
    lines = movie.read_text().splitlines()
    lines = ["comment author Somebody Else" if "warpzone-ram" in x else x for x in lines]
    movie.write_text("\n".join(lines))
    episode = read_fm2(movie, rom)
    assert episode.ram_sha256 is None
    assert str(episode.player) == "a movie by Somebody Else"
    assert Replay(episode, Console()).verify().ram_sha256 == recorded()[0].ram_sha256


def test_switching_on_in_the_first_frame_is_the_start(movie: Path, rom: Rom) -> None:
    before = read_fm2(movie, rom)
    movie.write_text(movie.read_text().replace("|0|", "|2|", 1))
    assert read_fm2(movie, rom) == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version 3", "version 2", "FM2 version '2'"),
        ("version 3", "verse 3", "no FM2 movie"),
        ("palFlag 0", "palFlag 1", "PAL"),
        ("palFlag 0", "savestate 0x1234", "savestate"),
        ("palFlag 0", "binary 1", "binary"),
        ("fourscore 0", "fourscore 1", "four controllers"),
        ("port0 1", "port0 2", "port0 is 2"),
        ("port2 0", "port2 1", "expansion port"),
        ("romChecksum base64:", "romChecksum base64:AA", "another ROM.*--rom"),
        ("romChecksum", "checksum", "romChecksum is missing"),
        ("warpzone-ram-sha256 ", "warpzone-ram-sha256 x", "damaged"),
        ("|0|....T...|||", "|1|....T...|||", "line 5[0-9]: a reset"),
        ("|0|....T...|||", "|2|....T...|||", "line 5[0-9]: switching off and on"),
        ("|0|....T...|||", "|0|....T..|||", r"line 5[0-9].*no frame"),
        ("|0|....T...|||", "|0|....T...|R.......||", "second controller holds 'R.......'"),
        ("|0|....T...|||", f"|{'9' * 5000}|....T...|||", "no frame"),
        ("|0|....T...|||", "hello", "'hello' stands among the frames"),
    ],
)
def test_what_cannot_be_played(movie: Path, rom: Rom, old: str, new: str, message: str) -> None:
    text = movie.read_text()
    assert old in text
    movie.write_text(text.replace(old, new, 1))
    with pytest.raises(EpisodeError, match=message) as caught:
        read_fm2(movie, rom)
    assert "movie.fm2" in str(caught.value)


@pytest.mark.parametrize("cut", [2, 3, 8, 12])
def test_a_line_cut_short(movie: Path, rom: Rom, cut: int) -> None:
    movie.write_bytes(movie.read_bytes()[:-cut])
    with pytest.raises(EpisodeError, match="is cut short: its last line is"):
        read_fm2(movie, rom)


def test_lines_that_are_missing_at_the_end_change_the_game(movie: Path, rom: Rom) -> None:
    movie.write_text("\n".join(movie.read_text().splitlines()[:-5]) + "\n")
    with pytest.raises(EpisodeError, match="another way"):
        Replay(read_fm2(movie, rom), Console()).verify()


def test_a_header_alone(movie: Path, rom: Rom) -> None:
    text = movie.read_text()
    movie.write_text(text[: text.index("|")])
    with pytest.raises(EpisodeError, match="no frames"):
        read_fm2(movie, rom)


def test_bytes_that_are_no_text(movie: Path, rom: Rom) -> None:
    movie.write_bytes(bytes(range(256)))
    with pytest.raises(EpisodeError, match="no FM2 movie"):
        read_fm2(movie, rom)


def test_an_episode_from_a_level_is_no_movie(tmp_path: Path, rom: Rom) -> None:
    with pytest.raises(EpisodeError, match=r"begins at level 1-1.*--power-on"):
        write_fm2(tmp_path / "movie.fm2", recorded("1-1")[0], rom)
    with pytest.raises(ConfigError, match=r"must end in \.fm2"):
        write_fm2(tmp_path / "movie.txt", recorded()[0], rom)
    assert list(tmp_path.iterdir()) == []


def test_an_author_is_kept_as_far_as_it_is_text(movie: Path, tmp_path: Path, rom: Rom) -> None:
    author = "马里奥 \x1b[31mred" + "x" * 300
    _, rest = movie.read_text().split("\n", 1)
    movie.write_text(f"version 3\ncomment author {author}\n{rest}", encoding="utf-8")
    read = read_fm2(movie, rom)
    assert isinstance(read.player, MoviePlayer)
    assert read.player.author == ("马里奥 [31mred" + "x" * 300)[:200]
    write_fm2(tmp_path / "again.fm2", read, rom)
    assert read_fm2(tmp_path / "again.fm2", rom) == read


def test_the_checksum_leaves_a_trainer_out(rom: Rom) -> None:
    header = bytearray(rom.data[:16])
    header[6] |= 4
    trained = Rom(rom.path, bytes(header) + bytes(512) + rom.data[16:], "", "", "", "")
    assert rom_checksum(trained) == rom_checksum(rom)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("romChecksum base64:", "romChecksum \x1b[2Jbase64:"),
        ("version 3", "version \x1b[2J"),
        ("palFlag 0", "palFlag \x1b]0;title\x07"),
        ("port0 1", "port0 \x1b[2J"),
        ("warpzone-ram-sha256 ", "warpzone-ram-sha256 \x1b[2J"),
        ("|0|....T...|||", "|0|\x1b[2J.T...|||"),
        ("|0|....T...|||", "|0|....T...|\x1b[2J||"),
        ("|0|....T...|||", "\x1b[2J"),
    ],
)
def test_control_characters_of_a_movie_are_not_printed(
    movie: Path, rom: Rom, old: str, new: str
) -> None:
    text = movie.read_text()
    assert old in text
    movie.write_bytes(text.replace(old, new, 1).encode())
    with pytest.raises(EpisodeError) as caught:
        read_fm2(movie, rom)
    assert str(caught.value).isprintable()


def test_a_pipe_or_a_huge_file_is_no_movie(movie: Path, rom: Rom, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.fm2")
    with pytest.raises(EpisodeError, match="it is a pipe"):
        read_fm2(tmp_path / "pipe.fm2", rom)
    with movie.open("r+b") as file:
        file.truncate(20 << 30)  # takes no room on the disk
    with pytest.raises(EpisodeError, match="MB"):
        read_fm2(movie, rom)
