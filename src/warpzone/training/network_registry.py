"""Networks by name: those that come along, those of installed packages, and a user's own.

A network is a class of torch modules. `Class(shapes, hidden, **options)` makes one, of the shapes
of one observation's arrays by name, the widths of `network.hidden` and the settings of
`network.options`; called with a batch of observations, it returns features float32 [B, hidden[-1]],
which the policy's heads make logits and a value of. One with `state_width`, `encode` and `step` has
a memory: see `warpzone.training.recurrent`.

Quick to import: it loads no torch. Nothing is imported because a file names it: code is named by
whoever runs the program, by `name_network`, `register_network` or the settings of a run.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, TypeVar, overload

from warpzone.errors import ConfigError
from warpzone.own_code import CODE, imported

if TYPE_CHECKING:
    from torch import nn

GROUP = "warpzone.networks"
"""Of entry points by which an installed package offers networks."""
BUILT_IN = ("tiles", "patches", "cnn", "tutorial", "gru")
NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)

NetworkClass = Callable[..., "nn.Module"]
Class = TypeVar("Class", bound=NetworkClass)

_registered: dict[str, NetworkClass] = {}
_named: dict[str, None] = {}
"""Code that the user has named, as `module:Class`, in that order."""


@overload
def register_network(name: str) -> Callable[[Class], Class]: ...
@overload
def register_network(name: str, network: Class) -> Class: ...
def register_network(name: str, network: Any = None) -> Any:
    """Lets `network.kind` name a class; as a decorator, or called with it.

    >>> @register_network("rows")
    ... class Rows(nn.Module): ...

    Args:
        name: letters, digits, `_`, `-` and `.`.
        network: the class, see the module.

    Raises:
        ConfigError: an impossible name, or that of another network.
    """
    if network is None:
        return lambda given: register_network(name, given)
    if not NAME.fullmatch(name):
        raise ConfigError(f"a network cannot be named {name!r}: take letters, digits, _ and -")
    known = _registered.get(name)
    taken = name in BUILT_IN and network.__module__ != "warpzone.training.networks"
    # A module that is loaded again, as in a notebook, brings its own class anew.
    if taken or (known is not None and _identity(known) != _identity(network)):
        raise ConfigError(f"there is a network {name!r} already: give this one another name")
    _registered[name] = network
    return network


def name_network(code: str) -> None:
    """Allows this process to import a class `module:Class` as soon as a network needs it: then
    agents whose file names it can be loaded, or those that the module registers.

    Raises:
        ConfigError: the text is not of that form.
    """
    if not CODE.fullmatch(code):
        raise ConfigError(
            f"{code!r} names no network's code: write module:Class, e.g. own_network:Rows"
        )
    _named[code] = None


def has_memory(kind: str) -> bool:
    """Returns whether the network that `network.kind` names is recurrent.

    Raises:
        ConfigError: as `network_class` does, of one that does not come along.
    """
    if kind in BUILT_IN:
        return kind == "gru"
    return all(hasattr(network_class(kind), name) for name in ("encode", "step"))


def network_class(kind: str) -> NetworkClass:
    """Returns the class that `network.kind` names.

    Raises:
        ConfigError: there is none of that name; it is code that nobody but a file has named; or the
            module or class is missing, or no network.
    """
    if kind in BUILT_IN:
        importlib.import_module("warpzone.training.networks")
    if kind in _registered:
        return _registered[kind]
    if kind in _named:
        return _imported(kind)
    if not CODE.fullmatch(kind):
        installed = [point for point in entry_points(group=GROUP) if point.name == kind]
        if installed:
            try:
                return _checked(installed[0].load(), kind)
            except (ImportError, AttributeError) as error:
                raise ConfigError(
                    f"the network {kind!r} of an installed package cannot be loaded from"
                    f" {installed[0].value}: {error}"
                ) from error
        for code in _named:  # a module may register the name
            _imported(code)
        if kind in _registered:
            return _registered[kind]
        known = sorted({*BUILT_IN, *_registered, *(p.name for p in entry_points(group=GROUP))})
        raise ConfigError(
            f"there is no network {kind!r}; there are {', '.join(known)}. One of your own is named"
            " by its code: --network module:Class, or in Python import the module that registers it"
        )
    raise ConfigError(
        f"the network {kind!r} is code of its own, which is not imported because a file names it."
        f" If you trust it, name it: --network {kind}, or in Python"
        f" warpzone.training.name_network({kind!r})"
    )


def _imported(code: str) -> NetworkClass:
    return _checked(imported(code, "network"), code)


def _checked(found: Any, name: str) -> NetworkClass:
    from torch import nn

    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ConfigError(f"the network {name} is {found!r}, not a class of torch.nn.Module")
    network: NetworkClass = found
    return network


def _identity(network: Any) -> tuple[str, str]:
    return network.__module__, network.__qualname__
