"""URLs keep their bytes and hide their passwords."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.net.url import BadUrl, Url, redact


@pytest.mark.parametrize(
    "text",
    [
        "https://u:geheim@r.example/v2/?a=b",
        "https://r.example/x?X-Amz-Signature=geheim&n=1",
        "https://r.example/x?_state=geheim",
        "https://r.example/x?n=1&access_token=geheim",
        "https://r.example/x?sig=geheim&se=1",
        "https://r.example/x?X-Goog-Credential=geheim",
    ],
)
def test_a_secret_is_never_printed(text: str) -> None:
    url = Url.parse(text)
    assert "geheim" not in f"{url} {url!r} {[url]} {redact(text)}"


@pytest.mark.parametrize(
    ("text", "netloc", "target"),
    [
        ("https://R.Example", "r.example", "/"),
        ("https://r.example:443/a%2fb?x=%3d+", "r.example", "/a%2fb?x=%3d+"),
        ("http://[::1]:5000/v2/", "[::1]:5000", "/v2/"),
        ("http://[0:0::1]/", "[::1]", "/"),
        ("https://bücher.example/ä", "xn--bcher-kva.example", "/%C3%A4"),
        ("https://r.example?q", "r.example", "/?q"),
    ],
)
def test_a_url_keeps_its_path_and_query(text: str, netloc: str, target: str) -> None:
    url = Url.parse(text)
    assert (url.netloc, url.target) == (netloc, target)
    assert Url.parse(url.wire()) == url


@pytest.mark.parametrize(
    "text",
    ["", "r.example", "ftp://r.example/", "https://", "https:///x", "https://r.example:99999/",
     "https://r.example/\r\nX: y", "https://a b/", "https://[::1", "file:///etc/passwd",
     "https://r.example\\@evil.example/", "https://" + "a" * 300],
)  # fmt: skip
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(BadUrl):
        Url.parse(text)


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_a_clear_refusal(text: str) -> None:
    for candidate in (text, f"https://{text}", f"https://r.example/{text}"):
        try:
            url = Url.parse(candidate)
        except BadUrl:
            continue
        assert Url.parse(url.wire()).origin == url.origin


@pytest.mark.parametrize(
    ("location", "result"),
    [
        ("/v2/a/blobs/uploads/1?_state=x%3D", "https://r.example/v2/a/blobs/uploads/1?_state=x%3D"),
        ("uploads/2", "https://r.example/v2/a/uploads/2"),
        ("?n=2", "https://r.example/v2/a/b?n=2"),
        ("//other.example/x", "https://other.example/x"),
        ("http://other.example:8080/x", "http://other.example:8080/x"),
    ],
)
def test_a_location_is_read_where_it_was_seen(location: str, result: str) -> None:
    assert Url.parse("https://r.example/v2/a/b").join(location).wire() == result


def test_a_query_is_added_to_and_never_rewritten() -> None:
    url = Url.parse("https://r.example/u?_state=a%3d%2B+=")
    assert url.with_query("digest=x").target == "/u?_state=a%3d%2B+=&digest=x"
    assert Url.parse("https://r.example/u").with_query("digest=x").target == "/u?digest=x"


def test_an_argument_that_is_not_utf_8_is_refused() -> None:
    """Found by fuzzing: Python gives such bytes of an argument as lone surrogates."""
    with pytest.raises(BadUrl, match="not UTF-8"):
        Url.parse("https://r.example/\udcff")
