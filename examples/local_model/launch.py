"""Starts a model server in a process of its own, and reads its meter."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path
from typing import Any

Json = dict[str, Any]

HERE = Path(__file__).resolve().parent
REAL_MODEL = HERE / "server.py"
SCRIPTED_MODEL = HERE / "scripted.py"

START_SECONDS = 60  # a busy machine needs more than the usual one second


class LaunchError(Exception):
    """A model server did not become ready; the message is what it said."""


class ModelServer:
    """A model server that is ready; it goes when it is stopped, or when this process does.

    Raises:
        LaunchError: it did not become ready.
    """

    def __init__(self, script: Path) -> None:
        with tempfile.TemporaryFile("w+") as complaints:
            self._process = subprocess.Popen(
                [sys.executable, str(script), "--port", "0"],
                stdin=subprocess.PIPE,  # its lifeline: it stops when this pipe closes, however that happens
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
            )
            words = self._first_line().split()
            if words[:1] != ["READY"]:
                self.stop()
                complaints.seek(0)
                status = self._process.returncode
                raise LaunchError(complaints.read().strip() or f"the model server ended with status {status}")
        self.base_url = words[1]
        self.model = words[2].removeprefix("model=")

    def _first_line(self) -> str:
        assert self._process.stdout is not None
        alarm = threading.Timer(START_SECONDS, self._process.kill)
        alarm.start()
        try:
            return self._process.stdout.readline()
        finally:
            alarm.cancel()

    def readings(self) -> list[Json]:
        """Return what each request so far has cost, as the server's meter has it (see meter.py)."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy reaches this machine
        with direct.open(self.base_url.removesuffix("/v1") + "/meter", timeout=10) as reply:
            readings: list[Json] = json.load(reply)["by_request"]
        return readings

    def stop(self) -> None:
        """End the server and wait until it is gone."""
        self._process.terminate()
        self._process.communicate()
