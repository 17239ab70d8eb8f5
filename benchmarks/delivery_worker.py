"""One process of a benchmark of delivery: `python delivery_worker.py PLAN`; its last line of output is what it found.

PLAN is JSON: tracer, a module of `delivering`; traces, seconds: what ends the work, whichever comes first; rate: traces
a second, 0 for as many as there can be; warmup: traces before; flush: seconds that the flush at the end may take, 0 for
none. It begins when a line comes in.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any


def main() -> None:
    """Makes traces and tells how it went."""
    plan = json.loads(sys.argv[1])
    tracer = importlib.import_module(f"delivering.{plan['tracer']}")
    tracer.begin()
    for _ in range(plan["warmup"]):
        tracer.trace()
    if hasattr(tracer, "flush"):
        tracer.flush(30)
    print("ready", flush=True)
    sys.stdin.readline()
    result = work(tracer, plan)
    result.update(getattr(tracer, "figures", dict)())
    result["end"] = time.monotonic()
    print(json.dumps(result), flush=True)


def work(tracer: Any, plan: dict[str, Any]) -> dict[str, Any]:
    """Makes the traces; answers seconds of the wall and of the processor, and the microseconds of each trace."""
    trace, clock = tracer.trace, time.perf_counter
    took: list[float] = []
    begun, cpu = clock(), time.process_time()
    end, pause = begun + plan["seconds"], 1 / plan["rate"] if plan["rate"] else 0.0
    due = begun
    while len(took) < plan["traces"] and (now := clock()) < end:
        if pause:
            if due > now:
                time.sleep(due - now)
                now = clock()
            due += pause
        trace()
        took.append(clock() - now)
    made_in, made_cpu = clock() - begun, time.process_time() - cpu
    flushed = tracer.flush(plan["flush"]) if plan["flush"] else False
    return {
        "traces": len(took),
        "seconds": made_in,
        "cpu": made_cpu,
        "took": [round(one * 1e6, 1) for one in took],
        "flushed": flushed,
        "flush_seconds": clock() - begun - made_in,
        "total_cpu": time.process_time() - cpu,
    }


if __name__ == "__main__":
    main()
