"""Those whose things are removed: test runs that keep a connection open as long as they last.

Each sends lines ``label=KEY=VALUE&label=…`` and gets ``ACK`` for each. One thread looks after
the listener, all connections and signals.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from homeport.reaper.settings import Settings

#: As upstream's: Go's bufio.Scanner takes no longer line.
_LONGEST = 64 << 10
_MOST_FILTERS = 10_000
_MOST_CLIENTS = 1_000
_READ = 1 << 16
_ACK = b"ACK\n"


@dataclass(eq=False, slots=True)
class _Client:
    connection: socket.socket
    name: str
    rest: bytes = b""


@dataclass(slots=True)
class Waiting:
    """Clients, the filters that they named, and when to look for what they left.

    wake: becomes readable when a signal came
    """

    settings: Settings
    listener: socket.socket
    wake: socket.socket
    log: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    filters: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    _clients: set[_Client] = field(default_factory=set)
    _selector: selectors.DefaultSelector = field(default_factory=selectors.DefaultSelector)
    _due: float | None = None
    _period: float = 0.0
    _ending: bool = False

    def __post_init__(self) -> None:
        self.listener.setblocking(False)
        self.wake.setblocking(False)
        self._selector.register(self.listener, selectors.EVENT_READ)
        self._selector.register(self.wake, selectors.EVENT_READ)
        self._look_in(self.settings.connection)

    def until_due(self) -> None:
        """Serve until it is time to look. Called again, it waits for a period more."""
        if self._due is not None and self._due <= self.clock():
            self._due = self.clock() + self._period
        while self._due is None or self._due > self.clock():
            timeout = None if self._due is None else max(0.0, self._due - self.clock())
            for key, _ in self._selector.select(timeout):
                if key.fileobj is self.listener:
                    self._accept()
                elif key.fileobj is self.wake:
                    self._signalled()
                else:
                    self._read(key.data)

    def close(self) -> None:
        """Let go of everything; who connects now gets no answer and starts another reaper."""
        self._stop_listening()
        for client in tuple(self._clients):
            client.connection.close()
        self._selector.close()

    def _look_in(self, seconds: float) -> None:
        self._period = max(seconds, 0.1)
        self._due = self.clock() + seconds

    def _accept(self) -> None:
        try:
            connection, address = self.listener.accept()
        except OSError as error:
            self.log(f"error: cannot accept a client: {error.strerror}")
            return
        if len(self._clients) >= _MOST_CLIENTS:
            self.log(f"error: more than {_MOST_CLIENTS} clients; refused {address[0]}")
            connection.close()
            return
        connection.setblocking(False)
        client = _Client(connection, f"{address[0]}:{address[1]}")
        self._clients.add(client)
        self._selector.register(connection, selectors.EVENT_READ, client)
        self._due = None
        self.log(f"client connected: {client.name}, {len(self._clients)} now")

    def _signalled(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self.wake.recv(_READ)
        if self._ending:
            return
        self._ending = True
        self._stop_listening()
        self.log("signal received")
        self._look_in(self.settings.shutdown if self._clients else 0.0)

    def _stop_listening(self) -> None:
        if self.listener.fileno() >= 0:
            self._selector.unregister(self.listener)
            self.listener.close()

    def _read(self, client: _Client) -> None:
        try:
            data = client.connection.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, client.rest = (client.rest + data).split(b"\n")
        if not data:  # "one-off" clients send a line without an end
            lines, client.rest = [client.rest], b""
        for line in lines:
            self._take(client, line)
        if not data:
            self._leave(client)
        elif len(client.rest) > _LONGEST:
            self.log(f"error: {client.name} sent a line longer than {_LONGEST >> 10} KiB")
            self._leave(client)

    def _take(self, client: _Client, line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()
        if not text:
            return
        try:
            wanted = parse_qs(text, keep_blank_values=True, max_num_fields=1_000)
        except ValueError as error:
            self.log(f"error: {client.name} sent an invalid filter: {error}")
            wanted = {}
        if any("" in values for values in wanted.values()):
            # A daemon that does not know the word might list everything.
            self.log(f"error: {client.name} sent a filter without a value: {text}")
            wanted = {}
        if wanted and len(self.filters) < _MOST_FILTERS:
            key = json.dumps({name: sorted(values) for name, values in sorted(wanted.items())})
            if key not in self.filters:
                self.log(f"filter: {key}")
                self.filters[key] = wanted
        elif wanted:
            self.log(f"error: more than {_MOST_FILTERS} filters")
            return  # without ACK: the client must know
        with contextlib.suppress(OSError):
            client.connection.send(_ACK)

    def _leave(self, client: _Client) -> None:
        self._selector.unregister(client.connection)
        client.connection.close()
        self._clients.discard(client)
        self.log(f"client disconnected: {client.name}, {len(self._clients)} now")
        if not self._clients:
            self._look_in(0.0 if self._ending else self.settings.reconnection)
