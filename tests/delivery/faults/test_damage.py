"""Segments that are damaged: what is damaged is counted and skipped, everything else arrives."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotrace.delivery.drain import Drainer
from autotrace.delivery.segments import Segment, parse_name

from .conftest import UNDELIVERED

#: The traces in the segment.
TRACES = 6
#: A line, and a place in it: often where it begins, or the one before it ends.
PLACES = st.tuples(st.integers(0, 18), st.one_of(st.integers(-2, 2), st.integers(0, 1000)))
BYTES = st.one_of(st.sampled_from(b"\n 0{"), st.integers(0, 255))


class Damaged:
    """A segment of a process that is gone, to be damaged and delivered again and again.

    Attributes:
        content: The segment as it was written.
        lines: Where each line begins and ends (its newline is its own), in order.
        ends: The ids of the spans that have ended, by the number of the line that says so.
    """

    def __init__(self, path: Path, collecting: type) -> None:
        self.path = path
        self.content = path.read_bytes()
        self._collecting = collecting
        self.lines: list[tuple[int, int]] = []
        self.ends: dict[int, str] = {}
        for number, line in enumerate(self.content.splitlines(keepends=True)):
            start = self.lines[-1][1] if self.lines else 0
            self.lines.append((start, start + len(line)))
            if line[9:10] == b"E":
                self.ends[number] = line[11:60].decode()

    def offset(self, place: tuple[int, int]) -> int:
        """A place of PLACES in the content."""
        number, further = place
        return (self.lines[number % len(self.lines)][0] + further) % len(self.content)

    def deliver(self, content: bytes) -> tuple[list[str], int]:
        """Delivers a segment of that content; answers the spans that had ended and the lines that were skipped."""
        self.path.write_bytes(content)
        destination = self._collecting("store")
        drainer = Drainer(self.path.parent, [destination])
        assert drainer.adopt()
        assert drainer.close(5)
        assert not self.path.exists()
        return [f"{one.trace_id} {one.span_id}" for one in destination.records if one.kind == "E"], drainer.damaged


@pytest.fixture
def segment(programs, make_collecting) -> Damaged:
    """A segment of a process that was killed after TRACES traces."""
    programs.run(f"{UNDELIVERED}for _ in range({TRACES}):\n    trace()\nos.kill(os.getpid(), signal.SIGKILL)", -9)
    [path] = programs.segments()
    return Damaged(path, make_collecting)


def test_cut_at_every_offset(segment):
    """A segment that was cut anywhere in its last record gives all earlier ones; the cut one is counted."""
    *earlier, last = segment.ends.values()
    begin, end = segment.lines[-1]
    assert segment.ends[len(segment.lines) - 1] == last
    assert segment.deliver(segment.content[:begin]) == (earlier, 0)
    for cut in range(begin + 1, end - 1):
        assert segment.deliver(segment.content[:cut]) == (earlier, 1), cut
    # Without its newline the record is whole.
    assert segment.deliver(segment.content[: end - 1]) == ([*earlier, last], 0)
    assert segment.deliver(segment.content) == ([*earlier, last], 0)


def test_cut_header(segment):
    """A segment that was cut anywhere in its header holds nothing up, and goes."""
    _, end = segment.lines[0]
    for cut in {*range(0, end, 5), *range(end - 5, end)}:
        assert segment.deliver(segment.content[:cut]) == ([], int(0 < cut < end - 1)), cut


@pytest.fixture
def quiet() -> Iterator[None]:
    """Warnings of damage, by the hundred, are not kept."""
    logger = logging.getLogger("autotrace")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(PLACES, BYTES), min_size=1, max_size=8))
def test_corrupt_bytes(segment, quiet, changes):
    """Whatever bytes are wrong, every record whose line is whole arrives once; what does not is counted."""
    content = bytearray(segment.content)
    for place, byte in changes:
        content[segment.offset(place)] = byte
    touched = {
        number for number, (begin, end) in enumerate(segment.lines) if content[begin:end] != segment.content[begin:end]
    }
    delivered, damaged = segment.deliver(bytes(content))
    whole = [ids for number, ids in segment.ends.items() if number not in touched]
    assert [ids for ids in delivered if ids in whole] == whole
    assert len(set(delivered)) == len(delivered)
    assert set(delivered) <= set(segment.ends.values())
    # Where the newline between two is lost, they count as one line.
    joined = sum(content[end - 1] != ord("\n") for _, end in segment.lines)
    assert len(segment.ends) - len(delivered) <= damaged + joined
    assert bool(damaged) >= (len(delivered) < len(segment.ends))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=PLACES, length=st.integers(0, 2000), piece=st.binary(max_size=300))
def test_replaced_piece(segment, quiet, place, length, piece):
    """A piece that is missing, or is something else, costs the records that it lay in."""
    begin = segment.offset(place)
    end = begin + length
    delivered, _ = segment.deliver(segment.content[:begin] + piece + segment.content[end:])
    # What ends where the piece begins may have lost nothing, but has something behind it.
    touched = {number for number, (first, last) in enumerate(segment.lines) if first < end and begin < last}
    whole = [ids for number, ids in segment.ends.items() if number not in touched]
    assert [ids for ids in delivered if ids in whole] == whole
    assert set(delivered) <= set(segment.ends.values())
    assert len(set(delivered)) == len(delivered)


def test_reading_goes_on_where_it_stopped(segment):
    """A segment can be read from the offset of any batch's end, whatever the size of a read."""
    with Segment(segment.path.parent, parse_name(segment.path.name)) as reader:
        for begin, _ in segment.lines[1:]:
            batch = reader.batch(begin, reader.size(), True)
            found = [f"{one.trace_id} {one.span_id}" for one in batch.records if one.kind == "E"]
            assert found == [ids for number, ids in segment.ends.items() if segment.lines[number][0] >= begin]
