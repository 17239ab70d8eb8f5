"""Which hosts are the program's own services."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def own_hosts(names: Iterable[str]) -> Callable[[str], bool]:
    """Says of a host, `name` or `name:port`, whether it is one of `names`.

    A name without a port stands for every port of that host; `*.example.org` for every host below that domain, and for
    no other. An address of IPv6 stands in brackets where a port follows.

    Example:
        >>> is_own = own_hosts(["agents.example.org", "*.internal", "localhost:8001"])
        >>> [is_own(host) for host in ("agents.example.org:8080", "a.internal", "internal", "localhost:8002")]
        [True, True, False, False]
    """
    known = [f"[{name}]" if name.count(":") > 1 and "[" not in name else name for name in map(str.lower, names)]
    exact = frozenset(name for name in known if not name.startswith("*."))
    below = tuple(name[1:] for name in known if name.startswith("*."))

    def is_own(host: str) -> bool:
        host = host.lower()
        if host.count(":") > 1 and "[" not in host:
            host = f"[{host}]"
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        name = name.removesuffix(".")
        return host in exact or name in exact or host.endswith(below) or name.endswith(below)

    return is_own
