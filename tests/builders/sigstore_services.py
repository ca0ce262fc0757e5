"""Fulcio, Rekor and a time-stamp authority on loopback, over a private Sigstore.

    with services(tmp_path, v2=True) as running:
        run("sign", address, "--identity-token", running.token(), *running.options)

They answer as the real ones do (sigstore/fulcio, sigstore/rekor, rekor-tiles: their API
definitions), and wrong where a test says so (``running.server.faults``).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from builders.http_server import Answer, Received, Server, serving
from builders.private_sigstore import (
    ISSUER,
    NAME,
    OpensslTsa,
    PrivateSigstore,
    at,
    canonical,
    compact,
)


@dataclass
class Services:
    """What runs. ``options``: for ``sign`` and ``attest``; ``identity``: for ``verify``."""

    server: Server
    sigstore: PrivateSigstore
    folder: Path
    uuids: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.folder / "trusted_root.json"

    @property
    def options(self) -> tuple[str, ...]:
        config = str(self.folder / "signing_config.json")
        return "--signing-config", config, "--trusted-root", str(self.root)

    @property
    def identity(self) -> tuple[str, ...]:
        return "--identity", NAME, "--issuer", ISSUER, "--trusted-root", str(self.root)

    def token(self, **claims: Any) -> str:
        """An identity token; nothing here verifies its signature."""
        end = self.sigstore.now.timestamp() + 600
        whole = {"iss": ISSUER, "sub": NAME, "aud": "sigstore", "exp": end} | claims
        parts = (json.dumps({"alg": "none"}).encode(), json.dumps(whole).encode(), b"signature")
        return ".".join(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in parts)

    def write_files(self, *rekor: int, tsa: bool) -> None:
        """The trusted root and the signing configuration, with Rekor of these versions."""
        self.sigstore.write_root(self.root)
        service = {"operator": "test", "validFor": {"start": at(self.sigstore.now)}}
        url = self.server.url("").rstrip("/")
        config = {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [{**service, "url": url, "majorApiVersion": 1}],
            "rekorTlogUrls": [{**service, "url": url, "majorApiVersion": one} for one in rekor],
            "rekorTlogConfig": {"selector": "ANY"}, "tsaConfig": {"selector": "ANY"},
            "tsaUrls": [{**service, "url": f"{url}/tsa", "majorApiVersion": 1}] if tsa else [],
        }  # fmt: skip
        (self.folder / "signing_config.json").write_bytes(compact(config))

    def certificate(self, request: Received) -> Answer:
        """Fulcio: a certificate for the key of a signing request, if a token is there."""
        token = request.headers.get("authorization", "")
        if not token.startswith("Bearer ") or token.count(".") != 2:
            return 401, {}, b'{"code":16,"message":"no token"}'
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        pem = base64.b64decode(json.loads(request.body)["certificateSigningRequest"])
        asked = x509.load_pem_x509_csr(pem)
        assert asked.is_signature_valid
        leaf = self.sigstore.certificate(asked.public_key(), claims["sub"], claims["iss"])
        chain = [one.public_bytes(Encoding.PEM).decode() for one in (leaf, self.sigstore.ca)]
        answer = {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}
        return 201, {}, compact(answer)

    def entry_v1(self, request: Received) -> Answer:
        """Rekor v1: takes dsse and hashedrekord; a second time it says that it has it."""
        proposed = json.loads(request.body)
        spec = proposed["spec"]
        if proposed["kind"] == "dsse":
            content = spec["proposedContent"]
            envelope = json.loads(content["envelope"])
            payload = base64.b64decode(envelope["payload"])
            spec = {
                "envelopeHash": _sha256(content["envelope"].encode()),
                "payloadHash": _sha256(payload),
                "signatures": [
                    {"signature": envelope["signatures"][0]["sig"],
                     "verifier": content["verifiers"][0]}
                ],
            }  # fmt: skip
        body = canonical({"apiVersion": "0.0.1", "kind": proposed["kind"], "spec": spec})
        uuid = hashlib.sha256(body).hexdigest()
        if uuid in self.uuids:
            return 409, {"Location": f"/api/v1/log/entries/{uuid}"}, b'{"message":"exists"}'
        entry = self.sigstore.entry(body, (proposed["kind"], "0.0.1"))
        proof = entry["inclusionProof"]
        self.uuids[uuid] = {
            "body": entry["canonicalizedBody"],
            "integratedTime": int(entry["integratedTime"]),
            "logID": self.sigstore.log_id.hex(),
            "logIndex": int(entry["logIndex"]),
            "verification": {
                "inclusionProof": {
                    "checkpoint": proof["checkpoint"]["envelope"],
                    "hashes": [base64.b64decode(one).hex() for one in proof["hashes"]],
                    "logIndex": int(proof["logIndex"]),
                    "rootHash": base64.b64decode(proof["rootHash"]).hex(),
                    "treeSize": int(proof["treeSize"]),
                },
                "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            },
        }
        self.server.answers[f"/api/v1/log/entries/{uuid}"] = lambda _request: (
            200, {}, compact({uuid: self.uuids[uuid]}),
        )  # fmt: skip
        return 201, {}, compact({uuid: self.uuids[uuid]})

    def entry_v2(self, request: Received) -> Answer:
        """Rekor v2: hashedrekord of one version, no time."""
        record = json.loads(request.body)["hashedRekordRequestV002"]
        data = {"algorithm": "SHA2_256", "digest": record["digest"]}
        spec = {"hashedRekordV002": {"data": data, "signature": record["signature"]}}
        body = canonical({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": spec})
        return 201, {}, compact(self.sigstore.entry(body, ("hashedrekord", "0.0.2")))

    def stamp(self, request: Received) -> Answer:
        assert self.sigstore.tsa is not None
        assert request.headers["content-type"] == "application/timestamp-query"
        return 200, {}, self.sigstore.tsa.reply(request.body)


@contextlib.contextmanager
def services(folder: Path, *, v2: bool = False) -> Iterator[Services]:
    """A Sigstore with Rekor v1, or with ``v2`` Rekor v2 and a time-stamp authority."""
    sigstore = PrivateSigstore(v2=v2)
    if v2:
        sigstore.tsa = OpensslTsa(folder / "tsa", sigstore.now)
    with serving() as server:
        running = Services(server=server, sigstore=sigstore, folder=folder)
        server.answers["/api/v2/signingCert"] = running.certificate
        server.answers["/api/v1/log/entries"] = running.entry_v1
        server.answers["/api/v2/log/entries"] = running.entry_v2
        server.answers["/tsa"] = running.stamp
        running.write_files(2 if v2 else 1, tsa=v2)
        yield running


def _sha256(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}
