"""Documents: the bytes that were received, and what they say."""

from __future__ import annotations

import json

import pytest

from homeport.content.digest import Digest
from homeport.errors import IntegrityError, TooLarge
from homeport.oci import media_types
from homeport.oci.documents import (
    CONFIG_LIMIT,
    MANIFEST_LIMIT,
    BadDocument,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    encode,
    read_config,
    read_manifest_or_index,
)
from homeport.quantities import human_size

EMPTY = Descriptor(media_type=media_types.OCI_EMPTY, digest=str(Digest.of(b"{}")), size=2)


def test_required_lists_are_written_even_when_they_are_empty() -> None:
    assert encode(Index(schema_version=2)) == b'{"schemaVersion":2,"manifests":[]}'
    assert json.loads(encode(Manifest(schema_version=2, config=EMPTY)))["layers"] == []
    assert json.loads(encode(ImageConfig()))["rootfs"] == {"type": "layers", "diff_ids": []}


def test_the_same_values_are_the_same_bytes_without_blanks_or_escapes() -> None:
    value = Manifest(schema_version=2, config=EMPTY, annotations={"b": "<&>", "a": "é"})
    assert encode(value).endswith('"annotations":{"b":"<&>","a":"é"}}'.encode())


def test_a_config_of_docker_says_null_where_nothing_is() -> None:
    raw = json.dumps(
        {
            "architecture": "arm", "os": "linux", "variant": None, "created": None,
            "config": {
                "Hostname": "", "Env": None, "Cmd": None, "Entrypoint": None, "Labels": None,
                "Volumes": None, "ExposedPorts": {"80/tcp": {}}, "OnBuild": None,
            },
            "container_config": {"Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": None},
            "history": None, "os.features": None,
        }
    ).encode()  # fmt: skip
    found = read_config(raw, media_types.DOCKER_CONFIG)
    assert found.raw == raw
    assert str(found.parsed.platform) == "linux/arm/v7"
    assert found.parsed.config.exposed_ports == {"80/tcp": {}}
    assert (found.parsed.config.cmd, found.parsed.rootfs.diff_ids) == (None, ())


@pytest.mark.parametrize(
    "raw", [b"", b"null", b"[]", b"[" * 100_000, b'{"a":' * 5_000, b"\xff", b'{"os":1}']
)
def test_bytes_that_are_no_config_are_a_bad_document(raw: bytes) -> None:
    with pytest.raises(BadDocument, match="the config is not valid"):
        read_config(raw, media_types.OCI_CONFIG)


def test_documents_are_bounded() -> None:
    with pytest.raises(TooLarge, match=human_size(MANIFEST_LIMIT)):
        read_manifest_or_index(b" " * (MANIFEST_LIMIT + 1))
    with pytest.raises(TooLarge, match=human_size(CONFIG_LIMIT)):
        read_config(b" " * (CONFIG_LIMIT + 1), media_types.OCI_CONFIG)


def test_documents_are_what_was_asked_for() -> None:
    raw = encode(Index(schema_version=2))
    assert read_manifest_or_index(raw, expected=Digest.of(raw)).raw == raw
    assert read_manifest_or_index(raw, expected=Digest.of(raw, "sha512")).digest.algorithm == (
        "sha512"
    )
    with pytest.raises(IntegrityError):
        read_manifest_or_index(raw, expected=Digest.of(b""))
    with pytest.raises(IntegrityError):
        read_config(b"{}", media_types.OCI_CONFIG, Digest.of(b""))


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("", media_types.OCI_INDEX),
        ("application/json", media_types.OCI_INDEX),
        (f"{media_types.DOCKER_INDEX}; charset=utf-8", media_types.DOCKER_INDEX),
    ],
)
def test_a_document_without_a_type_has_the_one_it_came_with(said: str, kind: str) -> None:
    assert read_manifest_or_index(b'{"schemaVersion":2,"manifests":[]}', said).media_type == kind
    assert read_manifest_or_index(b'{"manifests":[]}', said).media_type == kind


def test_a_document_that_came_as_something_else_is_refused() -> None:
    raw = encode(Index(schema_version=2, media_type=media_types.OCI_INDEX))
    with pytest.raises(BadDocument, match="but the server sent it as"):
        read_manifest_or_index(raw, media_types.DOCKER_INDEX)
