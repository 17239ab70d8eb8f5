"""What is said of this process on every span: OpenTelemetry's resource attributes."""

from __future__ import annotations

import getpass
import os
import re
import socket
import sys
from pathlib import Path

from opentelemetry.sdk.resources import Resource

from .._version import __version__
from ..config import Config

ENVIRONMENT = "deployment.environment.name"
_COMMIT = re.compile("[0-9a-f]{40,64}")


def resource_of(config: Config) -> Resource:
    """The resource of this process: what the settings say, then OpenTelemetry's variables, then what can be seen."""
    found: dict[str, str | int] = {
        **_program(),
        **_checkout(),
        "host.name": socket.gethostname(),
        "process.pid": os.getpid(),
        "telemetry.distro.name": "autotrace",
        "telemetry.distro.version": __version__,
    }
    # Of those that are set only by default OpenTelemetry's variables know better.
    told = config.standard.get("OTEL_RESOURCE_ATTRIBUTES", "")
    for name in [pair.partition("=")[0].strip() for pair in told.split(",")]:
        found.pop(name, None)
    if "environment" in config.sources or not re.search(r"\bdeployment\.environment\.name\s*=", told):
        found[ENVIRONMENT] = config.environment
    if config.service is not None:
        found["service.name"] = config.service
    if config.release is not None:
        found["service.version"] = config.release
    return Resource.create(found)


def _program() -> dict[str, str]:
    found = {"process.command": sys.argv[0]} if sys.argv and sys.argv[0] else {}
    try:
        found["process.owner"] = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name
        pass
    return found


def _checkout() -> dict[str, str]:
    """Commit, branch and address of the git checkout that the process runs in, read from its files."""
    try:
        here = Path.cwd()
        folder = next((path for path in (here, *here.parents) if (path / ".git").exists()), None)
        return {} if folder is None else _head(_git_folder(folder / ".git"))
    except (OSError, ValueError):
        return {}


def _git_folder(path: Path) -> Path:
    """The folder of a checkout's own state; a worktree names it in a file."""
    if path.is_dir():
        return path
    return (path.parent / path.read_text(encoding="utf-8").partition(":")[2].strip()).resolve()


def _head(git: Path) -> dict[str, str]:
    common = git / "commondir"
    shared = (git / common.read_text(encoding="utf-8").strip()).resolve() if common.exists() else git
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    found = {}
    if head.startswith("ref: refs/heads/"):
        found["vcs.ref.head.name"] = head.removeprefix("ref: refs/heads/")
        head = _commit_of(head.removeprefix("ref: "), git, shared)
    if _COMMIT.fullmatch(head):
        found["vcs.ref.head.revision"] = head
    address = _origin(shared / "config")
    if address:
        found["vcs.repository.url.full"] = address
    return found


def _commit_of(ref: str, git: Path, shared: Path) -> str:
    for folder in (git, shared):
        if (folder / ref).is_file():
            return (folder / ref).read_text(encoding="utf-8").strip()
    packed = shared / "packed-refs"
    lines = packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(" " + ref)), "")


def _origin(config: Path) -> str:
    """The address of the remote `origin`, without a password that stands in it."""
    text = config.read_text(encoding="utf-8") if config.is_file() else ""
    found = re.search(r'\[remote "origin"\][^\[]*?^\s*url\s*=\s*(\S+)', text, re.MULTILINE)
    return re.sub(r"^(\w+://)[^/@]*@", r"\1", found[1]) if found else ""
