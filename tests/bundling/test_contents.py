"""The list of everything in a bundle: signed, and compared before anything is loaded."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builders.published import IMAGE, ask, members_of, run
from builders.small_registry import SmallRegistry
from homeport.bundling.model import CONTENTS_NAME
from homeport.content.digest import Digest

Members = dict[str, bytes]
REF_NAME = "org.opencontainers.image.ref.name"


def bundle(home: SmallRegistry, *more: str) -> Any:
    return ask(home, "bundle", IMAGE, "-o", "x.bundle", "--trust-kit", "--include", "us.pub", *more)


def test_a_signed_list_is_verified_by_key_and_by_policy(
    home: SmallRegistry, inside: SmallRegistry
) -> None:
    assert bundle(home, "--key", "a.key")["signer"].startswith("sha256:")
    loaded = ask(home, "bundle", "load", "x.bundle", inside.host, "--key", "b.pub",
                 "--key", "a.pub", "--policy", "policy.yaml")  # fmt: skip
    assert loaded["contents"] == "verified"
    assert len(loaded["signers"]) == 1
    policy = Path("policy.yaml")
    policy.write_text(policy.read_text() + "bundles: [a]\n")
    for command in (["load", "x.bundle", inside.host], ["list", "x.bundle"]):
        answer = ask(home, "bundle", *command, "--policy", "policy.yaml")
        assert answer["contents"] == "verified"
    text = run(home, "bundle", "list", "x.bundle", "--key", "a.pub").output
    assert "contents as " in text
    alone = ask(home, "verify", f"oci-archive:x.bundle:{CONTENTS_NAME}", "--key", "a.pub")
    assert {one["form"] for one in alone["subjects"][0]["signatures"]} == {"legacy", "bundle"}


def test_an_unsigned_list_or_none_is_refused_where_a_signature_is_required(
    home: SmallRegistry, inside: SmallRegistry
) -> None:
    bundle(home)
    assert ask(home, "bundle", "list", "x.bundle")["contents"] == "unverified"
    for key in ("a.pub", "us.pub"):
        refused(home, inside, "x.bundle", "list of contents", "--key", key)
    without = changed("x.bundle", lambda members: drop_line(members, CONTENTS_NAME))
    refused(home, inside, without, "has no list of contents", "--key", "a.pub")
    policy = Path("policy.yaml")
    policy.write_text(policy.read_text() + "bundles: [a]\n")
    refused(home, inside, "x.bundle", "list of contents", "--policy", "policy.yaml")
    bundle(home, "--key", "stranger.key")
    refused(home, inside, "x.bundle", "list of contents", "--policy", "policy.yaml")


def test_the_listing_says_what_is_there(home: SmallRegistry) -> None:
    written = bundle(home)
    listed = ask(home, "bundle", "list", "x.bundle")
    (image,) = listed["images"]
    (before,) = written["images"]
    assert image["sources"].pop("verdict") == "verified"
    assert before["sources"].pop("verdict") == ""
    assert image == before
    assert (listed["files"], listed["size"]) == (["us.pub"], written["size"])
    assert "signature not verified" in run(home, "bundle", "list", "x.bundle").output


def changed(path: str, change: Callable[[Members], None]) -> str:
    members = members_of(path)
    change(members)
    with tarfile.open("changed.bundle", "w") as out:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            out.addfile(member, io.BytesIO(data))
    return "changed.bundle"


def refused(home: SmallRegistry, inside: SmallRegistry, file: str, said: str, *more: str) -> None:
    for command in (["load", file, inside.host], ["list", file]):
        result = run(home, "bundle", *command, *more)
        assert said in str(result.exception)
        assert getattr(result.exception, "exit_code", None) == 3
    assert not inside.manifests


def lines(members: Members) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(members["index.json"])["manifests"]
    return found


def with_lines(members: Members, entries: list[dict[str, Any]]) -> None:
    index = json.loads(members["index.json"])
    members["index.json"] = json.dumps({**index, "manifests": entries}).encode()


def drop_line(members: Members, name: str) -> None:
    with_lines(members, [one for one in lines(members)
                         if one.get("annotations", {}).get(REF_NAME) != name])  # fmt: skip


def moved_tag(members: Members) -> None:
    """The image's name leads to another manifest of the bundle: a platform's."""
    entries = lines(members)
    image = next(one for one in entries
                 if one["annotations"].get(REF_NAME, "").endswith("/tool:1"))  # fmt: skip
    index = json.loads(members[f"blobs/sha256/{image['digest'][7:]}"])
    platform = index["manifests"][0]
    image |= {key: platform[key] for key in ("digest", "size", "mediaType")}
    with_lines(members, entries)


def one_more_line(members: Members) -> None:
    entries = lines(members)
    other = {**entries[0], "annotations": {REF_NAME: "registry.example/evil:1"}}
    with_lines(members, [*entries, other])


def fewer_lines(members: Members) -> None:
    """A signature or the source packages left out."""
    entries = lines(members)
    gone = next(one for one in entries if REF_NAME not in one.get("annotations", {}))
    with_lines(members, [one for one in entries if one is not gone])


def one_more_blob(members: Members) -> None:
    members[f"blobs/sha256/{Digest.of(b'x').hex}"] = b"x"


def lost_blob(members: Members) -> None:
    del members[next(name for name, data in members.items() if data.startswith(b"\x1f\x8b"))]


def other_file(members: Members) -> None:
    members["README"] = b"run me"


def damaged(members: Members) -> None:
    name = next(name for name, data in members.items() if data.startswith(b"\x1f\x8b"))
    members[name] = members[name][:-1] + bytes([members[name][-1] ^ 1])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (moved_tag, "index.json differs from the signed list"),
        (one_more_line, "index.json differs from the signed list"),
        (fewer_lines, "index.json differs from the signed list"),
        (one_more_blob, "is there and not listed"),
        (lost_blob, "is listed and not there"),
        (other_file, "it holds 'README'"),
    ],
)
@pytest.mark.parametrize("key", [True, False])
def test_a_bundle_that_is_not_its_signed_list_is_refused(
    home: SmallRegistry, inside: SmallRegistry, change: Callable[[Members], None], said: str,
    key: bool,
) -> None:  # fmt: skip
    bundle(home, "--key", "a.key")
    refused(home, inside, changed("x.bundle", change), said, *(["--key", "a.pub"] if key else []))


def test_a_damaged_blob_is_found_before_anything_is_written(
    home: SmallRegistry, inside: SmallRegistry
) -> None:
    bundle(home)
    result = run(home, "bundle", "load", changed("x.bundle", damaged), inside.host,
                 "--policy", "policy.yaml")  # fmt: skip
    assert "digest" in str(result.exception)
    assert not inside.manifests


def test_a_key_that_cannot_sign_is_found_before_anything_is_fetched(home: SmallRegistry) -> None:
    before = len(home.requests)
    result = run(home, "bundle", IMAGE, "-o", "x.bundle", "--key", "us.pub")
    assert "public key" in str(result.exception)
    assert len(home.requests) == before
    assert not Path("x.bundle").exists()
