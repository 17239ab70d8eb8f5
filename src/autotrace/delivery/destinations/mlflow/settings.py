"""Where MLflow is, and who we are there: our own settings, then the variables that MLflow's own client reads."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TIMEOUT_S = 30.0
_TRUE = frozenset({"1", "true", "yes", "on"})
_DATABRICKS = "databricks"


@dataclass(frozen=True)
class Settings:
    """What is set.

    Attributes:
        uri: `http(s)://...`, `databricks` or `databricks://profile`; empty where nothing names a server.
        experiment: The experiment's name; None: `experiment_id` says which one.
        experiment_id: Its id; None with `experiment` None: MLflow's default experiment.
        workspace: The MLflow workspace that it lies in.
        username: With `password`, for servers with basic authentication.
        password: See `username`.
        token: For servers that take a bearer token.
        verify: Whether the server's certificate is looked at.
        ca_file: Certificates that the server is judged by.
        cert_file: Our own certificate, with its key.
        timeout_s: Seconds that one request may take.
        standard: The variables of other projects, for Databricks and for proxies.
    """

    uri: str = ""
    experiment: str | None = None
    experiment_id: str | None = None
    workspace: str | None = None
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    verify: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    timeout_s: float = TIMEOUT_S
    standard: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_databricks(self) -> bool:
        """Whether the server is Databricks' own."""
        return self.uri.partition(":")[0] == _DATABRICKS


@dataclass(frozen=True)
class DatabricksAccount:
    """How Databricks is reached.

    Attributes:
        host: `https://...`, without a slash at its end.
        token: A token to show; None: `client_id` and `client_secret` get one.
        client_id: A service principal's.
        client_secret: A service principal's.
    """

    host: str
    token: str | None = field(default=None, repr=False)
    client_id: str | None = field(default=None, repr=False)
    client_secret: str | None = field(default=None, repr=False)


#: The settings of `[tool.autotrace.mlflow]`.
OWN = ("tracking_uri", "experiment", "experiment_id")


def read(own: Mapping[str, Any], standard: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """The settings, and what is wrong with them.

    Args:
        own: Ours, by name; each has a `value`.
        standard: The variables of other projects.
    """
    problems = [f"mlflow: {name}: no such setting; there are {', '.join(OWN)}" for name in own if name not in OWN]
    named = {name: str(own[name].value).strip() for name in OWN if name in own and str(own[name].value).strip()}
    uri = named.get("tracking_uri") or standard.get("MLFLOW_TRACKING_URI", "").strip()
    if not uri and "DATABRICKS_HOST" in standard:
        uri = _DATABRICKS
    if uri and not uri.lower().startswith(("http://", "https://")) and uri.partition(":")[0] != _DATABRICKS:
        problems.append(
            f"mlflow: {uri!r} is no server: MLFLOW_TRACKING_URI must begin with http://, https:// or be databricks"
        )
        uri = ""
    chosen = "experiment" in named or "experiment_id" in named
    source = {} if chosen else standard
    settings = Settings(
        uri=uri.rstrip("/"),
        experiment=named.get("experiment") or source.get("MLFLOW_EXPERIMENT_NAME"),
        experiment_id=named.get("experiment_id") or source.get("MLFLOW_EXPERIMENT_ID"),
        workspace=standard.get("MLFLOW_WORKSPACE"),
        username=standard.get("MLFLOW_TRACKING_USERNAME"),
        password=standard.get("MLFLOW_TRACKING_PASSWORD"),
        token=standard.get("MLFLOW_TRACKING_TOKEN"),
        verify=standard.get("MLFLOW_TRACKING_INSECURE_TLS", "").strip().lower() not in _TRUE,
        ca_file=standard.get("MLFLOW_TRACKING_SERVER_CERT_PATH"),
        cert_file=standard.get("MLFLOW_TRACKING_CLIENT_CERT_PATH"),
        timeout_s=_seconds(standard.get("MLFLOW_HTTP_REQUEST_TIMEOUT"), problems),
        standard=standard,
    )
    return settings, problems


def _seconds(text: str | None, problems: list[str]) -> float:
    if text is None:
        return TIMEOUT_S
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 86400:
        problems.append(f"mlflow: MLFLOW_HTTP_REQUEST_TIMEOUT={text!r} is no number of seconds; {TIMEOUT_S:g} are used")
        return TIMEOUT_S
    return found


def credentials_of_file(folder: Path) -> tuple[str | None, str | None]:
    """User and password that MLflow's `~/.mlflow/credentials` holds.

    Args:
        folder: The user's home.
    """
    found = _section(folder / ".mlflow" / "credentials", "mlflow")
    return found.get("mlflow_tracking_username"), found.get("mlflow_tracking_password")


def databricks_account(settings: Settings, folder: Path) -> DatabricksAccount | None:
    """The account that the variables or a profile of `~/.databrickscfg` describe; None where neither does.

    Args:
        settings: With the URI, which may name a profile.
        folder: The user's home.
    """
    standard = settings.standard
    profile = settings.uri.partition("://")[2].partition(":")[0]
    found = {
        key: standard[name] for key, name in _DATABRICKS_KEYS.items() if not profile and standard.get(name, "").strip()
    }
    if "host" not in found:
        file = Path(standard.get("DATABRICKS_CONFIG_FILE") or folder / ".databrickscfg").expanduser()
        found = {**_section(file, profile or standard.get("DATABRICKS_CONFIG_PROFILE") or "DEFAULT"), **found}
    host = found.get("host", "").strip().rstrip("/")
    if not host:
        return None
    if "://" not in host:
        host = f"https://{host}"
    return DatabricksAccount(host, found.get("token"), found.get("client_id"), found.get("client_secret"))


_DATABRICKS_KEYS: Mapping[str, str] = {
    "host": "DATABRICKS_HOST",
    "token": "DATABRICKS_TOKEN",
    "client_id": "DATABRICKS_CLIENT_ID",
    "client_secret": "DATABRICKS_CLIENT_SECRET",
}


def _section(file: Path, name: str) -> dict[str, str]:
    """A section of an INI file; nothing where the file or the section is not there or cannot be read."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(file, encoding="utf-8")
        return dict(parser[name]) if name in parser else {}
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}
