"""The dashboard within a cell of a notebook, also of one that is hosted elsewhere."""

from __future__ import annotations

import html
import os
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from warpzone.dashboard.server import Beside, new_token
from warpzone.errors import ConfigError, RunError
from warpzone.runs.library import printable

HUB = "JUPYTERHUB_SERVICE_PREFIX"
"""The variable in which JupyterHub says what its addresses begin with."""
COLAB = "google.colab"
LEAST_HEIGHT, MOST_HEIGHT = 100, 10_000

_served: dict[Path, tuple[Beside, str]] = {}
"""By folder, so that a cell that is run again finds what it began."""


class View:
    """The dashboard as the value of a cell.

    Attributes:
        url: what a browser of the machine that serves it opens.
        address: what the frame in the notebook shows.
    """

    def __init__(
        self, server: Beside, token: str, page: str, proxy: str | None, height: int
    ) -> None:
        self.url = server.url + page
        self.address = (
            self.url if proxy is None else proxy.format(port=server.port) + token + "/" + page
        )
        self._server, self._height = server, height
        self._path = f"/{token}/{page}"

    def close(self) -> None:
        """Ends the server, for every cell that shows it."""
        self._server.close()

    def __repr__(self) -> str:
        return f"<dashboard at {self.url}>"

    def _repr_html_(self) -> str:
        return (
            f'<iframe src="{html.escape(self.address)}" width="100%" height="{self._height}" '
            'style="border: 0" title="warpzone"></iframe>'
        )

    def _ipython_display_(self) -> None:
        if COLAB not in sys.modules:
            # IPython's way to be told that there is none: it then asks for the HTML.
            raise NotImplementedError
        # Its pages reach a port only through an address that Colab makes.
        output = sys.modules[COLAB].output
        output.serve_kernel_port_as_iframe(
            self._server.port, path=self._path, height=str(self._height)
        )


def show(
    run: str | Path = "runs",
    *,
    height: int = 700,
    proxy: str | None = None,
    log: Callable[[str], None] = print,
) -> View:
    """Shows a run, or the runs of a folder, in the cell of a notebook, while they are trained too.

    A process of its own serves them on this machine, until the notebook's kernel ends. Its
    addresses hold a token: who does not know it sees nothing, also where a proxy makes the port
    reachable for others.

    Args:
        run: a run directory, or a folder of them; made where there is none.
        height: of the frame, in pixels, 100 to 10,000.
        proxy: the address at which the browser reaches the port `{port}` of this machine, such as
            "/proxy/{port}/" with jupyter-server-proxy; None: found by itself on JupyterHub and
            Colab, elsewhere the port itself on the browser's own machine.
        log: receives the address, as one line.

    Returns:
        What a notebook shows as a frame.

    Raises:
        ConfigError: a height out of its range, or a proxy without `{port}`.
        RunError: the folder cannot be made.
        ServerError: the server cannot be started.
    """
    if not LEAST_HEIGHT <= height <= MOST_HEIGHT:
        raise ConfigError(f"height is {height}, must be {LEAST_HEIGHT} to {MOST_HEIGHT:,} pixels")
    if proxy is None and HUB in os.environ:
        proxy = f"{os.environ[HUB].rstrip('/')}/proxy/{{port}}/"
    if proxy is not None:
        if proxy.count("{port}") != 1 or proxy.count("{") != 1 or proxy.count("}") != 1:
            raise ConfigError(
                f"proxy is {proxy!r}: it must hold {{port}} once, and no other braces"
            )
        proxy = proxy.rstrip("/") + "/"
    path = Path(run).resolve()
    is_run = (path / "config.json").is_file()
    folder = path.parent if is_run else path
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{str(folder)!r} cannot be made: {error.strerror or error}") from None
    server, token = _served.get(folder, (None, ""))
    if server is None or not server.runs:
        token = new_token()
        server = Beside(folder, 0, token)
        _served[folder] = server, token
    view = View(
        server, token, f"#/run/{quote(printable(path.name))}" if is_run else "", proxy, height
    )
    log(f"dashboard: {view.url}")
    return view
