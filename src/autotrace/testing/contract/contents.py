"""Laws: content that is switched off is nowhere, and content of any size and kind makes valid spans."""

from __future__ import annotations

import json

import pytest

from ..recorded import Spans
from .forms import Forms, every_form, whole_forms


class Contents(Forms):
    """Content and attributes."""

    @every_form
    def test_content_off(self, spans: Spans, form: str, caplog: pytest.LogCaptureFixture) -> None:
        """With `capture_content = "off"` neither prompt nor answer is on the span or in a log (law L41)."""
        self._needs(form)
        spans.on(capture_content="off")
        self._complete(form)
        span = self._call(spans)
        self._assert_silent(spans, caplog)
        assert span["request.model"] or span["response.model"]

    @whole_forms
    def test_content_off_in_errors(self, spans: Spans, form: str, caplog: pytest.LogCaptureFixture) -> None:
        """With `capture_content = "off"` an error's message, which may hold the prompt, is not told (law L41)."""
        spans.on(capture_content="off")
        self._failure(form)
        assert self._call(spans)["error.type"]
        self._assert_silent(spans, caplog)

    def test_long_content(self, spans: Spans) -> None:
        """A prompt of a million characters is cut where that is wanted, and JSON stays JSON (law L42)."""
        self._needs("call")
        spans.on(capture_content="truncated", content_limit=100)
        self.call(f"{self.prompt} " + "x" * 1_000_000)
        for span in self._calls(spans):
            assert len(span.everything) < 100_000
            assert len(span.attributes) <= 128

    @every_form
    def test_attributes_are_plain(self, spans: Spans, form: str, caplog: pytest.LogCaptureFixture) -> None:
        """Every attribute is a text, a number, a switch or a list of one of them, by a name with a dot (law L22)."""
        self._complete(form)
        for span in self._calls(spans):
            for name, value in span.attributes.items():
                assert "." in name, f"{name!r} is no name of an attribute"
                json.dumps(value, allow_nan=False)
        assert [record.getMessage() for record in caplog.records if record.name.startswith("opentelemetry")] == []

    def _assert_silent(self, spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
        told = " ".join(span.everything for span in spans.all())
        logged = " ".join(record.getMessage() for record in caplog.records if record.name.startswith("autotrace"))
        for text in filter(None, (self.prompt, self.answer)):
            _assert_absent(text, told, "on the span")
            _assert_absent(text, logged, "in the log")


def _assert_absent(text: str, among: str, where: str) -> None:
    assert text.lower() not in among.lower(), f"content is switched off, and {text!r} is {where}"
