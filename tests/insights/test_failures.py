"""What counts as a failure, and what makes two of them alike."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotrace.insights.failure_list import failure, failure_list
from autotrace.insights.failures import KINDS, normalised
from autotrace.insights.opening import opened
from autotrace.insights.parts import Memory
from autotrace.insights.scope import Scope
from tests.store.conftest import BEGAN, SECOND, Store, chat, feedback, record

HOUR = Scope(BEGAN - 10 * SECOND, BEGAN + 3600 * SECOND)
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}


def told(store: Store, kind: str | None = None, limit: int = 100) -> dict[str, Any]:
    """What the list of failures tells."""
    with opened(store.path.parent) as insights:
        return failure_list(insights, Memory(), HOUR, kind, limit)


def found(store: Store) -> list[tuple[Any, ...]]:
    """Kind, type, place, message, model and how often, of each group."""
    names = ("kind", "type", "place", "message", "model", "count")
    return sorted(tuple(group[name] for name in names) for group in told(store)["groups"])


def error(type_: str, **more: Any) -> dict[str, Any]:
    """Attributes of a span that failed."""
    return {"error.type": type_, **more}


def test_an_error_counts_where_it_began(store: Store) -> None:
    """Not in each of the spans that it passed through."""
    for span, parent in (("1", None), ("2", "1"), ("3", "2")):
        store.write(record("a", span, parent, status="error", message="no", attributes=error("ValueError")))
    assert found(store) == [("error", "ValueError", "span 3", "no", "", 1)]


def test_what_goes_wrong_after_another_failure_counts_too(store: Store) -> None:
    """An agent that got over a failed tool, went on, and then gave up for a reason of its own."""
    store.write(
        record("a", "1", None, 0, 9, status="error", message="10 turns", attributes=error("MaxTurnsExceeded")),
        record("a", "2", "1", 1, 1, status="error", message="no", attributes=TOOL | error("KeyError")),
        record("a", "3", "1", 3, 1, attributes=chat("hi", "yo")),
    )
    assert [(each[0], each[1]) for each in found(store)] == [("error", "MaxTurnsExceeded"), ("tool", "KeyError")]


@pytest.mark.parametrize(("type_", "start"), [("KeyError", 3), ("AgentError", 0.5)])
def test_what_passes_through_does_not_count_again(store: Store, type_: str, start: float) -> None:
    """Neither the same error after something was cleared away, nor one that it was made into at once."""
    store.write(
        record("a", "1", None, 0, 9, status="error", message="failed: no", attributes=error(type_)),
        record("a", "2", "1", 1, 1, status="error", message="no", attributes=TOOL | error("KeyError")),
        record("a", "3", "1", start, 3, attributes=chat("hi", "yo")),
    )
    assert [(each[0], each[1]) for each in found(store)] == [("tool", "KeyError")]


def test_an_error_of_a_model_names_it(store: Store) -> None:
    """The place is the operation, and the model stands apart."""
    store.write(
        record("a", "1", attributes=chat("hi") | error("RateLimitError"), status="error", message="429 slow down")
    )
    assert found(store) == [("error", "RateLimitError", "chat", "<n> slow down", "gpt-4o-mini", 1)]


@pytest.mark.parametrize(
    ("type_", "message", "kind"),
    [
        ("APITimeoutError", "", "timeout"),
        ("Error", "the request timed out", "timeout"),
        ("DEADLINE_EXCEEDED", "Deadline exceeded after 3s", "timeout"),
        ("ReadTimeout", "", "timeout"),
        ("Error", "time is money", "error"),
    ],
)
def test_timeouts_are_a_group_of_their_own(store: Store, type_: str, message: str, kind: str) -> None:
    """By the type or by what is said."""
    store.write(record("a", "1", status="error", message=message, attributes=error(type_)))
    assert [each[0] for each in found(store)] == [kind]


def test_tools_that_fail(store: Store) -> None:
    """Are told by the tool's span, apart from errors; one that runs out of time is a timeout."""
    store.write(
        record("a", "1"),
        record("a", "2", "1", status="error", message="no", attributes=TOOL | error("KeyError")),
        record("a", "3", "1", status="error", message="timed out", attributes=TOOL | error("OSError")),
    )
    assert [(each[0], each[1]) for each in found(store)] == [("timeout", "OSError"), ("tool", "KeyError")]


@pytest.mark.parametrize(
    ("reasons", "kind"),
    [
        (["length"], "truncated"),
        (["max_tokens"], "truncated"),
        (["MAX_TOKENS"], "truncated"),
        (["content_filter"], "refusal"),
        (["SAFETY"], "refusal"),
        (["stop"], None),
        ([], None),
    ],
)
def test_reasons_to_finish(store: Store, reasons: list[str], kind: str | None) -> None:
    """What was cut off and what was refused, as the providers say it."""
    store.write(record("a", "1", attributes=chat("hi", "yo") | {"gen_ai.response.finish_reasons": reasons}))
    assert [each[0] for each in found(store)] == ([kind] if kind else [])


def test_a_part_that_refuses(store: Store) -> None:
    """Is a refusal whatever the reason to finish."""
    said = '[{"role": "assistant", "parts": [{"type": "refusal", "content": "I cannot"}]}]'
    store.write(record("a", "1", attributes={**chat("hi"), "gen_ai.output.messages": said}))
    assert [each[0] for each in found(store)] == ["refusal"]


@pytest.mark.parametrize(
    ("output", "is_empty"),
    [
        ('[{"role": "assistant", "parts": [{"type": "text", "content": ""}]}]', True),
        ('[{"role": "assistant", "parts": [{"type": "text", "content": " \\n"}]}]', True),
        ('[{"role": "assistant", "parts": []}]', True),
        ("[]", True),
        ('[{"role": "assistant", "parts": [{"type": "text", "content": "yes"}]}]', False),
        ('[{"role": "assistant", "parts": [{"type": "tool_call", "name": "search"}]}]', False),
        ('[{"role": "assistant", "parts": [{"type": "blob", "modality": "image"}]}]', False),
        (None, False),  # capture is off: nobody knows
    ],
)
def test_empty_answers(store: Store, output: str | None, is_empty: bool) -> None:
    """An answer without a word or a call; where no content is kept nobody can tell."""
    attributes = chat("hi")
    del attributes["gen_ai.output.messages"]
    if output is not None:
        attributes["gen_ai.output.messages"] = output
    store.write(record("a", "1", attributes=attributes))
    assert [each[0] for each in found(store)] == (["empty"] if is_empty else [])


def test_an_error_is_no_empty_answer(store: Store) -> None:
    """A call that failed has no answer to be empty."""
    store.write(record("a", "1", attributes=chat("hi", "") | error("ValueError"), status="error"))
    assert [each[0] for each in found(store)] == ["error"]


def test_retries_with_their_cause(store: Store) -> None:
    """Each is counted, by what made it necessary."""
    events = [
        {"name": "retry", "time": BEGAN, "attributes": {"error.type": cause}} for cause in ("429", "429", "Timeout")
    ]
    store.write(record("a", "1", attributes=chat("hi", "yo"), events=[*events, {"name": "retry", "attributes": 5}]))
    assert [(each[0], each[1], each[5]) for each in found(store)] == [
        ("retry", "", 1),
        ("retry", "429", 2),
        ("retry", "Timeout", 1),
    ]


def test_interrupted_and_disliked(store: Store) -> None:
    """A run that was killed, and an answer that somebody did not like, once however many thumbs."""
    store.write(record("a", "1", kind="I", seconds=None), record("b", "1", attributes=chat("hi", "yo")))
    store.write(feedback("b", "1", False), feedback("b", "2", False), feedback("b", "3", True))
    assert found(store) == [
        ("disliked", "", "span 1", "", "gpt-4o-mini", 1),
        ("interrupted", "", "span 1", "", "", 1),
    ]


def test_alike_are_one_group(store: Store) -> None:
    """With how many traces, how often, of how many users and releases, when first and last."""
    for number, trace in enumerate("abc"):
        who = {"user.id": f"user {number % 2}"}
        store.write(
            record(trace, "1", None, number, attributes=who),
            *(
                record(trace, span, "1", number, status="error", message=f"order {number} is gone")
                for span in ("2", "3")
            ),
        )
    store.write(record("d", "1"))
    groups = [group for group in told(store)["groups"] if group["message"] == "order <n> is gone"]
    assert sum(group["count"] for group in groups) == 6
    assert {(group["traces"], group["users"], group["rate"]) for group in groups} == {(3, 2, 0.75)}
    assert {(group["first_seen"], group["last_seen"]) for group in groups} == {
        ("2026-05-28T20:26:40Z", "2026-05-28T20:26:42Z")
    }
    assert {sum(group["course"]) for group in groups} == {3}


def test_kinds_and_limits(store: Store) -> None:
    """Only one kind, and no more groups than are asked for; the rest is counted."""
    store.write(*(record(trace, "1", status="error", message=f"problem {trace}") for trace in "abcdef"))
    store.write(record("9", "1", kind="I", seconds=None))
    everything = told(store, limit=2)
    assert (everything["traces"], len(everything["groups"]), everything["groups_left"]) == (7, 2, 5)
    assert everything["kinds"]["error"] == {"label": "Errors", "traces": 6, "groups": 6}
    assert everything["kinds"].keys() == KINDS.keys()
    only = told(store, "interrupted")
    assert [group["kind"] for group in only["groups"]] == ["interrupted"]
    assert only["groups_left"] == 0


def test_one_group(store: Store) -> None:
    """Is told with its latest traces; one that is not there is none."""
    store.write(*(record(trace, "1", None, n, status="error", message="no") for n, trace in enumerate("abc")))
    number = told(store)["groups"][0]["id"]
    with opened(store.path.parent) as insights:
        one = failure(insights, Memory(), HOUR, number)
        assert failure(insights, Memory(), HOUR, 999) is None
    assert one is not None
    assert [each["trace_id"][0] for each in one["examples"]] == ["c", "b", "a"]
    assert (one["traces"], one["count"], sum(one["course"])) == (3, 3, 3)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("order 4711 is gone", "order <n> is gone"),
        ("waited 3.5s of 10s", "waited <n> of <n>"),
        ("see https://example.com/a?b=c#d now", "see <url> now"),
        ("ann@example.com is unknown", "<email> is unknown"),
        ("no such file: /var/lib/data/x.txt", "no such file: <path>"),
        ("id 123e4567-e89b-12d3-a456-426614174000 is taken", "id <id> is taken"),
        ("at 0x7f3a2b1c", "at <id>"),
        ("request req_011CSHoEeqs5C35K2UUqR7Fy failed", "request <id> failed"),
        ("column 'price' is missing", "column <text> is missing"),
        ("Couldn't open 'report.final'", "Couldn't open 'report.final'"),
        ("Couldn't parse 'abc'", "Couldn't parse <text>"),
        ("Can't find 'x' in 'y'", "Can't find <text> in <text>"),
        ("the user's plan doesn't allow it", "the user's plan doesn't allow it"),
        ("invalid start byte in b'abc'", "invalid start byte in b<text>"),
        ("'NoneType' object has no attribute 'price_list'", "<text> object has no attribute 'price_list'"),
        ('unsupported: "the model must be given"', 'unsupported: "the model must be given"'),
        ("a\n  b\tc", "a b c"),
        ("gpt-4o is overloaded", "gpt-4o is overloaded"),
        ("", ""),
    ],
)
def test_normalised(message: str, expected: str) -> None:
    """What differs from one occurrence to the next goes; sentences and names of code stay."""
    assert normalised(message) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("couldn't find user 'ann'", "couldn't find user 'bob'"),
        ("connect to http://a:1/x failed", "connect to http://b:2/y failed"),
        ("5 of 7 rows", "123 of 999 rows"),
        ("no key deadbeef01", "no key 0123456789abcdef"),
    ],
)
def test_what_varies_varies_away(one: str, other: str) -> None:
    """Two occurrences of the same failure have one message."""
    assert normalised(one) == normalised(other)


PIECES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["'", '"', "`", "'ann' ", "don't ", "/a/b", "http://x/", "a@b.c", " 12 ", "0x1f", "<n>", "_", " "]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_normalised_is_settled(message: str) -> None:
    """It is short and of one line; normalised again, it stays as it is."""
    once = normalised(message)
    assert len(once) <= 200
    assert not re.search(r"[\n\r\t]", once)
    assert normalised(once) == once


@pytest.mark.parametrize(
    "piece", ["a", "1", "'", '"', "/", "/a", "a@", "a.", "0x", "-", " ", "a_", "http://", "1.", "\u0660", "f0-", "\x00"]
)
def test_a_megabyte_of_anything(piece: str) -> None:
    """Takes no more than its beginning does: what follows is not looked at."""
    text = piece * (1_000_000 // len(piece))
    assert normalised(text) == normalised(text[:2000])
    assert len(normalised(text)) <= 200
