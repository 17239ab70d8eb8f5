"""The git checkout that a program runs in, read from its files; else what variables say it was built from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

REVISION = "vcs.ref.head.revision"
_COMMIT = re.compile("[0-9a-f]{40,64}")
_SHORT_COMMIT = re.compile("[0-9a-f]{7,64}")
#: Where a commit stands that was built or deployed from, outside of its checkout.
_COMMIT_VARIABLES = (
    *("GIT_COMMIT", "GIT_COMMIT_SHA", "GIT_SHA", "COMMIT_SHA", "SOURCE_COMMIT", "SOURCE_VERSION"),
    *("GITHUB_SHA", "CI_COMMIT_SHA", "HEROKU_SLUG_COMMIT", "HEROKU_BUILD_COMMIT", "RENDER_GIT_COMMIT"),
    *("RAILWAY_GIT_COMMIT_SHA", "VERCEL_GIT_COMMIT_SHA", "KOYEB_GIT_SHA", "BITBUCKET_COMMIT", "CIRCLE_SHA1"),
    *("BUILDKITE_COMMIT", "BUILD_SOURCEVERSION", "DRONE_COMMIT_SHA", "TRAVIS_COMMIT"),
)


def found() -> dict[str, str]:
    """Commit, branch and address of the git checkout that the process runs in, read from its files."""
    try:
        here = Path.cwd()
        folder = next((path for path in (here, *here.parents) if (path / ".git").exists()), None)
        return {} if folder is None else _head(_git_folder(folder / ".git"))
    except (OSError, ValueError):
        return {}


def built_from(environ: Mapping[str, str]) -> dict[str, str]:
    """The commit that was deployed, where there is no checkout."""
    values = (environ.get(name, "").strip().lower() for name in _COMMIT_VARIABLES)
    commit = next((value for value in values if _SHORT_COMMIT.fullmatch(value)), None)
    return {} if commit is None else {REVISION: commit}


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
        found[REVISION] = head
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
    return _without_secrets(found[1].strip('"')) if found else ""


def _without_secrets(address: str) -> str:
    """Without what stands before the host, a name and a password perhaps, and without a query."""
    scheme, mark, rest = address.partition("://")
    if not mark:
        return address  # a path, or `git@host:path`, in which no password can stand
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{re.split('[?#]', path)[0]}"
