"""Signing and attesting: both forms, every manifest, again and again, registries and layouts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from builders.images import image
from builders.signed_images import Workshop, seven_platforms, workshop
from homeport.attest.errors import NotVerified
from homeport.attest.keys.private_key import encrypt_key, generate_key
from homeport.cli.main import homeport
from homeport.errors import HomeportError, UsageError
from homeport.images.address import parse_destination


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COSIGN_PASSWORD", "secret")
    key = generate_key()
    (tmp_path / "k.key").write_bytes(encrypt_key(key, b"secret"))
    (tmp_path / "k.pub").write_bytes(key.public.pem)


@pytest.fixture(params=["api", "tag"])
def shop(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workshop]:
    """An index of seven platforms in a registry with the referrers API, or with the tag."""
    with workshop(tmp_path, seven_platforms(), referrers=request.param == "api") as made:
        yield made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(homeport, list(arguments))


def document(*arguments: str) -> Any:
    result = run(*arguments, "--format", "json")
    assert result.exception is None, result.output
    return json.loads(result.stdout)


def key(shop: Workshop, kind: str = "key") -> tuple[str, str]:
    return "--key", str(shop.folder / f"k.{kind}")


def test_index_and_platforms_are_signed_in_both_forms_once(shop: Workshop) -> None:
    planned = document("sign", shop.address, *key(shop), "--dry-run")
    assert {state for one in planned["subjects"] for state in one["forms"].values()} == {"planned"}
    before = dict(shop.registry.manifests)
    assert not [tag for _, tag in shop.registry.tags if tag.endswith(".sig")]

    first = document("sign", shop.address, *key(shop))
    assert [one["platform"] for one in first["subjects"]][-2:] == ["linux/riscv64", ""]
    assert len(first["subjects"]) == 8
    for one in first["subjects"]:
        assert one["forms"] == {"legacy": "written", "bundle": "written"}
    written = dict(shop.registry.manifests)
    assert len(written) > len(before)

    second = document("sign", shop.address, *key(shop))
    for one in second["subjects"]:
        assert one["forms"] == {"legacy": "present", "bundle": "present"}
    assert shop.registry.manifests == written

    verified = document("verify", shop.address, *key(shop, "pub"), "--every-platform")
    assert verified["verified"]
    for one in verified["subjects"]:
        assert {each["form"] for each in one["signatures"]} == {"legacy", "bundle"}
        assert {each["verdict"] for each in one["signatures"]} == {"valid"}


def test_a_second_signer_is_added_and_takes_nothing_away(shop: Workshop, tmp_path: Path) -> None:
    document("sign", shop.address, *key(shop))
    other = generate_key()
    (tmp_path / "o.key").write_bytes(encrypt_key(other, b"secret"))
    (tmp_path / "o.pub").write_bytes(other.public.pem)
    document("sign", shop.address, "--key", str(tmp_path / "o.key"))
    result = document(
        "verify", shop.address, *key(shop, "pub"), "--key", str(tmp_path / "o.pub"),
        "--threshold", "2",
    )  # fmt: skip
    assert len(result["subjects"][0]["signatures"]) == 4


@pytest.mark.parametrize("lost", ["legacy", "bundle"])
def test_a_run_that_broke_off_is_completed(shop: Workshop, lost: str) -> None:
    document("sign", shop.address, *key(shop))
    digest = shop.digest.replace(":", "-")
    if lost == "legacy":
        del shop.registry.tags[shop.name, f"{digest}.sig"]
    else:
        for where, manifest in list(shop.registry.manifests.items()):
            subject = json.loads(manifest.raw).get("subject") or {}
            if subject.get("digest") == shop.digest:
                del shop.registry.manifests[where]
        shop.registry.tags.pop((shop.name, digest), None)
    again = document("sign", shop.address, *key(shop))
    states = {one["digest"]: one["forms"] for one in again["subjects"]}
    other = "bundle" if lost == "legacy" else "legacy"
    assert states[shop.digest] == {lost: "written", other: "present"}
    del states[shop.digest]
    assert {state for forms in states.values() for state in forms.values()} == {"present"}
    assert document("verify", shop.address, *key(shop, "pub"))["verified"]


def test_a_wrong_password_is_found_before_anything_is_written(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSIGN_PASSWORD", "wrong")
    before = dict(shop.registry.manifests)
    result = run("sign", shop.address, *key(shop))
    assert isinstance(result.exception, HomeportError)
    assert "wrong password" in result.exception.what
    assert shop.registry.manifests == before


def test_annotations_and_the_signed_name_are_signed(shop: Workshop) -> None:
    document(
        "sign", shop.address, *key(shop), "-a", "build=7", "--sign-identity", shop.address
    )  # fmt: skip
    verified = document("verify", shop.address, *key(shop, "pub"))
    signatures = verified["subjects"][0]["signatures"]
    assert [one["annotations"] for one in signatures] == [{"build": "7"}] * 2
    assert [one.get("reference") for one in signatures] == [shop.address, None]


def test_an_attestation_is_about_one_digest_and_is_no_signature(
    shop: Workshop, tmp_path: Path
) -> None:
    file = tmp_path / "vex.json"
    file.write_text('{"@context":"https://openvex.dev/ns/v0.2.0"}')
    attest = ("attest", shop.address, "--type", "vex", "--predicate", str(file), *key(shop))
    first = document(*attest)
    (subject,) = first["subjects"]
    assert subject["digest"] == shop.digest
    assert subject["forms"] == {"legacy-attestation": "written", "bundle": "written"}
    assert set(document(*attest)["subjects"][0]["forms"].values()) == {"present"}
    file.write_text('{"@context":"https://openvex.dev/ns/v0.2.1"}')
    assert set(document(*attest)["subjects"][0]["forms"].values()) == {"written"}

    refused = run("verify", shop.address, *key(shop, "pub"))
    assert isinstance(refused.exception, NotVerified)
    assert refused.exception.exit_code == 3
    verified = document("verify", shop.address, *key(shop, "pub"), "--type", "vex")
    assert verified["verified"]
    forms = sorted(one["form"] for one in verified["subjects"][0]["signatures"])
    assert forms == ["bundle", "bundle", "legacy-attestation", "legacy-attestation"]


@pytest.mark.parametrize(
    ("text", "type", "because"),
    [
        ("[]", "vex", "is not a JSON object"),
        ("{", "vex", "is not valid JSON"),
        ("{}", "spdxx", "unknown predicate type 'spdxx'"),
    ],
)
def test_what_cannot_be_attested_is_a_usage_error(
    tmp_path: Path, text: str, type: str, because: str
) -> None:
    file = tmp_path / "predicate.json"
    file.write_text(text)
    result = run("attest", "r.example/a:1", "--type", type, "--predicate", str(file),
                 "--key", str(tmp_path / "k.key"))  # fmt: skip
    assert isinstance(result.exception, UsageError)
    assert because in result.exception.what


def test_in_a_layout_signatures_are_kept_beside_the_image(tmp_path: Path) -> None:
    with workshop(tmp_path) as shop:
        address = f"oci:{tmp_path / 'tool.oci'}:1.0"
        value = seven_platforms()
        shop.app.destination(parse_destination(address)).write(value, shop.app.runtime)
        private, public = key(shop), key(shop, "pub")
        for state in ("written", "present"):
            subjects = document("sign", address, *private)["subjects"]
            assert {one for each in subjects for one in each["forms"].values()} == {state}
        verified = document("verify", f"oci:{tmp_path / 'tool.oci'}", *public, "--every-platform")
        assert verified["verified"]
        assert verified["digest"] == str(value.digest)
        index = json.loads((tmp_path / "tool.oci/index.json").read_text())["manifests"]
        names = [one["annotations"].get("org.opencontainers.image.ref.name") for one in index]
        assert names.count(None) == 8  # bundles, without a name
        named = "io.containerd.manifest.subject"
        assert sum(one["annotations"].get(named) == str(value.digest) for one in index) == 1


def test_signatures_in_a_layout_travel_with_push_and_pull(shop: Workshop, tmp_path: Path) -> None:
    value = seven_platforms()
    layout = f"oci:{tmp_path / 'tool.oci'}:1.0"
    shop.app.destination(parse_destination(layout)).write(value, shop.app.runtime)
    document("sign", layout, *key(shop))
    pushed = f"{shop.registry.host}/other/place:1"
    for _ in range(2):  # a second push has nothing to add
        assert "16 attached artifacts copied along" in run("push", layout, pushed).stderr
        verified = document("verify", pushed, *key(shop, "pub"), "--every-platform")
        assert verified["verified"]
    again = f"oci:{tmp_path / 'again.oci'}:1.0"
    run("pull", layout, again)
    assert document("verify", again, *key(shop, "pub"), "--every-platform")["verified"]
    archive = run("pull", layout, f"docker-archive:{tmp_path / 'x.tar'}:r.example/x:1",
                  "--platform", "linux/amd64")  # fmt: skip
    assert "warning: 2 attached artifacts left out" in archive.stderr


def test_signatures_travel_through_an_archive(shop: Workshop, tmp_path: Path) -> None:
    document("sign", shop.address, *key(shop))
    archive = f"oci-archive:{tmp_path / 'tool.tar'}"
    alone = run("pull", shop.address, archive)
    assert "copied along" not in alone.stderr
    taken = run("pull", shop.address, archive, "--referrers")
    assert "16 attached artifacts copied along" in taken.stderr
    first = (tmp_path / "tool.tar").read_bytes()
    run("pull", shop.address, archive, "--referrers")
    assert (tmp_path / "tool.tar").read_bytes() == first
    for source in (archive, str(tmp_path / "tool.tar")):
        assert document("verify", source, *key(shop, "pub"), "--every-platform")["verified"]
        pushed = f"{shop.registry.host}/from/{'archive' if source == archive else 'path'}:1"
        assert "16 attached artifacts copied along" in run("push", source, pushed).stderr
        assert document("verify", pushed, *key(shop, "pub"), "--every-platform")["verified"]
    layout = f"oci:{tmp_path / 'tool.oci'}"
    run("pull", archive, layout)
    assert document("verify", layout, *key(shop, "pub"), "--every-platform")["verified"]
    one = run("pull", shop.address, f"oci:{tmp_path / 'one.oci'}:1", "--platform", "linux/arm64",
              "--referrers")  # fmt: skip
    assert "2 attached artifacts copied along" in one.stderr
    signed = run("sign", archive, *key(shop))
    assert isinstance(signed.exception, UsageError)


def test_signatures_are_kept_nowhere_else(tmp_path: Path) -> None:
    with workshop(tmp_path) as shop:
        address = f"docker-archive:{tmp_path / 'x.tar'}"
        shop.app.destination(parse_destination(address)).write(image(), shop.app.runtime)
        result = run("sign", address, *key(shop))
        assert isinstance(result.exception, UsageError)
        assert "signatures are kept in registries and OCI layouts only" in result.exception.what


def test_a_verdict_of_no_is_text_with_reasons_json_and_exit_code_3(tmp_path: Path) -> None:
    with workshop(tmp_path) as shop:
        shop.legacy(shop.payload())
        text = run("verify", shop.address, *key(shop, "pub"))
        assert "NOT verified" in text.stdout
        assert "rejected: legacy in sha256:" in text.stdout
        assert isinstance(text.exception, NotVerified)
        found = run("verify", shop.address, *key(shop, "pub"), "--format", "json")
        whole = json.loads(found.stdout)
        assert (whole["verified"], whole["subjects"][0]["missing"]) == (
            False, [f"no valid signature of {tmp_path / 'k.pub'}"],
        )  # fmt: skip
        assert isinstance(found.exception, NotVerified)


@pytest.mark.parametrize(
    ("arguments", "because"),
    [
        (("verify", "oci:x:1"), "is in no registry, so that no policy names it"),
        (("verify", "r.example/a:1", "--key", "k", "--policy", __file__), "cannot be combined"),
        (("verify", "r.example/a:1", "--identity", "x"), "required together"),
        (("verify", "r.example/a:1", "--issuer", "x"), "required together"),
        (("sign", "r.example/a:1", "--key", "k", "--identity-token", "t"), "cannot be combined"),
        (("sign", "r.example/a:1", "--key", "k", "-a", "x"), "KEY=VALUE is expected"),
    ],
)
def test_usage_errors_say_what_is_missing(arguments: tuple[str, ...], because: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, UsageError)
    assert because in result.exception.what


@pytest.mark.parametrize(
    ("type", "text", "said", "hint"),
    [
        ("vex", "{}", "is not a document of type vex: no '@context'", "URI of any other"),
        (
            "spdx",
            '{"bomFormat": "CycloneDX"}',
            "of type spdx: no 'spdxVersion'",
            "--type cyclonedx",
        ),
        ("cyclonedx", '{"spdxVersion": "SPDX-2.3"}', "no 'bomFormat'", "--type spdx"),
        ("slsa", '{"predicateType": "x", "predicate": {}}', "whole statement", "jq .predicate"),
        ("spdx", '{"spdxVersion": 3}', "'spdxVersion' does not begin with 'SPDX-'", "URI"),
    ],
)
def test_a_document_of_another_type_is_told_before_anything_is_signed(
    tmp_path: Path, type: str, text: str, said: str, hint: str
) -> None:
    file = tmp_path / "document.json"
    file.write_text(text)
    result = run("attest", "r.example/a:1", "--type", type, "--predicate", str(file),
                 "--key", "none.key")  # fmt: skip
    assert isinstance(result.exception, UsageError)
    assert said in result.exception.what
    assert hint in str(result.exception.hint)


def test_an_sbom_is_attached_unsigned_too_for_scanners_that_look_for_that(
    shop: Workshop, tmp_path: Path
) -> None:
    file = tmp_path / "sbom.json"
    file.write_text('{"spdxVersion": "SPDX-2.3"}')
    for _ in range(2):
        document("attest", shop.address, "--type", "spdx", "--predicate", str(file), *key(shop))
    bare = [
        found for one in shop.registry.manifests.values()
        if (found := json.loads(one.raw)).get("artifactType") == "application/spdx+json"
    ]  # fmt: skip
    assert [one["subject"]["digest"] for one in bare] == [shop.digest]
    layer = bare[0]["layers"][0]
    assert layer["mediaType"] == "application/spdx+json"
    assert json.loads(shop.registry.blobs[shop.name, layer["digest"]]) == (
        {"spdxVersion": "SPDX-2.3"}
    )
