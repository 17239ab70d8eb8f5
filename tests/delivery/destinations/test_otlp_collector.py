"""Through a real collector: what we send is what comes out behind it."""

from __future__ import annotations

import socket
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autotrace.delivery.destinations import Record, RetryLater
from autotrace.delivery.destinations.otlp import OtlpDestination

from .test_otlp import RESOURCE, span

rotel = pytest.importorskip("rotel", reason="the collector rotel is not installed")

Make = Callable[..., OtlpDestination]

#: The agent is linked with Python's shared library, which need not lie where the system looks for such.
ENVIRONMENT = {"LD_LIBRARY_PATH": sysconfig.get_config_var("LIBDIR") or ""}


def free_ports(count: int) -> list[int]:
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


class Collector:
    """A running collector, and its two ports."""

    def __init__(self, agent: Path, exports_to: str) -> None:
        self.http, self.grpc = free_ports(2)
        options = {
            "otlp-http-endpoint": f"127.0.0.1:{self.http}",
            "otlp-grpc-endpoint": f"127.0.0.1:{self.grpc}",
            "exporter": "otlp",
            "otlp-exporter-endpoint": exports_to,
            "otlp-exporter-protocol": "http",
            "batch-timeout": "100ms",
        }
        arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
        self.process = subprocess.Popen(
            [agent, "start", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT
        )


@pytest.fixture
def collector(receiver: Any) -> Iterator[Collector]:
    """A collector that sends everything on to the receiver."""
    agent = Path(rotel.__file__).parent / "rotel-agent"
    tried = subprocess.run([agent, "--version"], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"rotel does not run here: {tried.stderr.strip()}")
    started = Collector(agent, receiver.url.replace("localhost", "127.0.0.1"))
    yield started
    started.process.kill()
    started.process.wait(10)


def chat(number: int) -> Record:
    attributes = {
        "openinference.span.kind": "LLM",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt",
        "gen_ai.usage.input_tokens": number,
        "gen_ai.usage.output_tokens": 2 * number,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.input.messages": '[{"role":"user","parts":[]}]',
    }
    return span(number, attributes=attributes, parent_id=f"{999:016x}", root=False)


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_nothing_is_lost_on_the_way(
    collector: Collector, receiver: Any, make_destination: Make, until: Callable[..., None], protocol: str
) -> None:
    """Every span comes out behind the collector, once, with its type and its tokens as numbers."""
    if protocol == "grpc":
        pytest.importorskip("grpc", reason="grpcio is not installed")
    destination = make_destination(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.grpc if protocol == 'grpc' else collector.http}",
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
    )
    records = [chat(number) for number in range(1, 1001)]

    def delivered() -> bool:
        try:
            destination.deliver(records, RESOURCE)
        except RetryLater:  # the collector is on its way up
            assert collector.process.poll() is None
            return False
        return True

    until(delivered)
    until(lambda: len(receiver.records) >= len(records))
    assert sorted(receiver.records, key=lambda record: record.span_id) == records
    assert sum(record.body["attributes"]["gen_ai.usage.input_tokens"] for record in receiver.records) == 500_500
    assert destination.rejected == 0
