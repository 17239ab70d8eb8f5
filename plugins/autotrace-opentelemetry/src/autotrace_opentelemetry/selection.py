"""Which of the installed instrumentors are used, and for what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from autotrace import Delegate, Instrumentation

from .installed import Instrumentor, normal
from .translation import translate

#: Whose instrumentor is used where there are several for one framework.
VENDORS = ("opentelemetry", "openinference", "openllmetry")
#: What only instrumentors of AI frameworks depend on, by vendor.
_MARKS = {"opentelemetry-util-genai": "opentelemetry", "opentelemetry-semantic-conventions-ai": "openllmetry"}
#: Instrumentors that are no bridge's business: the host carries the context into threads itself.
_LEFT_OUT = frozenset({"opentelemetry-instrumentation-threading"})


def selected(instrumentors: Sequence[Instrumentor], plugins: Mapping[str, str]) -> list[Instrumentation]:
    """One instrumentation a framework, with the instrumentors for it in the order of preference.

    Args:
        instrumentors: All that are installed.
        plugins: The plugins of ours, by the names of what they trace.
    """
    groups: dict[str, list[Instrumentor]] = {}
    keys: dict[str, str] = {}
    for one in sorted(instrumentors, key=_preference):
        if one.module and one.distribution not in _LEFT_OUT:
            # The same framework, whichever of its distributions each names.
            names = {f"entry {normal(one.entry.name)}", f"distribution {one.framework or one.module}"}
            key = next((keys[name] for name in sorted(names) if name in keys), one.module)
            keys.update(dict.fromkeys(names, key))
            groups.setdefault(key, []).append(one)
    return [_instrumentation(group, plugins) for group in groups.values()]


def vendor(instrumentor: Instrumentor) -> str:
    """Whose it is: one of VENDORS, or its distribution."""
    for mark, name in _MARKS.items():
        if mark in instrumentor.needs:
            return name
    for name in ("openinference", "opentelemetry"):
        if instrumentor.distribution.startswith(f"{name}-instrumentation-"):
            return name
    return instrumentor.distribution


def is_for_ai(instrumentor: Instrumentor) -> bool:
    """Whether it traces an AI framework: models, agents, vector stores."""
    return vendor(instrumentor) == "openinference" or not instrumentor.needs.isdisjoint(_MARKS)


def _preference(one: Instrumentor) -> tuple[bool, int, str, str]:
    whose = vendor(one)
    rank = VENDORS.index(whose) if whose in VENDORS else len(VENDORS)
    return not is_for_ai(one), rank, one.distribution, one.entry.name


def _instrumentation(group: Sequence[Instrumentor], plugins: Mapping[str, str]) -> Instrumentation:
    delegates: dict[str, Delegate] = {}
    for one in group:
        whose = vendor(one) if vendor(one) not in delegates else one.distribution
        delegates[whose] = Delegate(
            one.module,
            load=partial(_load, one.entry.load),
            translate=translate,
            vendor=whose,
            distribution=one.distribution,
            requires=one.requires,
            skipped=_skipped(one, plugins),
        )
    first = group[0]
    return Instrumentation(
        # A toggle is part of a variable's name.
        first.module if "." not in first.module else first.framework.replace("-", "_"),
        delegates=tuple(delegates.values()),
        is_optional=not is_for_ai(first),
        settings={"instrumentor": tuple(delegates)},
    )


def _load(entry: Callable[[], Any]) -> Any:
    return entry()()


def _skipped(one: Instrumentor, plugins: Mapping[str, str]) -> str:
    names = (one.framework, normal(one.module), normal(one.entry.name))
    plugin = next((plugins[name] for name in names if name in plugins), None)
    return f"{plugin} traces it" if plugin else ""
