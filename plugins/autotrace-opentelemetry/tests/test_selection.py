"""Which instrumentors are used, by their metadata alone."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
from autotrace_opentelemetry.installed import Instrumentor, framework_module, modules, normal
from autotrace_opentelemetry.selection import is_for_ai, selected, vendor

from autotrace import Instrumentation


def instrumentor(distribution: str, framework: str, *needs: str, entry: str = "", module: str = "") -> Instrumentor:
    """One that is installed."""
    point = EntryPoint(entry or framework, "nowhere:Instrumentor", "opentelemetry_instrumentor")
    requires = f"{framework}>=1" if framework else ""
    return Instrumentor(point, distribution, frozenset(needs), requires, framework, module or framework)


OPENINFERENCE = instrumentor("openinference-instrumentation-groq", "groq", "openinference-instrumentation")
OPENLLMETRY = instrumentor("opentelemetry-instrumentation-groq", "groq", "opentelemetry-semantic-conventions-ai")
GENAI = instrumentor("opentelemetry-instrumentation-genai-groq", "groq", "opentelemetry-util-genai")
HTTPX = instrumentor("opentelemetry-instrumentation-httpx", "httpx", "opentelemetry-api")
STRANGER = instrumentor("acme-telemetry", "groq", "opentelemetry-api")


def only(found: list[Instrumentation]) -> Instrumentation:
    assert len(found) == 1
    return found[0]


def test_vendors() -> None:
    """Whose an instrumentor is, and whether it is for AI, its own dependencies tell."""
    known = [OPENINFERENCE, OPENLLMETRY, GENAI, HTTPX, STRANGER]
    assert [vendor(one) for one in known] == [
        "openinference",
        "openllmetry",
        "opentelemetry",
        "opentelemetry",
        "acme-telemetry",
    ]
    assert [is_for_ai(one) for one in known] == [True, True, True, False, False]


def test_one_of_several() -> None:
    """OpenTelemetry's own comes first, then OpenInference's, then OpenLLMetry's, then any; a setting names them."""
    found = only(selected([STRANGER, OPENLLMETRY, OPENINFERENCE, GENAI], {}))
    order = ("opentelemetry", "openinference", "openllmetry", "acme-telemetry")
    assert tuple(one.vendor for one in found.delegates) == order
    assert found.settings == {"instrumentor": order}
    assert (found.name, found.is_optional) == ("groq", False)


def test_two_of_one_vendor() -> None:
    """A second one of a vendor goes by its distribution."""
    older = GENAI._replace(distribution="opentelemetry-instrumentation-groq-v2")
    found = only(selected([older, GENAI], {}))
    assert [one.vendor for one in found.delegates] == ["opentelemetry", "opentelemetry-instrumentation-groq-v2"]


def test_no_ai() -> None:
    """What is no AI framework is off unless it is named."""
    found = only(selected([HTTPX], {}))
    assert (found.name, found.is_optional) == ("httpx", True)


def test_threads() -> None:
    """Threads are the host's own affair."""
    assert selected([instrumentor("opentelemetry-instrumentation-threading", "", module="threading")], {}) == []


def test_no_module() -> None:
    """What names neither a framework nor a module of the standard library cannot be waited for."""
    assert selected([HTTPX._replace(module="")], {}) == []


@pytest.mark.parametrize(
    ("covered", "one"),
    [
        ("groq", OPENINFERENCE),
        (
            "langchain-core",
            instrumentor("openinference-instrumentation-langchain", "langchain-core", entry="langchain"),
        ),
        ("langchain", instrumentor("opentelemetry-instrumentation-langchain", "langchain", module="langchain")),
        ("google-genai", instrumentor("a-genai", "google-genai", entry="x", module="google.genai")),
    ],
)
def test_covered(covered: str, one: Instrumentor) -> None:
    """What a plugin of ours traces, by its distribution, its module or the plugin's own name, is left to that."""
    found = only(selected([one], {covered: "autotrace-ours"}))
    assert [one.skipped for one in found.delegates] == ["autotrace-ours traces it"]


def test_one_framework_of_two_distributions() -> None:
    """Two instrumentors of one framework are never both used, whichever of its distributions they name."""
    one = instrumentor("openinference-instrumentation-acme", "acme-core", entry="acme", module="acme_core")
    other = instrumentor("x-acme", "acme", entry="acme")
    third = instrumentor("y-acme", "acme-core", entry="acme-core", module="acme_core")
    assert len(only(selected([one, other, third], {})).delegates) == 3


def test_a_module_in_a_namespace() -> None:
    """A toggle is part of a variable's name: no dots."""
    assert only(selected([instrumentor("a", "google-adk", module="google.adk")], {})).name == "google_adk"


def parts(*paths: str) -> list[tuple[str, ...]]:
    return [tuple(path.split("/")) for path in paths]


@pytest.mark.parametrize(
    ("files", "distribution", "entry", "module"),
    [
        (parts("groq/__init__.py", "groq/types/__init__.py", "tests/__init__.py"), "groq", "groq", "groq"),
        (parts("PIL/__init__.py", "pillow-1.dist-info/RECORD"), "pillow", "pillow", "PIL"),
        (parts("six.py", "six-1.dist-info/METADATA"), "six", "six", "six"),
        (parts("google/adk/__init__.py", "google/adk/a.py"), "google-adk", "google_adk", "google.adk"),
        (
            parts("mistralai/azure/__init__.py", "mistralai/client/__init__.py", "mistralai/client/chat.py"),
            "mistralai",
            "mistralai",
            "mistralai.client",
        ),
        (parts("_private/__init__.py", "beta/__init__.py", "alpha/__init__.py"), "c", "d", "alpha"),
        ([], "llama-index-core", "x", "llama_index_core"),
    ],
)
def test_module_of_a_framework(files: list[tuple[str, ...]], distribution: str, entry: str, module: str) -> None:
    """Which module is imported to use a framework follows from the files that it has installed."""
    assert framework_module(modules(files), distribution, entry) == module


def test_normal() -> None:
    """Names are compared in their normal form."""
    assert normal("Foo_bar.baz") == "foo-bar-baz"
