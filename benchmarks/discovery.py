"""What installed plugins cost a program that uses none of them: discovery and activation in fresh interpreters.

    python benchmarks/discovery.py                      0, 10 and 100 plugins, good and broken
    python benchmarks/discovery.py --runs 5             a first look
    python benchmarks/discovery.py --write docs/performance.md

The interpreter must have autotrace installed; the plugins are made in a temporary folder. Needs nothing but the
standard library.
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import machine
import page

RUNS = 15
#: Programs by name. `plain` is a module from outside the standard library; `waking` wakes every plugin.
PROGRAMS = {
    "bare Python": "import plain",
    "activated": "import autotrace.auto",
    "discovery": "import autotrace.auto, plain",
    "all woken": "import autotrace.auto, waking",
}
GOOD = """
from autotrace import Instrumentation, Patch, hookimpl

@hookimpl
def instrumentations():
    patch = Patch("waking", "function_{number}", lambda call: None)
    return [Instrumentation("framework_{number}", patches=(patch,))]
"""
BROKEN = ("import nothing_of_this_name", "def (", "raise SystemExit", "import autotrace\nautotrace.nothing")


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS, help=f"processes of each kind (default {RUNS})")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has autotrace")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table between its markers of this page")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="autotrace-bench-") as folder:
        sites = {
            (count, kind): install(Path(folder) / f"{kind}-{count}", count, kind == "broken")
            for count in (0, 10, 100)
            for kind in ("good", "broken")
            if count or kind == "good"
        }
        part = markdown(measure(arguments.python, sites, arguments.runs), arguments.runs)
    print(part)
    if arguments.write:
        page.write(arguments.write, page.DISCOVERY, part)


def install(site: Path, count: int, is_broken: bool) -> Path:
    """Makes a folder of installed plugins, each of which the import of one module wakes."""
    site.mkdir()
    (site / "plain.py").write_text("")
    # Each wakes at a module of its own; `waking` stands for a program that imports them all.
    functions = "".join(f"def function_{number}(): pass\n" for number in range(count))
    imports = "".join(f"import waking_{number}\n" for number in range(count))
    (site / "waking.py").write_text(functions + imports)
    for number in range(count):
        (site / f"waking_{number}.py").write_text("")
        source = BROKEN[number % len(BROKEN)] if is_broken else GOOD.format(number=number)
        (site / f"plugin_{number}.py").write_text(source)
        folder = site / f"plugin_{number}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: plugin-{number}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[autotrace]\nwaking_{number} = plugin_{number}\n")
    return site


def measure(python: str, sites: Mapping[tuple[int, str], Path], runs: int) -> dict[tuple[int, str], dict[str, float]]:
    """The median milliseconds of each program with each site, taken in turn."""
    times: dict[tuple[tuple[int, str], str], list[float]] = {}
    for done in range(runs + 1):
        for key, site in sites.items():
            for name, code in PROGRAMS.items():
                spent = milliseconds(python, code, site)
                if done:  # the first compiles
                    times.setdefault((key, name), []).append(spent)
    return {key: {name: statistics.median(times[key, name]) for name in PROGRAMS} for key in sites}


def milliseconds(python: str, code: str, site: Path) -> float:
    """The wall time of one process, its exit included."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOTRACE_", "OTEL_"))}
    environment |= {"PYTHONPATH": str(site), "AUTOTRACE_HOME": str(site / "home")}
    before = time.perf_counter()
    subprocess.run([python, "-c", code], cwd=site, env=environment, check=True, capture_output=True)
    return 1000 * (time.perf_counter() - before)


def markdown(medians: Mapping[tuple[int, str], Mapping[str, float]], runs: int) -> str:
    """The part of the page: a row a number of plugins: bare Python, and what each program adds to it."""
    head = ["plugins", *(name if name == "bare Python" else f"{name}, added" for name in PROGRAMS)]
    rows = [head, ["---", *(["---:"] * len(PROGRAMS))]]
    for (count, kind), found in medians.items():
        bare = found["bare Python"]
        cells = [f"{ms if name == 'bare Python' else ms - bare:.1f}" for name, ms in found.items()]
        rows.append([f"{count} {kind}" if count else "none", *cells])
    found = machine.describe()
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    origin = (
        f"Measured on {today}: {found['processor']}, {found['cores']} cores, {found['system']}. Milliseconds of whole "
        f"processes, medians of {runs}, taken in turn; the columns after the first say what is added to it. "
        "`activated` is `import autotrace.auto` alone, `discovery` the import of a module from outside the standard "
        "library after it, `all woken` the import of every plugin's framework: each plugin is loaded and patches a "
        "function."
    )
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"## Installed plugins\n\n{origin}\n\n{lines}"


if __name__ == "__main__":
    main()
