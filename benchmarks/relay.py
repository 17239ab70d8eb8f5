"""Stands between a program and a server, and lets the server seem to be down."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit


class Relay:
    """Passes on what comes, until it is told to refuse connections or to fall silent.

    Args:
        url: The server's.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._is_silent = False
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def refuse(self) -> None:
        """Ends all connections, and takes no more."""
        _end(self._listener)
        for connection in self._open:
            _end(connection)

    def fall_silent(self) -> None:
        """Takes connections, and passes nothing on."""
        self._is_silent = True

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(near)
            if not self._is_silent:
                far = socket.create_connection(self._target)
                self._open.append(far)
                for source, goal in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, goal), daemon=True).start()

    def _pass_on(self, source: socket.socket, goal: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                if not self._is_silent:
                    goal.sendall(data)
        except OSError:
            pass
        if not self._is_silent:
            _end(goal)


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
