"""Laws: what is current stays the program's own, in threads and tasks too."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import autotrace

from ..recorded import RecordedSpan, Spans
from .forms import Forms, every_form, streamed_forms, whole_forms


class Contexts(Forms):
    """Parents, and what is current between pieces."""

    @every_form
    def test_a_call_lies_in_the_span_around_it(self, spans: Spans, form: str) -> None:
        """A call made inside a span is its child, and what is current afterwards is what was before (law L07)."""
        from opentelemetry.context import get_current

        self._needs(form)
        before = get_current()
        with autotrace.span("around"):
            inside = get_current()
            self._complete(form)
            assert get_current() is inside, "the call left something current"
        assert get_current() is before
        around = spans.named("around")
        assert [span["operation.name"] for span in spans.all() if span.parent_id == around.span_id]

    @streamed_forms
    def test_nothing_is_current_between_pieces(self, spans: Spans, form: str) -> None:
        """Between two pieces of a stream the program's own span is current, and what it begins is its own (law L07)."""
        from opentelemetry.trace import get_current_span

        self._needs(form)

        def between() -> None:
            assert get_current_span() is own, "the call's span is current between two pieces"
            with autotrace.span("between"):
                pass

        with autotrace.span("around"):
            own = get_current_span()
            if form == "stream":
                for _ in self.stream(self.prompt):
                    between()
            else:

                async def read() -> None:
                    async for _ in await self.astream(self.prompt):
                        between()

                self._in_loop(read)
        around = spans.named("around")
        found = [span.parent_id for span in spans.all() if span.name == "between"]
        assert len(found) > 1
        assert set(found) == {around.span_id}

    @whole_forms
    def test_an_error_leaves_nothing_current(self, spans: Spans, form: str) -> None:
        """After an error, what was current before is current again (law L07)."""
        from opentelemetry.context import get_current

        before = get_current()
        self._failure(form)
        assert get_current() is before, "the call that failed left something current"

    def test_threads(self, spans: Spans) -> None:
        """Calls in worker threads lie in the span that they were submitted from, each with its own prompt (law L36)."""
        self._needs("call")
        prompts = self._prompts(8)
        with autotrace.span("around"), ThreadPoolExecutor(4) as pool:
            list(pool.map(self.call, prompts))
        around = spans.named("around")
        found = [span for span in spans.all() if span.parent_id == around.span_id]
        assert len(found) >= len(prompts), (
            f"of {len(prompts)} calls in threads {len(found)} lie in the span around them"
        )
        self._assert_own(found, prompts)

    def test_tasks_never_mix(self, spans: Spans) -> None:
        """Of many tasks at once each has its own call, with its own prompt, in its own trace (law L37)."""
        self._needs("acall")
        prompts = self._prompts(20)

        async def one(prompt: str) -> None:
            with autotrace.span(f"around {prompt}"):
                await self.acall(prompt)

        async def together() -> None:
            await asyncio.gather(*map(one, prompts))

        self._in_loop(together)
        found = spans.all()
        traces = {span.trace_id: span.name for span in found if span.name.startswith("around ")}
        assert len(traces) == len(prompts)
        per_trace = {trace: sum(span.trace_id == trace for span in found) for trace in traces}
        assert set(per_trace.values()) == {1 + self.spans_per_call}
        for trace, name in traces.items():
            inside = [span for span in found if span.trace_id == trace and span.name != name]
            self._assert_own(inside, [name.removeprefix("around ")])

    def _prompts(self, count: int) -> list[str]:
        return [f"{self.prompt} no {number:02}" for number in range(count)]

    def _assert_own(self, found: list[RecordedSpan], prompts: list[str]) -> None:
        """Each prompt is on a span, and where the answer repeats it, so is its answer."""
        if not self.told:
            return
        for prompt in prompts:
            asked = [span for span in found if prompt in _text(span, "input")]
            assert asked, f"no span has the prompt {prompt!r}: something of one call has come into another one's"
            if self.answer is None:
                said = [span for span in asked if prompt.lower() in _text(span, "output").lower()]
                assert said, f"the span that asks {prompt!r} has another one's answer"

    def test_two_event_loops(self, spans: Spans) -> None:
        """A second event loop after the first one has ended is traced as the first (law L47)."""
        self._complete("acall")
        self._complete("acall")
        self._calls(spans, 2)


def _text(span: RecordedSpan, which: str) -> str:
    return repr(span[f"{which}.messages"] or span[f"{which}.value"])
