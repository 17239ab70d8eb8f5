"""One of the processes that write while the page is open: `python page_writer.py PLAN`; its last line tells how it was.

PLAN is JSON: seed; rate, spans a second; seconds. It makes the traces of `page_traces` through OpenTelemetry's API,
with `import autotrace` as any program has it, and begins when a line comes in.
"""

from __future__ import annotations

import json
import random
import sys
import time
from typing import Any, NamedTuple

from delivering import api
from delivering import autotrace as tracer
from page_growing import Turn
from page_traces import Maker
from page_words import Words

#: Traces that are made beforehand and then again and again, with the words of their questions in another order.
_MATERIAL = 300


class Node(NamedTuple):
    """A span to be made, with those inside."""

    scope: str
    name: str
    attributes: dict[str, Any]
    inside: list[Node]

    def make(self) -> int:
        """Makes them; how many that were."""
        with api.provider.get_tracer(self.scope).start_as_current_span(self.name, attributes=self.attributes):
            return 1 + sum(node.make() for node in self.inside)


def material(seed: int) -> list[Node]:
    """Traces to be made, each by its root."""
    maker, chance = Maker(seed, Words(7)), random.Random(seed)
    found = []
    for number in range(_MATERIAL):
        turn = Turn(
            number, time.time_ns(), (number // 3, number % 3), f"user-{chance.randrange(500):05d}", ("", "", "")
        )
        nodes: dict[str, Node] = {}
        spans = sorted(
            (one for one in maker.trace(turn) if one.kind == "E"),
            key=lambda one: one.body["start"] - (one.body["parent_id"] is None),
        )
        for one in spans:
            body = one.body
            node = nodes[one.span_id] = Node(body["scope"], body["name"], body["attributes"], [])
            if body["parent_id"] in nodes:
                nodes[body["parent_id"]].inside.append(node)
            elif body["parent_id"] is None:
                found.append(node)
    return found


def main() -> None:
    """Writes as the plan says."""
    plan = json.loads(sys.argv[1])
    roots, chance = material(plan["seed"]), random.Random(plan["seed"])
    tracer.begin()
    roots[0].make()
    tracer.flush(30)
    print("ready", flush=True)
    sys.stdin.readline()
    spans, took = 0, []
    begun, cpu = time.perf_counter(), time.process_time()
    while (now := time.perf_counter()) - begun < plan["seconds"]:
        due = begun + spans / plan["rate"]
        if due > now:
            time.sleep(due - now)
        root = roots[chance.randrange(len(roots))]
        words = str(root.attributes.get("input.value", "")).split()
        chance.shuffle(words)
        root.attributes["input.value"] = " ".join(words)
        before = time.perf_counter()
        made = root.make()
        took.append((time.perf_counter() - before) / made)
        spans += made
    seconds = time.perf_counter() - begun
    flushed = tracer.flush(60)
    found = tracer.figures()
    print(
        json.dumps(
            {
                "spans": spans,
                "seconds": seconds,
                "cpu": time.process_time() - cpu,
                "flush_seconds": time.perf_counter() - begun - seconds,
                "flushed": flushed,
                "took": [round(1e6 * one, 1) for one in took],
                "commits": [round(1000 * one, 2) for one in found["commits"]],
                "waits": [round(1000 * one, 2) for one in found["waits"]],
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
