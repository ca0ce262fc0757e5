"""References follow distribution's grammar, and an error points at the character."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.content.digest import Digest
from homeport.oci.reference import BadReference, Reference, names_registry, parse_reference

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("debian", "docker.io/library/debian:latest"),
        ("team/copy", "docker.io/team/copy:latest"),
        ("index.docker.io/debian:13", "docker.io/library/debian:13"),
        ("localhost/copy", "localhost/copy:latest"),
        ("Example/copy", "Example/copy:latest"),
        ("registry.example/a/b-c.d__e/f:1.0_x", "registry.example/a/b-c.d__e/f:1.0_x"),
        ("registry.example:5000/copy", "registry.example:5000/copy:latest"),
        ("[::1]:5000/copy:1", "[::1]:5000/copy:1"),
        ("[2001:db8::1]/copy", "[2001:db8::1]/copy:latest"),
        (f"r.example/copy@sha256:{HEX}", f"r.example/copy@sha256:{HEX}"),
        (f"r.example/copy:1@sha256:{HEX}", f"r.example/copy:1@sha256:{HEX}"),
        ("copy:" + "t" * 128, "docker.io/library/copy:" + "t" * 128),
        ("a---b", "docker.io/library/a---b:latest"),
    ],
)
def test_a_reference_is_read_in_full(text: str, full: str) -> None:
    assert str(parse_reference(text)) == full


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 1, "a repository name is missing"),
        ("team/Copy", 6, "'C' does not fit in a repository name"),
        ("r.example/a//b", 13, "a repository name is missing"),
        ("r.example/a/", 13, "a repository name is missing"),
        ("r.example/a/../b", 13, "'.' does not fit"),
        ("a___b", 2, "'_' does not fit"),
        ("a.-b", 2, "'.' does not fit"),
        ("-a", 1, "'-' does not fit"),
        ("a-", 2, "'-' does not fit"),
        ("copy:", 6, "a tag is missing"),
        ("copy:1.0+b", 9, "'+' does not fit in a tag"),
        ("copy:-1", 6, "'-' does not fit in a tag"),
        ("copy:ü", 6, "'ü' does not fit in a tag"),
        ("copy:" + "t" * 129, 134, "at most 128"),
        ("r.example:port/copy", 11, "'p' does not fit in a port"),
        ("r.example:99999/copy", 11, "from 1 to 65535"),
        ("-r.example/copy", 1, "'-' does not fit in a host name"),
        ("r..example/copy", 3, "a host name is missing"),
        ("[::1/copy", 5, 'no closing "]"'),
        ("[::g]/copy", 2, "not an IPv6 address"),
        ("[::1]x/copy", 6, 'only ":"'),
        (HEX, 1, "an image id, not a repository"),
        ("copy@sha256:12", 6, "sha256 has 64 digits"),
        (f"copy@md5:{HEX}", 6, "must start with sha256: or sha512:"),
        ("r.example/" + "a" * 250, 256, "longer than 255"),
    ],
)
def test_what_does_not_fit_is_pointed_at(text: str, column: int, says: str) -> None:
    with pytest.raises(BadReference, match="invalid image reference") as caught:
        parse_reference(text)
    assert says in caught.value.what
    assert caught.value.where == {"reference": text, "column": column}
    assert caught.value.exit_code == 2


def test_capitals_are_answered_with_the_name_in_lower_case() -> None:
    with pytest.raises(BadReference) as caught:
        parse_reference("r.example/Team/copy")
    assert caught.value.hint == "repositories are in lower case: r.example/team/copy"


@pytest.mark.parametrize(
    ("text", "familiar"),
    [
        ("debian:13", "debian:13"),
        ("docker.io/team/copy:1", "team/copy:1"),
        ("r.example/library/copy:1", "r.example/library/copy:1"),
    ],
)
def test_the_familiar_form_is_what_docker_shows(text: str, familiar: str) -> None:
    assert parse_reference(text).familiar == familiar


@pytest.mark.parametrize(
    ("text", "named"),
    [("copy", False), ("team/copy:1", False), ("docker.io/copy", True), ("localhost/x", True)],
)
def test_a_reference_says_whether_it_names_its_registry(text: str, named: bool) -> None:
    assert names_registry(text) is named


def test_a_reference_moves_to_another_tag_or_digest_of_its_repository() -> None:
    reference = parse_reference("r.example/copy:1")
    digest = Digest("sha256", HEX)
    assert str(reference.at_digest(digest)) == f"r.example/copy@sha256:{HEX}"
    assert str(reference.at_digest(digest).with_tag("2")) == "r.example/copy:2"


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_a_usage_error_inside_it(text: str) -> None:
    error = None
    try:
        found = parse_reference(text)
    except BadReference as caught:
        error = caught
    if error is None:
        assert parse_reference(str(found)) == found
    else:
        assert 1 <= int(error.where["column"]) <= len(text) + 1


_part = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}", fullmatch=True)


@given(
    registry=st.sampled_from(["docker.io", "r.example", "localhost:5000", "[::1]:80"]),
    parts=st.lists(_part, min_size=2, max_size=4),
    tag=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True),
)
def test_what_is_written_is_read_again(registry: str, parts: list[str], tag: str) -> None:
    reference = Reference(registry=registry, repository="/".join(parts), tag=tag)
    assert parse_reference(str(reference)) == reference
    assert parse_reference(reference.familiar) == reference
