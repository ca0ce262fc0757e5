"""An image, and files, on a port of the loopback interface, for an engine on this machine.

Just enough of the distribution API to pull one image by digest, plain HTTP: engines allow
that on 127.0.0.0/8. Read-only, bound to loopback, closed when the block ends. Not a
registry: ``homeport.registry`` talks to those.
"""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from io import BufferedReader
from typing import Any, cast

import msgspec

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.images.image import Image, Index, walk

_NAME = "helper"
_TLS_HANDSHAKE = b"\x16"


class LocalRegistry(msgspec.Struct, frozen=True, kw_only=True):
    """Where things are while they are served. ``pulled``: digests that were asked for."""

    host: str
    pulled: set[str]

    def reference(self, digest: Digest) -> str:
        return f"{self.host}/{_NAME}@{digest}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/files"


class _Contents(msgspec.Struct, frozen=True):
    """What is served. ``manifests``: media type and bytes by digest."""

    manifests: Mapping[str, tuple[str, bytes]]
    blobs: Mapping[str, Blob]
    files: Mapping[str, bytes]
    pulled: set[str]


@contextmanager
def local_registry(
    value: Image | Index | None, files: Mapping[str, bytes]
) -> Iterator[LocalRegistry]:
    """Serve an image and ``files`` for the length of the block."""
    manifests: dict[str, tuple[str, bytes]] = {}
    blobs: dict[str, Blob] = {}
    for each in walk(value) if value is not None else ():
        document = each.document
        manifests[str(each.digest)] = (document.media_type, document.raw)
        if isinstance(each, Image):
            blobs |= {str(digest): blob for digest, blob in each.blobs.items()}
    contents = _Contents(manifests, blobs, files, set())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, contents))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield LocalRegistry(host=f"127.0.0.1:{server.server_address[1]}", pulled=contents.pulled)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, contents: _Contents, *connection: Any) -> None:
        self._contents = contents
        super().__init__(*connection)  # handles the connection before it returns

    def handle_one_request(self) -> None:
        """Answer TLS by HTTP: containerd then asks again without TLS (its HTTPFallback)."""
        if cast("BufferedReader", self.rfile).peek(1)[:1] == _TLS_HANDSHAKE:
            self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            self.close_connection = True
            return
        super().handle_one_request()

    def do_GET(self) -> None:
        self._respond(with_body=True)

    def do_HEAD(self) -> None:
        self._respond(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _respond(self, *, with_body: bool) -> None:
        kind, _, name = self.path.rpartition("/")
        served = self._contents
        if self.path == "/v2/":
            self._send(200, "application/json", b"{}", with_body)
        elif kind == f"/v2/{_NAME}/manifests" and name in served.manifests:
            served.pulled.add(name)
            media_type, raw = served.manifests[name]
            self._send(200, media_type, raw, with_body, name)
        elif kind == f"/v2/{_NAME}/blobs" and name in served.blobs:
            served.pulled.add(name)
            self._send_blob(served.blobs[name], with_body)
        elif kind == "/files" and name in served.files:
            self._send(200, "application/octet-stream", served.files[name], with_body)
        else:
            self._send(404, "application/json", b'{"errors":[]}', with_body)

    def _send(
        self, status: int, media_type: str, body: bytes, with_body: bool, digest: str = ""
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _send_blob(self, blob: Blob, with_body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(blob.size))
        self.send_header("Docker-Content-Digest", str(blob.digest))
        self.end_headers()
        if with_body:
            with blob.open() as stream:
                shutil.copyfileobj(stream, self.wfile, 1 << 20)
