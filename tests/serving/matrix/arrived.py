"""What has become of the answered questions: in the store, and in an MLflow server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from autotrace.store.reader import Reader, Trace

from .load import Answer

#: What a span is called that asked a model.
CHAT = "chat"


def traces_of(store: Path) -> list[Trace]:
    """All traces of a store."""
    if not store.exists():
        return []
    with Reader(store) as reader:
        found = [reader.trace(trace_id) for trace_id in list(reader.trace_ids())]
    return [trace for trace in found if trace is not None]


def not_in_store(answers: Iterable[Answer], traces: Sequence[Trace]) -> list[str]:
    """What is missing or wrong, a line for each; empty when each answer, and nothing else, has one complete trace."""
    answers = list(answers)
    by_session: dict[str | None, list[Trace]] = {}
    for trace in traces:
        by_session.setdefault(trace.summary.session, []).append(trace)
    wrong: list[str] = []
    for answer in answers:
        found = by_session.pop(answer.question.session, [])
        if len(found) != 1:
            wrong.append(f"{answer.question.request_id}: {len(found)} traces")
            continue
        wrong += [f"{answer.question.request_id}: {problem}" for problem in _problems(answer, found[0])]
    for session, rest in by_session.items():
        wrong += [
            f"nobody asked for {trace.summary.trace_id} (session {session}): {trace.summary.request}" for trace in rest
        ]
    return wrong


def _problems(answer: Answer, trace: Trace) -> Iterable[str]:
    """How a trace differs from what one of this answer is."""
    told, question = trace.summary, answer.question
    roots = [span for span in trace.spans if span.parent_id is None]
    models = [span for span in trace.spans if span.operation == CHAT]
    if len(roots) != 1 or len(models) != 1:
        yield f"{len(roots)} roots, {len(models)} model calls: {[span.name for span in trace.spans]}"
        return
    if roots == models:
        yield "the model call has no root above it"
        return
    seen = {
        "statuses": {span.status for span in trace.spans},
        "ended": all(span.end_ns is not None for span in trace.spans),
        "user": told.user,
        "request": told.request,
        "response": told.response,
        "root asked": "input" in _content_of(trace, 0),
        "root answered": "output" in _content_of(trace, 0),
        "tokens": bool(told.input_tokens and told.output_tokens),
        "parent": models[0].parent_id in {span.span_id for span in trace.spans},
        "trace id": told.trace_id,
    }
    wanted = {
        "statuses": {"ok"},
        "ended": True,
        "user": question.user,
        "request": question.text,
        "response": answer.text,
        "root asked": True,
        "root answered": True,
        "tokens": True,
        "parent": True,
        "trace id": answer.trace_id,
    }
    yield from (f"{name} is {seen[name]!r}, not {wanted[name]!r}" for name in wanted if seen[name] != wanted[name])


def _content_of(trace: Trace, number: int) -> set[str]:
    """Whether a span tells of what went in (`input`) and what came out (`output`)."""
    root = next(span for span in trace.spans if span.parent_id is None)
    names = trace.payload(root).attributes
    return {
        direction
        for direction, keys in {
            "input": ("input.value", "gen_ai.input.messages"),
            "output": ("output.value", "gen_ai.output.messages"),
        }.items()
        if any(names.get(key) for key in keys)
    }


def not_in_mlflow(answers: Iterable[Answer], found: Sequence[dict[str, Any]]) -> list[str]:
    """The same for what MLflow's server tells of the traces of an experiment."""
    sessions = Counter(_metadata(info, "mlflow.trace.session") for info in found)
    by_session = {_metadata(info, "mlflow.trace.session"): info for info in found}
    wrong = []
    for answer in answers:
        question = answer.question
        if sessions[question.session] != 1:
            wrong.append(f"{question.request_id}: {sessions[question.session]} traces")
            continue
        info = by_session[question.session]
        seen = (
            info["state"],
            _metadata(info, "mlflow.trace.user"),
            info.get("request_preview"),
            info.get("response_preview"),
        )
        if seen != ("OK", question.user, question.text, answer.text):
            wrong.append(f"{question.request_id}: {seen}")
    wrong += [f"{len(found)} traces of {len(sessions)} sessions"] if len(found) != len(sessions) else []
    return wrong


def _metadata(info: dict[str, Any], name: str) -> str | None:
    found: str | None = info.get("trace_metadata", {}).get(name)
    return found
