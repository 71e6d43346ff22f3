"""Gives a cartridge its native code: from the cache, or translated while the games already run."""

from __future__ import annotations

import atexit
import base64
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warpzone import _native
from warpzone.errors import EngineError, FileError
from warpzone.nes.recompiler import flow

if TYPE_CHECKING:
    from warpzone.nes.recompiler.cache import Entry

WORTH_IT = 8
"""So many newly seen places are worth another translation."""

PATIENCE = 600
"""Seconds after which a translation, one's own or another process's, is given up."""

_unforkable = threading.Lock()
"""Held while modules are imported and while LLVM works, in threads that a forked process lacks: it
would keep modules that are half imported, and LLVM's locks held by nobody. A fork waits for it."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_unforkable.acquire,
        after_in_parent=_unforkable.release,
        after_in_child=_unforkable.release,
    )

# The process must not end inside LLVM either.
atexit.register(_unforkable.acquire, timeout=5)


def _import_llvm() -> None:
    """Imports what this module leaves out at first, since LLVM takes longer than a game's boot."""
    with _unforkable:
        import warpzone.nes.recompiler.cache
        import warpzone.nes.recompiler.loader  # noqa: F401


@dataclass(frozen=True)
class Order:
    """What is to be translated: an iNES image, snapshots to play on from, known places, and whether
    the console is to have all even where a plain one would do."""

    image: bytes
    starts: tuple[bytes, ...]
    wanted: frozenset[int]
    full: bool = False

    def as_json(self) -> str:
        return json.dumps(
            {
                "image": base64.b64encode(self.image).decode(),
                "starts": [base64.b64encode(start).decode() for start in self.starts],
                "wanted": sorted(self.wanted),
                "full": self.full,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Order:
        fields = json.loads(text)
        return cls(
            base64.b64decode(fields["image"]),
            tuple(base64.b64decode(start) for start in fields["starts"]),
            frozenset(fields["wanted"]),
            bool(fields["full"]),
        )


def make(order: Order) -> bytes:
    """Translates in this process, unless another has just done so.

    Returns:
        What the cache's file holds. On the way it goes into the cache, if the cache takes it.
    """
    import filelock

    from warpzone.nes.recompiler import cache
    from warpzone.nes.recompiler.translate import translate

    cartridge = _native.Cartridge(order.image, order.full)
    program = flow.identity_of(cartridge)
    with contextlib.ExitStack() as stack:
        try:
            cache.directory().mkdir(parents=True, exist_ok=True)
            lock = cache.path_of(program).with_suffix(".lock")
            stack.enter_context(filelock.FileLock(lock, timeout=PATIENCE))
        except (OSError, filelock.Timeout) as error:
            print(f"not guarded against others: {error}", file=sys.stderr)
        with contextlib.suppress(cache.Unusable):
            entry = cache.read(program)
            if entry is not None and order.wanted <= entry.wanted:
                return cache.pack(program, entry)
        made = translate(cartridge, order.starts, order.wanted)
        entry = cache.Entry(
            made.object_code, order.wanted, made.instructions, made.regions, made.seconds
        )
        try:
            cache.write(program, entry)
        except FileError as error:
            print(f"it is not kept: {error}", file=sys.stderr)
        return cache.pack(program, entry)


class Engine:
    """Finds or makes the native code of one cartridge.

    Args:
        cartridge: the cartridge.
        image: the same as an iNES image.
        starts: makes snapshots from which play shows what is code.

    Games begin with the interpreter where there is no native code yet, and change over when it
    comes. Whatever goes wrong on the way is kept as the reason for staying with the interpreter.
    """

    def __init__(
        self,
        cartridge: _native.Cartridge,
        image: bytes,
        starts: Callable[[], Sequence[bytes]],
    ) -> None:
        self._cartridge, self._image, self._starts = cartridge, image, starts
        self._program = flow.identity_of(cartridge)
        self._known: frozenset[int] = frozenset()
        self.reason = "native code is being looked for"
        """Why games run as they do."""
        self._begin()
        atexit.register(self._remember)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin_again)

    def _begin(self) -> None:
        self.settled = threading.Event()
        """Set when no more native code is to come."""
        self._usable = threading.Event()  # there is some, or there will be none
        # Loading LLVM alone takes longer than booting a game.
        threading.Thread(target=self._provide, name="translation", daemon=True).start()

    def _begin_again(self) -> None:
        """Goes on in a forked process, which has none of its parent's threads."""
        if not self.settled.is_set():
            self._begin()

    @property
    def compiled(self) -> bool:
        """Whether native code is in use now."""
        return self._cartridge.compiled

    def wait(self, timeout: float | None = None) -> None:
        """Returns when native code is in use, or `timeout` seconds later.

        Raises:
            EngineError: there will be none.
        """
        if self._usable.wait(timeout) and not self.compiled:
            raise EngineError(f"{self.reason}. Choose the engine 'interpreter' or 'auto'")

    def _provide(self) -> None:
        try:
            _import_llvm()
            if not self._use_cached():
                self._translate()
        except Exception as error:  # nothing that goes wrong here may keep anybody from playing
            if not self.compiled:
                self.reason = f"no native code: {type(error).__name__}: {error}"
        finally:
            self._usable.set()
            self.settled.set()

    def _use_cached(self) -> bool:
        """Uses what the cache has. Returns whether that is all that can be had."""
        from warpzone.nes.recompiler import cache

        self._known = cache.read_wanted(self._program)
        try:
            entry = cache.read(self._program)
        except cache.Unusable as error:
            self.reason = f"being translated again, since {error}"
            return False
        if entry is None:
            self.reason = "being translated in the background"
            return False
        self._use(entry, "out of the cache")
        return len(self._known - entry.wanted) < WORTH_IT

    def _translate(self) -> None:
        """Has another process translate, waits for it, uses what comes."""
        from warpzone.nes.recompiler import cache

        starts = tuple(self._starts())
        order = Order(self._image, starts, self._known, not self._cartridge.plain)
        done = subprocess.run(
            # -P: not what lies in the user's current directory.
            [sys.executable, "-P", "-m", "warpzone.nes.recompiler"],
            input=order.as_json().encode(),
            capture_output=True,
            timeout=PATIENCE,
            start_new_session=True,  # goes on, for next time, if this process ends first
            check=False,
        )
        said = done.stderr.decode(errors="replace").strip().splitlines()
        if done.returncode != 0:
            raise EngineError(said[-1] if said else f"exit status {done.returncode}")
        self._use(cache.unpack(self._program, done.stdout), said[-1] if said else "just now")

    def _use(self, entry: Entry, origin: str) -> None:
        from warpzone.nes.recompiler.loader import load

        with _unforkable:
            loaded = load(entry.object_code)
            self._cartridge.use(loaded.enter, loaded.unknown, loaded.regions, loaded.region_count)
        self.reason = (
            f"{entry.instructions:,} instructions in {entry.regions:,} regions, translated in "
            f"{entry.seconds:.0f} s, {origin}"
        )
        self._usable.set()

    def _remember(self) -> None:
        """What ran in the interpreter for want of native code joins the next translation."""
        from warpzone.nes.recompiler import cache

        program = flow.program_of(self._cartridge)
        wanted = {
            place
            for place in set(self._cartridge.wanted()) - self._known
            if program.decode(place) is not None
        }
        if wanted:
            with contextlib.suppress(FileError):
                cache.add_wanted(self._program, wanted)
