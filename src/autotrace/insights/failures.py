"""What went wrong in a trace, in groups: alike are failures of one kind, type, place, model and normalised message."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from autotrace.store.messages import output_messages
from autotrace.store.spans import Payload, Span

#: The kinds of groups, and what each is called where it is shown.
KINDS: Mapping[str, str] = {
    "error": "Errors",
    "timeout": "Timeouts",
    "tool": "Tool failures",
    "retry": "Retries",
    "refusal": "Refusals",
    "truncated": "Truncated answers",
    "empty": "Empty answers",
    "interrupted": "Interrupted runs",
    "disliked": "Disliked answers",
}
#: Reasons to finish that mean that the provider's limit of tokens was met, and that it would not answer.
_TRUNCATED = frozenset({"length", "max_tokens", "max_output_tokens", "model_length", "incomplete"})
_REFUSED = frozenset({"refusal", "content_filter", "safety", "blocklist", "prohibited_content", "spii", "recitation"})
_TIMEOUT = re.compile(r"time(d)?[ _-]?out|deadline exceeded", re.IGNORECASE)
#: An apostrophe within a word (`couldn't`) quotes nothing; `b'...'` is how Python shows bytes.
_QUOTED = re.compile(r"(?:(?<!\w)|(?<=\bb))'[^'\n]{1,400}'(?!\w)|\"[^\"\n]{1,400}\"|`[^`\n]{1,400}`")
_CODE = re.compile(r"[a-z]+(?:[_.][a-z]+)+")
#: Words of a quoted text that is a value, at most.
_FEW_WORDS = 2
#: Characters of a message that count.
_LONGEST = 200
_CHANGING = (
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s\"'<>]{1,500}", re.IGNORECASE), "<url>"),
    (re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,64}"), "<email>"),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b0x[0-9a-f]+\b|\b(?=[a-z]*[0-9])[0-9a-f]{8,}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b[a-z]{1,12}[-_](?=[a-z]*[0-9])[a-z0-9]{6,}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"(?<![\w<])/[\w.@-]+(?:/[\w.@-]+)+"), "<path>"),
    (re.compile(r"(?<!\w)\d+(?:[.,:]\d+)*(?:ns|us|ms|s|m|h|k|kb|mb|gb|%)?(?!\w)", re.IGNORECASE), "<n>"),
)
#: Times that a message is gone through, at most: what is cut, or stands beside what was put in, may look otherwise.
_ROUNDS = 4


class Failure(NamedTuple):
    """What a group of failures has in common; empty where it does not matter."""

    kind: str
    type: str = ""
    place: str = ""
    message: str = ""
    model: str = ""


def failures(
    lead: Span, spans: Sequence[Span], payloads: Mapping[int, Payload], models: Sequence[Span], is_disliked: bool
) -> Counter[Failure]:
    """The failures of a trace, and how often each occurred.

    Args:
        lead: The span that stands for the trace.
        spans: All of them.
        payloads: Of spans, by row id; of one that is not there nothing is known.
        models: Those of the spans that are calls of models.
        is_disliked: Whether somebody's thumb went down.
    """
    found: Counter[Failure] = Counter()
    for span in _origins(spans):
        found[_error(span, payloads.get(span.id, Payload()))] += 1
    for span in models:
        payload = payloads.get(span.id)
        if payload is not None:
            found.update(_answers(span, payload))
    if lead.status == "interrupted":
        found[Failure("interrupted", place=lead.name)] += 1
    if is_disliked:
        found[Failure("disliked", place=lead.name, model=models[-1].model or "" if models else "")] += 1
    return found


def _origins(spans: Sequence[Span]) -> Iterator[Span]:
    """Where errors began: an error passes through all that called what failed, and counts once."""
    failed = [span for span in spans if span.status == "error"]
    inside: dict[str, list[Span]] = {span.span_id: [] for span in failed}
    for span in spans if failed else ():
        if span.parent_id in inside:
            inside[span.parent_id].append(span)
    return (span for span in failed if _is_own(span, inside[span.span_id]))


def _is_own(span: Span, inside: Sequence[Span]) -> bool:
    """Whether an error is not that of a span inside: none failed, or the program got over it and went on."""
    failed = [each for each in inside if each.status == "error"]
    if not failed:
        return True
    if span.error_type in {None, *(each.error_type for each in failed)}:
        return False
    ended = max(each.end_ns or each.start_ns for each in failed)
    return any(each.start_ns >= ended and each.status != "error" for each in inside)


def normalised(message: str) -> str:
    """A message without what differs from one occurrence to the next: numbers, ids, quoted texts, addresses."""
    text = message[: 4 * _LONGEST]
    for _ in range(_ROUNDS):
        before, text = text, _without_values(text)
        if text == before:
            break
    return text


def _without_values(text: str) -> str:
    text = _QUOTED.sub(_unquoted, " ".join(text.split()))
    for pattern, replacement in _CHANGING:
        text = pattern.sub(replacement, text)
    return text[:_LONGEST].strip()


def _unquoted(match: re.Match[str]) -> str:
    """What is left of a quoted text: a sentence and a name of code tell what is wrong, a value only of what."""
    text = match[0][1:-1]
    is_code = _CODE.fullmatch(text) is not None or match.string[match.end() : match.end() + 1] == ":"
    return match[0] if is_code or len(text.split()) > _FEW_WORDS else "<text>"


def _error(span: Span, payload: Payload) -> Failure:
    error = span.error(payload) or {}
    type_, message = error.get("type") or "", error.get("message") or ""
    is_tool = span.operation == "execute_tool"
    kind = "timeout" if _TIMEOUT.search(f"{type_} {message[:_LONGEST]}") else "tool" if is_tool else "error"
    return Failure(kind, type_, place(span), normalised(message), span.model or "")


def place(span: Span) -> str:
    """Where something happened: the operation for a call of a model, whose name stands apart; else the span's name."""
    return span.operation or span.name if span.model else span.name


def _answers(span: Span, payload: Payload) -> Iterator[Failure]:
    """What is wrong with an answer that came."""
    for event in payload.events:
        if event.get("name") == "retry":
            cause = event.get("attributes")
            type_ = cause.get("error.type") if isinstance(cause, Mapping) else None
            yield Failure("retry", type_ if isinstance(type_, str) else "", place(span), model=span.model or "")
    reasons = payload.attributes.get("gen_ai.response.finish_reasons")
    told = reasons if isinstance(reasons, list | tuple) else ()
    said = {reason.lower() for reason in told if isinstance(reason, str)}
    parts = [part for message in output_messages(payload.attributes) for part in message.parts]
    if said & _REFUSED or any(part.get("type") == "refusal" for part in parts):
        yield Failure("refusal", place=place(span), model=span.model or "")
    elif said & _TRUNCATED:
        yield Failure("truncated", place=place(span), model=span.model or "")
    elif span.status == "ok" and _is_empty(payload.attributes, parts):
        yield Failure("empty", place=place(span), model=span.model or "")


def _is_empty(attributes: Mapping[str, Any], parts: Iterable[Mapping[str, Any]]) -> bool:
    """Whether an answer was recorded, and there is nothing in it. Where no content is kept, nobody knows."""
    if "gen_ai.output.messages" not in attributes:
        return False
    for part in parts:
        content = part.get("content")
        if part.get("type") not in ("text", "reasoning") or (isinstance(content, str) and content.strip()):
            return False
    return True
