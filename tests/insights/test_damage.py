"""A store with a damaged page: what can be read is taken in, the rest is counted and told of."""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path

import pytest

from autotrace.delivery.destinations import Record
from autotrace.errors import StoreError
from autotrace.insights import follower, opening, trouble
from autotrace.insights.follower import Follower
from autotrace.insights.opening import opened
from tests.store.conftest import Store, chat, record

from .damaging import damage

_TRACES = 400


def filled(store: Store) -> None:
    """Many traces, with more content than fits into one page."""
    asked = [chat(f"question {number} {random.Random(number).randbytes(300).hex()}") for number in range(_TRACES)]
    made = [record(start=number, attributes=each) for number, each in enumerate(asked)]
    store.write(*(Record(each.kind, f"{number:032x}", each.span_id, each.body) for number, each in enumerate(made)))
    store.writer.close()


@pytest.fixture
def damaged(store: Store) -> Path:
    """A store of which one page of spans is gone."""
    filled(store)
    damage(store.path, "spans")
    return store.path


def test_all_but_the_damaged_page_is_taken_in(damaged: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What stands on the page is left out and told of once; what is before and behind it is there."""
    with opened(damaged.parent) as insights:
        there = {int(row[0], 16) for row in insights.rows("SELECT trace_id FROM traces")}
        assert insights.progress().is_complete
        told = trouble.told(insights.meta)
    assert told["problem"] is None
    assert 0 < told["skipped"] < 100
    assert len(there) == _TRACES - told["skipped"]
    assert {0, _TRACES - 1} <= there
    assert caplog.text.count("cannot be read") == 1
    assert any("The store is damaged" in each for each in insights.notes)
    with opened(damaged.parent):  # whoever goes on tries again, and says nothing new
        pass
    assert caplog.text.count("cannot be read") == 1


def test_what_comes_later_is_taken_in(damaged: Path) -> None:
    """A follower that has met the damage goes on with what is new, and has nothing to do when all is there."""
    found = Follower(damaged, damaged.with_name(opening.NAME))
    while found.step():
        pass
    before = found.database.meta(trouble.LEFT_OUT)
    writer = Store(damaged)
    writer.write(record("b", "1", start=9999))
    writer.writer.close()
    while found.step():
        pass
    assert found.database.connection.execute("SELECT 1 FROM traces WHERE trace_id = ?", ("b" * 32,)).fetchone()
    assert found.database.meta(trouble.LEFT_OUT) == before
    assert not found.step()
    found.close()


def test_damage_behind_what_was_taken_in(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new is passed over as the old is: the damage does not stop it at the same place."""
    monkeypatch.setattr(follower, "_SPANS", 50)
    store.write(record("b", "1", start=-9))
    found = Follower(store.path, store.path.with_name(opening.NAME))
    while found.step():
        pass
    filled(store)
    damage(store.path, "spans")
    steps = 0
    while found.step():
        steps += 1
        assert steps < 100
    count = found.database.connection.execute("SELECT count(*) FROM traces").fetchone()[0]
    assert count == _TRACES + 1 - len(trouble.known_left_out(found.database.meta(trouble.LEFT_OUT)))
    assert count > _TRACES // 2
    found.close()


def test_content_that_is_gone_costs_its_words_alone(store: Store) -> None:
    """The trace is there with its figures; what was said is not."""
    filled(store)
    damage(store.path, "payloads")
    with opened(store.path.parent) as insights:
        assert insights.rows("SELECT count(*), sum(input_tokens) FROM traces") == [(_TRACES, _TRACES * 1000)]
        skipped = trouble.told(insights.meta)["skipped"]
        assert skipped
        assert insights.rows("SELECT count(*) FROM texts") == [(_TRACES - skipped,)]


def test_what_is_mended_in_place_is_there(store: Store) -> None:
    """Once the pages are as they were, what was left out is taken in."""
    filled(store)
    whole = store.path.read_bytes()
    damage(store.path, "spans")
    with opened(store.path.parent) as insights:
        assert trouble.told(insights.meta)["skipped"]
    store.path.write_bytes(whole)
    with opened(store.path.parent) as insights:
        assert insights.rows("SELECT count(*) FROM traces") == [(_TRACES,)]
        assert trouble.told(insights.meta) == {"problem": None, "skipped": 0}


def test_a_gap_of_deleted_spans_is_passed_over(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans that were deleted before they were looked at do not keep what comes behind them from being there."""
    monkeypatch.setattr(follower, "_SPANS", 2)
    store.write(record("a", "1"))
    with opened(store.path.parent):
        pass
    for number, trace in enumerate("bcdef0123"):
        store.write(record(trace, "1", start=1 + number))
    store.writer.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute("DELETE FROM spans WHERE id BETWEEN 2 AND 9")
    with opened(store.path.parent) as insights:
        assert insights.rows("SELECT trace_id FROM traces ORDER BY id") == [("a" * 32,), ("3" * 32,)]


def test_what_keeps_it_from_going_on_is_noted_until_it_does(store: Store) -> None:
    """With since when: the first time, however often it is tried."""
    store.write(record("a", "1"))
    path = store.path.with_name(opening.NAME)
    trouble.tell(path, "there is no such file yet")
    assert not path.exists()
    with opened(store.path.parent) as insights:
        assert trouble.told(insights.meta) == {"problem": None, "skipped": 0}
        trouble.tell(path, "no room")
        first = trouble.told(insights.meta)["problem"]
        assert first.startswith("The store cannot be read on: no room; what is shown is of 20")
        trouble.tell(path, "no room")
        assert trouble.told(insights.meta)["problem"] == first
    with opened(store.path.parent) as insights:
        assert trouble.told(insights.meta)["problem"] is None


@pytest.mark.parametrize("note", ["", "x", "{}", "[1", "null", b"\xff", 7, json.dumps(["a"]), "[[]]"])
def test_notes_that_are_none(note: object) -> None:
    """Whatever stands in the file, it is read."""
    assert trouble.told(lambda _: note)["problem"] is None


def test_insights_that_are_damaged_in_the_middle_are_made_anew(store: Store) -> None:
    """The follower deletes them, and the next one begins anew."""
    filled(store)
    with opened(store.path.parent):
        pass
    path = store.path.with_name(opening.NAME)
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    for page in range(2, len(content) // size):
        content[page * size : (page + 1) * size] = b"\xfe" * size
    path.write_bytes(content)
    writer = Store(store.path)
    writer.write(record("b", "1", start=9999))
    writer.writer.close()
    with pytest.raises(StoreError, match="malformed"), opened(store.path.parent):
        pass
    with opened(store.path.parent) as insights:
        assert insights.rows("SELECT count(*) FROM traces") == [(_TRACES + 1,)]
