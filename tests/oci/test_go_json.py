"""Documents are read as Go's encoding/json reads them; what other readers see otherwise is named.

``tests/peers/test_go_json.py`` holds the same reading against Go itself.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeport.content.digest import Digest
from homeport.oci import media_types
from homeport.oci.documents import (
    BadDocument,
    ImageConfig,
    Index,
    Manifest,
    read_config,
    read_manifest_or_index,
    read_odd_config,
)
from homeport.oci.go_json import BadJson, Reader, ambiguities

DIGEST = "sha256:" + "0" * 64
ENTRY = {"mediaType": "m", "digest": DIGEST, "size": 1}


def raw(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"manifests": None}, Index()),
        ({"MANIFESTS": [], "SchemaVersion": 2}, Index(schema_version=2)),
        ({"artifactType": "a", "ArtifactType": "b"}, Index(artifact_type="b")),
        ({"artifactType": "a", "ArtifactType": None}, Index(artifact_type="a")),
        ({"annotations": {"a": "b"}, "Annotations": None}, Index()),
        ({"annotations": {"a": None, "A": "b"}}, Index(annotations={"a": "", "A": "b"})),
        ({"unknown": {"manifests": 1}}, Index()),
    ],
)
def test_keys_match_in_any_case_and_null_is_nothing(document: Any, expected: Index) -> None:
    assert Reader(Index).decode(raw(document)) == expected


def test_the_long_s_and_the_kelvin_sign_are_letters_of_keys() -> None:
    assert Reader(Index).decode(raw({"artifactType": "a", "manifeſts": [ENTRY]})).manifests


@pytest.mark.parametrize(
    "bad", [b"", b"null", b"[]", b"{", b"[" * 100_000, b"\xff", b'{"a":NaN}', b'{"manifests":{}}']
)
def test_what_is_no_document_is_bad(bad: bytes) -> None:
    with pytest.raises(BadJson):
        Reader(Index).decode(bad)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"layers":[],"config":{}}', []),
        ('{"layers":[],"Layers":[]}', ["layers, Layers"]),
        ('{"layers":[],"layers":[]}', ["layers (twice)"]),
        ('{"Layers":[]}', ["Layers (for layers)"]),
        ('{"config":{"digest":"a","diGest":"b"}}', ["digest, diGest"]),
        ('{"layers":[{},{"size":1,"size":2}]}', ["size (twice)"]),
        ('{"annotations":{"a":"1","A":"2"}}', []),
        ('{"annotations":{"a":"1","a":"2"}}', ["a (twice)"]),
        ('{"unknown":{"a":1,"A":2}}', []),
        ('{"unknown":{"a":1,"a":2}}', ["a (twice)"]),
        ('{"other":1,"Other":2}', ["other, Other"]),
    ],
)
def test_keys_that_readers_understand_differently_are_named(text: str, found: list[str]) -> None:
    assert ambiguities(text.encode(), Manifest) == found


def test_a_config_is_looked_at_where_engines_look() -> None:
    text = '{"config":{"Entrypoint":["a"],"entrypoint":["b"],"Labels":{"x":"1","X":"2"}}}'
    assert ambiguities(text.encode(), ImageConfig) == ["Entrypoint, entrypoint"]
    found = read_config(text.encode(), media_types.OCI_CONFIG)
    assert found.parsed.config.entrypoint == ("b",)
    assert found.ambiguities() == ["Entrypoint, entrypoint"]


def test_not_more_than_a_few_are_named() -> None:
    text = "{" + ",".join(f'"k{n}":1,"k{n}":2' for n in range(100)) + "}"
    assert len(ambiguities(text.encode(), Manifest)) == 5


@pytest.mark.parametrize(
    "platform", [None, {}, {"os": "", "architecture": ""}, {"os": "linux"}, {"architecture": "arm"}]
)
def test_half_a_platform_is_none(platform: Any) -> None:
    document = {"schemaVersion": 2, "manifests": [{**ENTRY, "platform": platform}]}
    found = read_manifest_or_index(raw(document)).parsed
    assert isinstance(found, Index)
    assert found.manifests[0].platform is None


def test_a_word_may_be_a_command() -> None:
    found = read_config(raw({"config": {"Cmd": "/bin/sh", "Entrypoint": ["/init"]}}), "")
    assert (found.parsed.config.cmd, found.parsed.config.entrypoint) == (("/bin/sh",), ("/init",))
    assert found.parsed.platform is None


def test_the_withdrawn_artifact_manifest_is_read() -> None:
    document = {
        "mediaType": media_types.OCI_ARTIFACT, "artifactType": "scan", "blobs": [ENTRY],
        "subject": ENTRY,
    }  # fmt: skip
    found = read_manifest_or_index(raw(document))
    assert isinstance(found.parsed, Manifest)
    assert found.media_type == media_types.OCI_ARTIFACT
    assert [part.digest for part in found.parsed.content] == [DIGEST]


def test_a_manifest_of_an_image_has_a_config() -> None:
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "layers": [ENTRY]}
    with pytest.raises(BadDocument, match="no config"):
        read_manifest_or_index(raw(document))


def test_lists_may_be_null() -> None:
    document = {"schemaVersion": 2, "config": ENTRY, "layers": None}
    assert read_manifest_or_index(raw(document)).parsed == Manifest(
        schema_version=2, config=Reader(Manifest).decode(raw(document)).config
    )
    nothing = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": None}
    assert isinstance(read_manifest_or_index(raw(nothing)).parsed, Index)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('"config": {"Cmd": 5}', "config.Cmd: Expected `array | null`, got `int`"),
        ('"config": {"Env": ["A=1", 7]}', "config.Env[1]: Expected `str`, got `int`"),
        ('"config": {"Labels": {"a": []}}', "config.Labels[...]: Expected `str`, got `array`"),
        ('"config": 3', "config: Expected `object`, got `int`"),
        ('"rootfs": {"diff_ids": "x"}', "rootfs.diff_ids: Expected `array`, got `str`"),
    ],
)
def test_of_an_odd_config_the_other_fields_are_read(text: str, fault: str) -> None:
    raw = f'{{"os": "linux", "author": "me", {text}}}'.encode()
    with pytest.raises(BadDocument):
        read_config(raw, media_types.OCI_CONFIG)
    document, faults = read_odd_config(raw, media_types.OCI_CONFIG, Digest.of(raw))
    assert (document.parsed.os, document.parsed.author) == ("linux", "me")
    assert faults == (fault,)


def test_every_odd_field_is_named_and_a_config_that_is_none_is_empty() -> None:
    raw = b'{"os": 1, "created": [], "author": "me", "config": {"User": {}, "Cmd": ["x"]}}'
    document, faults = read_odd_config(raw, media_types.OCI_CONFIG, Digest.of(raw))
    assert [fault.partition(":")[0] for fault in faults] == ["config.User", "created", "os"]
    assert document.parsed.config.cmd == ("x",)
    for raw in (b"", b"[]", b"null", b"not JSON"):
        document, faults = read_odd_config(raw, media_types.OCI_CONFIG, Digest.of(raw))
        assert document.parsed == ImageConfig()
        assert len(faults) == 1
