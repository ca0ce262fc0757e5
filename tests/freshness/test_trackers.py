"""Data of security trackers in their three forms."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from datetime import UTC, datetime

import pytest

from homeport.freshness.trackers import Tracker, read_tracker_data
from homeport.sbom.tracker import BadTracker

NOW = datetime(2026, 1, 12, tzinfo=UTC)


def tracker(data: bytes) -> Tracker:
    return read_tracker_data(
        data, "file", ["zlib", "glibc"], taken=None, now=NOW, numbers={"trixie": "13"}
    )


def issues(data: bytes, source: str = "zlib", version: str = "1:1.3-1") -> list[tuple[str, ...]]:
    return [
        (i.id, i.status, i.fixed, i.urgency)
        for i in tracker(data).data.issues(source, version, "trixie")
    ]


def osv(*advisories: object) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number, advisory in enumerate(advisories):
            archive.writestr(f"{number}.json", json.dumps(advisory))
    return stream.getvalue()


def affected(source: str, ecosystem: str, fixed: str | None) -> dict[str, object]:
    events = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])]
    return {
        "package": {"ecosystem": ecosystem, "name": source},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
        "ecosystem_specific": {"urgency": "low"},
    }


def test_osv_names_of_one_flaw_fold_into_its_cve() -> None:
    data = osv(
        {"id": "DSA-1-1", "upstream": ["CVE-2026-0001"],
         "affected": [affected("zlib", "Debian:13", "1:1.3-2")]},
        {"id": "DEBIAN-CVE-2026-0001", "upstream": ["CVE-2026-0001"],
         "affected": [affected("zlib", "Debian:13", "1:1.3-2")]},
        {"id": "DEBIAN-CVE-2026-0002", "affected": [affected("zlib", "Debian:13", None)]},
        {"id": "DEBIAN-CVE-2026-0003", "affected": [affected("zlib", "Debian:12", None)]},
        {"id": "DEBIAN-CVE-2026-0004", "affected": [affected("zlib", "Debian:13", "1:1.3-1")]},
    )  # fmt: skip
    assert tracker(data).used.form == "osv"
    assert issues(data) == [
        ("CVE-2026-0001", "fixed", "1:1.3-2", "low"), ("CVE-2026-0002", "open", "", "low"),
    ]  # fmt: skip


DEBSECAN = b"""VERSION 1
CVE-2026-0001,,one
CVE-2026-0002,,two

zlib,0,SMRF,1:1.4-1,1:1.3-2 1:1.2-9
zlib,1,SL?,,
glibc,0,B  F,2,
other,0,SH F,2,

zlib,zlib1g
"""


@pytest.mark.parametrize("data", [DEBSECAN, zlib.compress(DEBSECAN)])
def test_debsecans_file_is_read_plain_and_compressed(data: bytes) -> None:
    assert tracker(data).used.form == "debsecan"
    assert issues(data) == [
        ("CVE-2026-0001", "fixed", "", "medium"), ("CVE-2026-0002", "open", "", "low"),
    ]  # fmt: skip
    assert issues(data, version="1:1.3-2") == [("CVE-2026-0002", "open", "", "low")]
    assert issues(data, version="1:1.4-1") == [("CVE-2026-0002", "open", "", "low")]


@pytest.mark.parametrize(
    "data",
    [
        b'{"zlib": {"CVE-2026-0001": {"relea',
        zlib.compress(DEBSECAN)[:-9],
        osv({"id": "x"})[:-30],
        b"VERSION 9\n",
        b"<html>",
    ],
)
def test_what_is_truncated_or_something_else_is_refused(data: bytes) -> None:
    with pytest.raises(BadTracker):
        tracker(data)


def test_a_tracker_that_is_far_too_small_is_noted() -> None:
    assert "it has only 1 source:" in tracker(b'{"zlib": {}}').used.note
    many = json.dumps({f"s{n}": {} for n in range(2000)}).encode()
    assert tracker(many).used.note == ""
