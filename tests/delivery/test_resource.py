"""What is said of a process: by its settings, by OpenTelemetry's variables, by what is there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from autotrace.config import load
from autotrace.delivery import resource
from autotrace.delivery.platform import detect
from autotrace.delivery.resource import resource_of


def said(folder: Path, argv: Sequence[str] = ("app.py",), **environ: str) -> dict[str, Any]:
    """The attributes with these variables, of a program in this folder."""
    before = dict(os.environ)
    here = Path.cwd()
    os.environ.update(environ)
    os.chdir(folder)
    try:
        return dict(resource_of(load(environ=environ, folder=folder), detect(environ, argv, {})).attributes)
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


def test_environment(tmp_path: Path) -> None:
    """Setting, OpenTelemetry's variable (the former name as well), what the program runs on: in this order."""
    server = ["/venv/bin/gunicorn"]
    keys = ("deployment.environment.name", "autotrace.platform")

    def environment(*argv: str, **environ: str) -> tuple[str, str]:
        found = said(tmp_path, argv, **environ)
        return found[keys[0]], found[keys[1]]

    assert environment("app.py") == ("development", "shell")
    assert environment(*server) == ("production", "gunicorn")
    for name in keys[0], "deployment.environment":
        assert environment(*server, OTEL_RESOURCE_ATTRIBUTES=f"{name}=a%20b") == ("a b", "gunicorn")
    both = {"OTEL_RESOURCE_ATTRIBUTES": f"deployment.environment=old,{keys[0]}=new"}
    assert environment(*server, **both) == ("new", "gunicorn")
    assert environment(*server, **both, AUTOTRACE_ENVIRONMENT="staging") == ("staging", "gunicorn")
    assert environment(*server, AUTOTRACE_ENVIRONMENT="", OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=") == (
        "production",
        "gunicorn",
    )


def test_service_and_release(tmp_path: Path) -> None:
    """Setting, OpenTelemetry's variables, the platform's, the project: in this order, each by itself."""
    cloud = {"K_SERVICE": "ask", "K_REVISION": "ask-42"}

    def pair(**environ: str) -> list[str | None]:
        found = said(tmp_path, **environ)
        return [found.get(name) for name in ("service.name", "service.version")]

    assert pair()[0].startswith("unknown_service")  # type: ignore[union-attr]
    assert pair()[1] is None
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\nversion = "1.2"\n')
    assert pair() == ["shop", "1.2"]
    assert pair(**cloud) == ["ask", "ask-42"]
    assert pair(K_SERVICE="ask") == ["ask", "1.2"]
    assert pair(**cloud, OTEL_RESOURCE_ATTRIBUTES="service.name=o,service.version=2") == ["o", "2"]
    assert pair(**cloud, OTEL_RESOURCE_ATTRIBUTES="service.name=o", OTEL_SERVICE_NAME="s") == ["s", "ask-42"]
    assert pair(**cloud, OTEL_SERVICE_NAME="s", AUTOTRACE_SERVICE="t", AUTOTRACE_RELEASE="9") == ["t", "9"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[project",
        "project = 3",
        '[[project]]\nname = "shop"',
        "[project]\nname = 3\nversion = []",
        '[project]\nname = " "\ndynamic = ["version"]',
        '[tool.x]\n"[project]" = 1',
    ],
)
def test_odd_projects(tmp_path: Path, content: str) -> None:
    """A pyproject.toml that names no project says nothing, and breaks nothing."""
    (tmp_path / "pyproject.toml").write_text(content)
    found = said(tmp_path)
    assert found["service.name"].startswith("unknown_service")
    assert "service.version" not in found


def test_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the platform says is there, the namespace of a pod from its file; OpenTelemetry's variable knows better."""
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "shop-1"}
    assert "k8s.namespace.name" not in said(tmp_path, **pod)
    namespace = tmp_path / "namespace"
    namespace.write_text("customers\n")
    monkeypatch.setattr(resource, "_NAMESPACE", namespace)
    assert (
        said(tmp_path, **pod).items()
        >= {
            "autotrace.platform": "kubernetes",
            "deployment.environment.name": "production",
            "k8s.pod.name": "shop-1",
            "k8s.namespace.name": "customers",
            "service.instance.id": "shop-1",
        }.items()
    )
    told = said(tmp_path, **pod, OTEL_RESOURCE_ATTRIBUTES="k8s.pod.name=a,service.instance.id=b")
    assert (told["k8s.pod.name"], told["service.instance.id"]) == ("a", "b")
    assert said(tmp_path, POD_NAMESPACE="n", **pod)["k8s.namespace.name"] == "n"
    assert "k8s.namespace.name" not in said(tmp_path)


def test_built_from(tmp_path: Path) -> None:
    """Without a checkout the usual variables tell the commit; what is no commit is none; a checkout knows better."""
    commit = "0123456789ABCDEF0123456789abcdef01234567"
    for name in ("GIT_COMMIT", "GITHUB_SHA", "CI_COMMIT_SHA", "HEROKU_SLUG_COMMIT", "RENDER_GIT_COMMIT"):
        assert said(tmp_path, **{name: commit})["vcs.ref.head.revision"] == commit.lower()
    assert said(tmp_path, SOURCE_VERSION="abcdef0")["vcs.ref.head.revision"] == "abcdef0"
    for odd in ("main", "abc", "", "1.2.3", f"{commit}\n{commit}"):
        assert "vcs.ref.head.revision" not in said(tmp_path, GIT_COMMIT=odd)
    git(tmp_path, "init", "-b", "main")
    git(tmp_path, "commit", "--allow-empty", "-m", "one")
    assert said(tmp_path, GIT_COMMIT=commit)["vcs.ref.head.revision"] == git(tmp_path, "rev-parse", "HEAD")


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


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://alice:p@ss@example.org:8443/shop.git", "https://example.org:8443/shop.git"),
        ("git+ssh://alice:secret@example.org/shop", "git+ssh://example.org/shop"),
        ("https://example.org/shop?access_token=secret#secret", "https://example.org/shop"),
        ("https://secret@example.org", "https://example.org"),
        ("git@example.org:shop.git", "git@example.org:shop.git"),
        ("/srv/git/shop.git", "/srv/git/shop.git"),
    ],
)
def test_no_secret_of_an_address_is_told(tmp_path: Path, address: str, told: str) -> None:
    """A password, or a token, in the address of a checkout stays there."""
    git(tmp_path, "init", "-b", "main")
    git(tmp_path, "commit", "--allow-empty", "-m", "one")
    git(tmp_path, "remote", "add", "origin", address)
    assert said(tmp_path)["vcs.repository.url.full"] == told


@pytest.mark.parametrize("content", [b"ref: refs/heads/x", b"\xff\xfe", b"", b"gitdir: /nowhere"])
def test_odd_checkouts(tmp_path: Path, content: bytes) -> None:
    """What is no checkout says nothing and breaks nothing."""
    (tmp_path / ".git").write_bytes(content)
    assert "vcs.ref.head.revision" not in said(tmp_path)
    (tmp_path / ".git").unlink()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_bytes(content)
    assert "vcs.ref.head.revision" not in said(tmp_path)
