"""The little of Go's template language that charts put references together with."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.audit.formats.gotemplate.actions import assignments
from homeport.audit.formats.gotemplate.branches import branches
from homeport.audit.formats.gotemplate.evaluating import Chart, evaluate
from homeport.audit.formats.gotemplate.values import NotSimple, Piece, Value
from homeport.audit.source import Source, Written

VALUES = {".Values.repo": "a/b", ".Values.tag": "1", ".Chart.AppVersion": "3"}


def lookup(path: str) -> Value | None:
    if path == ".Values":
        return (Piece("", path, is_map=True),)
    return (Piece(VALUES[path], path),) if path in VALUES else None


def written(text: str) -> Written:
    return Source("t.yaml", text.encode("utf-8", "surrogateescape")).whole()


def value(text: str, template: str = "") -> str:
    pieces = evaluate(written(text), Chart(lookup, assignments(template)))
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


NAMED = {
    "both": '{{- printf "%s:%s" .repo .tag -}}',
    "first": "{{ index . 0 }}{{ $rest := index . 1 }}:{{ $rest.tag }}",
    "chosen": "{{ if .none }}a{{ else if .repo }}b{{ else }}c{{ end }}",
    "deeper": "{{ with .inner }}{{ .repo }}{{ else }}none{{ end }}",
    "refuses": '{{ if not .repo }}{{ fail "no" }}{{ end }}{{ .repo }}',
    "ranges": "{{ range . }}x{{ end }}",
    "calls": '{{ include "calls" . }}{{ include "calls" . }}',
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{{ include "both" .Values }}', "a/b:1"),
        ('{{ include "both" (dict "repo" .Values.repo "tag" "2") }}', "a/b:2"),
        ('{{ template "first" (tuple "x" .Values) }}', "x:1"),
        ('{{ include "chosen" (dict "repo" "r") }}{{ include "chosen" (dict) }}', "bc"),
        ('{{ include "deeper" (dict "inner" .Values) }}', "a/b"),
        ('{{ include "deeper" (dict "outer" .Values) }}', "none"),
        ('{{ include "refuses" .Values }}', "a/b"),
        ("{{ if .Values.repo }}{{ .Values.tag }}{{ else }}no{{ end }}", "1"),
        ('{{ ternary "yes" "no" (eq (len (list 1 2)) "2") }}', "yes"),
        ('{{ ternary "yes" "no" (and (hasPrefix "a" .Values.repo) (kindIs "invalid" .Values.n)) }}',
         "yes"),
        ('{{ index .Values "tag" }}{{ trimPrefix "a/" .Values.repo }}', "1b"),
        ('{{ print .Values.repo ":" .Values.tag }}', "a/b:1"),
    ],
)  # fmt: skip
def test_named_templates_have_the_context_that_they_get(text: str, expected: str) -> None:
    pieces = evaluate(written(text), Chart(lookup, {}, NAMED))
    assert "".join(piece.text for piece in pieces) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{{ include "ranges" .Values }}', "'range' is not evaluated"),
        ('{{ include "refuses" (dict) }}', "refuses its own values"),
        ('{{ include "calls" . }}', "too deep"),
        ('{{ include "none" . }}', "outside the chart"),
        ("{{ if .Values.repo }}{{ toYaml .Values }}{{ end }}", "'toYaml' is not evaluated"),
    ],
)
def test_what_named_templates_do_beyond_that_has_a_reason(text: str, reason: str) -> None:
    with pytest.raises(NotSimple, match=reason):
        evaluate(written(text), Chart(lookup, {}, NAMED))


def test_templates_that_call_each_other_many_times_end() -> None:
    """Ten levels of a hundred calls would be 10^20."""
    named = {f"t{n}": f'{{{{ include "t{n + 1}" . }}}}' * 100 for n in range(10)} | {"t10": "x"}
    with pytest.raises(NotSimple, match="too often"):
        evaluate(written('{{ include "t1" . }}'), Chart(lookup, {}, named))


BRANCHES = """{{ if .Values.repo }}
A{{ else }}
B{{ end }}{{ if .Values.none }}
C{{ else if .Values.tag }}
D{{ else }}
E{{ end }}{{ if .Values.none }}
F{{ end }}{{ if lookup "v1" }}
G{{ else }}
H{{ end }}"""


def test_of_several_places_the_values_choose_one() -> None:
    """One that nothing is rendered instead of stays, and so do those that nobody can decide."""
    places = [BRANCHES.index(letter) for letter in "ABCDEFGH"]
    unused = branches(BRANCHES, Chart(lookup)).unused(places)
    assert [BRANCHES[place] for place in sorted(unused)] == ["B", "C", "E"]


def test_a_with_block_changes_the_context_and_a_range_hides_it() -> None:
    text = "{{ with .Values }}1{{ end }}2{{ range .Values.many }}3{{ end }}"
    blocks = branches(text, Chart(lookup))
    assert [blocks.dot(text.index(place))[0].name for place in "123"] == [".Values", ".", "?"]


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
