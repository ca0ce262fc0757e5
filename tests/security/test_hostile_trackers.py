"""Files of security trackers, which are not signed: any of them is read or is one error."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from homeport.freshness import trackers
from homeport.freshness.trackers import read_tracker_data
from homeport.sbom.tracker import BadTracker

ADVISORY: dict[str, Any] = {
    "id": "DEBIAN-CVE-2026-0001",
    "upstream": ["CVE-2026-0001"],
    "aliases": [],
    "affected": [
        {
            "package": {"ecosystem": "Debian:13", "name": "zlib"},
            "ranges": [{"events": [{"introduced": "0"}, {"fixed": "1:2"}]}],
            "ecosystem_specific": {"urgency": "low"},
        }
    ],
}
VALUES: list[Any] = [None, 1, True, "a", [], [1], [None], [[1]], [{}], {}, {"a": 1}]


def issues(data: bytes) -> list[str]:
    found = read_tracker_data(
        data, "file", ["zlib"], taken=None, now=datetime(2026, 1, 12, tzinfo=UTC),
        numbers={"trixie": "13"},
    )  # fmt: skip
    return [each.id for each in found.data.issues("zlib", "1:1.3-1", "trixie")]


def osv(*advisories: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, advisory in enumerate(advisories):
            archive.writestr(f"{number}.json", advisory)
    return stream.getvalue()


def read_or_one_error(data: bytes) -> None:
    said = ""
    try:
        issues(data)
    except BadTracker as error:
        said = str(error)
    assert len(said) < 500
    assert said.isprintable()


def places(document: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if above:
        yield above
    below = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in () if isinstance(document, str) else below:
        yield from places(value, (*above, key))


@pytest.mark.parametrize(
    "place", list(places(ADVISORY)), ids=lambda place: ".".join(map(str, place))
)
def test_a_value_of_another_type_is_one_error(place: tuple[Any, ...]) -> None:
    for value in VALUES:
        document = deepcopy(ADVISORY)
        inner: Any = document
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
        read_or_one_error(osv(json.dumps(document).encode()))


@pytest.mark.parametrize(
    "data",
    [b"[", b"[" * 100_000, b'{"affected":' + b"[" * 100_000, b"1", b"\xff", b"", b'{"id": 1}'],
)
def test_an_advisory_that_is_none_is_one_error(data: bytes) -> None:
    with pytest.raises(BadTracker):
        issues(osv(data))


def test_a_damaged_archive_is_one_error() -> None:
    whole = osv(json.dumps(ADVISORY).encode())
    assert issues(whole) == ["CVE-2026-0001"]
    chance = random.Random(3)
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(4, len(data))] = chance.randrange(256)
        read_or_one_error(bytes(data))
    for length in range(4, len(whole)):
        read_or_one_error(whole[:length])


def test_members_that_share_their_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "_LARGEST_UNPACKED", 10_000)
    with pytest.raises(BadTracker, match="larger"):
        issues(osv(*[json.dumps({"id": "x" * 3000}).encode()] * 4))


def test_the_number_of_members_is_bounded_before_they_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trackers, "_MOST_ADVISORIES", 3)
    data = osv(*[b"{}"] * 4)
    monkeypatch.setattr(trackers.zipfile, "ZipFile", None)
    with pytest.raises(BadTracker, match="more than 3"):
        issues(data)


@pytest.mark.parametrize(
    "data",
    [
        b"VERSION 1", b"VERSION 1\n\n\n", b"VERSION 1\nCVE-1\n\nzlib,0,,,\n", b"x\x9c", b"x",
        b"VERSION 1\nCVE-1\n\nzlib,-1,S,1,1\n", b"VERSION 1\n\nzlib," + b"9" * 5000 + b",S,1,1",
        b"VERSION 2\x1b[2J", b"{", b"[" * 100_000, b'{"zlib": null}', b'{"zlib": {"CVE": 1}}',
        b'{"zlib": {"CVE": {"releases": {"trixie": []}}}}', b"\xff\xfe", b"",
        b'{"zlib": {"CVE": {"releases": {"trixie": {"status": 1}}}}}',
    ],
    ids=range(16),
)  # fmt: skip
def test_the_other_forms_are_read_or_one_error(data: bytes) -> None:
    read_or_one_error(data)
