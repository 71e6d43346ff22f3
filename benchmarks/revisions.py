"""Another revision of this project, built, to be measured in turns with this one.

A clone of the revision lies in the user's cache with its native module in it and an interpreter of
its own, which imports that revision and the packages that are installed here. What is measured of
it is its own benchmark script, so that options that were called otherwise do no harm.
"""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from warpzone.errors import WarpzoneError

ROOT = Path(__file__).resolve().parent.parent
_WARM_UP = "import sys, warpzone; warpzone.make('1-1', rom=sys.argv[1], engine='compiled').reset()"
_LOOK = "import warpzone, warpzone._native; print(warpzone._native.__file__)"


@dataclass(frozen=True)
class Revision:
    """A revision that can be run."""

    commit: str
    folder: Path
    """Its files, with the native module in src/warpzone."""
    python: Path

    @property
    def name(self) -> str:
        """Returns the first digits of the commit."""
        return self.commit[:9]

    def warm_up(self, rom: Path, log: Callable[[str], None]) -> None:
        """Makes the cartridge's native code, once for a revision, and reads what a run reads."""
        try:
            _run([str(self.python), "-c", _WARM_UP, str(rom)], f"a game of {self.name}")
        except WarpzoneError as error:  # then its games are interpreted, as the user's would be
            log(str(error))

    def benchmark(self, module: str, options: Sequence[str], out: Path) -> dict[str, Any]:
        """Runs `benchmarks.MODULE` of this revision; returns the JSON that it leaves in `out`.

        Raises:
            WarpzoneError: it failed, or the revision has no such benchmark.
        """
        if not (self.folder / "benchmarks" / f"{module}.py").is_file():
            raise WarpzoneError(f"{self.name} has no benchmarks/{module}.py: choose a later one")
        line = [str(self.python), "-m", f"benchmarks.{module}", *options]
        _run(line, f"benchmarks.{module} of {self.name}", cwd=self.folder)
        result: dict[str, Any] = json.loads(out.read_text())
        return result


def commit_of(revision: str, root: Path = ROOT) -> str:
    """Returns the whole name of a commit, tag or branch.

    Raises:
        WarpzoneError: there is no such revision, or no repository around `root`.
    """
    line = ["git", "-C", str(root), "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    try:
        return _run(line, "git").strip()
    except WarpzoneError:
        raise WarpzoneError(
            f"no revision {revision!r} in {root}: name a commit, tag or branch of a git clone"
        ) from None


def build(
    revision: str, log: Callable[[str], None], folder: Path | None = None, root: Path = ROOT
) -> Revision:
    """Builds `revision` of the repository `root`, unless that has been done.

    Args:
        revision: a commit, tag or branch.
        log: takes lines about what takes minutes.
        folder: where it is kept, with others; None: in the user's cache.
        root: the repository.

    Raises:
        WarpzoneError: there is no such revision, something to build it with is missing, or it
            cannot be built or imported.
    """
    commit = commit_of(revision, root)
    home = (folder or Path(platformdirs.user_cache_dir("warpzone", False)) / "revisions") / commit
    package = home / "source" / "src"
    mark, asked = home / "built.json", json.dumps({"python": sys.version})
    if mark.is_file() and mark.read_text() == asked:
        # Made anew: the packages that are installed here may lie elsewhere now.
        return Revision(commit, home / "source", make_python(home / "python", [package]))
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    built = Revision(commit, home / "source", make_python(home / "python", [package]))
    log(f"building {built.name} in {home}: some minutes")
    _run(["git", "clone", "--quiet", "--no-checkout", str(root), str(built.folder)], "git clone")
    _run(["git", "-C", str(built.folder), "checkout", "--quiet", "--detach", commit], "git")
    _compile(built, home / "build")
    found = Path(_run([str(built.python), "-c", _LOOK], f"import of {built.name}").strip())
    if package.resolve() not in found.resolve().parents:
        raise WarpzoneError(f"{built.name} cannot be measured: Python imports {found} in its place")
    compileall.compile_dir(package, quiet=2)  # as it is here, after the first run
    mark.write_text(asked)
    return built


def make_python(folder: Path, first: Sequence[Path]) -> Path:
    """Returns an interpreter in `folder` that imports from `first` and then as this one does.

    Folders are named one by one: hooks of an editable installation would go before `first`.
    """
    venv.EnvBuilder(clear=True, symlinks=os.name != "nt", with_pip=False).create(folder)
    names = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", names))
    own = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    own |= {path / "lib-dynload" for path in own}
    folders = [Path(entry).resolve() for entry in sys.path if entry and Path(entry).is_dir()]
    left_out = {*own, ROOT, ROOT / "src"}
    lines = dict.fromkeys([*map(str, first), *(str(p) for p in folders if p not in left_out)])
    (site / "measured.pth").write_text("".join(f"{line}\n" for line in lines))
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _compile(revision: Revision, folder: Path) -> None:
    """Builds the native module of `revision` in `folder` and puts it into the package."""
    scripts = str(Path(sys.executable).parent)
    tools = os.pathsep.join((scripts, sysconfig.get_path("scripts"), os.environ.get("PATH", "")))
    cmake, ninja = (shutil.which(name, path=tools) for name in ("cmake", "ninja"))
    if cmake is None:
        raise WarpzoneError("no cmake to build another revision with: pip install '.[test]'")
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"] if ninja is not None else []
    define = ["-DCMAKE_BUILD_TYPE=Release", f"-DPython_EXECUTABLE={revision.python}"]
    if (cache := shutil.which("ccache")) is not None:
        define.append(f"-DCMAKE_CXX_COMPILER_LAUNCHER={cache}")
    where = ["-S", str(revision.folder), "-B", str(folder)]
    _run([cmake, *where, *generator, *define], f"cmake for {revision.name}")
    made = ["--build", str(folder), "--config", "Release", "--target", "_native", "--parallel"]
    _run([cmake, *made, str(os.cpu_count() or 1)], f"building {revision.name}")
    modules = [path for path in folder.rglob("_native*") if path.suffix in (".so", ".pyd")]
    if not modules:
        raise WarpzoneError(f"{revision.name} was built, but no native module is in {folder}")
    shutil.copy2(modules[0], revision.folder / "src" / "warpzone")
    shutil.rmtree(folder, ignore_errors=True)


def _run(line: Sequence[str], what: str, cwd: Path | None = None) -> str:
    """Returns the standard output of a program that does not see this one's `PYTHONPATH`."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(
            line, cwd=cwd, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise WarpzoneError(f"{what} cannot be run: {error}") from error
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-8:]
        raise WarpzoneError(f"{what}: status {done.returncode}: " + "\n".join(words))
    return done.stdout
