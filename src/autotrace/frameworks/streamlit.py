"""Runs of Streamlit's scripts: one for each time that somebody has touched the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from autotrace import Call, Ended, Instrumentation, Task, TaskEnd, Work, hookimpl


def run(call: Call) -> Work:
    """One run, for one browser's tab; what was said to the page, if it was a word in a chat."""
    runner: Any = call.instance
    return Work(
        f"rerun {PurePath(runner._main_script_path).name}",
        input=next(_said(call.argument("rerun_data")), None),
        session=runner._session_id,
        user=_email(runner._user_info),
        kind="server",
    )


def _said(rerun: Any) -> Iterator[str]:
    """Words of a chat's input. Nothing else tells what was asked: other fields are sent each time, as they stand."""
    states = getattr(rerun, "widget_states", None)
    for widget in () if states is None else states.widgets:
        kind = widget.WhichOneof("value")
        if kind in ("chat_input_value", "string_trigger_value"):
            text = getattr(widget, kind).data
            if text:
                yield text


def _email(user: Any) -> str | None:
    return user.get("email") if isinstance(user, Mapping) else None


def failed(call: Call) -> Ended:
    """The script has raised what Streamlit is about to show."""
    return Ended(None, error=call.argument("ex"))


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """One method runs the script, and again where that asks for it; one function, by release, is told of its errors."""
    entries = (
        Task("streamlit.runtime.scriptrunner.script_runner", "ScriptRunner._run_script", run),
        TaskEnd("streamlit.error_util", "handle_user_script_exception", failed, optional=True),
        TaskEnd("streamlit.error_util", "handle_uncaught_app_exception", failed, optional=True),
    )
    return [Instrumentation("streamlit", entries=entries)]
