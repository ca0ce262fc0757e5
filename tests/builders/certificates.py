"""A certificate authority for tests, made with openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Issued:
    """PEM files of a certificate and its key."""

    certificate: Path
    key: Path


def authority(folder: Path, name: str = "ca") -> Issued:
    """A self-signed authority."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    _openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", key, "-out", certificate, "-days", "30", "-subj", f"/CN=Test {name}",
        "-addext", "basicConstraints=critical,CA:TRUE",
    )  # fmt: skip
    return Issued(certificate=certificate, key=key)


def issue(
    ca: Issued, folder: Path, name: str, *, alternative: str = "IP:127.0.0.1", days: int = 30,
    common_name: str = "",
) -> Issued:  # fmt: skip
    """A certificate for ``alternative`` (``DNS:…`` or ``IP:…``); negative days: expired."""
    certificate, key, request = folder / f"{name}.crt", folder / f"{name}.key", folder / "csr"
    _openssl(
        "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", key, "-out", request, "-subj", f"/CN={common_name or name}",
    )  # fmt: skip
    extensions = folder / "ext"
    extensions.write_text(f"subjectAltName={alternative}\n" if alternative else "")
    _openssl(
        "x509", "-req", "-in", request, "-CA", ca.certificate, "-CAkey", ca.key,
        "-CAcreateserial", "-out", certificate, "-days", str(days), "-extfile", extensions,
    )  # fmt: skip
    return Issued(certificate=certificate, key=key)


def token_key(folder: Path) -> Issued:
    """An RSA key and its self-signed certificate, for signing tokens."""
    certificate, key = folder / "token.pem", folder / "token.key"
    _openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
        "-days", "30", "-subj", "/CN=tokens",
    )  # fmt: skip
    return Issued(certificate=certificate, key=key)


def sign(key: Path, data: bytes) -> bytes:
    """An RS256 signature."""
    return subprocess.run(
        ["openssl", "dgst", "-sha256", "-sign", str(key)],
        input=data, capture_output=True, check=True,
    ).stdout  # fmt: skip


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
