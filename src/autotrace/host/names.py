"""Names of distributions, as the packaging tools compare them."""

from __future__ import annotations


def normal(name: str) -> str:
    """In small letters, with one `-` for each run of `-`, `_` and `.`; a module's name likewise."""
    return "-".join(part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part)


#: The module of a plugin that the import of any other module wakes, once the user has switched the plugin on by name.
ANY = "*"
