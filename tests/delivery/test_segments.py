"""Reading what is left of the journal: damage costs what is damaged, and nothing else."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from zlib import crc32

import pytest

from autotrace.delivery import segments
from autotrace.delivery.drain import Drainer
from autotrace.delivery.segments import SegmentName, parse, parse_name, segment_names

NAMES = [f"span {number}" for number in range(10)]


@pytest.fixture
def segment(run, home) -> Path:
    """A segment of a process that is gone, with ten spans."""
    run("""
spans = tracer(lambda: None)
for number in range(10):
    spans.start_span(f"span {number}").end()
os._exit(0)
""")
    [path] = (home / "journal").iterdir()
    return path


@pytest.fixture
def drained(home, collecting):
    """Adopts with a collecting destination; answers the ends that came through."""

    def work():
        drainer = Drainer(home / "journal", [collecting])
        assert drainer.adopt()
        return collecting.named("E"), drainer.damaged

    return work


def test_orphan(segment, drained, collecting):
    """A whole segment is delivered, with its resource, and deleted; the starts of ended spans are left out."""
    assert drained() == (NAMES, 0)
    assert collecting.named("S") == []
    assert collecting.resources[0]["service.name"] == "child"
    assert list(segment.parent.iterdir()) == []


def test_torn_last_line(segment, drained):
    """A last line without its end is skipped and counted."""
    content = segment.read_bytes()
    segment.write_bytes(content[:-20])
    assert drained() == (NAMES[:-1], 1)
    assert not segment.exists()


def test_torn_last_line_hides_an_open_span(segment, drained, collecting):
    """The start of a span whose end is torn counts as interrupted."""
    segment.write_bytes(segment.read_bytes()[:-20])
    drained()
    assert collecting.named("I") == NAMES[-1:]


@pytest.mark.parametrize("offset", [0, 5, 9, 30, 50, 100])
def test_corrupt_middle_line(segment, drained, offset):
    """One wrong byte anywhere in a line costs that line."""
    lines = segment.read_bytes().split(b"\n")
    damaged = bytearray(lines[6])
    damaged[offset] ^= 1
    lines[6] = bytes(damaged)
    segment.write_bytes(b"\n".join(lines))
    assert drained() == ([name for name in NAMES if name != "span 2"], 1)


def test_lost_newline(segment, drained):
    """A record behind a torn one, without a newline between them, is found."""
    lines = segment.read_bytes().split(b"\n")
    lines[6] = lines[6][:100] + lines[8]
    del lines[8]
    segment.write_bytes(b"\n".join(lines))
    assert drained() == ([name for name in NAMES if name != "span 2"], 1)


def test_lost_newline_behind_a_start(segment, drained):
    """A record behind the start of a span that has ended, without a newline between them, is found."""
    lines = segment.read_bytes().split(b"\n")
    lines[5] = lines[5][:100] + lines[8]
    del lines[8]
    segment.write_bytes(b"\n".join(lines))
    assert drained() == ([*NAMES[:2], "span 3", "span 2", *NAMES[4:]], 1)


def test_binary_garbage_between(segment, drained):
    """Garbage with newlines in it is skipped; what stands before and after is delivered."""
    lines = segment.read_bytes().split(b"\n")
    segment.write_bytes(b"\n".join([*lines[:7], b"\x00\xff\n\x80garbage\n\r", *lines[7:]]))
    delivered, damaged = drained()
    assert delivered == NAMES
    assert damaged == 3


@pytest.mark.parametrize("content", [b"", b"\n\n\n", b"\x00" * 5000, os.urandom(5000), b"12345678 H - - {"])
def test_nothing_but_garbage(segment, drained, content):
    """An empty file and one of garbage hold nothing up, and go."""
    segment.write_bytes(content)
    assert drained()[0] == []
    assert not segment.exists()


def test_truncated_header(segment, drained, collecting):
    """Spans are delivered though the header is damaged; only the resource is missing."""
    lines = segment.read_bytes().split(b"\n")
    segment.write_bytes(b"\n".join([lines[0][:40], *lines[1:]]))
    assert drained() == (NAMES, 1)
    assert collecting.resources[0] == {}


def test_newer_format(segment, drained, caplog):
    """A segment in a newer format is left alone, and told of once."""
    rest = b'H - - {"format":3,"process":"x","pid":1}'
    content = b"%08x %b\n" % (crc32(rest), rest) + b"whatever\n"
    segment.write_bytes(content)
    with caplog.at_level(logging.WARNING, "autotrace"):
        assert drained() == ([], 0)
        assert drained() == ([], 0)
    assert segment.read_bytes() == content
    assert caplog.text.count("newer autotrace") == 2  # two drainers, once each


def test_newer_format_is_told_once(segment, home, collecting, caplog):
    """One drainer tells of a segment once, however often it looks."""
    rest = b'H - - {"format":3}'
    segment.write_bytes(b"%08x %b\n" % (crc32(rest), rest))
    drainer = Drainer(home / "journal", [collecting])
    with caplog.at_level(logging.WARNING, "autotrace"):
        assert drainer.adopt()
        assert drainer.adopt()
    assert caplog.text.count("newer autotrace") == 1


def test_unreadable(segment, drained, caplog):
    """What cannot be opened is skipped; the rest is delivered."""
    (segment.parent / ("1" + segment.name)).mkdir()
    with caplog.at_level(logging.WARNING, "autotrace"):
        assert drained() == (NAMES, 0)
    assert caplog.text.count("cannot be read") == 1


def test_unreadable_by_permission(segment, home, tmp_path):
    """A file of somebody else's is skipped too."""
    if os.geteuid() != 0:
        segment.chmod(0)
        assert Drainer(home / "journal", []).adopt()
        assert segment.exists()
        return
    code = f"""
import os, sys
from pathlib import Path
from autotrace.delivery.drain import Drainer
os.setuid(65534)
assert Drainer(Path({str(home / "journal")!r}), []).adopt()
"""
    above = [folder for folder in tmp_path.parents if "pytest-of-" in str(folder)]
    for folder in (home / "journal", home, tmp_path, *above):
        folder.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert segment.exists()
    assert "cannot be read" in done.stderr
    assert done.returncode == 0, done.stderr


def test_strange_files_are_left_alone(segment, drained):
    """Files that are no segments stay."""
    others = [segment.parent / name for name in ("notes.txt", "x.journal", "1-2-3.journal", ".journal")]
    for path in others:
        path.write_text("mine")
    assert drained() == (NAMES, 0)
    assert sorted(segment.parent.iterdir()) == sorted(others)


def test_starts_of_ended_spans_are_not_parsed(segment, monkeypatch):
    """Where start and end come together, the start's JSON is not even looked at."""
    lines = segment.read_bytes().split(b"\n")
    parsed = []
    loads = segments.orjson.loads

    def counting(text):
        parsed.append(text)
        return loads(text)

    monkeypatch.setattr(segments.orjson, "loads", counting)
    batch = parse(b"\n".join(lines[1:]), 0)
    assert [record.body["name"] for record in batch.records] == NAMES
    assert len(parsed) == len(NAMES)


@pytest.mark.parametrize("length", [0, 1, 5119, 5120, 5121, 10_240, 50_001, 262_144, 262_145, 1_000_000])
def test_checksum(length):
    """The checksum is CRC-32, in how many pieces soever it is taken."""
    data = os.urandom(length)
    assert segments.checksum(data) == crc32(data)


def test_small_reads(segment, drained, monkeypatch):
    """Records are found whatever the size of a read."""
    monkeypatch.setattr(segments, "CHUNK", 64)
    assert drained() == (NAMES, 0)


def test_names(tmp_path):
    """Segments are ordered by process and number."""
    name = SegmentName("18ea9b6076e87686-19811-64a0c9ad", 7)
    assert name.file == "18ea9b6076e87686-19811-64a0c9ad-000007.journal"
    assert parse_name(name.file) == name
    assert parse_name("x-" + name.file) is None
    later = SegmentName(name.process, 10)
    for each in (later, name):
        (tmp_path / each.file).touch()
    assert segment_names(tmp_path) == [name, later]
    assert segment_names(tmp_path / "missing") == []
