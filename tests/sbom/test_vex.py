"""OpenVEX from the tracker's data: each status by the table of docs/formats/vex.md."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from homeport.oci.platform import parse_platform
from homeport.sbom.model import Bill, BillPackage, Distribution, Subject
from homeport.sbom.tracker import BadTracker, read_tracker
from homeport.sbom.vex import NotDebian, VexStatement, document

TRIXIE = Distribution(id="debian", version="13", name="Debian", codename="trixie")
SUBJECT = Subject(name="r.example/team/tool", digest=f"sha256:{'ab' * 32}", created=0)


def bill(version: str = "2:1.0-3", distribution: Distribution | None = TRIXIE) -> Bill:
    package = BillPackage(
        name="libtool1", version="1.0-3+b1", architecture="amd64", source_name="tool",
        source_version=version,
    )  # fmt: skip
    return Bill(
        platform=parse_platform("linux/amd64"), distribution=distribution, packages=(package,),
        files=(),
    )  # fmt: skip


def tracker(release: dict[str, Any], codename: str = "trixie", source: str = "tool") -> bytes:
    return msgspec.json.encode(
        {source: {"CVE-2026-1": {"scope": "local", "releases": {codename: release}}}}
    )


def statements(data: bytes, of: Bill | None = None) -> list[dict[str, Any]]:
    found = document(of or bill(), SUBJECT, read_tracker(data), 1_700_000_000)["statements"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(
    ("release", "status", "more"),
    [
        ({"status": "resolved", "fixed_version": "0"}, "not_affected",
         {"justification": "vulnerable_code_not_present"}),
        ({"status": "resolved", "fixed_version": "2:1.0-3"}, "fixed", {}),
        ({"status": "resolved", "fixed_version": "2:1.0-2~deb13u1"}, "fixed", {}),
        ({"status": "resolved", "fixed_version": "2:1.0-4"}, "affected",
         {"action_statement": "update tool to 2:1.0-4"}),
        ({"status": "resolved", "fixed_version": "not a version"}, "affected",
         {"action_statement": "update tool to not a version"}),
        ({"status": "open"}, "affected", {"action_statement": "no fix is available yet"}),
        ({"status": "open", "nodsa": "Minor issue", "nodsa_reason": ""}, "affected",
         {"action_statement": "minor; the fix comes with a point release"}),
        ({"status": "open", "nodsa": "Minor", "nodsa_reason": "postponed"}, "affected",
         {"action_statement": "the fix comes with the next update of the package"}),
        ({"status": "open", "nodsa": "Too intrusive", "nodsa_reason": "ignored"}, "affected",
         {"action_statement": "no fix is planned: Too intrusive"}),
        ({"status": "open", "urgency": "end-of-life"}, "affected",
         {"action_statement": "none: the package is no longer supported in this release"}),
        ({"status": "open", "urgency": "unimportant"}, "affected",
         {"action_statement": "none planned: Debian rates it unimportant",
          "status_notes": "unimportant by the Debian security tracker"}),
        ({"status": "undetermined"}, "under_investigation", {}),
        ({"status": "a new word"}, "under_investigation", {}),
    ],
)  # fmt: skip
def test_each_status_of_the_tracker_has_its_statement(
    release: dict[str, Any], status: str, more: dict[str, str]
) -> None:
    (found,) = statements(tracker(release))
    assert found["vulnerability"] == {"name": "CVE-2026-1"}
    kept = {key: found[key] for key in found if key not in ("vulnerability", "products")}
    assert kept == {"status": status, **more}


def test_the_image_has_every_name_that_scanners_look_for() -> None:
    (found,) = statements(tracker({"status": "open"}))
    names = [product["@id"] for product in found["products"]]
    assert names == [
        f"pkg:oci/tool@sha256:{'ab' * 32}?arch=amd64&repository_url=r.example/team/tool",
        f"pkg:oci/tool@sha256:{'ab' * 32}?arch=amd64&repository_url=r.example/team",
        "ab" * 32,
        "pkg:deb/debian/libtool1@1.0-3%2Bb1?arch=amd64&distro=debian-13&upstream=tool%402:1.0-3",
    ]
    assert all(
        product["subcomponents"] == [{"@id": names[-1]}] for product in found["products"][:-1]
    )


def test_other_releases_and_other_packages_say_nothing() -> None:
    assert statements(tracker({"status": "open"}, codename="bookworm")) == []
    assert statements(tracker({"status": "open"}, source="other")) == []


def test_equal_statements_have_equal_ids_whenever_they_are_made() -> None:
    data = read_tracker(tracker({"status": "open"}))
    one, other = (document(bill(), SUBJECT, data, moment) for moment in (1, 2))
    assert one["@id"] == other["@id"]
    assert one["timestamp"] != other["timestamp"]


def test_an_image_of_no_debian_release_is_refused() -> None:
    with pytest.raises(NotDebian, match="which Debian release"):
        document(bill(distribution=None), SUBJECT, {}, 0)


@pytest.mark.parametrize("data", [b"", b"[]", b"<html>", b'{"tool": 1}', b"[" * 100_000])
def test_what_is_not_the_trackers_data_is_refused(data: bytes) -> None:
    with pytest.raises(BadTracker, match="not the data of Debian's security tracker"):
        read_tracker(data)


SAID = VexStatement(
    vulnerability="CVE-2026-1", packages=("libtool1", "gone"), status="not_affected",
    justification="vulnerable_code_not_in_execute_path", reason="the parser is not called",
    by="Jane Doe <jane@example.org>", date="2026-11-28",
)  # fmt: skip


def test_what_a_person_says_comes_before_the_tracker() -> None:
    data = msgspec.json.encode({"tool": {
        name: {"releases": {"trixie": {"status": "open"}}} for name in ("CVE-2026-1", "CVE-2026-2")
    }})  # fmt: skip
    found = document(bill(), SUBJECT, read_tracker(data), 0, [SAID])["statements"]
    first, second = found
    assert second["vulnerability"] == {"name": "CVE-2026-2"}
    kept = {key: first[key] for key in first if key != "products"}
    assert kept == {
        "vulnerability": {"name": "CVE-2026-1"}, "timestamp": "2026-11-28T00:00:00Z",
        "status": "not_affected", "justification": "vulnerable_code_not_in_execute_path",
        "impact_statement": "the parser is not called",
        "status_notes": "by Jane Doe <jane@example.org>",
    }  # fmt: skip
    assert first["products"][-1] == second["products"][-1]


def test_without_a_tracker_only_persons_speak_and_of_any_image() -> None:
    of_none = msgspec.structs.replace(SAID, packages=("gone",))
    of_image = msgspec.structs.replace(SAID, packages=(), status="affected", justification="")
    found = document(bill(distribution=None), SUBJECT, None, 0, [of_none, of_image])
    (statement,) = found["statements"]
    assert statement["action_statement"] == "the parser is not called"
    assert "subcomponents" not in statement["products"][0]
    assert found["author"] == "Jane Doe <jane@example.org>"
