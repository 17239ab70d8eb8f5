"""Where the same trace is in MLflow."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from autotrace.config import Config
from autotrace.store.outline import TraceReader

_DESTINATION = "mlflow"
#: The experiment that MLflow's server has from the start.
_DEFAULT_EXPERIMENT = "0"


def link(config: Config, reader: TraceReader, trace_id: str) -> dict[str, str] | None:
    """`href`, and `what` it leads to: `trace`, or `experiments` where only the experiment's name is known.

    None where nothing is delivered to MLflow, or the server's address is none that a browser could open.
    """
    if _DESTINATION not in config.destination and not reader.is_sent(_DESTINATION, trace_id):
        return None
    # Here, for it brings what delivers.
    from autotrace.delivery.destinations.mlflow.settings import databricks_account, read

    settings, _ = read(config.framework(_DESTINATION).settings, config.standard)
    experiment = settings.experiment_id
    if settings.is_databricks:
        account = databricks_account(settings, _home())
        base = None if account is None else _web(account.host)
        if base is None or experiment is None:
            return None
        return {"what": "trace", "href": f"{base}/ml/experiments/{_trace(experiment, trace_id)}"}
    base = _web(settings.uri)
    if base is None:
        return None
    workspace = f"&workspace={quote(settings.workspace, safe='')}" if settings.workspace else ""
    if experiment is None and settings.experiment:
        sought = f"experimentSearchFilter={quote(settings.experiment, safe='')}"
        return {"what": "experiments", "href": f"{base}/#/experiments?{sought}{workspace}"}
    place = _trace(experiment or _DEFAULT_EXPERIMENT, trace_id)
    return {"what": "trace", "href": f"{base}/#/experiments/{place}{workspace}"}


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
