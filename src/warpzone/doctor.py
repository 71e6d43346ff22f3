"""`warpzone doctor`: what is installed, on which device, with which ROM, and does it run."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from warpzone.cpu import available_cores
from warpzone.errors import EngineError, WarpzoneError
from warpzone.extras import (
    AGENT,
    DASHBOARD,
    DISTRIBUTIONS,
    FILM,
    WINDOW,
    install_line,
    is_there,
    missing_of,
)

LIBRARIES = (
    "filelock",
    "gymnasium",
    "llvmlite",
    "numpy",
    "platformdirs",
    "pydantic",
    "rich",
    "typer",
)
"""What every installation brings."""
EXTRAS = {
    "train": AGENT,
    "watch": (*WINDOW, *FILM),
    "dashboard": DASHBOARD,
}
"""What the others bring: names of modules."""
CACHE_SECONDS = 1.0
"""How long to wait for native code out of the cache before saying that it is not in use."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        name: what was looked at.
        ok: True is well, False must be mended before training works, None is only worth knowing.
        text: what was found, or what to do.
    """

    name: str
    ok: bool | None
    text: str


def examine(rom: str | Path | None = None) -> list[Finding]:
    """Look at everything a training run needs, without network; a cartridge may be translated."""
    findings = [_python(), _libraries(), _extras(), _native(), _processor(), _device()]
    rom_finding = _guarded("ROM", lambda: _rom(rom))
    findings.append(rom_finding)
    if rom_finding.ok:
        findings.append(_guarded("self-test", lambda: _self_test(rom)))
        findings.append(_guarded("games", lambda: _games(rom)))
    findings += [_window(), _films()]
    return findings


def as_json(findings: list[Finding]) -> dict[str, Any]:
    """One object: `ok`, and `findings` as a list of `name`, `ok`, `text`."""
    return {"ok": healthy(findings), "findings": [asdict(finding) for finding in findings]}


def healthy(findings: list[Finding]) -> bool:
    return all(finding.ok is not False for finding in findings)


def _guarded(name: str, look: Callable[[], Finding]) -> Finding:
    """A doctor must not fall ill: whatever goes wrong is a finding."""
    try:
        return look()
    except WarpzoneError as error:
        return Finding(name, False, str(error))
    except Exception as error:
        return Finding(name, False, f"{type(error).__name__}: {error}")


def _python() -> Finding:
    return Finding(
        "Python",
        sys.version_info >= (3, 11),
        f"{platform.python_version()} ({sys.executable}) on {platform.platform(terse=True)}",
    )


def _libraries() -> Finding:
    of_extras = {DISTRIBUTIONS.get(name, name) for names in EXTRAS.values() for name in names}
    versions, missing = [], []
    for name in ("warpzone", *LIBRARIES, *sorted(of_extras)):
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            if name not in of_extras:
                missing.append(name)
    if missing:
        return Finding("libraries", False, f"missing: {', '.join(missing)}; run pip install again")
    return Finding("libraries", True, ", ".join(versions))


def _extras() -> Finding:
    """Which are whole; it is well to leave any of them out."""
    missing = missing_of(EXTRAS)
    whole = [name for name in EXTRAS if name not in missing]
    found = f"installed: {', '.join(whole) or 'none, so games alone'}"
    if not missing:
        return Finding("extras", True, found)
    return Finding("extras", None, f"{found}; for more: {install_line(list(missing))}")


def _native() -> Finding:
    try:
        from warpzone import _native as native
    except ImportError as error:
        return Finding("engine", False, f"not built ({error}); run pip install again")
    return Finding(
        "engine", True, f"{Path(str(native.__file__)).name}, built with {native.COMPILER}"
    )


def _processor() -> Finding:
    return Finding("processor", None, f"{platform.machine()}, {available_cores()} cores usable")


def _device() -> Finding:
    if not is_there("torch"):
        return Finding("device", None, f"nothing to train with: {install_line(['train'])}")
    try:
        import torch
    except ImportError as error:
        return Finding("device", False, f"torch cannot be loaded: {error}")
    from warpzone.hardware import has_bfloat16, pick_device

    device = pick_device("auto")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "no CUDA device"
    precision = "bfloat16" if has_bfloat16(device) else "float32"
    return Finding("device", True, f"{device.type} ({name}), trains in {precision}")


def _rom(path: str | Path | None) -> Finding:
    from warpzone.smb.rom import find_rom

    rom = find_rom(path, fetch=False)
    return Finding(
        "ROM", True, f"{rom.path} ({rom.revision}, SHA-1 {rom.sha1}, found: {rom.origin})"
    )


def _self_test(rom: str | Path | None) -> Finding:
    """Boot 1-1, walk right for a second, and see whether Mario moved."""
    from warpzone.smb.env import MarioEnv

    env = MarioEnv("1-1", actions=[["right"]], rom=rom)
    _, start = env.reset(seed=0)
    signals = start
    for _ in range(15):
        *_, signals = env.step(0)
    env.close()
    moved = int(signals["x"]) - int(start["x"])
    if moved <= 0:
        return Finding("self-test", False, "1-1 started, but Mario does not move")
    return Finding("self-test", True, f"1-1 started, Mario walked {moved} px in a second")


def _games(rom: str | Path | None) -> Finding:
    """Native code or interpreter, and why: both are well."""
    from warpzone.nes.cartridge import cartridge_of, open_rom

    cartridge = cartridge_of(open_rom(rom))
    if cartridge.engine is not None:
        with suppress(EngineError):  # then `running` says so
            cartridge.engine.wait(CACHE_SECONDS)
    return Finding("games", None, cartridge.running)


def _window() -> Finding:
    from warpzone.viewers.window import missing_display

    if not is_there("pygame"):
        return Finding("window", None, f"nothing to open one with: {install_line(['watch'])}")
    reason = missing_display() or _video_fault()
    if reason is None:
        return Finding("window", True, "a screen is there; warpzone watch and play can be used")
    return Finding("window", None, f"{reason}; use warpzone record instead of watch")


def _video_fault() -> str | None:
    import pygame

    try:
        pygame.display.init()
        return None
    except pygame.error as error:
        return f"the screen cannot be used ({error})"
    finally:
        pygame.display.quit()


def _films() -> Finding:
    if not is_there("imageio_ffmpeg"):
        return Finding("films", None, f"nothing to encode them with: {install_line(['films'])}")
    try:
        import imageio_ffmpeg

        return Finding("films", True, f"ffmpeg {imageio_ffmpeg.get_ffmpeg_version()}")
    except Exception as error:
        return Finding("films", False, f"ffmpeg cannot be started: {error}")
