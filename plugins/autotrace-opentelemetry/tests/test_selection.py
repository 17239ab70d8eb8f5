"""Which instrumentors are used, by their metadata alone."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from autotrace_opentelemetry.installed import Instrumentor, found, framework_module, modules, normal
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


class Site:
    """A folder of installed distributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, entry_points: str = "", metadata: str = "", files: str = "") -> None:
        """Installs what is read of one."""
        folder = self.folder / f"{name.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{metadata}")
        (folder / "entry_points.txt").write_text(entry_points)
        (folder / "RECORD").write_text("".join(f"{file},,\n" for file in files.split()))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.syspath_prepend(tmp_path)
    return Site(tmp_path)


def entry(name: str) -> str:
    return f"[opentelemetry_instrumentor]\n{name} = nowhere:Instrumentor\n"


def read(distribution: str) -> tuple[str, str, str]:
    """What is found of an instrumentor: what it requires, its framework, that one's module."""
    known = next(one for one in found()[0] if one.distribution == distribution)
    return known.requires, known.framework, known.module


def test_metadata(site: Site) -> None:
    """The framework and its range come from the extra `instruments`, the module from the framework's files."""
    site.add(
        "x-Shop", entry("x-shop"), "Requires-Dist: shop-core[all]<3,>=2; extra == 'instruments'\nRequires-Dist: wrapt"
    )
    site.add("shop-core", files="shopping/__init__.py shopping/cart.py")
    assert read("x-shop") == ("shop-core[all]<3,>=2", "shop-core", "shopping")


def test_metadata_of_any(site: Site) -> None:
    """Of several frameworks that an instrumentor may trace it is the one that its entry point is named after."""
    site.add(
        "x-two",
        entry("second"),
        "Requires-Dist: first; extra == 'instruments-any'\nRequires-Dist: second; extra == 'instruments-any'",
    )
    assert read("x-two") == ("second", "second", "second")


def test_metadata_of_the_one_that_is_installed(site: Site) -> None:
    """Or the one that is installed."""
    site.add(
        "x-two",
        entry("x"),
        "Requires-Dist: first; extra == 'instruments-any'\nRequires-Dist: second; extra == 'instruments-any'",
    )
    site.add("second")
    assert read("x-two") == ("second", "second", "second")


def test_no_extra(site: Site) -> None:
    """Without the extra it is what the entry point is named after: a distribution, a module of the standard library."""
    site.add("x-shop", entry("shop_core"))
    site.add("shop-core", files="shop_core/__init__.py")
    site.add("x-sqlite3", entry("sqlite3"))
    site.add("x-nothing", entry("nothing"))
    assert read("x-shop") == ("shop-core", "shop-core", "shop_core")
    assert read("x-sqlite3") == ("", "", "sqlite3")
    assert read("x-nothing") == ("", "", "")


def test_plugins_of_ours(site: Site) -> None:
    """A plugin of ours covers its framework's module and distribution, and what it is named after."""
    metadata = "Requires-Dist: shop-core>=1; extra == 'instruments'"
    site.add("autotrace-shop", "[autotrace]\nshop.api = autotrace_shop\n", metadata)
    site.add("autotrace-every", "[autotrace]\n* = autotrace_every\n")
    ours = found()[1]
    assert {name for name, plugin in ours.items() if plugin == "autotrace-shop"} == {"shop", "shop-api", "shop-core"}
    assert "autotrace-every" not in ours.values()


def test_damaged_metadata(site: Site) -> None:
    """What is broken of other distributions harms nothing."""
    (site.folder / "odd-1.0.dist-info").mkdir()
    (site.folder / "empty-1.0.dist-info").mkdir()
    (site.folder / "odd-1.0.dist-info" / "METADATA").write_text("no metadata at all")
    site.add("x-odd", entry("odd"), "Requires-Dist: ???; extra == 'instruments'")
    assert read("x-odd")[1] == ""
