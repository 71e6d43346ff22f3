"""Code of a user's own, named as `module:name`.

Importing a module runs it. So it is for whoever calls this to know that the user has named it, in
the settings of a run or on the command line: never is something imported because a file of somebody
else names it.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import Any

from warpzone.errors import ConfigError

CODE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
"""`module:name`."""


def imported(code: str, what: str) -> Any:
    """Returns what `module:name` names; modules in the folder that the program was started in are
    found too.

    Args:
        code: the text.
        what: it is to be, for messages: "reward".

    Raises:
        ConfigError: the text is not of that form; there is no such module, or nothing of that name
            in it; or importing it fails.
    """
    if not CODE.fullmatch(code):
        raise ConfigError(
            f"the {what} {code!r} is not of the form module:name, e.g. my_code:{what}"
        )
    module, _, name = code.partition(":")
    # A command does not look into the folder that it is called in, where such code often lies.
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the {what} {code!r} cannot be imported: there is no module {error.name or module!r}."
            f" Begin in the folder that it lies in (this is {here}), or install it"
        ) from error
    except Exception as error:
        raise ConfigError(f"the {what} {code!r} cannot be imported: {described(error)}") from error
    if not hasattr(found, name):
        names = [n for n, v in vars(found).items() if callable(v) and not n.startswith("_")]
        known = f"; there are {', '.join(names)}" if names else ""
        raise ConfigError(f"the {what} {code!r} is not there: {module} has no {name!r}{known}")
    return getattr(found, name)


def described(error: BaseException) -> str:
    """Returns what an error in a user's code says, and where it was raised, in one line."""
    place, trace = "", error.__traceback__
    while trace is not None:
        place = f" ({trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno})"
        trace = trace.tb_next
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"
