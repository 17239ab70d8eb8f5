"""What says where MLflow is, and who we are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autotrace.config import Config, load
from autotrace.delivery.destinations.mlflow import make
from autotrace.delivery.destinations.mlflow.settings import Settings, databricks_account, read

SECRET = "s3cret-s3cret"


def settings(folder: Path, **environ: str) -> tuple[Settings, list[str]]:
    config: Config = load(environ=environ, folder=folder)
    return read(config.framework("mlflow").settings, config.standard)


def test_mlflows_own_variables(tmp_path: Path) -> None:
    """A deployment that is set up for MLflow's client needs nothing else."""
    found, problems = settings(
        tmp_path,
        MLFLOW_TRACKING_URI="https://mlflow.example.org/prefix/",
        MLFLOW_EXPERIMENT_NAME="shop",
        MLFLOW_TRACKING_USERNAME="bob",
        MLFLOW_TRACKING_PASSWORD=SECRET,
        MLFLOW_TRACKING_INSECURE_TLS="true",
        MLFLOW_TRACKING_SERVER_CERT_PATH="ca.pem",
        MLFLOW_TRACKING_CLIENT_CERT_PATH="me.pem",
        MLFLOW_WORKSPACE="team",
        MLFLOW_HTTP_REQUEST_TIMEOUT="7",
    )
    assert problems == []
    assert (found.uri, found.experiment, found.workspace) == ("https://mlflow.example.org/prefix", "shop", "team")
    assert (found.verify, found.ca_file, found.cert_file, found.timeout_s) == (False, "ca.pem", "me.pem", 7.0)
    assert (found.username, found.password) == ("bob", SECRET)
    assert SECRET not in repr(found)


def test_an_address_in_capitals(tmp_path: Path) -> None:
    """Capitals in how an address begins do not matter: it names the destination, and is no problem."""
    environ = {"MLFLOW_TRACKING_URI": "HTTP://mlflow:5000"}
    assert load(environ=environ, folder=tmp_path).destination == ("mlflow",)
    found, problems = settings(tmp_path, **environ)
    assert (found.uri, problems) == ("HTTP://mlflow:5000", [])


def test_our_own_count_more(tmp_path: Path) -> None:
    """Our own settings stand above MLflow's, from the environment and from a file."""
    (tmp_path / "pyproject.toml").write_text('[tool.autotrace.mlflow]\nexperiment = "ours"\n')
    found, _ = settings(
        tmp_path,
        AUTOTRACE_MLFLOW_TRACKING_URI="http://ours:5000",
        MLFLOW_TRACKING_URI="http://theirs:5000",
        MLFLOW_EXPERIMENT_ID="7",
    )
    assert (found.uri, found.experiment, found.experiment_id) == ("http://ours:5000", "ours", None)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}, "is no server: MLFLOW_TRACKING_URI must begin with http"),
        ({"MLFLOW_HTTP_REQUEST_TIMEOUT": "soon"}, "MLFLOW_HTTP_REQUEST_TIMEOUT='soon' is no number of seconds"),
        ({"AUTOTRACE_MLFLOW_EXPERIMENTS": "x"}, "mlflow: experiments: no such setting; there are tracking_uri"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, environ: dict[str, str], words: str) -> None:
    """What cannot be used is told, with what to do, and stops nothing."""
    _, problems = settings(tmp_path, **environ)
    assert [words in problem for problem in problems] == [True]


def test_databricks_by_variables(tmp_path: Path) -> None:
    """Host and token of the environment are enough: Databricks is then the server."""
    found, _ = settings(tmp_path, DATABRICKS_HOST="adb-1.azuredatabricks.net/", DATABRICKS_TOKEN=SECRET)
    account: Any = databricks_account(found, tmp_path)
    assert found.is_databricks
    assert (account.host, account.token) == ("https://adb-1.azuredatabricks.net", SECRET)
    assert SECRET not in repr(account)


@pytest.mark.parametrize(
    ("uri", "environ", "host"),
    [
        ("databricks", {}, "https://first.example.org"),
        ("databricks://prod", {"DATABRICKS_HOST": "https://other.example.org"}, "https://second.example.org"),
        ("databricks", {"DATABRICKS_CONFIG_PROFILE": "prod"}, "https://second.example.org"),
        ("databricks://nobody", {}, None),
    ],
)
def test_databricks_by_profile(tmp_path: Path, uri: str, environ: dict[str, str], host: str | None) -> None:
    """A profile of `.databrickscfg` is found by its name; the one that is named counts more than the environment."""
    (tmp_path / ".databrickscfg").write_text(
        "[DEFAULT]\nhost = https://first.example.org\ntoken = a%b\n"
        "[prod]\nhost = https://second.example.org/\ntoken = c\n"
    )
    found, _ = settings(tmp_path, MLFLOW_TRACKING_URI=uri, **environ)
    account = databricks_account(found, tmp_path)
    assert (None if account is None else account.host) == host


def test_making_it_opens_nothing(tmp_path: Path) -> None:
    """Whatever is set, the destination is made, and says what is wrong when something is to be delivered."""
    destination = make(load(environ={"MLFLOW_TRACKING_URI": "nowhere"}, folder=tmp_path))
    assert (destination.name, destination.wants_traces, destination.rejected) == ("mlflow", True, 0)
    destination.close()
