"""`autotrace export`: traces of the store in a file that others read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from autotrace.store.selection import Selection

from .choice import chosen
from .store import NEXT_STEP, opened_store
from .terminal import Failure, warn
from .traces import one

if TYPE_CHECKING:
    from autotrace.store.reader import Reader


@click.command()
@click.option(
    "--format",
    "format_",
    type=click.Choice(["otlp-json", "parquet"]),
    default="otlp-json",
    show_default=True,
    help="OTLP's JSON, a line a trace; or Parquet, a row a span (needs the extra: parquet).",
)
@chosen
@click.option("--trace", "traces", metavar="ID", multiple=True, help="Only this trace; may be given again.")
@click.option("-o", "--output", metavar="FILE", default="-", help="Where to write; - is standard output.")
def export(format_: str, selection: Selection, traces: Sequence[str], output: str) -> None:
    """Write traces to a file that others read.

    With them goes what was said of them: feedback, tags.
    "autotrace import" and every OpenTelemetry collector read the JSON.
    """
    if format_ == "parquet" and output == "-":
        raise click.UsageError("Parquet is no text: name a file with -o FILE")
    with opened_store() as (reader, config):
        if reader is None:
            raise Failure(NEXT_STEP.format(home=config.home))
        ids = iter([one(reader, trace) for trace in traces]) if traces else reader.trace_ids(selection)
        count, lost = _parquet(reader, ids, output) if format_ == "parquet" else _json_lines(reader, ids, output)
    if output != "-":
        click.echo(f"{count:,} traces in {output}", err=True)
    if lost:
        raise Failure(f"{lost:,} spans could not be exported; the rest was")


def _json_lines(reader: Reader, ids: Iterator[str], output: str) -> tuple[int, int]:
    """How many traces were written, and how many spans could not be."""
    from autotrace.delivery import archive
    from autotrace.delivery.destinations import Record

    lost: list[str] = []

    def told(reason: str) -> None:
        lost.append(reason)
        warn(reason)

    count = 0
    with _opened(output) as file:
        for trace_id in ids:
            groups = reader.records(trace_id)
            line = archive.line((([Record(*entry) for entry in g.entries], g.resource) for g in groups), told)
            if line:
                file.write(line + b"\n")
                count += 1
    return count, len(lost)


def _parquet(reader: Reader, ids: Iterator[str], output: str) -> tuple[int, int]:
    from autotrace.store.parquet import ParquetFile

    count = 0
    try:
        with ParquetFile(Path(output)) as file:
            for trace_id in ids:
                trace = reader.trace(trace_id)
                if trace is not None:
                    file.add(trace, reader.records(trace_id))
                    count += 1
    except OSError as error:
        raise Failure(f"{output} cannot be written: {error}") from error
    return count, 0


@contextmanager
def _opened(output: str) -> Iterator[BinaryIO]:
    """The file, readable by its owner alone, or standard output."""
    if output == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
    except OSError as error:
        raise Failure(f"{output} cannot be written: {error}") from error
