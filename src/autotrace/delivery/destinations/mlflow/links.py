"""Where the same trace is in MLflow, for pages that show it."""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from autotrace.config import Config
from autotrace.delivery.destinations import RetryLater
from autotrace.delivery.replies import Refused
from autotrace.store.outline import TraceReader

from .api import Api
from .experiment import DEFAULT_ID
from .settings import Settings, databricks_account, read

_DESTINATION = "mlflow"


class Links:
    """Links to traces of one MLflow, as the settings name it.

    Where they name the experiment, the server is asked for its id, once and aside: until it has answered, a link leads
    to the search for the name.

    Args:
        config: The settings.
    """

    def __init__(self, config: Config) -> None:
        self._is_destination = _DESTINATION in config.destination
        self._settings, _ = read(config.framework(_DESTINATION).settings, config.standard)
        self._experiment = self._settings.experiment_id
        self._asking: threading.Thread | None = None

    def __call__(self, reader: TraceReader, trace_id: str) -> dict[str, str] | None:
        """`href`, and `what` it leads to: `trace`, or `experiments` where only the experiment's name is known.

        None where nothing is delivered to MLflow, or the server's address is none that a browser could open.
        """
        if not self._is_destination and not reader.is_sent(_DESTINATION, trace_id):
            return None
        settings = self._settings
        if settings.is_databricks:
            account = databricks_account(settings, _home())
            base = None if account is None else _web(account.host)
            if base is None or self._experiment is None:
                return None
            return {"what": "trace", "href": f"{base}/ml/experiments/{_trace(self._experiment, trace_id)}"}
        base = _web(settings.uri)
        if base is None:
            return None
        workspace = f"&workspace={quote(settings.workspace, safe='')}" if settings.workspace else ""
        if self._experiment is None and settings.experiment:
            self._ask()
            sought = f"experimentSearchFilter={quote(settings.experiment, safe='')}"
            return {"what": "experiments", "href": f"{base}/#/experiments?{sought}{workspace}"}
        place = _trace(self._experiment or DEFAULT_ID, trace_id)
        return {"what": "trace", "href": f"{base}/#/experiments/{place}{workspace}"}

    def _ask(self) -> None:
        """Asks for the experiment's id, unless it has been asked."""
        if self._asking is None:
            self._asking = threading.Thread(target=self._find, name="autotrace-mlflow-link", daemon=True)
            self._asking.start()

    def _find(self) -> None:
        try:
            self._experiment = _numbered(self._settings)
        except (RetryLater, Refused, OSError, ValueError):
            return  # the search for its name will do


def _numbered(settings: Settings) -> str | None:
    """The id of the experiment that the settings name.

    Raises:
        RetryLater: The server does not answer.
        Refused: It has none of this name.
    """
    api = Api(settings)
    try:
        query = {"experiment_name": settings.experiment or ""}
        found = api.call("GET", "experiments/get-by-name", query=query, version="2.0").get("experiment")
    finally:
        api.close()
    number = found.get("experiment_id") if isinstance(found, dict) else None
    return number if isinstance(number, str) else None


def _trace(experiment: str, trace_id: str) -> str:
    return f"{quote(experiment, safe='')}/traces?selectedEvaluationId=tr-{trace_id}"


def _web(uri: str) -> str | None:
    """The address without credentials, query and fragment; None unless it is http(s) with a host."""
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme.lower() not in ("http", "https") or not host:
        return None
    shown = f"[{host}]" if ":" in host else host
    place = shown if port is None else f"{shown}:{port}"
    return urlunsplit((parts.scheme.lower(), place, quote(parts.path.rstrip("/"), safe="/%"), "", ""))


def _home() -> Path:
    try:
        return Path("~").expanduser()
    except RuntimeError:  # a user without one
        return Path()
