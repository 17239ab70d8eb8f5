"""Takes the pictures of the page in docs/images: every page of a generated store, light and dark.

python docs/screenshots.py                 all of them; needs Chromium and the group `ui`
python docs/screenshots.py overview trace  some
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
IMAGES = HERE / "images"
SIZE = {"width": 1280, "height": 860}
TRACES, DAYS, SEED = 5000, 14, 7


def main() -> None:
    """Makes a store, serves it, and takes the pictures."""
    wanted = sys.argv[1:]
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / ".autotrace"
        generator = HERE.parent / "benchmarks" / "page_store.py"
        options = ["--home", str(home), "--traces", str(TRACES), "--days", str(DAYS), "--seed", str(SEED)]
        subprocess.run([sys.executable, str(generator), *options], check=True)  # noqa: S603 (our own)
        command = [sys.executable, "-m", "autotrace", "ui", "--port", "0", "--no-open"]
        settings = {**os.environ, "AUTOTRACE_HOME": str(home)}
        with subprocess.Popen(command, env=settings, cwd=folder, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
            assert process.stdout is not None
            url = process.stdout.readline().split()[2]
            try:
                take(url, {name: path for name, path in pages(url).items() if not wanted or name in wanted})
            finally:
                process.terminate()


def pages(url: str) -> dict[str, str]:
    """Addresses of the pages by name, once the store has been read."""
    while not ask(f"{url}status.json")["complete"]:
        time.sleep(0.2)
    traces = ask(f"{url}traces.json?range=7d&filter=tool:*%20feedback:down%20session:*%20user:*")["traces"]
    trace = next(row for row in traces if row["response"] and row["models"])
    failure = ask(f"{url}failures.json?range=7d&kind=error")["groups"][0]
    return {
        "overview": "overview?range=7d",
        "traces": "traces?range=7d",
        "trace": f"trace/{trace['trace_id']}",
        "sessions": "sessions?range=7d",
        "session": f"session?id={quote(trace['session'])}",
        "users": "users?range=7d",
        "user": f"user?id={quote(trace['user'])}&range=7d",
        "failures": "failures?range=7d",
        "failure": f"failure/{failure['id']}?range=7d",
        "behaviour": "behaviour?range=7d",
        "compare": "compare?range=7d&a_release=2.3.0&b_release=2.4.0",
    }


def take(url: str, wanted: dict[str, str]) -> None:
    """Takes each picture."""
    executable = shutil.which("chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type]
            for name, path in wanted.items():
                tab = context.new_page()
                tab.goto(url + path, wait_until="load")
                tab.evaluate(f"document.querySelector('footer .path').textContent = {json.dumps('.autotrace')}")
                tab.screenshot(path=str(IMAGES / f"{name}-{scheme}.png"))
                tab.close()
            context.close()
        browser.close()


def ask(url: str) -> Any:
    """What a twin says."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as reply:
        return json.load(reply)


if __name__ == "__main__":
    main()
