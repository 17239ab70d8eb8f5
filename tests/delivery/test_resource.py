"""What is said of a process: by its settings, by OpenTelemetry's variables, by what is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autotrace.config import load
from autotrace.delivery.resource import resource_of


def said(folder: Path, **environ: str) -> dict[str, Any]:
    """The attributes with these variables, in this folder."""
    before = dict(os.environ)
    here = Path.cwd()
    os.environ.update(environ)
    os.chdir(folder)
    try:
        return dict(resource_of(load(environ=environ, folder=folder)).attributes)
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)


def git(folder: Path, *arguments: str) -> str:
    names = ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL")
    environ = {**os.environ, **{f"GIT_{name}": "a@example.org" for name in names}}
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, env=environ
    ).stdout.strip()


def test_settings_and_variables(tmp_path: Path) -> None:
    """The settings count most, what they say only by default counts least."""
    found = said(tmp_path)
    assert (found["deployment.environment.name"], found["process.command"]) == ("development", sys.argv[0])
    told = {
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=staging,host.name=h,team=a",
        "OTEL_SERVICE_NAME": "s",
    }
    found = said(tmp_path, **told)
    assert [found[key] for key in ("deployment.environment.name", "host.name", "team", "service.name")] == [
        *("staging", "h", "a", "s")
    ]
    found = said(tmp_path, **told, AUTOTRACE_ENVIRONMENT="production", AUTOTRACE_SERVICE="t", AUTOTRACE_RELEASE="1.2")
    assert [found[f"{key}"] for key in ("deployment.environment.name", "service.name", "service.version")] == [
        *("production", "t", "1.2")
    ]


def test_checkout(tmp_path: Path) -> None:
    """Commit, branch and address of the checkout are those that git tells, in a folder of it and in a worktree."""
    assert "vcs.ref.head.revision" not in said(tmp_path)
    repository = tmp_path / "repository"
    (repository / "deep" / "er").mkdir(parents=True)
    git(repository, "init", "-b", "main")
    assert "vcs.ref.head.revision" not in said(repository)
    git(repository, "commit", "--allow-empty", "-m", "one")
    git(repository, "remote", "add", "origin", "https://alice:secret@example.org/shop.git")
    commit = git(repository, "rev-parse", "HEAD")
    expected = {
        "vcs.ref.head.name": "main",
        "vcs.ref.head.revision": commit,
        "vcs.repository.url.full": "https://example.org/shop.git",
    }
    assert said(repository / "deep" / "er").items() >= expected.items()
    git(repository, "pack-refs", "--all")
    assert said(repository).items() >= expected.items()
    git(repository, "worktree", "add", "-b", "side", str(tmp_path / "side"))
    assert said(tmp_path / "side").items() >= {**expected, "vcs.ref.head.name": "side"}.items()
    git(repository, "checkout", "--detach")
    assert said(repository)["vcs.ref.head.revision"] == commit
    assert "vcs.ref.head.name" not in said(repository)


@pytest.mark.parametrize("content", [b"ref: refs/heads/x", b"\xff\xfe", b"", b"gitdir: /nowhere"])
def test_odd_checkouts(tmp_path: Path, content: bytes) -> None:
    """What is no checkout says nothing and breaks nothing."""
    (tmp_path / ".git").write_bytes(content)
    assert "vcs.ref.head.revision" not in said(tmp_path)
    (tmp_path / ".git").unlink()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_bytes(content)
    assert "vcs.ref.head.revision" not in said(tmp_path)
