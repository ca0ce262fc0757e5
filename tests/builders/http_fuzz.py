"""Answers of servers as bytes: right ones, ambiguous ones, and broken ones."""

from __future__ import annotations

from hypothesis import strategies as st

_STATUS_LINES = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.1 404 Not Found", b"HTTP/1.0 200 OK", b"HTTP/1.1 204 None",
     b"HTTP/1.1 304 Same", b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1  200 OK", b"HTTP/2 200",
     b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"http/1.1 200 OK", b"HTTP/1.1\t200 OK"]
)  # fmt: skip
_FIELDS = st.sampled_from(
    [b"X: y", b"X:y", b"X:", b"X : y", b" X: y", b"X: a\r\n b", b"X: a\r\n\tb", b"X", b": y",
     b"Connection: close", b"Connection: keep-alive", b"Content-Encoding: gzip",
     b"X: \x80\xff", b"X: a\x00b", b"X: a\rb", b"X: a\x0bb", b"Set-Cookie: a=b"]
)  # fmt: skip
_INTERIM = st.sampled_from(
    [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"]
)
_LENGTHS = st.sampled_from(
    [b"%d", b" %d", b"0%d", b"+%d", b"-%d", b"%d,%d", b"%dx", b"0x%d", b"%d 0"]
)
_CODINGS = st.sampled_from(
    [b"chunked", b"Chunked", b"gzip, chunked", b"chunked, chunked", b"identity", b"xchunked",
     b"chunked ", b"\tchunked", b""]
)  # fmt: skip
_ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"])


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """One answer, perhaps behind interim ones, perhaps with bytes behind it."""
    body = draw(st.binary(max_size=40))
    end = draw(_ENDS)
    lines = [draw(_STATUS_LINES) if draw(st.booleans()) else b"HTTP/1.1 200 OK"]
    lines += draw(st.lists(_FIELDS, max_size=2))
    how = draw(st.sampled_from(["length", "chunked", "both", "twice", "neither"]))
    if how in ("length", "both", "twice"):
        lines.append(b"Content-Length:" + _length(draw, len(body)))
    if how == "twice":
        lines.append(b"Content-Length:" + _length(draw, len(body)))
    if how in ("chunked", "both"):
        lines.append(b"Transfer-Encoding: " + draw(_CODINGS))
    raw = b"".join(draw(st.lists(_INTERIM, max_size=2)))
    raw += end.join(lines) + end + end
    raw += _chunks(draw, body) if how in ("chunked", "both") else body
    raw += draw(
        st.sampled_from([b"", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"\r\n"])
    )
    if draw(st.booleans()):
        at = draw(st.integers(0, len(raw) - 1))
        raw = (
            raw[:at]
            + draw(st.sampled_from([b"", b"\r", b"\n", b" ", b"\0", b"0", b":"]))
            + raw[at + 1 :]
        )
    return raw[: draw(st.integers(0, len(raw)))] if draw(st.integers(0, 9)) == 0 else raw


def _length(draw: st.DrawFn, size: int) -> bytes:
    form = draw(_LENGTHS) if draw(st.booleans()) else b" %d"
    return form % ((size,) * form.count(b"%d"))


def _chunks(draw: st.DrawFn, body: bytes) -> bytes:
    size = draw(
        st.sampled_from([b"%x", b"%X", b"0%x", b"%x;a=b", b"%x ;a", b"0x%x", b"+%x", b" %x"])
    )
    at = draw(st.integers(0, len(body)))
    parts = [part for part in (body[:at], body[at:]) if part]
    mend = draw(st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"", b"x\r\n"]))
    found = b"".join(size % len(part) + b"\r\n" + part + mend for part in parts)
    return found + b"0\r\n" + draw(st.sampled_from([b"\r\n", b"\r\n", b"X-After: y\r\n\r\n", b""]))
