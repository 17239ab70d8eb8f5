"""What the value of a setting may look like, and what it means. Each function raises ValueError for any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

Capture = Literal["full", "truncated", "off"]

DESTINATIONS = ("store", "console")
TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})


def capture(value: Any) -> Capture:
    """How much content is kept."""
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    if word in ("full", "truncated", "off"):
        return cast(Capture, word)
    if word in TRUE:
        return "full"
    if word and word in FALSE | {"none"}:
        return "off"
    raise ValueError(f"{value!r} is not one of full, truncated, off")


def flag(value: Any) -> bool:
    """A switch."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in TRUE | FALSE:
        return value.strip().lower() in TRUE
    raise ValueError(f"{value!r} is neither true nor false")


def names(value: Any) -> tuple[str, ...]:
    """Names: one, several with commas between them, or a list."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list | tuple | set | frozenset) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise ValueError(f"{value!r} is neither a name, names with commas between them, nor a list of names")


def modules(value: Any) -> tuple[str, ...]:
    """Names of modules, each once."""
    found = tuple(dict.fromkeys(names(value)))
    for name in found:
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"{name!r} is not the name of a module, such as 'myapp.tracing'")
    return found


def disabled(value: Any) -> frozenset[str]:
    """Names in small letters. A switch in their place goes for all."""
    if isinstance(value, bool):
        return frozenset({"all"} if value else ())
    found = frozenset(name.strip().lower() for name in names(value))
    if found & TRUE:
        return found - TRUE | {"all"}
    return found - FALSE


def destination_names(value: Any) -> tuple[str, ...]:
    """Names of destinations that there are."""
    found = names(value)
    unknown = [name for name in found if name not in DESTINATIONS]
    if unknown:
        raise ValueError(f"{', '.join(map(repr, unknown))}: no such destination; there are {', '.join(DESTINATIONS)}")
    return found


def text(value: Any) -> str:
    """A text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} is not a text")
    return value.strip()


def count(value: Any) -> int:
    """A whole number, 1 or more."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{value!r} is not a whole number") from None
    if number < 1:
        raise ValueError(f"{value!r} is less than 1")
    return number


def path(value: Any) -> Path:
    """A path; `~` is the home of its user."""
    if isinstance(value, Path):
        return value
    try:
        return Path(text(value)).expanduser()
    except RuntimeError:
        raise ValueError(f"{value!r}: there is no such user") from None
