"""One virtual environment per setup and family, under benchmarks/.envs, kept while what it needs stays the same."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from families import Family
from setups import ROOT, Setup

ENVIRONMENTS = Path(__file__).resolve().parent / ".envs"
_STAMP = "bench-requirements.json"
_LIST_VERSIONS = (
    "import importlib.metadata as m, json;"
    "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
)


class SetupUnavailableError(Exception):
    """A setup cannot be installed or does not run here; the others go on without it."""


def interpreter(setup: Setup) -> Path:
    """The Python of a setup's environment."""
    scripts = "Scripts" if os.name == "nt" else "bin"
    return ENVIRONMENTS / setup.key / scripts / "python"


def prepare(setup: Setup, pins: Mapping[str, str]) -> dict[str, str]:
    """Create the environment if needed; return the versions of all that is installed in it, by name.

    Args:
        setup: What to install.
        pins: Versions that the traced packages must have, so that all setups trace the same code.

    Raises:
        SetupUnavailableError: A project folder is missing, or the installer failed.
    """
    for project in setup.projects:
        if not (project / "pyproject.toml").is_file():
            raise SetupUnavailableError(f"there is no project at {project.relative_to(ROOT)}")
    stamp_file = ENVIRONMENTS / setup.key / _STAMP
    stamp = _stamp(setup, pins)
    if not stamp_file.is_file() or stamp_file.read_text() != stamp:
        _install(setup, pins)
        stamp_file.write_text(stamp)
    listing = _run([str(interpreter(setup)), "-c", _LIST_VERSIONS])
    versions: dict[str, str] = json.loads(listing)
    return versions


def pins_of(family: Family, versions: Mapping[str, str]) -> dict[str, str]:
    """The versions, among those of the baseline's environment, that the other environments of a family must share."""
    return {name: versions[name] for name in family.pinned if name in versions}


def fingerprint(setup: Setup) -> str:
    """A digest of the sources that are installed in editable mode: the same before and after a sound run."""
    sources = sorted(source for project in setup.projects for source in (project / "src").rglob("*.py"))
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()


def _stamp(setup: Setup, pins: Mapping[str, str]) -> str:
    """What an environment was made from: when it differs, the environment is made anew."""
    projects = {str(project): (project / "pyproject.toml").read_text() for project in setup.projects}
    made_from = {
        "python": sys.version,
        "packages": [*setup.family.requirements, *setup.requirements],
        "pins": dict(pins),
        "projects": projects,
    }
    return json.dumps(made_from, sort_keys=True)


def _install(setup: Setup, pins: Mapping[str, str]) -> None:
    folder = ENVIRONMENTS / setup.key
    shutil.rmtree(folder, ignore_errors=True)
    pinned = [f"{name}=={version}" for name, version in pins.items()]
    requirements = [*setup.family.requirements, *setup.requirements, *pinned]
    for project in setup.projects:
        requirements += ["-e", str(project)]
    uv = shutil.which("uv")
    if uv:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
        _run([uv, "pip", "install", "--quiet", "--python", str(interpreter(setup)), *requirements])
    else:
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(interpreter(setup)), "-m", "pip", "install", "--quiet", *requirements])


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupUnavailableError(f"{' '.join(command[:4])} ...: {done.stderr.strip()[-600:]}")
    return done.stdout
