"""How fast spans get into the store: the drainer's reading of the journal, and the writer, search index included.

    python benchmarks/store_writing.py                        one process, flat out
    python benchmarks/store_writing.py --processes 8 --rate 500    eight, each with so many spans a second

Every span has 4 KB of English prose of its own, nothing is said twice: the index's worst case but for random words.
Prints a JSON object: spans a second, CPU time a span, and the time of the transactions in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import tempfile
import time
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any
from zlib import crc32

import orjson

from autotrace.delivery.segments import parse
from autotrace.store.writer import Writer

RESOURCE = {"service.name": "shop", "service.version": "1.2", "deployment.environment.name": "production"}
WORDS = " ".join(topics.values()).split()
TRACE = 5


def prose(chance: random.Random, length: int) -> str:
    """Text of about this length, from pieces of 60 words."""
    pieces, size = [], 0
    while size < length:
        start = chance.randrange(len(WORDS) - 60)
        pieces.append(" ".join(WORDS[start : start + 60]))
        size += len(pieces[-1])
    return "\n".join(pieces)[:length]


def said(role: str, content: str) -> str:
    return orjson.dumps([{"role": role, "parts": [{"type": "text", "content": content}]}]).decode()


def line(chance: random.Random, trace: str, number: int, content: int) -> bytes:
    """One line of the journal: the first span of a trace is an agent's, then models and tools take turns."""
    began = time.time_ns() - chance.randrange(3600 * 10**9)
    asked, answered = prose(chance, content * 3 // 4), prose(chance, content // 4)
    attributes: dict[str, Any] = {"session.id": trace[:8], "user.id": trace[8:12]}
    if number == 0:
        attributes |= {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper"}
        attributes |= {"input.value": asked, "output.value": answered}
    elif number % 2:
        attributes |= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": chance.choice(("gpt-4o", "gpt-4o-mini")),
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 200,
            "gen_ai.response.time_to_first_chunk": chance.random(),
            "gen_ai.input.messages": said("user", asked),
            "gen_ai.output.messages": said("assistant", answered),
        }
    else:
        attributes |= {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": f"tool {chance.randrange(10)}"}
        attributes |= {"gen_ai.tool.call.arguments": asked, "gen_ai.tool.call.result": answered}
    body = {
        "parent_id": None if number == 0 else f"{1:016x}",
        "root": number == 0,
        "name": attributes["gen_ai.operation.name"],
        "kind": "client",
        "start": began,
        "end": began + chance.randrange(10**7, 10**10),
        "status": "error" if chance.random() < 0.02 else "unset",
        "message": None,
        "scope": "autotrace.plugins.openai",
        "scope_version": "1",
        "attributes": attributes,
        "events": [],
        "links": [],
    }
    rest = f"E {trace} {number + 1:016x} ".encode() + orjson.dumps(body)
    return b"%08x %s\n" % (crc32(rest), rest)


def batches(spans: int, size: int, content: int, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    found, lines, trace = [], [], ""
    for number in range(spans):
        if number % TRACE == 0:
            trace = f"{chance.getrandbits(128):032x}"
        lines.append(line(chance, trace, number % TRACE, content))
        if len(lines) == size:
            found.append(b"".join(lines))
            lines = []
    return [*found, b"".join(lines)] if lines else found


def work(path: str, seed: int, options: argparse.Namespace, gate: Any, results: Any) -> None:
    """Writes in one process, at the rate or flat out."""
    prepared = batches(options.spans, options.batch, options.content, seed)
    writer = Writer(Path(path))
    taken = []
    gate.wait()
    began, began_cpu = time.perf_counter(), time.process_time()
    for number, data in enumerate(prepared):
        if options.rate:
            # Processes that have nothing to do with each other do not write at the same moments.
            due = began + (number + seed / options.processes) * options.batch / options.rate
            time.sleep(max(0.0, due - time.perf_counter()))
        records = parse(data, 0).records
        before = time.perf_counter()
        writer.write(records, RESOURCE)
        taken.append(time.perf_counter() - before)
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    writer.close()
    results.put((seconds, cpu, taken))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=20_000, help="of each process")
    parser.add_argument("--batch", type=int, default=100, help="spans of a transaction")
    parser.add_argument("--content", type=int, default=4096, help="characters of content of a span")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0, help="spans a second of each process; 0: as many as can be")
    parser.add_argument("--folder", help="where the store is made; a temporary folder otherwise")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = str(Path(folder) / "home" / "traces.db")
        gate, results = context.Barrier(options.processes), context.Queue()
        processes = [
            context.Process(target=work, args=(path, seed, options, gate, results)) for seed in range(options.processes)
        ]
        for process in processes:
            process.start()
        found = [results.get() for _ in processes]
        for process in processes:
            process.join()
        size = os.path.getsize(path)  # noqa: PTH202
    spans = options.spans * options.processes
    seconds = max(each[0] for each in found)
    taken = sorted(1000 * one for each in found for one in each[2])
    print(
        json.dumps(
            {
                "spans_per_second": round(spans / seconds),
                "cpu_us_per_span": round(1e6 * sum(each[1] for each in found) / spans, 1),
                "transaction_ms": {
                    "p50": round(taken[len(taken) // 2], 1),
                    "p99": round(taken[int(len(taken) * 0.99)], 1),
                    "max": round(taken[-1], 1),
                },
                "bytes_per_span": round(size / spans),
                "processes": options.processes,
                "offered_per_second": round(options.rate * options.processes) or None,
            }
        )
    )


if __name__ == "__main__":
    main()
