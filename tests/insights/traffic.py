"""A store full of traces, by chance, and what is true of each."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from tests.store.conftest import BEGAN, SECOND, Store, chat, feedback, record

#: Prices are known of these but the last.
MODELS = ("gpt-4o", "gpt-4o-mini", "my-own-model")


@dataclass(frozen=True, slots=True)
class Asked:
    """One trace: what was written of it. Times in seconds; `at` after BEGAN."""

    number: int
    at: int
    seconds: float | None
    is_failed: bool
    environment: str
    release: str
    user: str | None
    session: str | None
    models: tuple[str, ...]
    tools: tuple[tuple[str, bool], ...]
    thumbs: tuple[bool, ...]

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return f"{self.number + 1:032x}"

    @property
    def start_ns(self) -> int:
        """When it began, in ns since 1970."""
        return BEGAN + self.at * SECOND


def traffic(seed: int, count: int, seconds: int = 3 * 86400) -> list[Asked]:
    """So many traces within so many seconds, the earliest first."""
    chance = random.Random(seed)
    return [
        Asked(
            number,
            at,
            None if chance.random() < 0.05 else round(chance.lognormvariate(0, 1) + 0.01, 3),
            chance.random() < 0.2,
            chance.choice(["production", "development"]),
            chance.choice(["1.0", "1.1"]),
            chance.choice([None, "ann", "bob", "eve"]),
            chance.choice([None, *(f"s{each}" for each in range(8))]),
            tuple(chance.choice(MODELS) for _ in range(chance.randint(0, 3))),
            tuple((chance.choice(["search", "fetch"]), chance.random() < 0.3) for _ in range(chance.randint(0, 2))),
            tuple(chance.random() < 0.5 for _ in range(chance.choice([0, 0, 1, 2]))),
        )
        for number, at in enumerate(sorted(chance.sample(range(seconds), count)))
    ]


def write(store: Store, asked: list[Asked]) -> None:
    """Writes them as programs would."""
    for each in asked:
        resource = {
            "service.name": "shop",
            "service.version": each.release,
            "deployment.environment.name": each.environment,
        }
        store.writer.write(_records(each), resource)
        thumbs = [
            replace(feedback("a", value=up, id=f"{each.number:x}-{number}"), trace_id=each.trace_id)
            for number, up in enumerate(each.thumbs)
        ]
        if thumbs:
            store.writer.write(thumbs, resource)


def _records(each: Asked) -> list[Any]:
    who = {"user.id": each.user, "session.id": each.session}
    known = {name: value for name, value in who.items() if value is not None}
    kind, status = "E" if each.seconds is not None else "S", "error" if each.is_failed else "unset"
    found = [record("a", "1", None, each.at, each.seconds, kind, attributes=known, status=status)]
    for model in each.models:
        found.append(record("a", "1", "1", each.at, 0.5, attributes=chat("hi", "yo", model)))
    for tool, is_failed in each.tools:
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool}
        status = "error" if is_failed else "unset"
        found.append(record("a", "1", "1", each.at, 0.25, attributes=attributes, status=status))
    return [
        replace(one, trace_id=each.trace_id, span_id=f"{each.number * 16 + number + 1:016x}")
        for number, one in enumerate(found)
    ]
