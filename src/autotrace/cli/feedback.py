"""`autotrace feedback`: says how good a trace was."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
import orjson

from autotrace import setting_values
from autotrace.errors import FeedbackError, StoreError

from .figures import setting
from .store import find_local, opened_store, shown_log
from .terminal import Failure, print_json, visible, warn
from .traces import one

if TYPE_CHECKING:
    from autotrace.config import Config
    from autotrace.delivery.pipeline import Arrival

_WHOLE_ID = re.compile("(?:tr-)?([0-9a-f]{32})")
_OFF = (
    "nothing is recorded: autotrace is switched off here, by the setting disable or by OTEL_SDK_DISABLED or AUTOTRACE"
)
_TOLD = {
    "delivered": "delivered",
    "waiting": 'waits in the journal; the next process or "autotrace drain" delivers it',
    "refused": "refused it",
    "lost": "could neither be reached nor does the disk keep it",
}


@click.command()
@click.argument("identifier", metavar="ID")
@click.option("--up", is_flag=True, help="It was good: the value true.")
@click.option("--down", is_flag=True, help="It was not: the value false.")
@click.option("--value", metavar="X", help="Or true, false, a number, a text.")
@click.option("--comment", metavar="TEXT", help="Why.")
@click.option("--name", metavar="NAME", default="feedback", show_default=True, help="What is judged: helpfulness.")
@click.option("--user", metavar="USER", help="Who says so.")
@click.option("--span", metavar="ID", help="It is about this span of the trace: 16 hexadecimal digits.")
@click.option("--request", "is_request", is_flag=True, help="ID is that of a request to an application of this home.")
@click.option(
    "--timeout",
    metavar="TIME",
    default="10s",
    show_default=True,
    callback=setting(setting_values.duration),
    help="How long the delivery may take: 5s, 1m.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object (docs/cli.md says what is in it).")
def feedback(
    identifier: str,
    up: bool,
    down: bool,
    value: str | None,
    comment: str | None,
    name: str,
    user: str | None,
    span: str | None,
    is_request: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Say how good a trace was.

    ID is a trace's id, also of one that is not here; or the beginning of one that "autotrace traces" lists; or, with
    --request, the id of a request that led to one. What the same user says under the same name of the same trace
    takes the place of what was said before. It goes where the settings send spans.
    """
    from autotrace.activation import active
    from autotrace.feedback import log_feedback

    if up + down + (value is not None) != 1:
        raise click.UsageError("give one of --up, --down and --value")
    verdict = up if value is None else _read(value)
    find_local()
    with shown_log():
        active().switch_on()  # the project's own plugins say what is redacted
        config = active().config()
        if active().recorder() is None:
            raise Failure(_OFF)
    trace_id = _of_request(identifier, config) if is_request else _whole(identifier, config)
    with shown_log():
        try:
            number = log_feedback(
                verdict, trace_id=trace_id, span_id=span, name=name, comment=comment or None, user=user or None
            )
        except FeedbackError as error:
            raise Failure(error) from error
        arrivals = active().finish(timeout)
    if as_json:
        rows = [vars(arrival) for arrival in arrivals]
        print_json({"id": number, "trace_id": trace_id, "span_id": span, "destinations": rows})
    else:
        _report(trace_id, arrivals)
    if "store" in config.destination:
        _warn_if_unknown(trace_id, config)
    if any(arrival.state in ("refused", "lost") for arrival in arrivals):
        raise SystemExit(1)


def _read(text: str) -> bool | float | str:
    """A value as JSON has it: true, false, a number, a text in quotes; anything else is a text as it is."""
    try:
        found = orjson.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, bool | int | float | str) else text


def _whole(identifier: str, config: Config) -> str:
    """The whole id of the trace that is meant.

    Raises:
        Failure: It is no whole one, and not the beginning of one that is in the store.
    """
    text = identifier.strip().lower()
    found = _WHOLE_ID.fullmatch(text)
    if found is not None:
        return found[1]
    with opened_store(config) as (reader, _):
        if reader is None:
            raise Failure(f"there is no store in {config.home} to look for the beginning of an id: give the whole one")
        return one(reader, text.removeprefix("tr-"))


def _of_request(identifier: str, config: Config) -> str:
    """The trace that a request led to.

    Raises:
        Failure: It is not known.
    """
    from autotrace.serving.request_ids import RequestIds

    found = RequestIds(config.home / "journal").find(identifier)
    if found is None:
        raise Failure(
            f"no request {identifier!r} is known in {config.home}, or it is too long ago: give the trace's id, as the"
            " header x-autotrace-trace-id of the answer has it"
        )
    return found


def _report(trace_id: str, arrivals: list[Arrival]) -> None:
    click.echo(f"Feedback on trace {trace_id}")
    for arrival in arrivals:
        reason = f" ({arrival.last_error})" if arrival.last_error else ""
        click.echo(visible(f"{arrival.destination}: {_TOLD[arrival.state]}{reason}"))
    if not arrivals:
        click.echo("It is in the journal; no destination is set.")


def _warn_if_unknown(trace_id: str, config: Config) -> None:
    """Tells of a trace that the store does not have: its spans may still come, or the id is another's."""
    from autotrace.store.reader import Reader

    try:
        with Reader(config.home / "traces.db") as reader:
            is_known = bool(reader.matches(trace_id))
    except StoreError:
        is_known = False
    if not is_known:
        warn(f"the store in {config.home} has no trace {trace_id} yet")
