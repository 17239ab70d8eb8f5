"""What a program runs on, and whether that is production: from its variables, its arguments and its modules.

Nothing is asked of a network or a disk, and nothing here reads the process: `detect` is given what to look at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..setting_values import FALSE, TRUE
from . import programs
from .clouds import CLOUDS, DATABRICKS, KUBERNETES, NAME

#: What a platform's environment and name are called on a resource.
ENVIRONMENT, PLATFORM = "deployment.environment.name", "autotrace.platform"
PRODUCTION, DEVELOPMENT = "production", "development"

#: Variables that tell of a test, and of continuous integration.
TEST_MARKS = ("PYTEST_CURRENT_TEST", "PYTEST_VERSION", "PYTEST_XDIST_WORKER")
CI_MARKS = (
    *("GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "TRAVIS", "TF_BUILD", "JENKINS_URL", "TEAMCITY_VERSION"),
    *("BITBUCKET_BUILD_NUMBER", "CODEBUILD_BUILD_ID", "CI"),
)
_RAY_WORKER = "ray/_private/workers/default_worker.py"
_AGENT_SERVER = "mlflow.genai.agent_server"
#: What serves a developer or a test, by the names that it gives itself or its module's: Werkzeug's server, the standard
#: library's (and with it Django's), test clients.
_NO_SERVERS = frozenset(
    {
        *("", "__main__", "werkzeug", "wsgiserver", "testclient", "testserver", "starlette_testclient"),
        *("starlette", "httpx", "httpx2", "quart", "litestar", "django", "asgiref", "async_asgi_testclient"),
    }
)
_RELOADED = "uvicorn's reloader started it"
_SERVER_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


@dataclass(frozen=True, slots=True)
class Platform:
    """What a program runs on.

    Attributes:
        name: Its name, such as `lambda`, `gunicorn`, `pytest`, `shell`.
        environment: `production` or `development`.
        reason: What told, for a person.
        attributes: What else is known, by OpenTelemetry's names; `service.name` and `service.version` among them.
    """

    name: str
    environment: str
    reason: str
    attributes: Mapping[str, str] = field(default_factory=dict)

    def served_by(self, server: str, modules: Mapping[str, Any]) -> Platform:
        """This platform, once a server has handed the program a request: one that calls its server itself shows then.

        Args:
            server: The server's name, with or without a version, as in WSGI's SERVER_SOFTWARE.
            modules: The modules that are loaded.
        """
        if self.name == DATABRICKS and NAME not in self.attributes:
            return self._with_endpoint(modules)
        name = server.partition("/")[0].strip().lower()
        if self.name != "shell" or name in _NO_SERVERS:
            return self
        if _uvicorn_reloads(modules):  # it could not be told while the program's main module was imported
            return replace(self, name="uvicorn", reason=_RELOADED)
        shown = name if _SERVER_NAME.fullmatch(name) else "server"
        named = "mlflow" if _AGENT_SERVER in modules else shown
        return replace(self, name=named, environment=PRODUCTION, reason=f"{shown} hands it requests")

    def _with_endpoint(self, modules: Mapping[str, Any]) -> Platform:
        endpoint = _endpoint(modules)
        return self if endpoint is None else replace(self, attributes={**self.attributes, NAME: endpoint})


def detect(environ: Mapping[str, str], argv: Sequence[str], modules: Mapping[str, Any]) -> Platform:
    """What a program runs on.

    Tests come first, wherever they run; then clouds that run nothing but what is deployed; then the signs of a
    developer, for those work in pods too; at last servers.

    Args:
        environ: The environment's variables.
        argv: `sys.argv`.
        modules: `sys.modules`.
    """
    attributes = _attributes(environ, modules)
    found = (
        _test(environ, argv)
        or _cloud(environ)
        or _ray(argv, modules)
        or _continuous_integration(environ)
        or _notebook(modules)
        or _developer(environ, argv, modules)
        or _pod(environ)
        or _server(argv, modules)
    )
    name, environment, reason = found or ("shell", DEVELOPMENT, "nothing tells of a server or a cloud")
    return Platform(name, environment, reason, attributes)


_Found = tuple[str, str, str] | None


def _attributes(environ: Mapping[str, str], modules: Mapping[str, Any]) -> dict[str, str]:
    clouds = [cloud for cloud in (KUBERNETES, *reversed(CLOUDS)) if cloud.mark(environ) is not None]
    found = {key: value for cloud in clouds for key, value in cloud.said(environ).items()}
    endpoint = _endpoint(modules)
    return {**found, NAME: endpoint} if endpoint else found


def _endpoint(modules: Mapping[str, Any]) -> str | None:
    """The name of the endpoint on Databricks, which MLflow knows while a request is served; nothing is imported."""
    try:
        context = modules["mlflow.pyfunc.context"].get_prediction_context()
        return str(context.endpoint_name) if context.endpoint_name else None
    except (KeyError, AttributeError, TypeError):
        return None


def _test(environ: Mapping[str, str], argv: Sequence[str]) -> _Found:
    if programs.name_of(argv) in ("pytest", "py.test"):
        return "pytest", DEVELOPMENT, "pytest runs it"
    mark = next((name for name in TEST_MARKS if environ.get(name)), None)
    return None if mark is None else ("pytest", DEVELOPMENT, f"{mark} is set")


def _cloud(environ: Mapping[str, str]) -> _Found:
    marks = ((cloud.name, cloud.mark(environ)) for cloud in CLOUDS)
    return next(((name, PRODUCTION, f"{mark} is set") for name, mark in marks if mark), None)


def _pod(environ: Mapping[str, str]) -> _Found:
    mark = KUBERNETES.mark(environ)
    return None if mark is None else (KUBERNETES.name, PRODUCTION, f"{mark} is set")


def _ray(argv: Sequence[str], modules: Mapping[str, Any]) -> _Found:
    if argv and argv[0].replace("\\", "/").endswith(_RAY_WORKER) and "ray.serve" in modules:
        return "ray-serve", PRODUCTION, "it is a replica of Ray Serve"
    return None


def _continuous_integration(environ: Mapping[str, str]) -> _Found:
    mark = next((name for name in CI_MARKS if environ.get(name, "").strip().lower() not in FALSE), None)
    return None if mark is None else ("ci", DEVELOPMENT, f"{mark} is set")


def _notebook(modules: Mapping[str, Any]) -> _Found:
    return ("jupyter", DEVELOPMENT, "it is a notebook's kernel") if "ipykernel" in modules else None


def _developer(environ: Mapping[str, str], argv: Sequence[str], modules: Mapping[str, Any]) -> _Found:
    name = programs.name_of(argv)
    program = programs.PROGRAMS.get(name)
    sign = None if program is None else programs.developing(program, name, argv, environ)
    if sign is not None:
        return name, DEVELOPMENT, f"the program is {name} with {sign}"
    if environ.get("WERKZEUG_RUN_MAIN", "").strip().lower() in TRUE:
        return "werkzeug", DEVELOPMENT, "Werkzeug's reloader started it"
    if "uwsgi" in modules and _uwsgi_reloads(modules["uwsgi"]):
        return "uwsgi", DEVELOPMENT, "uWSGI reloads it"
    return ("uvicorn", DEVELOPMENT, _RELOADED) if _uvicorn_reloads(modules) else None


def _uwsgi_reloads(module: Any) -> bool:
    options = getattr(module, "opt", None)
    names = {"py-autoreload", "py-auto-reload", "python-autoreload", "python-auto-reload"}
    return isinstance(options, Mapping) and any(
        (key.decode("latin-1") if isinstance(key, bytes) else key) in names for key in options
    )


def _uvicorn_reloads(modules: Mapping[str, Any]) -> bool:
    """Whether this is the process that the program's own `uvicorn.run(..., reload=True)` begins anew at each change."""
    try:
        return bool(modules["multiprocessing.process"].current_process()._kwargs["config"].should_reload)
    except (KeyError, AttributeError, TypeError):
        return False


def _server(argv: Sequence[str], modules: Mapping[str, Any]) -> _Found:
    if "uwsgi" in modules:
        return "uwsgi", PRODUCTION, "uWSGI runs it"
    if hasattr(modules.get("mod_wsgi"), "process_group"):
        return "mod_wsgi", PRODUCTION, "mod_wsgi runs it"
    name = programs.name_of(argv)
    program = programs.PROGRAMS.get(name)
    if program is None or not programs.is_serving(program, argv):
        return None
    shown = "mlflow" if programs.MLFLOW_APP in argv else name
    return shown, PRODUCTION, f"the program is {name}"
