"""The little of Go's template language that charts put references together with."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.audit.formats.gotemplate import NotSimple, Piece, Value, assignments, evaluate
from homeport.audit.source import Source, Written

VALUES = {".Values.repo": "a/b", ".Values.tag": "1", ".Chart.AppVersion": "3"}


def lookup(path: str) -> Value | None:
    return (Piece(VALUES[path], path),) if path in VALUES else None


def written(text: str) -> Written:
    return Source("t.yaml", text.encode("utf-8", "surrogateescape")).whole()


def value(text: str, template: str = "") -> str:
    pieces = evaluate(written(text), lookup, assignments(template))
    return "".join(piece.text for piece in pieces)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ .Values.repo }}:{{- .Values.tag -}}", "a/b:1"),
        ("{{$.Values.repo}}", "a/b"),
        ("{{ .Values.none | default .Chart.AppVersion | quote }}", "3"),
        ('{{ default "x" .Values.none }}', "x"),
        ('{{ coalesce .Values.none .Values.none "y" }}', "y"),
        ('{{ required "why" .Values.tag }}', "1"),
        ('{{ printf "%s:%v" .Values.repo (.Values.none | default "z") }}', "a/b:z"),
        ("{{ tpl .Values.repo . }}", "a/b"),
        ("{{ toString 7 }}", "7"),
        ("quay.io/{{ $r }}", "quay.io/a/b"),
        ("{{ $once | default .Values.tag }}", "1"),
    ],
)
def test_simple_expressions_have_a_value(text: str, expected: str) -> None:
    assert value(text, "{{ $r := .Values.repo }}{{- $once = .Values.none -}}") == expected


@pytest.mark.parametrize(
    "text",
    ["{{ include \"x\" . }}", "{{ .Values.repo | upper }}", '{{ printf "%d" .Values.tag }}',
     "{{ $twice }}", "{{ $unknown }}", "{{ (.Values.tag }}", "{{ }}", "{{ | quote }}",
     "{{ .Values.tag .Values.tag }}", "{{ $a }}"],
)  # fmt: skip
def test_what_is_not_simple_says_so(text: str) -> None:
    with pytest.raises(NotSimple):
        value(text, "{{ $twice := 1 }}{{ $twice = 2 }}{{ $a := $b }}{{ $b := $a }}")


@given(st.text(alphabet='{}$.()|"` :=-aVlues\n\\', max_size=60))
def test_any_text_has_a_value_or_a_reason(text: str) -> None:
    with contextlib.suppress(NotSimple):
        assert isinstance(value(text, text), str)


@pytest.mark.parametrize("part", ["{{", "{{$a=", "{{ $a := (", "{{}}", "image: {{ ", " " * 64])
def test_time_grows_with_the_text_and_not_faster(part: str) -> None:
    text = part * 100_000
    assert len(assignments(text)) <= 1
    with contextlib.suppress(NotSimple, RecursionError):
        value(text)
