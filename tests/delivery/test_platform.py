"""What a program runs on, and whether that is production: by its variables, arguments and modules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autotrace.delivery.platform import detect

POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "shop-7d9f-x2x"}
LAMBDA = {
    "AWS_LAMBDA_FUNCTION_NAME": "ask",
    "AWS_LAMBDA_FUNCTION_VERSION": "7",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/23/[7]abc",
    "AWS_REGION": "eu-north-1",
}
CLOUD_RUN = {"K_SERVICE": "ask", "K_REVISION": "ask-00042-xyz"}


def told(argv: str = "app.py", modules: Any = (), **environ: str) -> tuple[str, str]:
    """Name and environment of a platform."""
    loaded = modules if isinstance(modules, dict) else dict.fromkeys(modules)
    found = detect(environ, argv.split(), loaded)
    assert found.reason
    return found.name, found.environment


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"IS_IN_DB_MODEL_SERVING_ENV": "true"}, "databricks-model-serving"),
        ({"IS_IN_DATABRICKS_MODEL_SERVING_ENV": "1"}, "databricks-model-serving"),
        ({"DATABRICKS_APP_NAME": "ask"}, "databricks-apps"),
        (LAMBDA, "lambda"),
        (CLOUD_RUN, "cloud-run"),
        ({"CLOUD_RUN_JOB": "nightly", "CLOUD_RUN_EXECUTION": "nightly-x"}, "cloud-run"),
        ({**CLOUD_RUN, **POD}, "kubernetes"),
        (POD, "kubernetes"),
        ({"CONTAINER_APP_NAME": "ask", "CONTAINER_APP_REVISION": "ask--1"}, "azure-container-apps"),
        ({"WEBSITE_SITE_NAME": "ask", "WEBSITE_INSTANCE_ID": "1"}, "azure-app-service"),
        ({"GAE_SERVICE": "default"}, "app-engine"),
        ({"ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/x"}, "ecs"),
        ({"DYNO": "web.1"}, "heroku"),
        ({"RENDER": "true"}, "render"),
        ({"FLY_APP_NAME": "ask"}, "fly"),
    ],
)
def test_clouds(environ: dict[str, str], name: str) -> None:
    """A cloud is production, whatever serves there."""
    assert told("app.py", **environ) == (name, "production")
    assert told("/venv/bin/gunicorn app:app", **environ) == (name, "production")
    assert told("/venv/bin/pytest", **environ) == ("pytest", "development")


@pytest.mark.parametrize(
    "environ",
    [
        {"IS_IN_DB_MODEL_SERVING_ENV": "false"},
        {**LAMBDA, "AWS_SAM_LOCAL": "true"},
        {"RENDER": "0"},
        {"K_SERVICE": " "},
        {"CI": "false"},
        {"CI": ""},
    ],
)
def test_no_clouds(environ: dict[str, str]) -> None:
    """A mark that says no, or nothing, is none; neither is a copy of a cloud on a laptop."""
    assert told(**environ) == ("shell", "development")


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        ("/venv/bin/uvicorn app:app --workers 2", "uvicorn"),
        ("/venv/lib/python3.13/site-packages/uvicorn/__main__.py app:app", "uvicorn"),
        ("/venv/bin/uvicorn app:app --reload-dir src", "uvicorn"),
        ("/venv/bin/gunicorn app:app -k uvicorn_worker.UvicornWorker", "gunicorn"),
        ("/venv/bin/hypercorn app:app", "hypercorn"),
        ("/venv/bin/granian --interface asgi app:app", "granian"),
        ("/venv/bin/waitress-serve app:app", "waitress-serve"),
        ("/venv/bin/daphne app:app", "daphne"),
        ("/venv/bin/fastapi run app.py", "fastapi"),
        ("/venv/bin/litestar run", "litestar"),
        ("/venv/bin/celery -A tasks worker --pool prefork", "celery"),
        ("/venv/lib/python3.13/site-packages/celery/__main__.py -A tasks worker", "celery"),
        ("/venv/bin/mlflow models serve -m model", "mlflow"),
        ("/venv/bin/uvicorn --host 127.0.0.1 mlflow.pyfunc.scoring_server.app:app", "mlflow"),
    ],
)
def test_servers(argv: str, name: str) -> None:
    """A program that serves is production; in a pod the pod has the name, under test it is none."""
    assert told(argv) == (name, "production")
    assert told(argv, **POD) == ("kubernetes", "production")
    assert told(argv, PYTEST_CURRENT_TEST="test_x (call)") == ("pytest", "development")
    assert told(argv, GITHUB_ACTIONS="true") == ("ci", "development")


@pytest.mark.parametrize(
    ("argv", "name", "environ"),
    [
        ("/venv/bin/uvicorn app:app --reload", "uvicorn", {}),
        ("/venv/bin/uvicorn app:app", "uvicorn", {"UVICORN_RELOAD": "true"}),
        ("/venv/lib/python3.13/site-packages/uvicorn/__main__.py --reload app:app", "uvicorn", {}),
        ("/venv/bin/gunicorn --reload app:app", "gunicorn", {}),
        ("/venv/bin/gunicorn app:app", "gunicorn", {"GUNICORN_CMD_ARGS": "--workers 2 --reload"}),
        ("/venv/bin/granian --reload app:app", "granian", {}),
        ("/venv/bin/fastapi dev app.py", "fastapi", {}),
        ("/venv/bin/litestar run --debug", "litestar", {}),
        ("/venv/bin/flask run", "flask", {}),
        ("/venv/bin/flask --app app run --debug", "flask", {}),
        ("/venv/bin/quart run", "quart", {}),
        ("manage.py runserver 8000", "manage", {}),
        ("/venv/bin/langgraph dev", "langgraph", {}),
        ("app.py", "werkzeug", {"WERKZEUG_RUN_MAIN": "true"}),
    ],
)
def test_developers(argv: str, name: str, environ: dict[str, str]) -> None:
    """What reloads or debugs serves a developer, in a pod as well, and whoever hands it requests."""
    assert told(argv, **environ) == (name, "development")
    assert told(argv, **environ, **POD) == (name, "development")
    assert detect(environ, argv.split(), {}).served_by("uvicorn", {}).environment == "development"


@pytest.mark.parametrize(
    ("argv", "modules", "environ", "name"),
    [
        ("app.py", [], {}, "shell"),
        ("", [], {}, "shell"),
        ("-c", [], {}, "shell"),
        ("manage.py migrate", [], {}, "shell"),
        ("/venv/bin/flask shell", [], {}, "shell"),
        ("/venv/bin/celery inspect active", [], {}, "shell"),
        ("/venv/bin/fastapi --version", [], {}, "shell"),
        ("/srv/uvicorn/app.py", [], {}, "shell"),
        ("__main__.py", [], {}, "shell"),
        ("/venv/bin/pytest tests", [], {}, "pytest"),
        ("/venv/lib/python3.13/site-packages/pytest/__main__.py", [], {}, "pytest"),
        ("-c", [], {"PYTEST_XDIST_WORKER": "gw1"}, "pytest"),
        ("app.py", [], {"CI": "true", **POD}, "ci"),
        ("app.py", [], {"JENKINS_URL": "https://ci.example.org"}, "ci"),
        ("/venv/lib/python3.13/site-packages/ipykernel_launcher.py -f x.json", ["ipykernel"], {}, "jupyter"),
        ("ipykernel_launcher.py", ["ipykernel"], POD, "jupyter"),
    ],
)
def test_development(argv: str, modules: list[str], environ: dict[str, str], name: str) -> None:
    """Tests, notebooks, continuous integration and all that nothing is known of are development."""
    assert told(argv, modules, **environ) == (name, "development")


def test_modules_that_servers_bring() -> None:
    """uWSGI, mod_wsgi and Ray Serve show in what is loaded; uWSGI tells whether it reloads."""
    assert told("uwsgi", {"uwsgi": SimpleNamespace(opt={b"http": b":80"})}) == ("uwsgi", "production")
    assert told("uwsgi", {"uwsgi": SimpleNamespace(opt={b"py-autoreload": b"1"})}) == ("uwsgi", "development")
    assert told("uwsgi", {"uwsgi": None}) == ("uwsgi", "production")
    assert told("mod_wsgi", {"mod_wsgi": SimpleNamespace(process_group="")}) == ("mod_wsgi", "production")
    assert told("app.py", {"mod_wsgi": SimpleNamespace()}) == ("shell", "development")
    worker = "/venv/lib/python3.13/site-packages/ray/_private/workers/default_worker.py --node-ip-address=127.0.0.1"
    assert told(worker, ["ray", "ray.serve"]) == ("ray-serve", "production")
    assert told(worker, ["ray"]) == ("shell", "development")
    assert told("app.py", ["ray.serve"]) == ("shell", "development")


def test_attributes() -> None:
    """What a platform says of the program goes by OpenTelemetry's names; a pod's names stay under another platform."""
    assert detect(LAMBDA, ["x"], {}).attributes == {
        "cloud.provider": "aws",
        "cloud.platform": "aws_lambda",
        "cloud.region": "eu-north-1",
        "faas.name": "ask",
        "faas.version": "7",
        "faas.instance": "2026/11/23/[7]abc",
        "service.name": "ask",
        "service.version": "7",
    }
    assert detect(CLOUD_RUN, ["x"], {}).attributes == {
        "cloud.provider": "gcp",
        "cloud.platform": "gcp_cloud_run",
        "faas.name": "ask",
        "faas.version": "ask-00042-xyz",
        "service.name": "ask",
        "service.version": "ask-00042-xyz",
    }
    pod = {"k8s.pod.name": "shop-7d9f-x2x", "service.instance.id": "shop-7d9f-x2x"}
    assert detect(POD, ["x"], {}).attributes == pod
    assert detect({**POD, "POD_NAME": "p", "POD_NAMESPACE": "n", "CI": "1"}, ["x"], {}).attributes == {
        "k8s.pod.name": "p",
        "service.instance.id": "p",
        "k8s.namespace.name": "n",
    }
    assert detect({}, ["x"], {}).attributes == {}


def test_endpoint_of_databricks() -> None:
    """MLflow tells the endpoint's name while it serves a request; where it does not, nothing is said."""
    serving = {"IS_IN_DB_MODEL_SERVING_ENV": "true"}

    def module(context: Any) -> dict[str, Any]:
        return {"mlflow.pyfunc.context": SimpleNamespace(get_prediction_context=lambda: context)}

    found = detect(serving, ["x"], module(SimpleNamespace(endpoint_name="agents-shop")))
    assert found.attributes == {"service.name": "agents-shop"}
    for odd in (module(None), module(SimpleNamespace(endpoint_name=None)), {"mlflow.pyfunc.context": None}):
        assert detect(serving, ["x"], odd).attributes == {}
    loaded = detect(serving, ["x"], {})
    assert loaded.served_by("uvicorn", module(None)) is loaded
    served = loaded.served_by("uvicorn", module(SimpleNamespace(endpoint_name="agents-shop")))
    assert (served.name, dict(served.attributes)) == (loaded.name, {"service.name": "agents-shop"})
    assert served.served_by("uvicorn", module(SimpleNamespace(endpoint_name="other"))) is served


def test_served_by() -> None:
    """A program that calls its server itself is production once that hands it a request; nothing else changes."""
    shell = detect({}, ["app.py"], {})
    served = shell.served_by("uvicorn", {})
    assert (served.name, served.environment) == ("uvicorn", "production")
    assert served.served_by("gunicorn", {}) is served
    assert shell.served_by("gunicorn/23.0.0", {}).name == "gunicorn"
    assert shell.served_by("Apache/2.4.62 (Debian) mod_wsgi/5", {}).name == "apache"
    assert shell.served_by("uvicorn", {"mlflow.genai.agent_server": None}).name == "mlflow"
    assert shell.served_by("\x1b[2J", {}).name == "server"
    for name in (
        "Werkzeug/3.1.3",
        "werkzeug",
        "WSGIServer/0.2",
        "testclient",
        "starlette",
        "httpx",
        "__main__",
        "",
        "  ",
    ):
        assert shell.served_by(name, {}) is shell
    for other in (detect({"CI": "1"}, ["x"], {}), detect(LAMBDA, ["x"], {}), detect({}, ["pytest"], {})):
        assert other.served_by("uvicorn", {}) is other


def test_children_of_servers(tmp_path: Path) -> None:
    """A child that multiprocessing spawns or forks is what its parent is: it has the same arguments."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "uvicorn"
    program.write_text(
        "import multiprocessing, sys\n"
        "from autotrace.delivery.platform import detect\n"
        "def name(): return detect({}, sys.argv, {}).name\n"
        "if __name__ == '__main__':\n"
        "    for way in ('spawn', 'fork'):\n"
        "        with multiprocessing.get_context(way).Pool(1) as pool: print(pool.apply(name))\n"
    )
    done = subprocess.run(
        [sys.executable, str(program), "app:app"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["uvicorn", "uvicorn"]
