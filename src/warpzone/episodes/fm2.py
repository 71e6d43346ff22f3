"""FM2, the text format in which the TAS community keeps movies (FCEUX's documentation, "fm2").

A movie begins when the console is switched on, and has a line for each frame:
`|commands|RLDUTSBA|second controller|expansion port|`.
"""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from pathlib import Path

from warpzone.console_text import one_line
from warpzone.episodes.format import (
    MOST_FRAMES,
    POWER_ON,
    Episode,
    MoviePlayer,
    RomIdentity,
    read_bytes,
)
from warpzone.errors import ConfigError, EpisodeError
from warpzone.files import write_atomically
from warpzone.nes.rom import HEADER_BYTES, TRAINER_BYTES, Rom
from warpzone.version import VERSION

SUFFIX = ".fm2"
BUTTON_LETTERS = "RLDUTSBA"
"""In a line's order: right 128, left 64, down 32, up 16, start 8, select 4, B 2, A 1."""
SOFT_RESET, POWER = 1, 2
"""Bits of a line's commands."""
MOST_BYTES = 128 << 20
"""Of a movie: a day has 80 MB, 15 bytes a frame."""
RAM_COMMENT = "warpzone-ram-sha256"
AUTHOR_COMMENT = "author"
"""First words of comments."""

_LINE = re.compile(r"\|([0-9]{0,9})\|([^|]*)\|([^|]*)\|([^|]*)\|")
_RELEASED = " ."


def rom_checksum(rom: Rom) -> str:
    """Returns what the header has: MD5 of programs and pictures, without the file's header."""
    first = HEADER_BYTES + bool(rom.data[6] & 4) * TRAINER_BYTES
    contents = rom.data[first : first + rom.prg_bytes + rom.chr_bytes]
    digest = hashlib.md5(contents, usedforsecurity=False).digest()
    return f"base64:{base64.b64encode(digest).decode()}"


def no_movie_of(episode: Episode) -> str:
    """Says why there cannot be one of an episode that begins at a level."""
    where = f"{'' if episode.described else 'level '}{episode.start}"
    return (
        f"the episode begins at {where}, and FM2 movies begin when the console is "
        "switched on. `warpzone play --power-on --record FILE` records one that does"
    )


def write_fm2(path: Path, episode: Episode, rom: Rom) -> None:
    """Writes an episode that begins at power-on as a movie.

    Args:
        path: ends in `.fm2`.
        episode: was played on `rom`.
        rom: named in the movie.

    Raises:
        ConfigError: another suffix.
        EpisodeError: the episode begins at a level, which a movie cannot.
        FileError: the disk is full or the folder cannot be written.
    """
    if path.suffix.lower() != SUFFIX:
        raise ConfigError(f"cannot write a movie to {str(path)!r}: the name must end in {SUFFIX}")
    if episode.start != POWER_ON:
        raise EpisodeError(no_movie_of(episode))
    identity = uuid.uuid5(uuid.NAMESPACE_OID, f"{rom.sha1} {episode.buttons.hex()}")
    lines = [
        "version 3",
        f"emuVersion {_emulator_version()}",
        "rerecordCount 0",
        "palFlag 0",
        f"romFilename {_line(rom.path.stem)}",
        f"romChecksum {rom_checksum(rom)}",
        f"guid {str(identity).upper()}",
        "fourscore 0",
        "port0 1",
        "port1 0",
        "port2 0",
    ]
    if isinstance(episode.player, MoviePlayer) and episode.player.author:
        lines.append(f"comment {AUTHOR_COMMENT} {episode.player.author}")
    if episode.ram_sha256 is not None:
        lines.append(f"comment {RAM_COMMENT} {episode.ram_sha256}")
    lines += [f"|0|{_letters(buttons)}|||" for buttons in episode.buttons]
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def read_fm2(path: Path, rom: Rom) -> Episode:
    """Reads a movie that begins at power-on, made for `rom`.

    Raises:
        EpisodeError: missing, damaged, cut short, for another ROM, or what cannot be played here:
            a start from a savestate, PAL, binary movies, resets, a second controller's buttons.
    """
    source = f"the movie {str(path)!r}"
    text = read_bytes(path, MOST_BYTES).decode("utf-8", errors="replace")
    header: dict[str, str] = {}
    comments: dict[str, str] = {}
    buttons = bytearray()
    if not text.startswith("version "):
        raise EpisodeError(f"{source} is no FM2 movie: it does not begin with 'version 3'")
    # Not splitlines(), which takes form feeds and the like for ends of lines.
    *lines, rest = text.split("\n")
    if rest.startswith("|") and not _LINE.fullmatch(rest.rstrip("\r")):
        raise EpisodeError(f"{source} is cut short: its last line is {rest[:80]!r}")
    for number, raw in enumerate([*lines, rest], 1):
        line = raw.rstrip("\r")
        if line.startswith("|"):
            if not buttons:
                _check_header(header, source, rom)
            if len(buttons) == MOST_FRAMES:
                raise EpisodeError(f"{source} has more than {MOST_FRAMES:,} frames")
            buttons.append(_buttons(line, f"{source}, line {number}", first=not buttons))
        elif line.strip():
            if buttons:
                raise EpisodeError(
                    f"{source}, line {number}: {line[:80]!r} stands among the frames; a frame's "
                    "line is like |0|R.....BA|||"
                )
            key, _, value = line.partition(" ")
            if key == "comment":
                word, _, value = value.partition(" ")
                comments[word] = value.strip()
            else:
                header[key] = one_line(value.strip(), 200)  # it may be printed
    if not buttons:
        raise EpisodeError(f"{source} has no frames: is it cut short, or a binary movie?")
    digest = comments.get(RAM_COMMENT)
    if digest is not None and not re.fullmatch("[0-9a-f]{64}", digest):
        raise EpisodeError(f"{source}: the comment {RAM_COMMENT} is damaged: {digest[:80]!r}")
    return Episode(
        rom=RomIdentity(sha1=rom.sha1, revision=rom.revision),
        start=POWER_ON,
        frames=len(buttons),
        ram_sha256=digest,
        player=MoviePlayer(author=_line(comments.get(AUTHOR_COMMENT, "")) or None),
        buttons=bytes(buttons),
    )


def _check_header(header: dict[str, str], source: str, rom: Rom) -> None:
    version = header.get("version")
    if version != "3":
        raise EpisodeError(f"{source} has FM2 version {version!r}; only version 3 can be read")
    if "savestate" in header:
        raise EpisodeError(
            f"{source} begins from a savestate of its emulator; only movies that begin when the "
            "console is switched on can be played"
        )
    refused = {
        "binary": "its frames are binary: save it as text in FCEUX",
        "palFlag": "it is for PAL consoles; only NTSC timing can be run",
        "fourscore": "it uses an adapter for four controllers",
        "FDS": "it is for the Famicom Disk System",
        "port2": "it uses a device at the expansion port",
    }
    for key, why in refused.items():
        if header.get(key, "0") not in ("0", ""):
            raise EpisodeError(f"{source} cannot be played: {why} ({key} {header[key]})")
    if header.get("port0", "1") != "1":
        raise EpisodeError(
            f"{source} cannot be played: port0 is {header['port0']}, and only a gamepad (1) can be "
            "in the first port"
        )
    wanted = rom_checksum(rom)
    given = header.get("romChecksum")
    if given is None:
        raise EpisodeError(f"{source} does not say for which ROM it is: romChecksum is missing")
    if given != wanted:
        raise EpisodeError(
            f"{source} is for another ROM: {header.get('romFilename', 'unnamed')!r} with checksum "
            f"{given}, and this is {rom.revision!r} with {wanted} ({rom.path}). Name the other ROM "
            "with --rom"
        )


def _buttons(line: str, source: str, *, first: bool) -> int:
    match = _LINE.fullmatch(line)
    if match is None or len(match[2]) != len(BUTTON_LETTERS):
        raise EpisodeError(
            f"{source}: {line[:80]!r} is no frame; a frame's line is like |0|R.....BA|||"
        )
    commands = int(match[1] or 0)
    # Movies of some emulators switch the console on in their first frame: here it is already.
    if first:
        commands &= ~POWER
    if commands:
        what = {SOFT_RESET: "a reset", POWER: "switching off and on"}.get(commands, "a command")
        raise EpisodeError(
            f"{source}: {what} (commands {match[1]}) within a movie cannot be played here"
        )
    if match[3].strip(_RELEASED):
        raise EpisodeError(
            f"{source}: the second controller holds {match[3][:80]!r}; there is only the first here"
        )
    pressed = ("0" if letter in _RELEASED else "1" for letter in match[2])
    return int("".join(pressed), 2)


def _letters(buttons: int) -> str:
    bits = f"{buttons:08b}"
    return "".join(
        letter if bit == "1" else "." for letter, bit in zip(BUTTON_LETTERS, bits, strict=True)
    )


def _line(text: str) -> str:
    """Returns as much of it as can stand in a header or in an episode."""
    return "".join(letter for letter in text if letter.isprintable())[:200]


def _emulator_version() -> int:
    """FCEUX writes its version as a whole number; so is ours: 0.1.2 is 102."""
    major, minor, patch = (int(part) for part in re.findall(r"\d+", VERSION)[:3])
    return major * 10_000 + minor * 100 + patch
