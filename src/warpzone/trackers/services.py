"""What each service wants to be told, and how it goes on with a run that it knows already."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from warpzone.extras import is_there

Row = tuple[int, dict[str, float]]
"""Agent steps, and figures by name."""

INIT_SECONDS = 10
"""That Weights & Biases may take to answer before the run is kept offline, unless the environment
says otherwise (WANDB_INIT_TIMEOUT)."""
MLFLOW_LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
"""Its own, 120 seconds and 7 times, are for programs that wait. A user's environment goes first."""
_PARAMS, _METRICS = 100, 1000
"""That one request to MLflow may hold."""
_VALUE = 6000
"""Letters of a parameter there."""


@dataclass(frozen=True)
class About:
    """Which run it is.

    Attributes:
        run: its directory.
        project: that it is listed in.
        config: its settings.
        facts: where it comes from: `commit` of the code, `command`, `warpzone`, the version.
    """

    run: Path
    project: str
    config: Mapping[str, Any]
    facts: Mapping[str, str]

    @property
    def name(self) -> str:
        """What people call it."""
        return self.run.absolute().name


class Service(Protocol):
    """Sends to one service; any call may raise anything, or not return."""

    remark: str | None
    """What to tell the user once it has begun."""

    def start(self, about: About, key: str) -> None:
        """Begins, or goes on with, the run that was begun under `key`, which is ours to choose."""

    def log(self, rows: Sequence[Row]) -> None:
        """Sends figures, in their order."""

    def finish(
        self, state: str, step: int, summary: Mapping[str, float], files: Iterable[Path]
    ) -> None:
        """Sends the last figures and files, and says how the run ended: "finished", "interrupted"
        or "failed"."""


class Wandb:
    """Weights & Biases. Without a login, or where it does not answer, it keeps everything in the
    folder `wandb` of the run, from where `wandb sync` sends it."""

    def __init__(self) -> None:
        self.remark: str | None = None

    def start(self, about: About, key: str) -> None:
        wandb = self._wandb = importlib.import_module("wandb")
        folder = about.run / "wandb"
        settings: dict[str, Any] = {
            "project": about.project,
            "name": about.name,
            "id": key,
            "resume": "allow",
            "dir": str(about.run),
            "config": {**about.config, **about.facts},
        }
        later = f"send it with: wandb sync {shlex.quote(str(folder))}/offline-run-*"
        mode = os.environ.get("WANDB_MODE")
        if mode is None and not _logged_in(wandb):
            mode = "offline"
            self.remark = f"no login, so the run is kept in {folder}; `wandb login`, then {later}"
        try:
            self._run = wandb.init(**settings, **_mode(mode), settings=_wandb_settings(wandb))
        except Exception as error:
            if mode is not None:
                raise
            mode = "offline"
            wandb.teardown()  # which else holds on to the run's key
            self._run = wandb.init(**settings, **_mode(mode), settings=_wandb_settings(wandb))
            self.remark = f"it does not answer ({_line(error)}), so the run is kept in {folder};"
            self.remark += f" {later}"
        if self.remark is None:
            url = getattr(self._run, "url", None)
            self.remark = url or f"the run is kept in {folder}; {later}"

    def log(self, rows: Sequence[Row]) -> None:
        for step, figures in rows:
            self._run.log(figures, step=step)

    def finish(
        self, state: str, step: int, summary: Mapping[str, float], files: Iterable[Path]
    ) -> None:
        for name, value in summary.items():
            self._run.summary[name] = value
        for file in files:
            kind = "model" if file.suffix == ".safetensors" else "file"
            name = _allowed(f"{self._run.id}-{file.stem}", "")
            artifact = self._wandb.Artifact(name, type=kind)
            artifact.add_file(str(file))
            self._run.log_artifact(artifact)
        self._run.finish(exit_code=0 if state == "finished" else 1)


def _logged_in(wandb: Any) -> bool:
    """Whether there is a key, without asking anybody for it."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    if "prompt" in inspect.signature(wandb.login).parameters:
        return bool(wandb.login(prompt=False))
    return bool(wandb.api.api_key)  # older versions


def _wandb_settings(wandb: Any) -> Any:
    if "WANDB_INIT_TIMEOUT" in os.environ:
        return wandb.Settings(console="off")
    return wandb.Settings(console="off", init_timeout=INIT_SECONDS)


def _mode(mode: str | None) -> dict[str, str]:
    return {} if mode is None else {"mode": mode}


class Mlflow:
    """MLflow: the server or store of MLFLOW_TRACKING_URI, else its own default, `mlflow.db` here.

    `mlflow-skinny` alone, without SQLAlchemy, has no store but files, which then go to `mlruns`.
    """

    def __init__(self) -> None:
        self.remark: str | None = None

    def start(self, about: About, key: str) -> None:
        for name, value in MLFLOW_LIMITS.items():
            os.environ.setdefault(name, value)
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if uri is None and not is_there("sqlalchemy"):
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
            uri = Path("mlruns").absolute().as_uri()
        mlflow, entities = (importlib.import_module(name) for name in ("mlflow", "mlflow.entities"))
        self._metric = entities.Metric
        self._client = client = mlflow.MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name(about.project)
        number = (
            client.create_experiment(about.project)
            if experiment is None
            else experiment.experiment_id
        )
        known = client.search_runs([number], filter_string=f"tags.warpzone_run = '{key}'")
        if known:
            self._run = known[0].info.run_id
            client.update_run(self._run, status="RUNNING")
        else:
            tags = {"warpzone_run": key, **about.facts}
            commit = about.facts.get("commit")
            if commit is not None:
                tags["mlflow.source.git.commit"] = commit
            begun = client.create_run(number, run_name=about.name, tags=tags)
            self._run = begun.info.run_id
            params = [
                entities.Param(name, text[:_VALUE]) for name, text in flat(about.config).items()
            ]
            for first in range(0, len(params), _PARAMS):
                client.log_batch(self._run, params=params[first : first + _PARAMS])
        where = uri if uri is not None else client.tracking_uri
        self.remark = f"run {self._run} of the experiment {about.project} in {where}"

    def log(self, rows: Sequence[Row]) -> None:
        now = int(time.time() * 1000)
        metrics = [
            self._metric(_allowed(name), value, now, step)
            for step, figures in rows
            for name, value in figures.items()
        ]
        for first in range(0, len(metrics), _METRICS):
            self._client.log_batch(self._run, metrics=metrics[first : first + _METRICS])

    def finish(
        self, state: str, step: int, summary: Mapping[str, float], files: Iterable[Path]
    ) -> None:
        self.log([(step, dict(summary))])
        for file in files:
            self._client.log_artifact(self._run, str(file))
        states = {"finished": "FINISHED", "interrupted": "KILLED"}
        self._client.set_terminated(self._run, states.get(state, "FAILED"))


class Trackio:
    """Trackio: on this machine, or in the Space that TRACKIO_SPACE_ID names."""

    def __init__(self) -> None:
        self.remark: str | None = None

    def start(self, about: About, key: str) -> None:
        trackio = self._trackio = importlib.import_module("trackio")
        wanted = {
            "project": about.project,
            # A run is found again by its name, and two directories may have the same one.
            "name": f"{about.name}-{key[:6]}",
            "config": {**about.config, **about.facts},
            "resume": "allow",
            "embed": False,
        }
        known = inspect.signature(trackio.init).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in known.values()):
            wanted = {name: value for name, value in wanted.items() if name in known}
        trackio.init(**wanted)
        self.remark = f"look at it with: trackio show --project {about.project}"

    def log(self, rows: Sequence[Row]) -> None:
        for step, figures in rows:
            self._trackio.log(figures, step=step)

    def finish(
        self, state: str, step: int, summary: Mapping[str, float], files: Iterable[Path]
    ) -> None:
        if summary:
            self._trackio.log(dict(summary), step=step)
        if hasattr(self._trackio, "log_artifact"):  # older versions have none
            for file in files:
                self._trackio.log_artifact(file, name=_allowed(file.stem, ""))
        self._trackio.finish()


SERVICES: dict[str, type[Wandb] | type[Mlflow] | type[Trackio]] = {
    "wandb": Wandb,
    "mlflow": Mlflow,
    "trackio": Trackio,
}
"""By name, which is that of the module as well."""


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Returns settings by dotted name, as text."""
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value if isinstance(value, str) else json.dumps(value)
    return found


def _allowed(name: str, besides: str = " /:") -> str:
    """Returns a name in letters that services take: a start of another game may be called as its
    description likes."""
    return re.sub(rf"[^A-Za-z0-9_.{besides}-]", "_", name)


def _line(error: BaseException) -> str:
    with suppress(Exception):
        return (str(error).strip() or type(error).__name__).partition("\n")[0][:200]
    return type(error).__name__
