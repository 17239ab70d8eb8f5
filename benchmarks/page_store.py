"""Makes a store that looks like a real agent's, for measuring and for looking at `autotrace ui`.

    python benchmarks/page_store.py --home DIR                          200,000 traces, 1,000,000 spans: 5 GB, minutes
    python benchmarks/page_store.py --home DIR --traces 2000 --days 3   a small one
    python benchmarks/page_store.py --home DIR --traces 20000 --big     and one trace of 32,000 spans

The traces are those of a shop's assistants over some days that end now: day and night, sessions and users, six
models, eight releases, errors, feedback. One release (the sixth) and one model (acme-chat-2) are worse than the
others. The word "xylophonequartz" stands in exactly one trace. The same seed makes the same traces, but for the moment
at which they end.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from itertools import accumulate, groupby
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from page_growing import MS, Record, S, Turn
from page_traces import Maker
from page_words import Words

from autotrace.store.writer import Writer

HOUR = 3600 * S
DAY = 24 * HOUR
RARE = "xylophonequartz"
BIG = 32_000
#: Traces that are made, sorted and written at once.
WINDOW = 1000
USERS, TURNS = 3000, 3.3
RELEASES = ("2.1.0", "2.1.1", "2.2.0", "2.2.1", "2.3.0", "2.4.0", "2.4.1", "2.5.0")
BAD_RELEASE = "2.4.0"
ENVIRONMENTS = {"production": 80, "staging": 8, "development": 12}
SERVICES = {"shop-assistant": 60, "mobile-assistant": 20, "handbook-search": 12, "back-office": 8}
#: How busy an hour of the day is (UTC).
_DAYTIME = (2, 1, 1, 1, 1, 2, 4, 8, 13, 17, 19, 20, 19, 19, 20, 19, 18, 17, 17, 18, 16, 12, 7, 4)


class Schedule:
    """When which trace begins, in whose name, and in which setting.

    Args:
        traces: How many there are.
        days: Over how many days.
        seed: Decides everything.
        end_ns: When the last may begin, in ns since 1970.
    """

    def __init__(self, traces: int, days: float, seed: int, end_ns: int) -> None:
        self._chance = random.Random(f"schedule {seed}")
        self._begin, self._end, self._days = end_ns - int(days * DAY), end_ns, days
        self._traces = traces
        self._hours = max(1, round(days * 24))
        self._busy = list(accumulate(self._weight(hour) for hour in range(self._hours)))
        users = max(20, min(USERS, traces // 20))
        self._users = [f"user-{number * 7919 % 100_003:05d}" for number in range(users)]
        self._loyalty = list(accumulate(1 / rank**0.8 for rank in range(1, users + 1)))

    def turns(self) -> list[Turn]:
        """All of them, earliest first."""
        chance = self._chance
        found: list[tuple[int, tuple[int, int] | None, str | None, tuple[str, str, str]]] = []
        session = 0
        while len(found) < self._traces:
            start = self._moment()
            setting = self._setting(start)
            if chance.random() < 0.12:  # a job, a script: of no session
                found.append((start, None, None if chance.random() < 0.7 else self._user(setting), setting))
                continue
            user, count = self._user(setting), min(12, 1 + int(chance.expovariate(1 / (TURNS - 0.5))))
            for turn in range(count):
                found.append((start, (session, turn), user, setting))
                start = min(start + int(chance.lognormvariate(4.2, 0.8) * S), self._end)
            session += 1
        found = sorted(found[: self._traces])
        rare = len(found) * 2 // 3
        return [
            Turn(number, start, place, user, setting, setting[2] == BAD_RELEASE, RARE if number == rare else "")
            for number, (start, place, user, setting) in enumerate(found)
        ]

    def _moment(self) -> int:
        hour = self._chance.choices(range(self._hours), cum_weights=self._busy)[0]
        return min(self._begin + hour * HOUR + int(self._chance.random() * HOUR), self._end)

    def _weight(self, hour: int) -> float:
        at = (self._begin + hour * HOUR) // HOUR
        weekday = (at // 24 + 3) % 7
        growth = 0.8 + 0.4 * hour / self._hours
        return _DAYTIME[at % 24] * (0.55 if weekday >= 5 else 1.0) * growth

    def _user(self, setting: tuple[str, str, str]) -> str:
        if setting[0] == "development":
            return self._chance.choice(("dev-alice", "dev-bob", "dev-chen", "dev-dora"))
        return self._chance.choices(self._users, cum_weights=self._loyalty)[0]

    def _setting(self, start: int) -> tuple[str, str, str]:
        chance = self._chance
        environment = chance.choices(list(ENVIRONMENTS), list(ENVIRONMENTS.values()))[0]
        service = chance.choices(list(SERVICES), list(SERVICES.values()))[0]
        place = (start - self._begin) / DAY / self._days * len(RELEASES)
        # Not everything is deployed at once, and what is developed is ahead.
        place += {"production": -0.25, "staging": 0.2, "development": 0.5}[environment] * (0.6 + chance.random() * 0.4)
        return environment, service, RELEASES[min(max(int(place), 0), len(RELEASES) - 1)]


def big(seed: int, start_ns: int, spans: int) -> Iterator[list[Record]]:
    """One trace of so many spans, in pieces: an agent that goes through a long list, with sub-agents."""
    words = Words(seed)
    trace = big_trace_id(seed)
    ids = [f"{number + 1:016x}" for number in range(spans)]
    step, records = 40 * MS, []
    for number in range(spans):
        is_agent = number % 40 == 0
        start = start_ns + number * step
        # Each agent of 39 calls hangs below another: up to eight of them deep.
        parent = (
            None
            if number == 0
            else ids[number // 40 * 40]
            if not is_agent
            else ids[max(0, (number // 40 - 1) // 4 * 40)]
        )
        name = "import" if number == 0 else f"part {number // 40}"
        tool = f"convert_{number % 7}"
        attributes: dict[str, Any] = {"input.value": words.sentences[number % len(words.sentences)]}
        if is_agent:
            attributes |= {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name, "output.value": "done"}
        elif number % 2:
            attributes |= {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o-mini",
                "gen_ai.usage.input_tokens": 300 + number % 100,
                "gen_ai.usage.output_tokens": 20 + number % 30,
                "gen_ai.response.finish_reasons": ["stop"],
            }
        else:
            attributes |= {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool, "output.value": "{}"}
        length = step * (min(40, spans - number) if is_agent else 1) if number else step * spans
        records.append(
            Record(
                "E",
                trace,
                ids[number],
                {
                    "parent_id": parent,
                    "root": number == 0,
                    "kind": "internal",
                    "start": start,
                    "end": start + length - 1,
                    "name": f"invoke_agent {name}"
                    if is_agent
                    else "chat gpt-4o-mini"
                    if number % 2
                    else f"execute_tool {tool}",
                    "status": "unset",
                    "message": None,
                    "scope": "autotrace.plugins.langchain",
                    "scope_version": "0.9.0",
                    "attributes": attributes,
                    "events": [],
                    "links": [],
                },
            )
        )
        if len(records) == 2000:
            yield records
            records = []
    yield records


def big_trace_id(seed: int) -> str:
    """The id of that trace."""
    return f"{random.Random(f'big {seed}').getrandbits(128):032x}"


def windows(options: argparse.Namespace) -> Iterator[list[tuple[tuple[str, str, str], list[Record]]]]:
    """Records by setting, a window of traces at a time."""
    schedule = Schedule(options.traces, options.days, options.seed, options.end_ns - 90 * S)
    turns, maker = schedule.turns(), Maker(options.seed, Words(options.seed))
    for first in range(0, len(turns), WINDOW):
        made = [(turn.setting, record) for turn in turns[first : first + WINDOW] for record in maker.trace(turn)]
        made.sort(key=lambda one: one[0])
        yield [(setting, [record for _, record in group]) for setting, group in groupby(made, key=lambda one: one[0])]
    if options.big:
        for records in big(options.seed, options.end_ns - DAY, BIG):
            yield [(("production", "back-office", RELEASES[-1]), records)]


def produce(options: argparse.Namespace, out: Connection) -> None:
    """Makes records in a process of its own, while the other one writes."""
    for window in windows(options):
        out.send(window)
    out.send(None)


def write(home: Path, incoming: Connection) -> tuple[int, int]:
    """Writes what comes; how many traces and spans that was."""
    writer = Writer(home / "traces.db")
    spans, began = 0, time.perf_counter()
    traces: set[str] = set()
    resources: dict[tuple[str, str, str], dict[str, Any]] = {}
    while (window := incoming.recv()) is not None:
        for setting, records in window:
            writer.write(records, resources.setdefault(setting, resource(setting)))
            spans += sum(record.kind != "F" for record in records)
            traces.update(record.trace_id for record in records)
        rate = spans / (time.perf_counter() - began)
        print(f"\r{spans:,} spans, {len(traces):,} traces, {rate:,.0f} spans/s ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if writer.rejected:
        raise SystemExit(f"{writer.rejected} records were rejected")
    writer.close()
    return len(traces), spans


def resource(setting: tuple[str, str, str]) -> dict[str, Any]:
    """What a process of this setting says of itself."""
    environment, service, release = setting
    return {
        "service.name": service,
        "service.version": release,
        "deployment.environment.name": environment,
        "telemetry.sdk.language": "python",
        "telemetry.distro.name": "autotrace",
        "host.name": f"{service}-{environment[:4]}",
        "process.pid": 7,
    }


def main() -> None:
    """Makes the store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--home", type=Path, required=True, help="the folder in which traces.db is made: none may be there"
    )
    parser.add_argument("--traces", type=int, default=200_000)
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--end-ns", type=int, default=time.time_ns(), help="ns since 1970 at which it ends; now otherwise"
    )
    parser.add_argument("--big", action="store_true", help=f"one more trace, of {BIG:,} spans, a day before the end")
    options = parser.parse_args()
    if (options.home / "traces.db").exists():
        parser.error(f"there is a store in {options.home} already")
    context = get_context("spawn")
    incoming, out = context.Pipe(duplex=False)
    producer = context.Process(target=produce, args=(options, out), daemon=True)
    producer.start()
    out.close()
    traces, spans = write(options.home, incoming)
    size = (options.home / "traces.db").stat().st_size
    print(f"{traces:,} traces, {spans:,} spans, {size / 1e6:,.0f} MB in {options.home}")


if __name__ == "__main__":
    main()
