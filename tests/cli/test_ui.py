"""`autotrace ui`: what it says before and while it serves."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from .conftest import Command, Fill

Started = Callable[..., tuple["subprocess.Popen[str]", str]]
PATIENCE_S = 30


@pytest.fixture
def started(home: Path) -> Iterator[Started]:
    """Starts `autotrace ui` in a process of its own: that, and the address that it tells."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "autotrace", "ui", "--port", "0", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("autotrace ui: http://"), line
        return process, line.split()[2]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def local(address: str) -> str:
    """The address as this machine reaches it."""
    parts = urlsplit(address)
    return parts._replace(netloc=f"127.0.0.1:{parts.port}").geturl()


def status(address: str, host: str | None = None) -> int:
    """What a browser is answered with, which keeps cookies; `host`: the name that it goes to."""
    request = Request(address, headers={"Host": host} if host else {})
    try:
        with build_opener(HTTPCookieProcessor()).open(request, timeout=PATIENCE_S) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code


@pytest.mark.parametrize("name", ["jinja2", "starlette", "uvicorn"])
def test_without_the_extra(autotrace: Command, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It says what to install."""
    monkeypatch.setitem(sys.modules, name, None)
    result = autotrace("ui")
    assert result.exit_code == 1
    assert result.stderr == f'Error: "autotrace ui" needs {name}: pip install "autotrace-ai[ui]"\n'


def test_a_port_that_is_in_use(autotrace: Command) -> None:
    """Is told, with the option for another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = autotrace("ui", "--no-open", "--port", str(port))
    assert result.exit_code == 1
    assert f"127.0.0.1:{port} cannot be listened at" in result.stderr
    assert "--port" in result.stderr


@pytest.mark.parametrize("host", ["a..b", "no-such-host.invalid", "x" * 300, "127.0.0.1:80", "203.0.113.7"])
def test_an_address_that_cannot_be_had(autotrace: Command, host: str) -> None:
    """Is told, without a traceback."""
    result = autotrace("ui", "--no-open", "--port", "0", "--host", host)
    assert result.exit_code == 1
    assert "cannot be listened at" in result.stderr


def test_a_token_that_is_too_short(autotrace: Command) -> None:
    """Could be guessed."""
    result = autotrace("ui", "--no-open", "--token", "abc")
    assert result.exit_code == 1
    assert "too short" in result.stderr


def test_it_serves_and_ends(started: Started, write: Fill) -> None:
    """To this machine alone, without a token; Ctrl-C ends it, and what it has started, without a word."""
    write("a")
    process, address = started("--no-open")
    assert urlsplit(address).hostname == "127.0.0.1"
    assert urlsplit(address).query == ""
    assert status(f"{address}overview") == 200
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out, errors) == (0, "", "")


def test_before_there_is_a_store(started: Started) -> None:
    """The page is there."""
    _, address = started("--no-open")
    assert status(f"{address}overview") == 200


def test_other_machines_want_a_token(started: Started) -> None:
    """One is made up and printed; without it nothing is shown."""
    _, address = started("--no-open", "--host", "0.0.0.0")
    (token,) = parse_qs(urlsplit(address).query)["token"]
    assert len(token) >= 24
    assert urlsplit(address).hostname == socket.gethostname().lower()
    bare = local(address).partition("?")[0]
    assert status(f"{bare}overview") == 401
    assert status(f"{bare}overview?token=wrong-one") == 401
    assert status(f"{bare}overview?token={token}") == 200
    assert status(f"{bare}overview?token={token}", urlsplit(address).netloc) == 200


def test_any_token_stands_in_the_address(started: Started) -> None:
    """Also one with signs that mean something there."""
    token = "a&b=c#d e+f%20"
    _, address = started("--no-open", "--token", token)
    assert parse_qs(urlsplit(address).query) == {"token": [token]}
