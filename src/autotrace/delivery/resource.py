"""What is said of this process on every span: OpenTelemetry's resource attributes."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from opentelemetry.sdk.resources import Resource

from .. import pyproject
from .._version import __version__
from ..config import ENVIRONMENT as FROM_ENVIRONMENT
from ..config import Config
from . import checkout
from .platform import ENVIRONMENT, PLATFORM, Platform

#: What OpenTelemetry called `deployment.environment.name` before 2024.
_FORMER = "deployment.environment"
SERVICE, RELEASE = "service.name", "service.version"
#: Where Kubernetes tells a pod its namespace.
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class Said(NamedTuple):
    """A value, and who says so: for a person."""

    value: str
    by: str


def resource_of(config: Config, platform: Platform) -> Resource:
    """The resource of this process: what the settings say, then OpenTelemetry's variables, then what can be seen."""
    found: dict[str, str | int] = {
        **_program(),
        **checkout.built_from(config.variables),
        **checkout.found(),
        "host.name": socket.gethostname(),
        "process.pid": os.getpid(),
        "telemetry.distro.name": "autotrace",
        "telemetry.distro.version": __version__,
        **_pod(platform),
        **{key: value for key, value in platform.attributes.items() if key not in (SERVICE, RELEASE)},
    }
    # Of those that are set only by default OpenTelemetry's variables know better.
    for name in _told(config):
        found.pop(name, None)
    return Resource.create({**found, **known_late(config, platform)})


def known_late(config: Config, platform: Platform) -> dict[str, str]:
    """The attributes that may change when a server hands the program its first request."""
    found = {PLATFORM: platform.name, ENVIRONMENT: environment_of(config, platform).value}
    said = {SERVICE: service_of(config, platform), RELEASE: release_of(config, platform)}
    return {**found, **{name: one.value for name, one in said.items() if one is not None}}


def environment_of(config: Config, platform: Platform) -> Said:
    """`deployment.environment.name`, and who says so."""
    if config.environment is not None:
        return Said(config.environment, _setting(config, "environment"))
    told = _told(config)
    for name in (ENVIRONMENT, _FORMER):
        if told.get(name):
            return Said(told[name], "OTEL_RESOURCE_ATTRIBUTES")
    return Said(platform.environment, platform.reason)


def service_of(config: Config, platform: Platform) -> Said | None:
    """`service.name`, and who says so; None where nobody does."""
    if config.service is None and "OTEL_SERVICE_NAME" in config.standard:
        return Said(config.standard["OTEL_SERVICE_NAME"], "OTEL_SERVICE_NAME")
    return _said(config, platform, "service", SERVICE, "name")


def release_of(config: Config, platform: Platform) -> Said | None:
    """`service.version`, and who says so; None where nobody does."""
    return _said(config, platform, "release", RELEASE, "version")


def _said(config: Config, platform: Platform, setting: str, name: str, key: str) -> Said | None:
    value = getattr(config, setting)
    if value is not None:
        return Said(value, _setting(config, setting))
    told = _told(config).get(name)
    if told:
        return Said(told, "OTEL_RESOURCE_ATTRIBUTES")
    if name in platform.attributes:
        return Said(platform.attributes[name], platform.name)
    found = pyproject.project().get(key)
    return None if found is None else Said(found, f"[project] {key} in pyproject.toml")


def _setting(config: Config, name: str) -> str:
    source = config.sources.get(name, "")
    return config.written(name, source) if source == FROM_ENVIRONMENT else f"the setting {name} ({source})"


def _told(config: Config) -> dict[str, str]:
    """What OTEL_RESOURCE_ATTRIBUTES says, by OpenTelemetry's rules."""
    pairs = (pair.partition("=") for pair in config.standard.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    return {name.strip(): unquote(value.strip()) for name, separator, value in pairs if separator}


def _pod(platform: Platform) -> dict[str, str]:
    """The namespace of a pod that is not told by a variable."""
    if "k8s.pod.name" not in platform.attributes:
        return {}
    try:
        found = _NAMESPACE.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return {}
    return {"k8s.namespace.name": found} if found else {}


def _program() -> dict[str, str]:
    found = {"process.command": sys.argv[0]} if sys.argv and sys.argv[0] else {}
    try:
        found["process.owner"] = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name
        pass
    return found
