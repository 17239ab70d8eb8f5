"""What `autotrace plugins` shows: each plugin, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

#: Why something is off that nobody has switched on by name.
OFF = 'off unless it is named: autotrace.autolog("{name}", disable=False)'

State = Literal["waiting", "active", "disabled", "unsupported", "failed"]


#: found; missing (a fault); replaced (a fault: by something that does not call what was there); absent (no fault: the
#: plugin says that not every version has it); waiting (its module has not been imported); off (it is not traced).
HookState = Literal["found", "missing", "replaced", "absent", "waiting", "off"]


@dataclass(frozen=True)
class HookPoint:
    """One function of a framework that a plugin wraps, or would.

    Attributes:
        framework: The framework's name.
        distribution: The plugin's distribution.
        target: The function, e.g. `acme.client.Client.search`.
        state: What became of it.
        wrapped_by: Modules of other tools that have wrapped it too.
    """

    framework: str
    distribution: str
    target: str
    state: HookState
    wrapped_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class PluginStatus:
    """One plugin for one framework.

    Attributes:
        name: The framework, e.g. `openai`.
        distribution: The plugin's distribution; empty for what is built in.
        version: The plugin's version.
        framework_distribution: The framework's distribution, as the plugin's `instruments` extra names it.
        framework_version: The installed version; None when it is not installed.
        supported: The supported range, e.g. `>=1.40,<4`.
        state: waiting (its framework is not imported), active, disabled, unsupported, failed.
        reason: Why it is not active; empty when it is.
        choice: Why it is the one that traces the framework, where several plugins can; else empty.
        warnings: What works less than it could.
    """

    name: str
    distribution: str
    version: str
    framework_distribution: str
    framework_version: str | None
    supported: str
    state: State
    reason: str = ""
    choice: str = ""
    warnings: list[str] = field(default_factory=list)
