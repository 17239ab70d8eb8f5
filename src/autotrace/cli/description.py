"""What `autotrace doctor` tells of how a program that is started here would be described, and whether a hook waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from autotrace.config import SWITCH, Config
from autotrace.setting_values import TRUE

from .findings import Finding


@dataclass(frozen=True)
class Description:
    """What is said of a program that is started here by hand, and who says so.

    Attributes:
        platform: What it runs on.
        environment: `deployment.environment.name`, and in `environment_source` who says so; likewise the others.
        service: None where nobody says it.
        release: Likewise.
    """

    platform: str
    environment: str
    environment_source: str
    service: str | None
    service_source: str | None
    release: str | None
    release_source: str | None


@dataclass(frozen=True)
class Hook:
    """The file by which AUTOTRACE=1 switches tracing on in this environment.

    Attributes:
        path: Where it is, or would be.
        state: `absent`, `installed`, `outdated` (another release's), `foreign` (not ours), `unreadable`.
    """

    path: str
    state: str


def describe(config: Config) -> Description:
    """Describes a program that is started here, a script in this shell say."""
    from autotrace.delivery.platform import detect
    from autotrace.delivery.resource import environment_of, release_of, service_of

    platform = detect(config.variables, ["autotrace"], {})
    environment = environment_of(config, platform)
    service, release = service_of(config, platform), release_of(config, platform)
    return Description(
        platform.name,
        environment.value,
        environment.by,
        service and service.value,
        service and service.by,
        release and release.value,
        release and release.by,
    )


def look_at_hook() -> Hook:
    """The hook as it is; nothing is changed."""
    from autotrace.serving.startup_file import startup_file

    file = startup_file()
    try:
        return Hook(str(file.path), file.state)
    except OSError:
        return Hook(str(file.path), "unreadable")


def hook_findings(hook: Hook, variables: Mapping[str, str]) -> Iterator[Finding]:
    """What is odd about the hook, and about a variable that waits for one."""
    is_wanted = variables.get(SWITCH, "").strip().lower() in TRUE
    if is_wanted and hook.state in ("absent", "foreign", "unreadable"):
        yield Finding(
            "note",
            SWITCH,
            "it is set, and by itself it switches nothing on: no hook is installed in this environment",
            "autotrace install-hook, or autotrace run in front of the command; not needed where the program imports"
            " autotrace.auto",
        )
    if hook.state == "outdated":
        yield Finding("note", f"hook {hook.path}", "another release of autotrace wrote it", "autotrace install-hook")
    elif hook.state in ("foreign", "unreadable"):
        problem = "it is not what autotrace writes" if hook.state == "foreign" else "it cannot be read"
        yield Finding("note", f"hook {hook.path}", problem, "Look at it, and take it away if nobody needs it.")
