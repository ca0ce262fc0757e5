"""A small registry in memory, strict about the specification, for what Debian's cannot do.

Referrers with ``OCI-Subject``, ``OCI-Chunk-Min-Length``, mounting without ``from``, sha512,
deleting a tag alone. It is checked itself: the conformance cases run over it, Debian's
docker-registry and crane's, each on what it defines (docs/registry.md says which row only
this one proved).
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
_NAME = r"(?P<name>[a-z0-9][a-z0-9._/-]*)"
_DIGEST = r"(?P<digest>(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))"
_ROUTES = {
    rf"/v2/{_NAME}/blobs/uploads/": "uploads",
    rf"/v2/{_NAME}/blobs/uploads/(?P<session>[0-9]+)": "session",
    rf"/v2/{_NAME}/blobs/{_DIGEST}": "blob",
    rf"/v2/{_NAME}/manifests/(?P<reference>[A-Za-z0-9._:-]+)": "manifest",
    rf"/v2/{_NAME}/tags/list": "tags",
    rf"/v2/{_NAME}/referrers/{_DIGEST}": "referrers",
    r"/v2/_catalog": "catalog",
    r"/v2/": "ping",
}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    raw: bytes
    media_type: str


@dataclass(kw_only=True)
class SmallRegistry:
    """Its content, and how it is set up.

    chunk_minimum:    smallest piece but the last (``OCI-Chunk-Min-Length``)
    automatic_mount:  a mount without ``from`` finds blobs anywhere
    require_subject:  a manifest whose subject is missing is refused, as GitLab does
    referrers:        whether the referrers API is there
    page:             entries of a page of referrers, and of repositories
    heads_wait_for:   HEAD requests are answered once so many are here at the same time
    statuses:         by expressions of "METHOD path", what is answered instead of anything else
    digest_tags:      ``sha256-HEX`` is another spelling of a digest, as at GitLab
    denies_absent:    a manifest that is not there is denied (403), as by Artifactory
    content_types:    by expressions of "METHOD path", which Content-Type is sent ("": none)
    compresses:       an expression of "METHOD path": what a proxy compresses though nobody asked
    """

    chunk_minimum: int = 0
    automatic_mount: bool = True
    require_subject: bool = False
    referrers: bool = True
    page: int = 2
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    sessions: dict[str, bytearray] = field(default_factory=dict)
    opened: int = 0
    requests: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    host: str = ""
    heads_wait_for: threading.Barrier | None = None
    statuses: dict[str, int] = field(default_factory=dict)
    digest_tags: bool = False
    denies_absent: bool = False
    content_types: dict[str, str] = field(default_factory=dict)
    compresses: str = "nothing"

    def subjects(self, name: str, digest: str) -> list[dict[str, Any]]:
        """Descriptors of what refers to a digest."""
        found = []
        for (repository, own), manifest in self.manifests.items():
            document = json.loads(manifest.raw)
            subject = document.get("subject") or {}
            if repository == name and subject.get("digest") == digest:
                kind = document.get("artifactType") or document.get("config", {}).get("mediaType")
                found.append(
                    {
                        "mediaType": manifest.media_type, "digest": own,
                        "size": len(manifest.raw), "artifactType": kind,
                        "annotations": document.get("annotations") or {},
                    }
                )  # fmt: skip
        return found


@contextlib.contextmanager
def small_registry(**setup: Any) -> Iterator[SmallRegistry]:
    registry = SmallRegistry(**setup)
    server = _Server(("127.0.0.1", 0), registry)
    registry.host = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: Any, registry: SmallRegistry) -> None:
        self.registry = registry
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is not our affair."""


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _handle(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query))
        registry = self.server.registry
        if self.command == "HEAD" and registry.heads_wait_for is not None:
            registry.heads_wait_for.wait(timeout=60)
        with registry.lock:
            registry.requests.append(f"{self.command} {self.path}")
            for pattern, status in registry.statuses.items():
                if re.fullmatch(pattern, f"{self.command} {path}"):
                    self._fail(status, "ODD")
                    return
            if registry.digest_tags:
                path = re.sub(r"/manifests/sha256-([0-9a-f]{64})$", r"/manifests/sha256:\1", path)
            for pattern, name in _ROUTES.items():
                found = re.fullmatch(pattern, path)
                if found:
                    handler = getattr(self, f"_{name}_{self.command.lower()}", None)
                    if handler is None:
                        self._fail(405, "UNSUPPORTED")
                    else:
                        handler(registry, **found.groupdict())
                    return
            self._fail(404, "NAME_INVALID")

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        asked = f"{self.command} {self.path}"
        registry = self.server.registry
        if re.fullmatch(registry.compresses, asked):
            body = gzip.compress(body)
            headers["Content_Encoding"] = "gzip"
        for pattern, kind in registry.content_types.items():
            if re.fullmatch(pattern, asked):
                headers["Content_Type"] = kind
        if headers.get("Content_Type") == "":
            del headers["Content_Type"]
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(body)

    def _fail(self, status: int, code: str) -> None:
        self._answer(status, json.dumps({"errors": [{"code": code}]}).encode())

    def _ping_get(self, registry: SmallRegistry) -> None:
        self._answer(200, b"{}")

    # blobs

    def _blob_get(self, registry: SmallRegistry, name: str, digest: str) -> None:
        data = registry.blobs.get((name, digest))
        if data is None:
            self._fail(404, "BLOB_UNKNOWN")
            return
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and int(wanted[1]) < len(data):
            first = int(wanted[1])
            place = f"bytes {first}-{len(data) - 1}/{len(data)}"
            self._answer(206, data[first:], Content_Range=place)
        else:
            self._answer(200, data, Docker_Content_Digest=digest)

    _blob_head = _blob_get

    def _blob_delete(self, registry: SmallRegistry, name: str, digest: str) -> None:
        if registry.blobs.pop((name, digest), None) is None:
            self._fail(404, "BLOB_UNKNOWN")
        else:
            self._answer(202)

    def _uploads_post(self, registry: SmallRegistry, name: str) -> None:
        mount = self.query.get("mount")
        if mount and self._mount(registry, name, mount):
            self._answer(201, Location=f"/v2/{name}/blobs/{mount}")
            return
        with registry.lock:
            registry.opened += 1
            session = str(registry.opened)
            registry.sessions[session] = bytearray()
        more = {}
        if registry.chunk_minimum:
            more["OCI_Chunk_Min_Length"] = str(registry.chunk_minimum)
        self._answer(202, Location=f"/v2/{name}/blobs/uploads/{session}?_state=a%3d+b", **more)

    def _mount(self, registry: SmallRegistry, name: str, digest: str) -> bool:
        source = self.query.get("from")
        for (repository, own), data in list(registry.blobs.items()):
            if own == digest and (
                repository == source or (not source and registry.automatic_mount)
            ):
                registry.blobs[name, digest] = data
                return True
        return False

    def _session_patch(self, registry: SmallRegistry, name: str, session: str) -> None:
        held = registry.sessions.get(session)
        if held is None:
            self._fail(404, "BLOB_UPLOAD_UNKNOWN")
            return
        said = re.fullmatch(r"(\d+)-(\d+)", self.headers.get("Content-Range", ""))
        if self.headers.get("Content-Range") and (
            not said
            or int(said[1]) != len(held)
            or int(said[2]) - int(said[1]) + 1 != len(self.body)
        ):
            self._fail(416, "RANGE_INVALID")
            return
        held += self.body
        if self.query.get("_state") != "a= b":  # the query must come back as it was
            self._fail(400, "BLOB_UPLOAD_INVALID")
            return
        self._answer(202, **self._where(name, session, held))

    def _where(self, name: str, session: str, held: bytearray) -> dict[str, str]:
        location = f"/v2/{name}/blobs/uploads/{session}?_state=a%3d+b"
        return {"Location": location, "Range": f"0-{max(len(held) - 1, 0)}"}

    def _session_get(self, registry: SmallRegistry, name: str, session: str) -> None:
        held = registry.sessions.get(session)
        if held is None:
            self._fail(404, "BLOB_UPLOAD_UNKNOWN")
        else:
            self._answer(204, **self._where(name, session, held))

    def _session_delete(self, registry: SmallRegistry, name: str, session: str) -> None:
        registry.sessions.pop(session, None)
        self._answer(204)

    def _session_put(self, registry: SmallRegistry, name: str, session: str) -> None:
        held = registry.sessions.pop(session, None)
        if held is None:
            self._fail(404, "BLOB_UPLOAD_UNKNOWN")
            return
        data = bytes(held) + self.body
        digest = self.query.get("digest", "")
        if digest_of(data, digest.partition(":")[0] or "sha256") != digest:
            self._fail(400, "DIGEST_INVALID")
            return
        registry.blobs[name, digest] = data
        self._answer(201, Location=f"/v2/{name}/blobs/{digest}", Docker_Content_Digest=digest)

    # manifests

    def _find(
        self, registry: SmallRegistry, name: str, reference: str
    ) -> tuple[str, Manifest] | None:
        digest = reference if ":" in reference else registry.tags.get((name, reference), "")
        found = registry.manifests.get((name, digest))
        return (digest, found) if found else None

    def _manifest_get(self, registry: SmallRegistry, name: str, reference: str) -> None:
        found = self._find(registry, name, reference)
        if found is None:
            self._fail(403 if registry.denies_absent else 404, "MANIFEST_UNKNOWN")
            return
        digest, manifest = found
        self._answer(
            200, manifest.raw, Content_Type=manifest.media_type, Docker_Content_Digest=digest
        )

    _manifest_head = _manifest_get

    def _manifest_put(self, registry: SmallRegistry, name: str, reference: str) -> None:
        document = json.loads(self.body)
        algorithm = reference.partition(":")[0] if ":" in reference else "sha256"
        digest = digest_of(self.body, algorithm)
        if len(self.body) > 4 << 20:
            self._fail(413, "SIZE_INVALID")
            return
        if ":" in reference and digest != reference:
            self._fail(400, "DIGEST_INVALID")
            return
        if not self._has_parts(registry, name, document):
            self._fail(404, "MANIFEST_BLOB_UNKNOWN")
            return
        kind = self.headers.get("Content-Type", "")
        registry.manifests[name, digest] = Manifest(raw=self.body, media_type=kind)
        if ":" not in reference:
            registry.tags[name, reference] = digest
        subject = (document.get("subject") or {}).get("digest")
        more = {"OCI_Subject": subject} if subject and registry.referrers else {}
        self._answer(201, Docker_Content_Digest=digest, **more)

    def _has_parts(self, registry: SmallRegistry, name: str, document: dict[str, Any]) -> bool:
        # Whose descriptor has urls stays with its owner (image spec, "Non-Distributable Layers").
        layers = [one for one in document.get("layers") or [] if not one.get("urls")]
        blobs = [document["config"], *layers] if "config" in document else []
        children = [one["digest"] for one in document.get("manifests", [])]
        if registry.require_subject and document.get("subject"):
            children.append(document["subject"]["digest"])
        return all((name, one["digest"]) in registry.blobs for one in blobs) and all(
            (name, digest) in registry.manifests for digest in children
        )

    def _manifest_delete(self, registry: SmallRegistry, name: str, reference: str) -> None:
        if ":" not in reference:
            gone = registry.tags.pop((name, reference), None)
        else:
            gone = registry.manifests.pop((name, reference), None)
            for key in [key for key, digest in registry.tags.items() if digest == reference]:
                if key[0] == name:
                    del registry.tags[key]
        if gone is None:
            self._fail(404, "MANIFEST_UNKNOWN")
        else:
            self._answer(202)

    # lists

    def _tags_get(self, registry: SmallRegistry, name: str) -> None:
        if not any(repository == name for repository, _ in (*registry.tags, *registry.manifests)):
            self._fail(404, "NAME_UNKNOWN")
            return
        names = sorted(tag for repository, tag in registry.tags if repository == name)
        names = [tag for tag in names if tag > self.query.get("last", "")]
        size = int(self.query.get("n", "1000"))
        more = {}
        if len(names) > size:
            more["Link"] = f'</v2/{name}/tags/list?n={size}&last={names[size - 1]}>; rel="next"'
        body = json.dumps({"name": name, "tags": names[:size]}).encode()
        self._answer(200, body, **more)

    def _catalog_get(self, registry: SmallRegistry) -> None:
        names = sorted({repository for repository, _ in (*registry.tags, *registry.manifests)})
        names = [name for name in names if name > self.query.get("last", "")]
        shown, more = names[: registry.page], {}
        if len(names) > len(shown):
            more["Link"] = f'</v2/_catalog?n={registry.page}&last={shown[-1]}>; rel="next"'
        self._answer(200, json.dumps({"repositories": shown}).encode(), **more)

    def _referrers_get(self, registry: SmallRegistry, name: str, digest: str) -> None:
        if not registry.referrers:
            self._fail(404, "UNSUPPORTED")
            return
        found = registry.subjects(name, digest)
        start = int(self.query.get("from", "0"))
        more = {}
        if start + registry.page < len(found):
            following = f"/v2/{name}/referrers/{digest}?from={start + registry.page}"
            more["Link"] = f"<{following}>; rel=next"
        index = {
            "schemaVersion": 2, "mediaType": INDEX,
            "manifests": found[start : start + registry.page],
        }  # fmt: skip
        self._answer(200, json.dumps(index).encode(), Content_Type=INDEX, **more)
