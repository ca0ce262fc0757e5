"""What an answer's head says, and where its body ends (RFC 9112)."""

from __future__ import annotations

import contextlib
import http.client
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.net.http1 import (
    Framing,
    Malformed,
    NoAnswer,
    chunk_size,
    end_of_head,
    framing,
    read_head,
    request_head,
)


def _answer(*lines: str, status: str = "200 OK", version: str = "HTTP/1.1") -> bytes:
    return "\r\n".join([f"{version} {status}", *lines, "", ""]).encode("latin-1")


def test_a_request_is_a_line_its_fields_and_an_empty_line() -> None:
    assert request_head("GET", "/v2/", [("Host", "a.example"), ("Accept", "*/*")]) == (
        b"GET /v2/ HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\n\r\n"
    )


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "a\0b", "\u2603"])
def test_a_field_cannot_become_two(value: str) -> None:
    with pytest.raises(ValueError, match=r"line break|ASCII"):
        request_head("GET", "/", [("Authorization", value)])


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/\x7f", "/\u2603"])
def test_a_target_cannot_become_a_field(target: str) -> None:
    with pytest.raises(ValueError, match="its path holds"):
        request_head("GET", target, [])


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_lines_may_end_as_old_servers_end_them(end: str) -> None:
    raw = end.join(["HTTP/1.1 206 Partial Content", "ETag: x", "a-b:  c ", "", ""]).encode()
    assert end_of_head(raw + b"body") == len(raw)
    head = read_head(raw)
    assert head.status == 206
    assert head.fields == (("etag", "x"), ("a-b", "c"))


@pytest.mark.parametrize(
    ("raw", "persistent"),
    [
        (_answer(), True),
        (_answer("Connection: close"), False),
        (_answer("Connection: Foo, CLOSE"), False),
        (_answer(version="HTTP/1.0"), False),
        (_answer("Connection: keep-alive", version="HTTP/1.0"), True),
    ],
)
def test_whether_the_connection_stays(raw: bytes, persistent: bool) -> None:
    assert read_head(raw).persistent == persistent


@pytest.mark.parametrize(
    "raw",
    [b"garbage\r\n\r\n", b"HTTP/2 200\r\n\r\n", b"HTTP/1.1 2x0\r\n\r\n", b"HTTP/1.1 2000\r\n\r\n"],
)
def test_what_begins_as_no_answer_is_told_apart(raw: bytes) -> None:
    with pytest.raises(NoAnswer):
        read_head(raw)


@pytest.mark.parametrize("line", ["no colon", ": no name", "a b: c", "Content-Length : 5", "\x00:"])
def test_a_line_that_is_no_field_is_refused(line: str) -> None:
    with pytest.raises(Malformed):
        read_head(_answer(line))


@pytest.mark.parametrize(
    ("method", "raw", "expected"),
    [
        ("GET", _answer("Content-Length: 5"), Framing(length=5)),
        ("GET", _answer("Content-Length: 5", "Content-Length: 5"), Framing(length=5)),
        ("GET", _answer("Content-Length: 5, 5"), Framing(length=5)),
        ("HEAD", _answer("Content-Length: 5"), Framing(length=0)),
        ("GET", _answer("Content-Length: 5", status="304 Not Modified"), Framing(length=0)),
        ("GET", _answer(status="204 No Content"), Framing(length=0)),
        ("CONNECT", _answer(), Framing(length=0)),
        ("GET", _answer(), Framing()),
        ("GET", _answer("Transfer-Encoding: Chunked"), Framing(chunked=True)),
        ("GET", _answer("Transfer-Encoding: chunked", "Content-Length: 5"), Framing(chunked=True)),
    ],
)
def test_where_the_body_ends(method: str, raw: bytes, expected: Framing) -> None:
    assert framing(read_head(raw), method) == expected


@pytest.mark.parametrize(
    "line",
    [
        "Content-Length: five", "Content-Length: -5", "Content-Length: +5", "Content-Length: 5, 6",
        "Content-Length: 1234567890123456789", "Content-Length:", "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, chunked",
        "Content-Length: \u00b2",
    ],
)  # fmt: skip
def test_a_body_whose_end_is_not_clear_is_refused(line: str) -> None:
    with pytest.raises(Malformed):
        framing(read_head(_answer(line)), "GET")


@pytest.mark.parametrize(("line", "size"), [(b"0", 0), (b"1aF", 431), (b"5;x=y", 5), (b" 5 ", 5)])
def test_a_chunk_says_its_size(line: bytes, size: int) -> None:
    assert chunk_size(line) == size


@pytest.mark.parametrize("line", [b"", b"-1", b"+5", b"0x5", b"5 5", b"g", b"1" * 17, b"1_0"])
def test_a_chunk_of_no_clear_size_is_refused(line: bytes) -> None:
    with pytest.raises(Malformed):
        chunk_size(line)


@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_raise_anything_else(data: bytes, begins_well: bool) -> None:
    raw = (b"HTTP/1.1 200 OK\r\n" if begins_well else b"") + data + b"\r\n\r\n"
    with contextlib.suppress(Malformed):
        framing(read_head(raw[: end_of_head(raw)]), "GET")


_NAMES = st.text("abcXYZ019-_.!#", min_size=1, max_size=12)
_VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=30).filter(
    lambda text: text == text.strip() and not set(text) & set("\x7f\x80\x85\xa0")
)


@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=10), st.integers(200, 599))
def test_fields_are_read_as_pythons_own_client_reads_them(
    fields: list[tuple[str, str]], status: int
) -> None:
    raw = _answer(*(f"{name}: {value}" for name, value in fields), status=f"{status} x")
    theirs = http.client.parse_headers(io.BytesIO(raw.partition(b"\r\n")[2]))
    expected = tuple((name.lower(), value) for name, value in theirs.items())
    assert read_head(raw).fields == expected
