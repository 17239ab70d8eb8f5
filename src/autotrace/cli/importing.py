"""`autotrace import`: traces from files of OTLP's JSON into the store."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click
import orjson

from autotrace.errors import AutotraceError

from .store import settings, shown_log
from .terminal import Failure, visible, warn

if TYPE_CHECKING:
    from autotrace.delivery.destinations import Record
    from autotrace.store.writer import Writer

#: Records that one transaction takes.
_RECORDS = 200
#: Bad lines that are told one by one.
_TOLD = 20


@click.command(name="import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
def import_(files: Sequence[str]) -> None:
    """Take traces from files into the store.

    The files hold OTLP's JSON, a request a line: what "autotrace export" and the file exporter of OpenTelemetry's
    collector write; - is standard input. What is there already is not taken twice. Lines that are no such requests
    are told, and the rest is taken.
    """
    from autotrace.store.reader import Reader
    from autotrace.store.writer import Writer

    path = settings().home / "traces.db"
    writer = Writer(path)
    intake = _Intake(writer)
    try:
        with shown_log():
            if path.exists():
                Reader(path).close()  # one that is damaged is told, not put aside
            for file in files:
                intake.read(file)
            intake.flush()
    except AutotraceError as error:
        raise Failure(error) from error
    finally:
        writer.close()
    click.echo(f"{intake.spans:,} spans, {intake.said:,} pieces of feedback and updates taken")
    bad = intake.bad + writer.rejected
    if bad:
        raise Failure(f"{bad:,} lines or spans could not be taken; the rest was")


class _Intake:
    """Gathers records by process, so that few transactions are needed."""

    def __init__(self, writer: Writer) -> None:
        self.spans = self.said = self.bad = 0
        self._writer = writer
        self._waiting: dict[bytes, tuple[dict[str, Any], list[Record]]] = {}
        self._count = 0

    def read(self, name: str) -> None:
        """Takes a file."""
        with _opened(name) as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    self._line(line, f"{visible(name)}:{number}")

    def flush(self) -> None:
        """Stores what was gathered."""
        for resource, records in self._waiting.values():
            self._writer.write(records, resource)
        self._waiting.clear()
        self._count = 0

    def _line(self, line: bytes, place: str) -> None:
        from autotrace.delivery import archive

        def rejected(reason: str) -> None:
            self.bad += 1
            if self.bad <= _TOLD:
                warn(f"{place}: {reason}")

        try:
            for resource, record in archive.records(line, rejected):
                key = orjson.dumps(resource, option=orjson.OPT_SORT_KEYS, default=str)
                self._waiting.setdefault(key, (resource, []))[1].append(record)
                self._count += 1
                if record.kind in ("F", "U"):
                    self.said += 1
                else:
                    self.spans += 1
        except ValueError as error:
            rejected(str(error))
        if self._count >= _RECORDS:
            self.flush()


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(name).open("rb") as file:
            yield file
    except OSError as error:
        raise Failure(f"{name} cannot be read: {error}") from error
