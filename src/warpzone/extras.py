"""Packages that only an extra of the installation brings, and what is said where one is missing.

    need("A film", films=("PIL", "imageio_ffmpeg"))

A leaf. Whoever imports such a package asks here first, so that nobody meets a bare ImportError;
what there is to install is in `pyproject.toml`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from warpzone.errors import MissingPackageError

DISTRIBUTIONS = {"PIL": "pillow", "pygame": "pygame-ce", "imageio_ffmpeg": "imageio-ffmpeg"}
"""Names of modules that are not those of their packages."""

AGENT = ("torch", "safetensors")
"""For whoever has an agent play, or trains one."""
WINDOW = ("pygame",)
FILM = ("PIL", "imageio_ffmpeg")
DASHBOARD = ("plotly", "starlette", "uvicorn", "websockets", "PIL")


def is_there(module: str) -> bool:
    """Whether a top-level module can be found; it is not imported."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # a finder refused it; a half-made module without a spec
        return False


def missing_of(extras: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Returns the extras, each with those of its modules that are not installed, if any are."""
    found = {
        extra: [name for name in names if not is_there(name)] for extra, names in extras.items()
    }
    return {extra: names for extra, names in found.items() if names}


def install_line(extras: Sequence[str]) -> str:
    """Returns what to type to get them."""
    return f"pip install 'warpzone[{','.join(extras)}]'"


def need(what: str, **extras: Sequence[str]) -> None:
    """Checks that what an extra brings is installed, before it is imported.

    Args:
        what: what needs it, as the beginning of a sentence.
        extras: by the name of an extra, those of its modules that are needed.

    Raises:
        MissingPackageError: some are missing; the text names them and the line that installs all.
    """
    missing = missing_of(extras)
    if not missing:
        return
    modules = list(dict.fromkeys(name for names in missing.values() for name in names))
    packages = [DISTRIBUTIONS.get(name, name) for name in modules]
    are = "is" if len(packages) == 1 else "are"
    listed = ", ".join(packages[:-1]) + " and " * (len(packages) > 1) + packages[-1]
    raise MissingPackageError(
        f"{what} needs {listed}, which {are} not installed: {install_line(list(missing))}",
        name=modules[0],
    )
