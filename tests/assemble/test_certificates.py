"""Certificates of Debian and of the recipe: the bundle, the folder with hashed links."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type  # forms of a text that only old issuers use
from cryptography.x509.oid import NameOID

from builders.building import BARE, BuildWorld, listing
from builders.deb import deb
from homeport.errors import UsageError

_RECIPE = BARE.replace("ca_bundle: false", "ca_bundle: true, ca_hashes: true")
_MOZILLA = "usr/share/ca-certificates/mozilla/"


def issued(*parts: list[x509.NameAttribute]) -> str:
    """A certificate in PEM of a subject with these parts."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.RelativeDistinguishedName(part) for part in parts])
    day = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day)
    return builder.sign(key, None).public_bytes(Encoding.PEM).decode()


def attribute(
    kind: x509.ObjectIdentifier, text: str, form: str = "UTF8String"
) -> x509.NameAttribute:
    return x509.NameAttribute(kind, text, _type=_ASN1Type[form])


CN, O, C = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.COUNTRY_NAME  # noqa: E741
CERTIFICATES = {
    "Plain CA.crt": issued([attribute(C, "DE", "PrintableString")], [attribute(CN, "Plain CA")]),
    "Blanks.crt": issued([attribute(O, "  Two\t  Words ")], [attribute(CN, "ÄRGER  Ünicode")]),
    "Old (2001),x.crt": issued([attribute(CN, "Wide Ärger", "BMPString")]),
    "Latin.crt": issued([attribute(CN, "Ärger", "T61String")]),
    "Several.crt": issued([attribute(CN, "Second"), attribute(O, "First")]),
    "Long.crt": issued([attribute(O, "long " * 12)] , [attribute(CN, "x " * 30)]),
    "None.crt": issued(),
}  # fmt: skip


def test_links_are_those_that_openssl_makes(tmp_path: Path) -> None:
    plain = CERTIFICATES["Plain CA.crt"]
    files = {_MOZILLA + name: text for name, text in CERTIFICATES.items()}
    # Of another key, and the same certificate under a second name.
    again = issued([attribute(C, "DE", "PrintableString")], [attribute(CN, "PLAIN  CA")])
    world = BuildWorld(tmp_path, [deb("ca-certificates", files=files)])
    (world.home / "corp.crt").write_text(again)
    (world.home / "plain.crt").write_text(plain)
    recipe = (
        _RECIPE + "packages: [ca-certificates]\nfiles:\n"
        "  - {from: corp.crt, to: /usr/local/share/ca-certificates/corp/}\n"
        "  - {from: plain.crt, to: /usr/local/share/ca-certificates/}\n"
    )
    made = listing(world.build(recipe))
    folder = tmp_path / "etc/ssl/certs"
    folder.mkdir(parents=True)
    texts = {name.translate(str.maketrans(" (),", "_==_")): t for name, t in CERTIFICATES.items()}
    for name, text in (texts | {"corp.crt": again, "plain.crt": plain}).items():
        (folder / name.replace(".crt", ".pem")).write_text(text)
    subprocess.run(["openssl", "rehash", folder], check=True, capture_output=True)

    theirs = {each.name: str(each.readlink()) for each in folder.iterdir() if each.is_symlink()}
    ours = {
        path.removeprefix("etc/ssl/certs/"): text.removeprefix("-> ")
        for path, text in made.items()
        if path.startswith("etc/ssl/certs/") and not path.endswith((".pem", ".crt"))
    }
    assert ours == theirs
    assert sum(name.endswith(".1") for name in theirs) == 1
    assert made["etc/ssl/certs/Old_=2001=_x.pem"] == f"-> /{_MOZILLA}Old (2001),x.crt"
    assert made["etc/ssl/certs/corp.pem"] == "-> /usr/local/share/ca-certificates/corp/corp.crt"
    bundle = made["etc/ssl/certs/ca-certificates.crt"]
    assert bundle.endswith((again + plain).strip())
    assert bundle.count("BEGIN") == len(CERTIFICATES) + 2


def test_a_certificate_that_a_slice_leaves_out_is_in_the_folder_itself(tmp_path: Path) -> None:
    text = CERTIFICATES["Plain CA.crt"]
    files = {_MOZILLA + "A.crt": text, "usr/share/ca-certificates/README": "no"}
    world = BuildWorld(tmp_path, [deb("ca-certificates", files=files)])
    world.slices("ca-certificates", "none: {paths: [/usr/share/ca-certificates/README]}")
    made = listing(world.build(_RECIPE + "packages: [ca-certificates_none]"))
    assert made["etc/ssl/certs/A.pem"] == "0644 " + text.strip()


@pytest.mark.parametrize("text", [
    "no", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\nMIH/AA==\n-----END CERTIFICATE-----\n",
    CERTIFICATES["Plain CA.crt"] + CERTIFICATES["Latin.crt"],
])  # fmt: skip
def test_what_is_not_one_certificate_is_named(text: str, tmp_path: Path) -> None:
    files = {_MOZILLA + "A.crt": "# with words before it\n" + CERTIFICATES["Latin.crt"]}
    world = BuildWorld(tmp_path, [deb("ca-certificates", files=files)])
    (world.home / "corp.crt").write_text(text)
    recipe = (
        _RECIPE + "packages: [ca-certificates]\n"
        "files: [{from: corp.crt, to: /usr/local/share/ca-certificates/}]\n"
    )
    with pytest.raises(UsageError, match=r"/corp\.crt is not a single certificate in PEM"):
        world.build(recipe)
