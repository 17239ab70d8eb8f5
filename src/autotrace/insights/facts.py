"""What is kept of one trace: figures, names and short texts, worked out from its spans. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from autotrace.store import prices
from autotrace.store.feedback import Feedback, Said
from autotrace.store.rates import Rates
from autotrace.store.spans import Payload, Span
from autotrace.store.traces import TraceSummary, lead, summarise

from .buckets import bucket
from .failures import Failure, failures
from .paths import path, repeats, steps, tool_name
from .schema import SET_MARK, set_text

#: Characters of texts that are kept: a question, an answer, an error; tags as JSON; a name.
_LONGEST_TEXT, _LONGEST_ERROR, _LONGEST_TAGS, _LONGEST_NAME = 500, 300, 4000, 300
_MOST_TAGS = 50
#: Tokens and ns that count, at most, so that sums stay what SQLite can hold: whoever answers may tell anything.
_MOST_TOKENS, _MOST_NS = 2**40, 2**52


class Usage(NamedTuple):
    """The calls of one model in a trace; tokens and USD are sums, the cost None where that of any is unknown."""

    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    reasoning_tokens: int
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Facts:
    """One trace.

    Attributes:
        start_ns: When it began, in ns since 1970.
        values: Of the columns of `traces` that are figures.
        names: Texts of the columns that hold names.
        texts: What was asked, answered, went wrong; tags as JSON.
        usage: By model.
        tool_calls: By tool and bucket of latency: calls, errors, sum of durations in ns.
        failures: How often each occurred.
        tags: `key=value`.
        feedback: All of it.
    """

    trace_id: str
    start_ns: int
    values: Mapping[str, Any]
    names: Mapping[str, str | None]
    texts: tuple[str | None, str | None, str | None, str | None]
    usage: Mapping[str, Usage]
    tool_calls: Mapping[tuple[str, int], tuple[int, int, int]]
    failures: Mapping[Failure, int]
    tags: tuple[str, ...] = ()
    feedback: tuple[Feedback, ...] = field(default=())


def facts(
    spans: Sequence[Span],
    payloads: Mapping[int, Payload],
    said: Said,
    feedback: Sequence[Feedback],
    rates: Rates | None = None,
) -> Facts:
    """What is kept of a trace.

    Args:
        spans: All of its spans, earliest first; at least one.
        payloads: Of spans, by row id; where one is missing (damaged, or one of very many) nothing is known of it.
        said: What was said of the trace afterwards.
        feedback: On the trace.
        rates: What tokens cost, with a memory.
    """
    rates = rates or Rates()
    summary = summarise(spans, lambda span: payloads.get(span.id, Payload()), said, feedback, rates.total_usd)
    root = lead(spans)
    models = [span for span in spans if span.model and span.operation not in prices.UNBILLED]
    up = sum(each.value is True for each in feedback if each.type == "feedback")
    down = sum(each.value is False for each in feedback if each.type == "feedback")
    found = failures(root, spans, payloads, models, bool(down))
    tools = [span for span in spans if span.operation == "execute_tool"]
    return Facts(
        trace_id=summary.trace_id,
        start_ns=summary.start_ns,
        values={
            **_times(root, models),
            "failed": int(root.status in ("error", "interrupted")),
            "spans": len(spans),
            "errors": summary.error_count,
            "model_calls": len(models),
            "tool_calls": len(tools),
            "input_tokens": _sum(span.tokens.input for span in spans),
            "output_tokens": _sum(span.tokens.output for span in spans),
            "cache_read_tokens": _sum(span.tokens.cache_read for span in spans),
            "reasoning_tokens": _sum(span.tokens.reasoning for span in spans),
            "cost_usd": summary.cost_usd,
            "up": up,
            "down": down,
            "retries": sum(count for failure, count in found.items() if failure.kind == "retry"),
            "repeats": repeats(spans, payloads),
        },
        names=_names(summary, spans, tools, payloads, path(steps(spans, payloads, models))),
        texts=_texts(summary, spans, payloads),
        usage=_usage(models, rates),
        tool_calls=_tool_calls(tools, payloads),
        failures=found,
        tags=_tags(summary.tags),
        feedback=tuple(feedback),
    )


def _times(root: Span, models: Iterable[Span]) -> dict[str, int | None]:
    duration = None if root.end_ns is None else max(root.end_ns - root.start_ns, 0)
    first = root.ttft_ns
    if first is None:
        first = next((span.ttft_ns for span in models if span.ttft_ns is not None), None)
    return {
        "duration_ns": duration,
        "latency": None if duration is None else bucket(duration),
        "ttft_ns": first,
        "ttft": None if first is None else bucket(first),
    }


def _names(
    summary: TraceSummary, spans: Sequence[Span], tools: Sequence[Span], payloads: Mapping[int, Payload], way: str
) -> dict[str, str | None]:
    return {
        "status": summary.status,
        "name": summary.name[:_LONGEST_NAME],
        "environment": _cut(summary.environment),
        "service": _cut(summary.service),
        "release": _cut(summary.release),
        "session": _cut(summary.session),
        "user": _cut(summary.user),
        "models": _set(span.model for span in spans),
        "providers": _set(span.provider for span in spans),
        "frameworks": _set(span.framework for span in spans),
        "tools": _set(tool_name(span, payloads.get(span.id, Payload())) for span in tools),
        "error_types": _set(span.error_type for span in spans if span.status == "error"),
        "path": way,
    }


def _texts(
    summary: TraceSummary, spans: Sequence[Span], payloads: Mapping[int, Payload]
) -> tuple[str | None, str | None, str | None, str | None]:
    tags = orjson.dumps(summary.tags).decode() if summary.tags else None
    return (
        _cut(summary.request, _LONGEST_TEXT),
        _cut(summary.response, _LONGEST_TEXT),
        _cut(_error(summary, spans, payloads), _LONGEST_ERROR),
        tags if tags is None or len(tags) <= _LONGEST_TAGS else None,
    )


def _error(summary: TraceSummary, spans: Sequence[Span], payloads: Mapping[int, Payload]) -> str | None:
    """The root's own error, else that of the first span that failed."""
    error = summary.error
    if error is None:
        failed = next((span for span in spans if span.status == "error"), None)
        error = None if failed is None else failed.error(payloads.get(failed.id, Payload()))
    if error is None:
        return None
    told = [text for text in (error.get("type"), error.get("message")) if text]
    return ": ".join(told) or "error"


def _usage(models: Iterable[Span], rates: Rates) -> dict[str, Usage]:
    found: dict[str, Usage] = {}
    for span in models:
        model = _cut(span.model) or ""
        calls, errors, read, written, cached, reasoned, cost = found.get(model, (0, 0, 0, 0, 0, 0, 0.0))
        own = rates.cost_usd(span)
        found[model] = Usage(
            calls + 1,
            errors + (span.status == "error"),
            _bounded(read + _bounded(span.tokens.input)),
            _bounded(written + _bounded(span.tokens.output)),
            _bounded(cached + _bounded(span.tokens.cache_read)),
            _bounded(reasoned + _bounded(span.tokens.reasoning)),
            None if cost is None or own is None else cost + own,
        )
    return found


def _tool_calls(tools: Iterable[Span], payloads: Mapping[int, Payload]) -> dict[tuple[str, int], tuple[int, int, int]]:
    found: dict[tuple[str, int], tuple[int, int, int]] = {}
    for span in tools:
        duration = 0 if span.end_ns is None else max(span.end_ns - span.start_ns, 0)
        key = (tool_name(span, payloads.get(span.id, Payload()))[:_LONGEST_NAME], bucket(duration))
        calls, errors, total = found.get(key, (0, 0, 0))
        found[key] = (calls + 1, errors + (span.status == "error"), min(total + duration, _MOST_NS))
    return found


def _tags(tags: Mapping[str, Any]) -> tuple[str, ...]:
    texts = (value if isinstance(value, str) else orjson.dumps(value).decode() for value in tags.values())
    pairs = (f"{key}={value}"[:_LONGEST_NAME] for key, value in zip(tags, texts, strict=True))
    return tuple(dict.fromkeys(pairs))[:_MOST_TAGS]


def _set(values: Iterable[str | None]) -> str | None:
    return set_text({(_cut(value) or "").replace(SET_MARK, " ") for value in values if value})


def _cut(text: str | None, limit: int = _LONGEST_NAME) -> str | None:
    """The beginning of a text, as UTF-8 can hold it; None for None and for an empty one."""
    return text[:limit].encode("utf-8", "replace").decode() or None if text else None


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [_bounded(count) for count in counts if count is not None]
    return _bounded(sum(known)) if known else None


def _bounded(count: int | None) -> int:
    return min(max(count or 0, 0), _MOST_TOKENS)
