"""References to images, addresses, platforms and digests, as people and servers write them."""

from __future__ import annotations

from homeport.content.digest import Digest
from homeport.errors import HomeportError
from homeport.images.address import parse_source
from homeport.net.url import Url
from homeport.oci.platform import parse_platform
from homeport.oci.reference import parse_reference
from homeport.registry.challenge import parse_challenges

EXPECTED = (HomeportError,)
MAX_LENGTH = 4096


def fuzz_one(data: bytes) -> None:
    """Read the text in every way; a reference that is read is read alike when written again."""
    text = data.decode("utf-8", "surrogateescape")
    for parse in (parse_source, parse_platform, Url.parse, Digest.parse):
        try:
            parse(text)
        except EXPECTED:
            continue
    parse_challenges([text])
    try:
        found = parse_reference(text)
    except EXPECTED:
        return
    assert parse_reference(str(found)) == found


def seeds() -> list[bytes]:
    """One of each kind."""
    digest = "sha256:" + "0f" * 32
    return [
        text.encode()
        for text in (
            "debian", "docker.io/library/debian:trixie", f"localhost:5000/a/b@{digest}",
            "[fe80::1%25eth0]:5000/a:b", "oci:folder:tag", "oci-archive:x.tar:a/b:c",
            "docker://registry.example/a", "linux/arm64/v8", digest,
            "https://user:pass@host.example:8443/v2/?a=b#c",
            'Bearer realm="https://a/t",service="b",scope="repository:x:pull", Basic realm=x',
        )
    ]  # fmt: skip
