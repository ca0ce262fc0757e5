"""The few calls of Docker's API that a reaper needs, over the daemon's socket.

Docker's and podman's daemons answer them alike. Each call has a connection of its own and a
time limit; answers are bounded.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

#: Of one answer: some 100,000 containers.
_LARGEST = 256 << 20
_SHOWN = 300


class DaemonError(Exception):
    """What the daemon did not do, and its reason. ``status`` is 0 without an answer."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class Daemon:
    """A daemon by its address: ``unix://PATH`` or ``tcp://HOST:PORT``."""

    def __init__(self, address: str, timeout: float) -> None:
        kind, _, place = address.partition("://")
        if kind not in ("unix", "tcp") or not place:
            raise DaemonError(
                f"DOCKER_HOST: unsupported address {address!r}; unix://PATH or tcp://HOST:PORT"
            )
        self._address, self._place, self._timeout = address, place, timeout
        self._unix = kind == "unix"

    def ping(self) -> None:
        """Raises ``DaemonError`` if no daemon answers."""
        self._call("GET", "/_ping")

    def list(self, path: str, filters: Mapping[str, list[str]], **more: str) -> Any:
        """What the daemon lists below ``path`` for these filters."""
        query = urlencode({**more, "filters": json.dumps(filters)})
        body = self._call("GET", f"{path}?{query}")
        try:
            return json.loads(body)
        except ValueError as error:
            raise DaemonError(f"GET {path}: the answer is not JSON: {error}") from error

    def remove(self, path: str, name: str, **more: str) -> bool:
        """Whether it was there."""
        query = f"?{urlencode(more)}" if more else ""
        try:
            self._call("DELETE", f"{path}/{quote(name, safe='')}{query}")
        except DaemonError as error:
            if error.status == http.HTTPStatus.NOT_FOUND:
                return False
            raise
        return True

    def _call(self, method: str, target: str) -> bytes:
        what = f"{method} {target.partition('?')[0]}"
        connection = _Unix(self._place, self._timeout) if self._unix else self._tcp()
        try:
            connection.request(method, target)
            answer = connection.getresponse()
            body = answer.read(_LARGEST + 1)
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise DaemonError(f"{what}: no answer from {self._address}: {reason}") from error
        finally:
            connection.close()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise DaemonError(f"{what}: {answer.status}: {_message(body)}", answer.status)
        if len(body) > _LARGEST:
            raise DaemonError(f"{what}: the answer is larger than {_LARGEST >> 20} MiB")
        return body

    def _tcp(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._place, timeout=self._timeout)


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _message(body: bytes) -> str:
    """The daemon's reason: the field ``message``, or the text as it is."""
    text = body[: 16 * _SHOWN].decode("utf-8", "replace")
    try:
        found = json.loads(text)["message"]
    except (ValueError, KeyError, TypeError):
        found = text
    return str(found).strip()[:_SHOWN]
