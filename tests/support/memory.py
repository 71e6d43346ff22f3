"""Whether memory is given back without waiting for a garbage collection."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any


def freed_at_once(use: Callable[[], weakref.ref[Any]]) -> bool:
    """Returns whether what `use` made, and returns a weak reference to, is gone when it ends."""
    gc.collect()
    gc.disable()
    try:
        return use()() is None
    finally:
        gc.enable()
