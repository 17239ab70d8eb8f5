"""Laws: what the program gets is what it would have got, and each call is told once, as the provider bills it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ..recorded import Spans
from .forms import ALL, Forms, every_form, whole_forms


class Results(Forms):
    """Results, errors, tokens."""

    @every_form
    def test_a_call_is_one_span(self, spans: Spans, form: str) -> None:
        """A call leaves its span once, with operation and model (law L28)."""
        self._complete(form)
        span = self._call(spans)
        assert span.status == "ok", f"a call that succeeded has the status {span.status}, {span.outcome}"
        assert span["request.model"] or span["response.model"], "the span does not say which model was asked"

    @every_form
    def test_it_tells_what_was_asked_and_answered(self, spans: Spans, form: str) -> None:
        """The prompt is in the span's input, the answer in its output."""
        if not self.told:
            pytest.skip(f"{type(self).__name__}.told is False: its calls are no conversation")
        self._complete(form)
        span = self._call(spans)
        answer = self.prompt if self.answer is None else self.answer
        sent, said = span["input.messages"] or span["input.value"], span["output.messages"] or span["output.value"]
        assert self.prompt in _text(sent), f"the prompt is not in the span's input: {sent}"
        assert answer.lower() in _text(said).lower(), f"the answer is not in the span's output: {said}"

    @every_form
    def test_results_are_untouched(self, spans: Spans, form: str) -> None:
        """A reply, or each piece of a stream, has the class and value that it has without tracing (laws L01, L02)."""
        traced = self._complete(form)
        self._untraced(spans)
        plain = self._complete(form)
        assert [type(one) for one in traced] == [type(one) for one in plain]
        assert [self.value(one) for one in traced] == [self.value(one) for one in plain]

    @whole_forms
    def test_errors_are_untouched(self, spans: Spans, form: str) -> None:
        """The framework's error passes as it is, and the span tells of it (law L20)."""
        traced = self._failure(form)
        span = self._call(spans)
        assert span.status == "error", f"a call that raised has the status {span.status}, {span.outcome}"
        assert span["error.type"], "the span of a call that raised has no error.type"
        self._untraced(spans)
        plain = self._failure(form)
        assert type(traced) is type(plain)
        assert str(traced) == str(plain)
        assert type(traced.__cause__) is type(plain.__cause__)
        assert type(traced.__context__) is type(plain.__context__)

    @every_form
    def test_tokens_are_those_billed(self, spans: Spans, form: str) -> None:
        """The tokens on the spans are those that the provider bills, none of them twice (laws L14, L15)."""
        expected = self.usage if form in ("call", "acall") or self.stream_usage is None else self.stream_usage
        if expected is None:
            pytest.skip(f"{type(self).__name__} does not say in `usage` what the provider bills")
        self._complete(form)
        assert spans.usage == expected

    def test_arguments_are_not_consumed(self, spans: Spans) -> None:
        """Messages that come from a generator reach the framework whole (law L23)."""
        self._needs("call_with_iterator")
        traced = self.call_with_iterator(self.prompt)
        self._calls(spans)
        self._untraced(spans)
        assert self.value(traced) == self.value(self.call_with_iterator(self.prompt))

    def test_arguments_are_not_changed(self, spans: Spans) -> None:
        """Messages that come as a list are what they were, and are on the span (laws L12, L23)."""
        self._needs("messages", "call_with_messages")
        messages = self.messages(self.prompt)
        before = copy.deepcopy(messages)
        self.call_with_messages(messages)
        assert [self.value(one) for one in messages] == [self.value(one) for one in before]
        if self.told:
            assert self.prompt in _text(self._call(spans)["input.messages"])

    def test_calls_add_up(self, spans: Spans) -> None:
        """Calls one after the other are spans of their own, each a trace of its own."""
        forms = [form for form in ALL if getattr(type(self), form) is not getattr(Forms, form)]
        for form in forms:
            self._complete(form)
        found = self._calls(spans, len(forms))
        assert len({span.trace_id for span in found}) == len(forms)


def _text(value: Any) -> str:
    return repr(value)
