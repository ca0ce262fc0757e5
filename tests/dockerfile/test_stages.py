"""Stages and images of whole Dockerfiles. The audit corpus has many more cases."""

from __future__ import annotations

from homeport.dockerfile.lines import parse_dockerfile
from homeport.dockerfile.stages import analyse
from homeport.dockerfile.syntax import find_syntax


def images(text: str, **args: str) -> list[tuple[str, str | None]]:
    return [(use.how, use.value) for use in analyse(parse_dockerfile(text), args).images]


def test_a_build_argument_replaces_a_default() -> None:
    text = "ARG B=debian\nFROM $B"
    assert images(text) == [("from", "debian")]
    assert images(text, B="alpine") == [("from", "alpine")]


def test_a_build_argument_replaces_the_syntax() -> None:
    text = "# syntax=docker/dockerfile:1\nFROM scratch"
    assert images(text, BUILDKIT_SYNTAX="x/y:2") == [("syntax", "x/y:2")]


def test_an_argument_that_is_not_declared_is_not_used() -> None:
    assert images("FROM a$X", X="b") == [("from", "a")]


def test_the_defaults_that_flow_in_are_named_in_order() -> None:
    build = analyse(parse_dockerfile("ARG A=1\nARG B=x:$A\nFROM $B"))
    assert [feed.name for feed in build.images[0].feeds] == ["B", "A"]


def test_stages_know_what_they_build_on() -> None:
    build = analyse(parse_dockerfile("FROM a AS One\nFROM one\nFROM b\nUSER x"))
    assert [(s.name, s.base, len(s.instructions)) for s in build.stages] == [
        ("one", None, 0),
        ("", 0, 0),
        ("", None, 1),
    ]


def test_a_json_document_may_name_its_frontend() -> None:
    found = find_syntax('{"syntax": "example/frontend:1", "x": []}')
    assert found is not None
    assert found.value == "example/frontend:1"
