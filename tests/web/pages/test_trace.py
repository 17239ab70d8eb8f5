"""What the page of one trace shows, as data."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import orjson
import pytest

from autotrace.config import Config, Setting
from autotrace.delivery.destinations.mlflow.links import Links
from autotrace.store.outline import TraceReader
from autotrace.store.reader import Reader
from autotrace.store.spans import Payload
from autotrace.web.pages import trace

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()


def parts(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [part for turn in found["span"]["chat"]["turns"] for part in turn["parts"]]


def test_a_plain_chat_shows_question_answer_and_figures(traces: Any, model_call: Any) -> None:
    """The header has figures and labels, the chat both turns."""
    traces.add(
        attributes=model_call("Is it open?", **{"user.id": "ann", "session.id": "s 1", "autotrace.tags": {"a": "b"}})
    )
    found = traces.page()
    assert [(turn["role"], turn["parts"][0]["text"]) for turn in found["span"]["chat"]["turns"]] == [
        ("user", "Is it open?"),
        ("assistant", "It is."),
    ]
    head = found["trace"]
    assert (head["tokens"]["input"], head["models"], head["user"], head["environment"]) == (
        1000,
        ["gpt-4o-mini"],
        "ann",
        "production",
    )
    assert head["cost_usd"] == pytest.approx(0.00021)
    assert head["tags"] == [{"name": "a", "text": "b"}]
    assert found["links"]["session"] == "/session?id=s+1"
    assert orjson.loads(orjson.dumps(found)) == found


def test_the_figures_are_those_of_the_command_line(traces: Any, model_call: Any) -> None:
    """Status, sums and labels are what `autotrace traces` tells of the same trace."""
    traces.add(attributes={"session.id": "s"}, status="error", message="broken")
    for number in (2, 3, 4):
        traces.add(
            "a",
            str(number),
            "1",
            attributes=model_call("x", **{"gen_ai.request.model": f"gpt-4o{'-mini' * (number % 2)}"}),
        )
    with Reader(traces.path) as reader:
        told = reader.traces()[0]
    head = traces.page()["trace"]
    assert head["cost_usd"] == pytest.approx(told.cost_usd)
    assert (head["tokens"]["input"], head["tokens"]["output"]) == (told.input_tokens, told.output_tokens)
    assert (head["status"], head["session"], head["span_count"]) == ("error", "s", 4)
    assert head["error_count"] == told.error_count


def test_an_agent_shows_calls_and_results(traces: Any, model_call: Any, message: Any) -> None:
    """The agent's root says nothing: the last model call is shown, with the tool's call and result."""
    call = {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Paris"}}
    result = {"type": "tool_call_response", "id": "c1", "response": {"degrees": 21}}
    traces.add(name="agent", seconds=9, attributes={"gen_ai.operation.name": "invoke_agent"})
    traces.add("a", "2", "1", start=1, attributes=model_call("Warm?", received=[message("assistant", call)]))
    traces.add(
        "a", "3", "1", start=2, attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "weather"}
    )
    traces.add(
        "a", "4", "1", start=3, attributes=model_call("Warm?", message("assistant", call), message("tool", result))
    )
    found = traces.page()
    assert found["span"]["span_id"] == "4" * 16
    assert [part["kind"] for part in parts(found)] == ["text", "call", "result", "text"]
    assert json.loads(parts(found)[1]["text"]) == {"city": "Paris"}
    assert [row["depth"] for row in found["tree"]["rows"]] == [0, 1, 1, 1]
    assert found["tree"]["rows"][2]["x"] == pytest.approx(100 * 2 / 9, abs=0.01)


def test_a_tool_call_shows_arguments_and_result(traces: Any) -> None:
    """A tool's span has its arguments as JSON and its result."""
    traces.add(
        attributes={
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.call.arguments": '{"q": 1}',
            "gen_ai.tool.call.result": "fine",
        }
    )
    turns = traces.page()["span"]["chat"]["turns"]
    assert [(turn["role"], turn["parts"][0]["is_json"]) for turn in turns] == [("arguments", True), ("result", False)]


def test_a_streamed_call_tells_its_first_token(traces: Any, model_call: Any) -> None:
    """Time to first token, parameters, usage and retries stand in the details."""
    retry = {"name": "retry", "time": 1_780_000_000 * 10**9 + 5 * 10**6, "attributes": {"error.type": "429"}}
    attributes = model_call(
        "x",
        **{
            "gen_ai.response.time_to_first_chunk": 0.25,
            "gen_ai.request.temperature": 0.5,
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.cache_read.input_tokens": 100,
            "gen_ai.tool.definitions": [{"type": "function", "function": {"name": "f", "description": "d"}}],
        },
    )
    traces.add(attributes={**attributes, "gen_ai.response.finish_reasons": ["stop"]}, events=[retry])
    found = traces.page(view="details")["span"]
    details = found["details"]
    assert found["ttft_ms"] == 250
    assert details["parameters"] == [{"name": "temperature", "text": "0.5"}]
    assert details["tokens"]["cache_read"] == 100
    assert details["events"][0]["after_ms"] == 5
    assert details["tools"][0]["name"] == "f"
    assert details["cost"]["input_usd"] + details["cost"]["output_usd"] == pytest.approx(details["cost"]["total_usd"])


def test_an_error_shows_its_stack(traces: Any) -> None:
    """Type, message and stack of the exception."""
    told = {
        "exception.type": "ValueError",
        "exception.message": "no\nway",
        "exception.stacktrace": "File x\nValueError",
    }
    event = {"name": "exception", "time": 1, "attributes": told}
    traces.add(status="error", message="no\nway", events=[event], attributes={"error.type": "ValueError"})
    (error,) = traces.page()["span"]["errors"]
    assert (error["type"], error["message"]["text"], error["stack"]["text"]) == (
        "ValueError",
        "no\nway",
        "File x\nValueError",
    )


@pytest.mark.parametrize(("record", "word"), [("I", "Interrupted"), ("S", "running")])
def test_an_unfinished_trace_says_so(traces: Any, record: str, word: str) -> None:
    """What was interrupted and what runs is told first; its bar goes to the end."""
    traces.add(record=record)
    found = traces.page()
    assert word in found["warnings"][0]
    assert found["trace"]["duration_ms"] is None


def test_retrieved_documents_have_scores(traces: Any) -> None:
    """Documents in the retriever's order, with texts and the share of the highest score."""
    traces.add(
        attributes={
            "gen_ai.operation.name": "retrieval",
            "input.value": "holiday",
            "gen_ai.retrieval.documents": [{"id": "a", "score": 0.8}, {"id": "b", "score": 0.4}, {"id": "c"}],
            "output.value": [
                {"content": "28 days", "id": "a", "score": 0.8, "metadata": {"page": 3}},
                {"content": "x", "id": "b"},
            ],
        }
    )
    found = traces.page()["span"]
    assert [(one["id"], one["score"], one["share"]) for one in found["documents"]] == [
        ("a", 0.8, 100),
        ("b", 0.4, 50),
        ("c", None, None),
    ]
    assert found["documents"][0]["content"]["text"] == "28 days"
    assert [turn["role"] for turn in found["chat"]["turns"]] == ["input"]


def test_only_images_that_lie_in_the_store_are_shown(traces: Any, model_call: Any, message: Any) -> None:
    """A stored PNG is an image; SVG, addresses elsewhere, broken data and mere sizes are told in words."""
    media = [
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": PNG},
        {"type": "uri", "modality": "image", "uri": f"data:image/png;base64,{PNG}"},
        {"type": "blob", "modality": "image", "mime_type": "image/svg+xml", "content": PNG},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": '"><script>'},
        {"type": "uri", "modality": "image", "uri": "https://example.com/x.png"},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "", "size": 12000, "sha256": "ab12"},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "A" * 4_000_000},
    ]
    traces.add(attributes=model_call(message("user", *media)))
    found = parts(traces.page())[: len(media)]
    assert [part["kind"] for part in found] == ["image", "image", *["media"] * 5]
    assert found[0]["src"] == f"data:image/png;base64,{PNG}"
    assert "https://example.com/x.png" in found[4]["text"]
    assert "12 kB" in found[5]["text"]


def test_reasoning_and_refusals_have_their_kinds(traces: Any, model_call: Any, message: Any) -> None:
    """What the model thought is told apart from what it said."""
    thought = {"type": "reasoning", "content": "hm"}
    traces.add(
        attributes=model_call("x", received=[message("assistant", thought, {"type": "refusal", "content": "no"})])
    )
    assert [part["kind"] for part in parts(traces.page())] == ["text", "reasoning", "refusal"]


def test_of_a_huge_trace_little_is_read(traces: Any, model_call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 32,000 spans some hundred lines are shown and the content of two is read; each can be reached."""
    records = [traces.span("b", "0" * 15 + "1", name="root", seconds=40)]
    records += [
        traces.span(
            "b",
            f"{n:016x}",
            "0" * 15 + "1",
            start=n / 1000,
            attributes=model_call("q", **{"gen_ai.usage.input_tokens": n}),
        )
        for n in range(2, 32_001)
    ]
    for n in range(0, len(records), 4000):
        traces.write(*records[n : n + 4000])
    decoded: list[bytes] = []
    decode = Payload.decode
    monkeypatch.setattr(Payload, "decode", lambda content: decoded.append(content) or decode(content))
    found = traces.page("b")
    assert len(decoded) <= 4
    assert found["trace"]["span_count"] == 32_000
    assert found["trace"]["cost_usd"] == pytest.approx(sum(n * 0.15e-6 + 100 * 0.6e-6 for n in range(2, 32_001)))
    # Fifty, the one that is selected, and the line that stands for the rest.
    assert len(found["tree"]["rows"]) == 53
    assert found["tree"]["rows"][-1]["more"] == 31_999 - 51
    opened = traces.page("b", open="0" * 15 + "1", span=f"{20_000:016x}")
    assert len(opened["tree"]["rows"]) == 300
    assert any(row["is_selected"] for row in opened["tree"]["rows"])
    assert opened["tree"]["total"] == 32_000
    assert opened["tree"]["next"]
    assert opened["tree"]["previous"]
    folded = traces.page("b", span=f"{20_000:016x}")
    assert any(row.get("is_selected") for row in folded["tree"]["rows"])
    assert len(orjson.dumps(opened)) < 400_000


def test_hostile_text_is_made_visible(traces: Any, model_call: Any) -> None:
    """Marks of direction, control characters, lone surrogates and NUL appear as escapes, wherever they stand."""
    evil = "a\u202eb\x1b[31mc\x00d\u2066e"
    attributes = model_call(evil, **{"gen_ai.request.evil\u202e": evil, "session.id": evil})
    attributes["gen_ai.output.messages"] = '[{"role": "assistant", "parts": [{"type": "text", "content": "\\ud800"}]}]'
    traces.add(name=evil, attributes=attributes)
    traces.judge(comment=evil, source=evil)
    for view in ("chat", "details", "raw"):
        found = traces.page(view=view)
        found["span"].pop("raw") if view == "raw" else None
        text = json.dumps(found, ensure_ascii=False)
        assert not set(text) & set("\u202e\x1b\x00\u2066\ud800")


def test_a_line_of_ten_megabytes_is_cut(traces: Any, model_call: Any) -> None:
    """A long text ends after 20,000 characters, in full after 500,000, and says how much is missing."""
    traces.add(attributes=model_call("x" * 10_000_000))
    found = traces.page()
    assert (len(parts(found)[0]["text"]), parts(found)[0]["left_out"]) == (20_000, 9_980_000)
    assert found["span"]["full"] == "/trace/" + "a" * 32 + "?span=1111111111111111&full=1"
    assert len(parts(traces.page(full="1"))[0]["text"]) == 500_000
    raw = traces.page(view="raw")["span"]["raw"]
    assert len(raw["text"]) == 200_000
    assert raw["left_out"] > 9_000_000
    assert raw["value"] is None
    whole = traces.page(view="raw", full="1")["span"]["raw"]["value"]
    assert len(whole["attributes"]["gen_ai.input.messages"]) > 10_000_000


def test_a_long_conversation_is_shortened(traces: Any, model_call: Any) -> None:
    """Of 5,000 turns the first and the last are shown."""
    traces.add(attributes=model_call(*map(str, range(5000))))
    shown = traces.page()["span"]["chat"]
    assert (len(shown["turns"]), shown["left_out"], shown["left_out_after"]) == (201, 4800, 10)


def test_a_damaged_payload_is_told(traces: Any, model_call: Any) -> None:
    """The page opens, and says which span cannot be read."""
    traces.add(attributes=model_call("x"))
    with closing(sqlite3.connect(traces.path)) as connection:
        connection.execute("UPDATE payloads SET content = x'0102'")
        connection.commit()
    found = traces.page()
    assert found["span"]["content"] == "not captured"
    assert any("1111111111111111" in warning for warning in found["warnings"])


def test_circles_and_missing_parents_are_shown_once(traces: Any) -> None:
    """Every span has one line: of a circle, of itself, of a parent that is not here."""
    traces.write(
        traces.span("a", "1", "2"),
        traces.span("a", "2", "3"),
        traces.span("a", "3", "1"),
        traces.span("a", "4", "1"),
        traces.span("a", "5", "5"),
        traces.span("a", "6", "9"),
    )
    found = traces.page()
    assert sorted(row["span_id"][0] for row in found["tree"]["rows"]) == list("123456")
    assert any("not in this store" in warning for warning in found["warnings"])


def test_what_the_address_asks_for_and_cannot_have(traces: Any) -> None:
    """Unknown spans, views and lines count as not given; what is no id is no trace."""
    traces.add()
    found = traces.page(span="f" * 16, view="x", row="99999999", open="x,top,,")
    assert found["span"]["span_id"] == "1" * 16
    assert "no span" in found["warnings"][0]
    assert len(found["tree"]["rows"]) == 1
    with TraceReader(traces.path) as reader:
        for wrong in ("", "x" * 32, "a" * 31, "b" * 32, "a" * 32 + "\n"):
            assert trace.data(reader, wrong, {}) is None


def test_hidden_content_is_nowhere(traces: Any, model_call: Any) -> None:
    """With hidden content the figures stay, and no view tells a word that was said."""
    event = {"name": "exception", "time": 1, "attributes": {"exception.type": "E", "exception.message": "secret"}}
    traces.add(
        attributes=model_call("secret", **{"acme.note": "secret"}),
        status="error",
        message="secret",
        events=[event, {"name": "log", "time": 1, "attributes": {"text": "secret"}}],
    )
    traces.judge(comment="secret")
    for view in ("chat", "details", "raw"):
        found = traces.page(view=view, full="1", hide_content=True)
        assert "secret" not in json.dumps(found)
        assert found["trace"]["tokens"]["input"] == 1000
        assert found["span"]["content"] == "hidden"


def test_content_that_was_not_captured(traces: Any) -> None:
    """A model call without any content says that it was not captured."""
    traces.add(attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"})
    assert traces.page()["span"]["content"] == "not captured"


def test_the_session_leads_on(traces: Any) -> None:
    """Previous and next are the neighbours in the session, by their beginning."""
    for number, (name, session) in enumerate([("a", "s"), ("b", "t"), ("c", "s"), ("d", "s")]):
        traces.add(name, start=10 * number, attributes={"session.id": session})
    links = traces.page("c")["links"]
    assert (links["previous"], links["next"]) == ("/trace/" + "a" * 32, "/trace/" + "d" * 32)
    assert traces.page("a")["links"]["previous"] is None
    assert traces.page("b")["links"]["next"] is None


def test_feedback_is_shown(traces: Any) -> None:
    """Thumbs, other verdicts and comments, the latest first."""
    traces.add()
    traces.judge(value=False, comment="wrong")
    traces.judge(id="2" * 32, name="score", value=0.5, time=1_780_000_000 * 10**9 + 1)
    verdicts = traces.page()["feedback"]["verdicts"]
    assert [(one["name"], one["thumb"], one["value"]["text"]) for one in verdicts] == [
        ("score", None, "0.5"),
        ("thumbs", "down", "false"),
    ]
    assert verdicts[1]["comment"]["text"] == "wrong"


def _config(**settings: str) -> Config:
    found = {name: Setting(value, "file") for name, value in settings.items()}
    return Config(destination=("store", "mlflow"), framework_settings={"mlflow": found})


@pytest.mark.parametrize(
    ("config", "href"),
    [
        (_config(tracking_uri="http://ml:5000/"), "http://ml:5000/#/experiments/0/traces?selectedEvaluationId=tr-{}"),
        (
            _config(tracking_uri="https://u:secret@ml/x", experiment_id="7"),
            "https://ml/x/#/experiments/7/traces?selectedEvaluationId=tr-{}",
        ),
        (
            _config(tracking_uri="http://ml", experiment="a & b"),
            "http://ml/#/experiments?experimentSearchFilter=a%20%26%20b",
        ),
        (_config(tracking_uri="javascript:alert(1)"), None),
        (_config(tracking_uri="http://[x"), None),
        (_config(), None),
        (Config(), None),
    ],
)
def test_the_link_to_mlflow(traces: Any, config: Config, href: str | None) -> None:
    """The same trace in MLflow where its place is known, without credentials; else the experiment, else nothing."""
    traces.add()
    with TraceReader(traces.path) as reader:
        found = Links(config)(reader, "a" * 32)
    assert (found and found["href"]) == (href and href.format("a" * 32))


def test_every_pair_of_views_has_an_address(traces: Any) -> None:
    """Each view's address leads to that view, with the span that was asked for."""
    traces.add()
    found = traces.page(span="1" * 16)
    hrefs: Callable[[str], str] = {each["name"]: each["href"] for each in found["views"]}.__getitem__
    assert hrefs("raw") == "/trace/" + "a" * 32 + "?span=1111111111111111&view=raw"
