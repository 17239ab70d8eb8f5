"""Finds what a server refuses in a batch, so that the rest gets through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from .replies import Refused

T = TypeVar("T")


def deliver_split(units: Sequence[T], send: Callable[[Sequence[T]], None]) -> list[tuple[T, Refused]]:
    """Sends the units; a batch that is refused is halved until those that are to blame stand alone.

    One bad unit among n costs at most 2 log2(n) + 1 requests, and n bad ones 2 n - 1: each of them has been refused
    by itself before it is given up.

    Args:
        units: What to send, in order.
        send: Sends some of them, all or none, or raises.

    Returns:
        The units that were refused, each with the reason.

    Raises:
        Exception: What `send` raises beside Refused. Some units may have been taken by then: they come again, so the
            other side must know a unit that it has.
    """
    if not units:
        return []
    try:
        send(units)
    except Refused as refused:
        if len(units) == 1:
            return [(units[0], refused)]
    else:
        return []
    middle = len(units) // 2
    return deliver_split(units[:middle], send) + deliver_split(units[middle:], send)
