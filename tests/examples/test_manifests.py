"""The compose file, the Dockerfile and the Kubernetes manifests: by their schemas, by their sense, and as they run."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
import yaml

from autotrace.config import SETTINGS
from autotrace.testing import OpenAIServer

from .serving import SERVING, Example, model_settings, until

COMPOSE = SERVING / "compose" / "docker-compose.yml"
DOCKERFILE = SERVING / "compose" / "Dockerfile"
KUBERNETES = SERVING / "kubernetes"
MANIFESTS = [
    document
    for path in sorted(KUBERNETES.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
DEPLOYMENTS = [document for document in MANIFESTS if document["kind"] == "Deployment"]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


def name_of(document: dict[str, Any]) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


def pod(deployment: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return found


def containers(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod(deployment).get("initContainers", []), *pod(deployment)["containers"]]


def instructions(stage: str) -> dict[str, list[str]]:
    """The instructions of a stage of the Dockerfile and of what it builds upon, by their names."""
    text = re.sub(r"\\\n", " ", DOCKERFILE.read_text(encoding="utf-8"))
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    found: dict[str, dict[str, list[str]]] = {}
    for word, rest in lines:
        if word == "FROM":
            base, _, name = rest.split()
            current = found[name] = {key: [*known] for key, known in found.get(base, {}).items()}
        current.setdefault(word, []).append(rest)
    return found[stage]


@pytest.mark.parametrize("document", MANIFESTS, ids=name_of)
def test_manifest_fits_the_schema_of_kubernetes(document: dict[str, Any]) -> None:
    """Every field exists, and has the right type."""
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_compose_file_fits_its_schema() -> None:
    """The same for the compose file."""
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run(check, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_takes_the_file() -> None:
    """Docker, where it has compose, understands the file; without a key for the model it says what is missing."""
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("there is no docker compose")
    config = ["docker", "compose", "--file", str(COMPOSE), "config", "--quiet"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENAI_")}
    assert b"OPENAI_API_KEY" in subprocess.run(config, env=environment, capture_output=True).stderr
    done = subprocess.run(config, env={**environment, "OPENAI_API_KEY": "x"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_kubectl_puts_the_manifests_together() -> None:
    """kubectl, where it is installed, finds all files, and gives images and namespace to all."""
    if not shutil.which("kubectl"):
        pytest.skip("there is no kubectl")
    done = subprocess.run(["kubectl", "kustomize", str(KUBERNETES)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    put_together = list(yaml.safe_load_all(done.stdout))
    assert len(put_together) == len(MANIFESTS)
    assert {document["metadata"]["namespace"] for document in put_together} == {"chat-agent"}
    images = {
        container["image"]
        for document in put_together
        if "template" in document.get("spec", {})
        for container in containers(document)
    }
    assert {image for image in images if image.endswith(":latest") or ":" not in image} == set()


def test_kustomization_has_every_file() -> None:
    """No manifest is left out."""
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert sorted(listed) == sorted(
        path.name for path in KUBERNETES.glob("*.yaml") if path.name != "kustomization.yaml"
    )


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name_of)
def test_pods_may_do_little(deployment: dict[str, Any]) -> None:
    """Not root, no token, a disk that cannot be written but for volumes, which containers and claims have."""
    spec = pod(deployment)
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False  # it would set MLFLOW_PORT, which MLflow reads
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    for container in containers(deployment):
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in spec["volumes"]}


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name_of)
def test_what_is_named_is_there(deployment: dict[str, Any]) -> None:
    """Services find their pods and ports, pods their configuration and their claims."""
    known = {name_of(document): document for document in MANIFESTS}
    service = known[f"Service {deployment['metadata']['name']}"]["spec"]
    template = deployment["spec"]["template"]
    assert template["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"] == service["selector"]
    ports = {port["name"] for container in containers(deployment) for port in container.get("ports", [])}
    assert {port["targetPort"] for port in service["ports"]} <= ports
    assert service.get("type", "ClusterIP") == "ClusterIP"
    wanted = [
        source["configMapRef"]["name"]
        for container in containers(deployment)
        for source in container.get("envFrom", [])
    ]
    wanted += [volume["configMap"]["name"] for volume in pod(deployment)["volumes"] if "configMap" in volume]
    assert {f"ConfigMap {name}" for name in wanted} <= set(known)
    for volume in pod(deployment)["volumes"]:
        if "persistentVolumeClaim" in volume:
            assert f"PersistentVolumeClaim {volume['persistentVolumeClaim']['claimName']}" in known


def agent() -> dict[str, Any]:
    (found,) = (deployment for deployment in DEPLOYMENTS if deployment["metadata"]["name"] == "agent")
    return found


def settings() -> dict[str, Any]:
    """What the agent's pods find in their environment."""
    return next(document["data"] for document in MANIFESTS if name_of(document) == "ConfigMap agent")


@pytest.mark.parametrize("environment", [settings(), SERVICES["agent"]["environment"]], ids=["kubernetes", "compose"])
def test_settings_exist(environment: dict[str, Any]) -> None:
    """Every variable of autotrace's is a setting, and hosts are those of the other services."""
    own = {name.removeprefix("AUTOTRACE_").lower() for name in environment if name.startswith("AUTOTRACE_")}
    assert own
    assert own <= set(SETTINGS)
    ports = {"mlflow": 5000, "collector": 4318}
    hosts = [re.fullmatch(r"http://(\w+):(\d+)", value) for value in environment.values()]
    assert {found[1]: int(found[2]) for found in hosts if found} == ports


@pytest.mark.parametrize("path", [COMPOSE, *sorted(KUBERNETES.glob("*.yaml"))], ids=lambda path: path.name)
def test_no_secret_is_in_a_file(path: Path) -> None:
    """A key, token or password is taken from elsewhere."""
    values = re.findall(
        r"^\s*-? *\w*(?:KEY|TOKEN|SECRET|PASSWORD)\w*: *(.+)$", path.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [value for value in values if not value.startswith("${")] == []


def test_a_pod_has_the_time_to_end() -> None:
    """What happens one after the other at a pod's end fits into its grace period, and the journal into its volume."""
    spec = pod(agent())
    (main,) = spec["containers"]
    (sidecar,) = spec["initContainers"]
    waits = main["lifecycle"]["preStop"]["sleep"]["seconds"]
    answers = int(option("--graceful-timeout"))
    drains = int(re.findall(r"--timeout (\d+)s", sidecar["command"][2])[0])
    assert waits + answers + drains < spec["terminationGracePeriodSeconds"]
    assert answers < int(SERVICES["agent"]["stop_grace_period"].removesuffix("s"))
    assert sidecar["restartPolicy"] == "Always"
    assert settings()["AUTOTRACE_JOURNAL_SIZE"] == "800MB"
    assert next(volume["emptyDir"] for volume in spec["volumes"] if volume["name"] == "journal") == {"sizeLimit": "1Gi"}


def command() -> list[str]:
    """What the agent's image starts."""
    found: list[str] = json.loads(instructions("agent")["CMD"][0])
    return found


def option(name: str) -> str:
    return command()[command().index(name) + 1]


@pytest.mark.parametrize("stage", ["agent", "mlflow"])
def test_images_run_as_nobody_in_particular(stage: str) -> None:
    """The last word on the user is a number that is not 0; what is copied is there."""
    found = instructions(stage)
    assert found["USER"][-1] == "10001:10001"
    for source in found.get("COPY", []):
        assert (SERVING / source.split()[0]).exists()


def test_home_is_on_the_volume() -> None:
    """Everything that autotrace writes lies on the volume of the agent, in compose and in Kubernetes."""
    (home,) = [line.partition("=")[2] for line in instructions("agent")["ENV"] if line.startswith("AUTOTRACE_HOME=")]
    volume = str(Path(home).parent)
    assert f"journal:{volume}" in SERVICES["agent"]["volumes"]
    for container in containers(agent()):
        assert {"name": "journal", "mountPath": volume} in container["volumeMounts"]
    assert "AUTOTRACE_HOME" not in settings()


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_compose_services_may_do_little(service: dict[str, Any]) -> None:
    """Ports are this machine's own; the disk is read-only but for volumes."""
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")] == []


def test_both_configure_the_collector_alike() -> None:
    """The collector's configuration in Kubernetes is that of compose."""
    mapped = next(document["data"] for document in MANIFESTS if name_of(document) == "ConfigMap collector")
    plain = (SERVING / "compose" / "collector.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(mapped["collector.yaml"]) == yaml.safe_load(plain)


@pytest.fixture
def example(model: OpenAIServer, tmp_path: Path) -> Example:
    return Example("fastapi_chat", tmp_path, model_settings(model.url, "gpt-4o-mini"))


@pytest.fixture
def sidecar(example: Example) -> Iterator[subprocess.Popen[bytes]]:
    """What the sidecar runs, in the agent's home."""
    words = pod(agent())["initContainers"][0]["command"]
    with (
        (example.tmp_path / "sidecar.log").open("wb") as log,
        subprocess.Popen(words, env=example.environment, stdout=log, stderr=log, start_new_session=True) as process,
    ):
        yield process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_the_sidecar_delivers_what_a_killed_agent_left(example: Example, sidecar: subprocess.Popen[bytes]) -> None:
    """The image's command serves; killed at once, its last trace is where it belongs when the sidecar has ended."""
    port = option("--bind").rpartition(":")[2]
    words = [word.replace(f"0.0.0.0:{port}", "127.0.0.1:0") for word in command()]
    with example.run(words) as (process, log):
        listening = until(lambda: re.search(r"Listening at: (http://127\.0\.0\.1:\d+)", log.read_text()), log.read_text)
        body = {"messages": [{"role": "user", "content": "Why?"}]}
        with httpx.Client(base_url=listening[1], timeout=30, trust_env=False) as client:
            response = client.post("/chat", json=body, headers={"x-session-id": "last"})
        assert response.status_code == 200, log.read_text()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
    sidecar.send_signal(signal.SIGTERM)
    printed = example.tmp_path / "sidecar.log"
    assert sidecar.wait(30) == 0, printed.read_text()
    assert ", 0 left" in printed.read_text()
    (trace,) = example.traces()
    assert (trace["session"], trace["status"]) == ("last", "ok")
