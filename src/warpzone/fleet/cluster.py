"""Ray, as far as it is installed, and a session with a cluster of it or with this machine alone."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from warpzone.errors import ConfigError, MissingPackageError, RunError
from warpzone.extras import AGENT, install_line, need

MODULES = ("ray", "pandas", "pyarrow", "fsspec", "requests")
"""Of the extra: Ray, and what its Tune asks for."""

RESTARTS = 5
"""Times that a trial is begun anew whose worker or machine is lost."""
OBJECT_STORE = 80 << 20
"""Bytes of memory for what actors exchange on one machine; here that is settings and results."""

_SETTINGS = {
    # Nothing is told to anybody.
    "RAY_USAGE_STATS_ENABLED": "0",
    # Metrics are in the run directories; and Ctrl-C is ours to answer.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_THRESHOLD_S": "60",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
}


def require_ray(address: str | None = None) -> Any:
    """Returns the module `ray`, with Ray Tune.

    Args:
        address: of the cluster that is to be used; None: one on this machine, which is to ask
            whoever connects to it for a token.

    Raises:
        MissingPackageError: it is not installed, or not with Tune.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    # Ray reads this when it is imported; afterwards its own default holds.
    if address is None and "ray" not in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        if "RAY_AUTH_TOKEN_PATH" not in os.environ:
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    need("A fleet", train=AGENT, ray=MODULES)
    try:
        import ray
        import ray.tune
    except ImportError as error:
        raise MissingPackageError(
            f"Ray is installed, and cannot be imported with Tune: {error}. Install it anew:"
            f" {install_line(['ray'])}"
        ) from error
    return ray


@contextmanager
def session(address: str | None = None, cpus: int | None = None) -> Iterator[Any]:
    """Yields the module `ray`, connected; a session that stands already is used, and stays.

    On one machine Ray asks whoever connects to it for a token, which is made anew.

    Args:
        address: of a cluster, as `ray.init` has it, "auto" for the one that runs here; None: one is
            begun on this machine, and ended.
        cpus: that it may use on this machine; None: all.

    Raises:
        MissingPackageError: Ray is not installed.
        ConfigError: CPUs are given, and a cluster, which has its own.
        RunError: no cluster there, or one that refuses.
    """
    ray = require_ray(address)
    if address is not None and cpus is not None:
        raise ConfigError(
            f"the cluster at {address} knows how many CPUs it has: leave out --jobs, or --address"
        )
    if ray.is_initialized():
        yield ray
        return
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is not None:
        settings["address"] = address
    else:
        # Another cluster of this machine is meant only where it is named.
        settings |= {
            "address": "local",
            "num_cpus": cpus,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE,
        }
        if sys.platform != "win32":
            settings["_node_ip_address"] = "127.0.0.1"
    try:
        ray.init(**settings)
    except Exception as error:
        where = "on this machine" if address is None else f"at {address!r}"
        text = " ".join(str(error).split())
        raise RunError(f"no session with Ray {where}: {text[:400]}") from error
    try:
        yield ray
    finally:
        ray.shutdown()
