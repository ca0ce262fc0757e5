"""What a registry answers to an upload decides what is sent next, byte by byte.

A real registry never answers so on demand; each case names its doubtful answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from builders.http_server import Received, Server, serving
from builders.net import quick_client
from homeport.content.blob import BytesBlob
from homeport.registry.client import Registry
from homeport.registry.endpoint import endpoint_for
from homeport.registry.errors import NotFound
from homeport.registry.repository import Repository
from homeport.registry.upload import upload_blob

BLOB = BytesBlob(bytes(range(256)) * 12)
PIECE = 1024
START = "/v2/a/blobs/uploads/"
SESSION = "/v2/a/blobs/uploads/1"
AT = f"/v2/a/blobs/{BLOB.digest}"
THERE = {"Content-Length": str(BLOB.size)}

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.answer("/v2/", 200, b"{}")
        server.answer(START, 202, Location=SESSION)
        yield server


@pytest.fixture
def repository(server: Server) -> Iterator[Repository]:
    with quick_client() as client:
        yield Repository(Registry(client, endpoint_for(f"127.0.0.1:{server.port}")), "a")


def happened(server: Server) -> list[str]:
    """The requests of the upload, each with the range that it sends."""
    return [
        f"{one.method} {one.headers.get('content-range', '')}".strip()
        for one in server.requests
        if one.path != "/v2/"
    ]


class Pieces:
    """A session that holds what it accepts. ``answers``: range and status for the next PATCHes."""

    def __init__(self, server: Server, *answers: tuple[str, int]) -> None:
        self.held = bytearray()
        self.answers = list(answers)
        self.closed = b""
        server.answers[SESSION] = self.answer

    def answer(self, request: Received) -> Answer:
        if request.method == "GET":
            return 204, {"Range": f"0-{len(self.held) - 1}", "Location": SESSION}, b""
        if request.method == "DELETE":
            self.held.clear()
            return 204, {}, b""
        if request.method == "PUT":
            self.closed = bytes(self.held + request.body)
            return 201, {"Location": AT}, b""
        place = re.fullmatch(r"(\d+)-(\d+)", request.headers["content-range"])
        assert place is not None
        first, status, said = int(place[1]), 202, ""
        if self.answers:
            said, status = self.answers.pop(0)
        if status == 202:
            end = int(said.rpartition("-")[2]) + 1 if said else int(place[2]) + 1
            self.held[first:] = request.body[: max(0, end - first)]
        return status, {"Range": said or f"0-{len(self.held) - 1}", "Location": SESSION}, b""


@pytest.mark.parametrize(
    ("answers", "pieces"),
    [
        ([], ["0-1023", "1024-2047", "2048-3071"]),
        # the second piece is answered with the range of the first: nothing of it was taken
        ([("", 202), ("0-1023", 202)], ["0-1023", "1024-2047", "1024-2047", "2048-3071"]),
        # part of it was taken
        ([("", 202), ("0-1099", 202)], ["0-1023", "1024-2047", "1100-2123", "2124-3071"]),
        # the first is answered as if nothing, or one byte, had come: distribution's 0-0
        ([("0-0", 202)], ["0-1023", "0-1023", "1024-2047", "2048-3071"]),
        # refused: where the registry is, is asked
        ([("", 202), ("", 416)], ["0-1023", "1024-2047", "1024-2047", "2048-3071"]),
    ],
)
def test_the_next_piece_begins_where_the_registry_ends(
    server: Server, repository: Repository, answers: list[tuple[str, int]], pieces: list[str]
) -> None:
    held = Pieces(server, *answers)
    repository.registry.quirks.largest_piece = PIECE
    assert upload_blob(repository, BLOB)
    assert held.closed == BLOB.data
    assert [line for line in happened(server) if line.startswith("PATCH")] == [
        f"PATCH {piece}" for piece in pieces
    ]
    assert happened(server).count("POST") == 1, "one session is enough"


def test_more_than_was_sent_is_not_believed(server: Server, repository: Repository) -> None:
    held = Pieces(server, ("0-1500", 202))
    repository.registry.quirks.largest_piece = PIECE
    assert upload_blob(repository, BLOB)
    assert held.closed == BLOB.data
    assert happened(server).count("POST") == 2, "that session is given up"


@pytest.mark.parametrize("status", [500, 502, 408])
def test_after_a_doubtful_failure_the_blob_is_looked_for_before_it_is_sent_again(
    server: Server, repository: Repository, status: int
) -> None:
    stored: list[bytes] = []

    def answer(request: Received) -> Answer:
        stored.append(request.body)
        return status, {}, b""

    server.answers[SESSION] = answer
    server.answers[AT] = lambda _request: (200, THERE, b"") if stored else (404, {}, b"")
    assert upload_blob(repository, BLOB)
    assert happened(server) == ["POST", "PUT", "HEAD"]
    assert stored == [BLOB.data]


def test_a_clear_refusal_is_believed_whatever_the_registry_seems_to_hold(
    server: Server, repository: Repository
) -> None:
    """A 404 to the closing PUT is no lost answer: somebody else's blob proves nothing."""
    server.answer(SESSION, 404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}')
    server.answers[AT] = lambda _request: (200, THERE, b"")
    with pytest.raises(NotFound):
        upload_blob(repository, BLOB)
    assert "HEAD" not in happened(server)
    assert happened(server)[:3] == ["POST", "PUT", "DELETE"]


@pytest.mark.parametrize(
    "smallest",
    ["-1", "0", "text", "1e3", "\xb2", "0x10", "9" * 18, "0" * 17 + "5" * 5000, "1" * 5000],
)
def test_a_smallest_piece_that_makes_no_sense_is_ignored(
    server: Server, repository: Repository, smallest: str
) -> None:
    """It is a number of bytes up to 1 GiB, or the blob goes whole."""
    server.answer(START, 202, Location=SESSION, OCI_Chunk_Min_Length=smallest)
    server.answer(AT, 404)
    server.answer(SESSION, 201)
    assert upload_blob(repository, BLOB)
    assert happened(server) == ["POST", "PUT"]
