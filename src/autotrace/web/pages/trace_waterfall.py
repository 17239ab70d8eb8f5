"""The tree of a trace, with when each span ran: as many lines as fit a page, of however many spans."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from autotrace.store.outline import Node

#: Lines of one page.
ROWS = 300
#: Spans that are shown beneath one parent; a few more are shown too, for a line that says so takes as much room.
SIBLINGS, _SPARE = 50, 5


class Line(NamedTuple):
    """A line of the tree: a span; or, with `more`, so many spans beneath `parent` that are left out."""

    depth: int
    node: Node | None
    children: int = 0
    parent: str = ""
    more: int = 0


@dataclass(frozen=True)
class Page:
    """Some lines of the tree.

    Attributes:
        first: The place of the first one among all.
        total: How many there are, with what is left out as one line.
    """

    lines: Sequence[Line]
    first: int
    total: int


class Tree:
    """The tree of a trace's spans.

    A span whose parent is missing stands at the top. So does one of a circle of parents (which only a damaged or
    forged store has).

    Args:
        nodes: All spans, earliest first.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._by_id = {node.span_id: node for node in nodes}
        self._children: dict[str, list[Node]] = {}
        self._tops: list[Node] = []
        for node in nodes:
            if node.parent_id is not None and node.parent_id in self._by_id:
                self._children.setdefault(node.parent_id, []).append(node)
            else:
                self._tops.append(node)
        self._open_circles(nodes)
        self.start_ns = nodes[0].start_ns
        self.end_ns = max(max(node.start_ns, node.end_ns or node.start_ns) for node in nodes)

    def page(self, selected: str, opened: Collection[str] = (), first: int | None = None) -> Page:
        """The lines from `first` on, or those among which the selected span is.

        Args:
            selected: A span's id: it is never left out, nor is any span above it.
            opened: Ids of spans whose children are all shown; an empty id: all at the top.
            first: The place of the first line.
        """
        kept = self._above(selected)
        total = place = 0
        for line in self._lines(kept, opened):
            if line.node is not None and line.node.span_id == selected:
                place = total
            total += 1
        if first is None:
            first = place // ROWS * ROWS
        first = max(0, min(first, total - 1))
        lines = [line for number, line in enumerate(self._lines(kept, opened)) if first <= number < first + ROWS]
        return Page(lines, first, total)

    def place(self, node: Node) -> tuple[float, float]:
        """Where a span begins and how long it takes, in percent of the trace; at least as much as can be seen."""
        whole = max(1, self.end_ns - self.start_ns)
        end = self.end_ns if node.end_ns is None else max(node.start_ns, node.end_ns)
        x = 100 * (node.start_ns - self.start_ns) / whole
        width = max(0.4, 100 * (end - node.start_ns) / whole)
        return round(min(x, 100 - 0.4), 3), round(min(width, max(0.4, 100 - x)), 3)

    def has_missing_parents(self) -> bool:
        """Whether a span says that it has a parent which is not here, though it is no root."""
        return any(node.parent_id is not None and not node.root for node in self._tops)

    def _lines(self, kept: Collection[str], opened: Collection[str]) -> Iterator[Line]:
        waiting = self._level(0, "", self._tops, kept, opened)
        while waiting:
            line = waiting.pop()
            yield line
            if line.node is not None and line.children:
                span_id = line.node.span_id
                waiting += self._level(line.depth + 1, span_id, self._children[span_id], kept, opened)

    def _level(
        self, depth: int, parent: str, nodes: Sequence[Node], kept: Collection[str], opened: Collection[str]
    ) -> list[Line]:
        """The lines of siblings, last first."""
        shown = list(nodes)
        if len(nodes) > SIBLINGS + _SPARE and parent not in opened:
            shown = [node for number, node in enumerate(nodes) if number < SIBLINGS or node.span_id in kept]
        found = [Line(depth, node, len(self._children.get(node.span_id, ()))) for node in shown]
        if len(shown) < len(nodes):
            found.append(Line(depth, None, 0, parent, len(nodes) - len(shown)))
        return found[::-1]

    def _above(self, selected: str) -> set[str]:
        """Ids of a span and of those above it."""
        found: set[str] = set()
        node = self._by_id.get(selected)
        while node is not None and node.span_id not in found:
            found.add(node.span_id)
            node = self._by_id.get(node.parent_id or "")
        return found

    def _open_circles(self, nodes: Sequence[Node]) -> None:
        """Puts one span of each circle at the top."""
        reached: set[str] = set()
        self._reach(self._tops, reached)
        for node in nodes:
            if node.span_id not in reached:
                top = self._of_circle(node)
                self._children[top.parent_id or ""].remove(top)
                self._tops.append(top)
                self._reach([top], reached)

    def _of_circle(self, node: Node) -> Node:
        """A span of the circle that lies above a span which no top leads to."""
        seen: set[str] = set()
        while node.span_id not in seen:
            seen.add(node.span_id)
            node = self._by_id[node.parent_id or ""]
        return node

    def _reach(self, tops: Sequence[Node], reached: set[str]) -> None:
        waiting = list(tops)
        while waiting:
            node = waiting.pop()
            if node.span_id not in reached:
                reached.add(node.span_id)
                waiting += self._children.get(node.span_id, ())
