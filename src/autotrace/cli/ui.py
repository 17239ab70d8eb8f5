"""`autotrace ui`: the page."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from autotrace.errors import FeedbackError

from .store import settings
from .terminal import Failure

if TYPE_CHECKING:
    from types import FrameType

    from starlette.types import ASGIApp
    from uvicorn import Server

    from autotrace.config import Config
    from autotrace.web.site import Locate, Site

_MISSING = '"autotrace ui" needs {}: pip install "autotrace-ai[ui]"'
#: Connections that wait to be taken.
_BACKLOG = 128
#: Seconds that feedback may take to arrive; afterwards it goes on by itself.
_FLUSH_S = 5.0
#: Who says what is said in the page: it must not take the place of what the program's own users said.
_REVIEWER = "autotrace ui"
#: What stands for all addresses of the machine: none that one can go to.
_ALL = ("", "0.0.0.0", "::")  # noqa: S104


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=5317, show_default=True, help="0: any that is free.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Another than this machine's own wants a token.",
)
@click.option("--token", metavar="TEXT", help="What who looks must know; one is made up where --host needs it.")
@click.option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    help="A name by which the page is reached, such as a proxy's. Repeatable.",
)
@click.option("--hide-content", is_flag=True, help="Show figures, and nothing of what was said.")
@click.option("--open/--no-open", "opens", default=None, help="Open a browser. By default where there is a terminal.")
def ui(
    port: int, host: str, token: str | None, allow_host: tuple[str, ...], hide_content: bool, opens: bool | None
) -> None:
    """Look at traces in a browser.

    Shows the traces in the store: what was asked and answered, what failed, how long it took and what it cost. It
    follows what running programs write.
    """
    try:
        import jinja2  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise Failure(_MISSING.format(error.name)) from error
    from .following import following

    found = settings()
    if not _is_local(host):
        token = token or secrets.token_urlsafe(24)
    if token is not None and len(token) < 8:
        raise Failure("the token is too short: eight characters at least")
    listener = _listener(host, port)
    address = _address(host, listener.getsockname()[1], token)
    with following(found):
        site = _site(found, hide_content)
        application = _application(site, token, (*allow_host, _name(host)))
        server = uvicorn.Server(
            uvicorn.Config(
                application,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=2,
                lifespan="on",
            )
        )
        _end_before(server, site)
        click.echo(f"autotrace ui: {address}  (Ctrl-C ends it)")
        if opens or (opens is None and sys.stdout.isatty()):
            click.launch(address)
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            pass


def _site(found: Config, hide_content: bool) -> Site:
    from autotrace.web.site import Site

    return Site(found, hide_content, _judge, _locate(found))


def _application(site: Site, token: str | None, hosts: tuple[str, ...]) -> ASGIApp:
    from autotrace.web.app import application
    from autotrace.web.guard import Rules

    names = {name.strip().lower().rstrip(".") for name in hosts}
    return application(site, Rules(frozenset(names), token))


def _end_before(server: Server, site: Site) -> None:
    """Lets pages that are open go when the server is told to end: it would wait for them, and complain."""
    handle_exit = server.handle_exit

    def end(number: int, frame: FrameType | None) -> None:
        for each in site.ends:
            each()
        handle_exit(number, frame)

    server.handle_exit = end  # type: ignore[assignment, method-assign]


def _locate(found: Config) -> Locate | None:
    """What tells where a trace is in MLflow, where that is set up: its modules are loaded for who has a link alone."""
    if "mlflow" not in found.destination and "MLFLOW_TRACKING_URI" not in found.standard:
        return None
    from autotrace.delivery.destinations.mlflow.links import Links

    return Links(found)


def _judge(trace_id: str, is_up: bool, comment: str | None, user: str | None) -> str:
    """Gives feedback as a program would: it goes where the settings send spans."""
    from autotrace.activation import active
    from autotrace.feedback import log_feedback

    active().switch_on()  # the project's own plugins say what is redacted
    if active().recorder() is None:
        raise FeedbackError(
            "nothing is recorded: autotrace is switched off here, by the setting disable or by OTEL_SDK_DISABLED"
        )
    number = log_feedback(is_up, trace_id=trace_id, comment=comment, user=user or _REVIEWER)
    active().flush(_FLUSH_S)
    return number


def _listener(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        Failure: The address cannot be had.
    """
    listener = None
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(_BACKLOG)
    except (OSError, ValueError) as error:  # ValueError: what cannot be a name
        if listener is not None:
            listener.close()
        why = getattr(error, "strerror", None) or "that is no address"
        raise Failure(f"{host}:{port} cannot be listened at ({why}): choose another by --host or --port") from error
    return listener


def _name(host: str) -> str:
    """By which name one goes to an address: that of the machine where it is all of its addresses."""
    return socket.gethostname().lower() if host in _ALL else host


def _address(host: str, port: int, token: str | None) -> str:
    name = _name(host)
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{port}/" + (f"?token={quote(token, safe='')}" if token else "")


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
