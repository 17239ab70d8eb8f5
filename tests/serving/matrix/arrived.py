"""What has become of the answered questions: in the store, and in an MLflow server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from autotrace.store.reader import Reader, Trace

from .load import Answer

#: The operation of a span that asked a model.
CHAT = "chat"
#: Where MLflow keeps whose a trace is, and a tag that our traces have.
SESSION, USER, RESOURCE = "mlflow.trace.session", "mlflow.trace.user", "deployment.environment.name"
#: Where a span tells what went in, and what came out.
INPUT, OUTPUT = ("input.value", "gen_ai.input.messages"), ("output.value", "gen_ai.output.messages")


def traces_of(store: Path) -> list[Trace]:
    """All traces of a store."""
    if not store.exists():
        return []
    with Reader(store) as reader:
        found = [reader.trace(trace_id) for trace_id in list(reader.trace_ids())]
    return [trace for trace in found if trace is not None]


def not_in_store(answers: Iterable[Answer], traces: Sequence[Trace], environment: str) -> list[str]:
    """What is missing or wrong, a line for each; empty when each answer, and nothing else, has one complete trace."""
    by_session: dict[str | None, list[Trace]] = {}
    for trace in traces:
        by_session.setdefault(trace.summary.session, []).append(trace)
    wrong: list[str] = []
    for answer in answers:
        found = by_session.pop(answer.question.session, [])
        if len(found) != 1:
            wrong.append(f"{answer.question.request_id}: {len(found)} traces")
            continue
        wrong += [f"{answer.question.request_id}: {problem}" for problem in _problems(answer, found[0], environment)]
    for session, rest in by_session.items():
        wrong += [
            f"nobody asked for {trace.summary.trace_id} (session {session}): {trace.summary.request}" for trace in rest
        ]
    return wrong


def _problems(answer: Answer, trace: Trace, environment: str) -> Iterator[str]:
    """How a trace differs from what one of this answer is."""
    told, question = trace.summary, answer.question
    roots = [span for span in trace.spans if span.parent_id is None]
    models = [span for span in trace.spans if span.operation == CHAT]
    if len(roots) != 1 or len(models) != 1 or roots == models:
        yield f"its spans are {[(span.name, span.parent_id) for span in trace.spans]}"
        return
    root, model = trace.payload(roots[0]).attributes, models[0]
    facts = {
        "a span has not ended, or not well": all(
            span.status == "ok" and span.end_ns is not None for span in trace.spans
        ),
        "the model call hangs in the air": model.parent_id in {span.span_id for span in trace.spans},
        "the root has no input": any(root.get(name) for name in INPUT),
        "the root has no output": any(root.get(name) for name in OUTPUT),
        f"it asks {told.request!r}": is_said(question.text, told.request),
        f"it answers {told.response!r}": is_said(answer.text, told.response),
        f"its user is {told.user}": told.user == question.user,
        f"its environment is {told.environment}": told.environment == environment,
        f"its id is {told.trace_id}, not the {answer.trace_id} that the client was told": (
            told.trace_id == answer.trace_id
        ),
        "it has no tokens": bool(told.input_tokens and told.output_tokens),
    }
    yield from (problem for problem, holds in facts.items() if not holds)


def is_said(text: str, told: str | None) -> bool:
    """Whether what is told holds a text: as it is, or within JSON."""
    return told is not None and (text in told or json.dumps(text)[1:-1] in told)


def not_in_mlflow(answers: Iterable[Answer], found: Sequence[dict[str, Any]]) -> list[str]:
    """The same for what MLflow's server tells of the traces of an experiment, but those of MLflow's own tracing."""
    by_session: dict[str | None, list[dict[str, Any]]] = {}
    for info in found:
        if RESOURCE in info.get("tags", {}):
            by_session.setdefault(_metadata(info, SESSION), []).append(info)
    wrong = []
    for answer in answers:
        question = answer.question
        infos = by_session.pop(question.session, [])
        if len(infos) != 1:
            wrong.append(f"{question.request_id}: {len(infos)} traces")
            continue
        (info,) = infos
        facts = {
            f"its state is {info['state']}": info["state"] == "OK",
            f"its user is {_metadata(info, USER)}": _metadata(info, USER) == question.user,
            f"it asks {info.get('request_preview')!r}": is_said(question.text, info.get("request_preview")),
            f"it answers {info.get('response_preview')!r}": is_said(answer.text, info.get("response_preview")),
        }
        wrong += [f"{question.request_id}: {problem}" for problem, holds in facts.items() if not holds]
    return [*wrong, *(f"nobody asked for the traces of {session}" for session in by_session)]


def _metadata(info: dict[str, Any], name: str) -> str | None:
    found: str | None = info.get("trace_metadata", {}).get(name)
    return found
