"""The hourly figures: every span counts once, when it has first ended, kept or not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotrace.delivery.destinations import Record
from autotrace.store import rollups
from autotrace.store.writer import Writer

from .conftest import BEGAN, RESOURCE, SECOND, Store, chat, record

HOUR = BEGAN // rollups.HOUR_NS


def figures(store: Store, *names: str) -> list[tuple[Any, ...]]:
    """Rows of the rollups: what is asked for, in order."""
    columns = ", ".join(names)
    return store.query(
        f"SELECT {columns} FROM rollups JOIN dimensions ON dimension = id WHERE spans ORDER BY {columns}"
    )


def test_figures_of_spans(store: Store) -> None:
    """A row has the sums of the spans of an hour that are alike in every dimension."""
    usage = {"gen_ai.usage.cache_read.input_tokens": 5, "gen_ai.usage.cache_write.input_tokens": 6}
    usage["gen_ai.usage.reasoning.output_tokens"] = 7
    usage["gen_ai.response.time_to_first_chunk"] = 0.25
    model = chat("q", "a", **usage)
    store.write(
        record("a", "1", seconds=4, attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "al"}),
        record("a", "2", parent="1", seconds=1, attributes=model),
        record("a", "3", parent="1", seconds=3, attributes=model),
        record("a", "4", parent="1", seconds=2, status="error", attributes=model),
    )
    assert figures(store, *rollups.DIMENSIONS) == [
        ("production", "shop", "", "chat", "openai", "gpt-4o-mini", "", "error", 0),
        ("production", "shop", "", "chat", "openai", "gpt-4o-mini", "", "ok", 0),
        ("production", "shop", "", "invoke_agent", "", "", "al", "ok", 1),
    ]
    assert figures(store, "hour", *rollups.FIGURES) == [
        (HOUR, 1, 0, 1, 1000, 100, 5, 6, 7, 2 * SECOND),
        (HOUR, 1, 1, 0, 0, 0, 0, 0, 0, 4 * SECOND),
        (HOUR, 2, 0, 0, 2000, 200, 10, 12, 14, 4 * SECOND),
    ]
    [(latency, ttft)] = store.query("SELECT latency, ttft FROM rollups WHERE spans = 2")
    assert rollups.quantile(latency, 0.5) == pytest.approx(1000, rel=0.1)
    assert rollups.quantile(latency, 1.0) == pytest.approx(3000, rel=0.1)
    assert rollups.quantile(ttft, 1.0) == pytest.approx(250, rel=0.1)


def test_hours_are_kept_apart(store: Store) -> None:
    """A span counts in the hour in which it began."""
    store.write(record("a", start=0), record("b", start=3600), record("c", start=3600))
    assert figures(store, "hour", "traces") == [(HOUR, 1), (HOUR + 1, 2)]


def test_a_root_of_another_process_is_no_trace(store: Store) -> None:
    """A local root whose parent another process recorded counts as a span alone."""
    store.write(record("a", "2", parent="1", root=True))
    assert figures(store, "spans", "traces", "top") == [(1, 0, 0)]


STEPS = st.lists(
    st.lists(st.tuples(st.sampled_from("SEI"), st.sampled_from("1234")), min_size=1, max_size=5).flatmap(
        lambda batch: st.tuples(st.sampled_from(("write", "count")), st.just(batch))
    ),
    max_size=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_every_span_counts_once(tmp_path_factory: pytest.TempPathFactory, steps: Any) -> None:
    """However starts, ends and interruptions come, again, kept or only counted: a span counts once, as what it is."""
    store = Store(tmp_path_factory.mktemp("store") / "traces.db")
    kept: dict[str, set[str]] = {}
    seen: dict[str, set[str]] = {}
    store.write(record("f", "9"))
    for step, batch in steps:
        records = [record("a", span, kind=kind, status="error") for kind, span in batch]
        getattr(store.writer, step)(records, RESOURCE)
        for kind, span in batch:
            seen.setdefault(span, set()).add(kind)
            if step == "write":
                kept.setdefault(span, set()).add(kind)
    ended = sum("E" in kinds for kinds in seen.values())
    interrupted = sum("E" not in kinds and "I" in kinds for kinds in seen.values())
    expected = [("error", ended, ended, ended)] * bool(ended)
    expected += [("interrupted", interrupted, interrupted, 0)] * bool(interrupted)
    assert figures(store, "status", "spans", "traces", "errors") == [*expected, ("ok", 1, 1, 0)]
    rows = dict(store.query("SELECT substr(span_id, 1, 1), status FROM spans WHERE trace_id LIKE 'a%'"))
    status = {"S": "running", "I": "interrupted", "E": "error"}
    assert rows == {span: status[max(kinds, key="SIE".index)] for span, kinds in kept.items()}
    store.writer.close()


def test_counted_spans_are_not_kept(store: Store) -> None:
    """What is only counted has no row, no content and no words in the index."""
    store.writer.count([record(attributes=chat("secret?"))], RESOURCE)
    assert figures(store, "spans", "input_tokens") == [(1, 1000)]
    assert store.traces() == []
    assert store.search("secret") == []
    assert store.query("SELECT count(*) FROM payloads") == [(0,)]


def test_dimensions_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """When an hour has too many combinations, the later ones count as others; sums stay exact."""
    monkeypatch.setattr(rollups, "MOST_ROWS", 5)
    for number in range(20):
        tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": f"tool {number}" + "x" * 300}
        outcome = {"autotrace.outcome": f"made up {number}"}
        store.write(record(f"{number:x}"[-1], f"{number // 10}", attributes={**tool, **outcome}))
    assert store.query("SELECT sum(spans), count(*) FROM rollups") == [(20, 6)]
    assert store.query("SELECT max(length(target)) FROM dimensions") == [(rollups.LONGEST,)]
    [(others,)] = store.query(
        "SELECT spans FROM rollups JOIN dimensions ON dimension = id WHERE target = ? AND status = ?",
        rollups.OTHER,
        rollups.OTHER,
    )
    assert others == 15
    store.write(record("a", "e", start=3600, attributes={"gen_ai.tool.name": "new hour"}))
    assert len(store.query("SELECT 1 FROM dimensions WHERE target = 'new hour'")) == 1


def test_enormous_figures(store: Store) -> None:
    """Figures beyond what SQLite can hold stay at the greatest that it can; negative ones do not count."""
    most = {"gen_ai.usage.input_tokens": 2**63 - 1, "gen_ai.usage.output_tokens": -5}
    store.write(record("a", attributes=most), record("b", attributes=most, start=5, seconds=-9))
    assert figures(store, "input_tokens", "output_tokens", "duration_ns") == [(2**63 - 1, 0, SECOND)]


@pytest.mark.parametrize("ms", [0, 0.4, 1, 1.2, 7, 100, 999, 60_000, 899_000])
def test_quantile_of_one(ms: float) -> None:
    """One value is known to nine percent, from a millisecond to a quarter of an hour."""
    histogram = 1 << 32 * rollups.bucket(round(ms * 1e6))
    found = rollups.quantile(histogram, 0.5)
    assert found is not None
    assert found == pytest.approx(max(ms, 2**0.125), rel=0.0906)


def test_quantiles_of_many() -> None:
    """Histograms add up as integers, and their quantiles are those of all values."""
    values = range(1, 2001)
    whole = sum(1 << 32 * rollups.bucket(value * 10**6) for value in values)
    for share in (0.1, 0.5, 0.9, 0.99):
        assert rollups.quantile(whole, share) == pytest.approx(2000 * share, rel=0.09)
    assert rollups.quantile(b"", 0.5) is None
    assert rollups.bucket(10**18) == rollups.BUCKETS - 1


PROGRAM = """
import sys
from pathlib import Path
from autotrace.delivery.destinations import Record
from autotrace.store.writer import Writer
writer = Writer(Path(sys.argv[1]))
body = dict(parent_id=None, root=True, name="x", kind="client", start=1, end=2, status="ok", message=None,
            scope=None, scope_version=None, attributes={"input.value": "words"}, events=[], links=[])
for number in range(200):
    records = [Record(kind, f"{number // 10:032x}", f"{number:016x}", body) for kind in "SE"]
    (writer.count if number % 3 == 0 else writer.write)(records, {})
writer.close()
"""


def test_writers_at_once(tmp_path: Path) -> None:
    """Processes that deliver the same spans at once count each of them once."""
    path = tmp_path / "traces.db"
    processes = [subprocess.Popen([sys.executable, "-c", PROGRAM, str(path)]) for _ in range(3)]
    assert [process.wait(100) for process in processes] == [0] * 3
    store = Store(path)
    assert figures(store, "spans", "traces") == [(200, 200)]
    assert store.query("SELECT count(*) FROM spans") == [(133,)]


def test_ids_that_are_none(tmp_path: Path) -> None:
    """Spans with ids that are not hexadecimal count once, too."""
    writer = Writer(tmp_path / "traces.db")
    body = record().body
    for _ in range(2):
        writer.count([Record("E", "no id", "none", body)], {})
    writer.close()
    assert figures(Store(tmp_path / "traces.db"), "spans") == [(1,)]
