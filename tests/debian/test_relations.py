"""The grammar of dependency fields (deb-control(5), Debian Policy 7.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.debian.relations import (
    BadRelation,
    Relation,
    parse_dependencies,
    parse_relations,
    show,
)
from homeport.debian.version import parse_version

names = st.from_regex(r"[a-z0-9][a-z0-9+.-]{0,8}", fullmatch=True)
relations = st.builds(
    lambda name, qualifier, constraint, architectures, profiles: Relation(
        name=name,
        qualifier=qualifier,
        operator=constraint[0],
        version=constraint[1],
        architectures=tuple(architectures),
        profiles=tuple(map(tuple, profiles)),
    ),
    names,
    st.sampled_from(["", "any", "native", "amd64"]),
    st.one_of(
        st.just((None, None)),
        st.tuples(
            st.sampled_from(["<<", "<=", "=", ">=", ">>"]),
            st.sampled_from(["1.0", "1:2~rc1-3", "0"]).map(parse_version),
        ),
    ),
    st.lists(st.sampled_from(["amd64", "!i386", "linux-any"]), max_size=2),
    st.lists(st.lists(st.sampled_from(["nocheck", "!stage1"]), min_size=1), max_size=2),
)
blanks = st.sampled_from(["", " ", "  ", "\n ", "\t"])


@given(st.lists(st.lists(relations, min_size=1, max_size=3), max_size=4), blanks, blanks)
def test_what_is_written_is_read_again(
    groups: list[list[Relation]], before: str, after: str
) -> None:
    comma = f"{before},{after}"
    bar = f"{before}|{after}"
    text = comma.join(bar.join(map(str, group)) for group in groups)
    assert parse_dependencies(text) == tuple(map(tuple, groups))


@given(st.text("ab1 ,|()[]<>=:!.-", max_size=30))
def test_any_text_is_read_or_refused_with_a_column_inside_it(text: str) -> None:
    column = 1
    try:
        parse_dependencies(text)
    except BadRelation as error:
        column = int(error.where["column"])
    assert 1 <= column <= len(text) + 1


def test_a_whole_field_becomes_groups_of_alternatives() -> None:
    (first, second, third) = parse_dependencies(
        "libc6 (>= 2.38), python3:any (>> 3~), default-mta | mail-transport-agent [amd64] <!nodoc>"
    )
    assert show(first) == "libc6 (>= 2.38)"
    assert (second[0].name, second[0].qualifier, second[0].operator) == ("python3", "any", ">>")
    assert [relation.name for relation in third] == ["default-mta", "mail-transport-agent"]
    assert (third[1].architectures, third[1].profiles) == (("amd64",), (("!nodoc",),))


def test_blanks_inside_the_parentheses_do_not_matter() -> None:
    assert parse_dependencies("a(>=1),b( = 2 )") == parse_dependencies("a (>= 1), b (= 2)")


def test_empty_items_between_commas_are_passed_over() -> None:
    assert parse_dependencies("a,,b,") == parse_dependencies("a, b")


def test_the_obsolete_single_signs_include_equality() -> None:
    less, greater = parse_relations("a (< 1), b (> 1)")
    assert (less.operator, greater.operator) == ("<=", ">=")


@pytest.mark.parametrize(
    ("relation", "yes", "no"),
    [
        ("a", ["0", "9"], []),
        ("a (<< 2)", ["1", "2~rc1"], ["2", "3"]),
        ("a (<= 2)", ["1", "2"], ["2+b1"]),
        ("a (= 2)", ["2", "2-0"], ["2-1"]),
        ("a (>= 2)", ["2", "1:0"], ["2~rc1"]),
        ("a (>> 2)", ["2+b1"], ["2"]),
    ],
)
def test_a_version_condition_allows_what_it_says(
    relation: str, yes: list[str], no: list[str]
) -> None:
    (parsed,) = parse_relations(relation)
    assert [v for v in yes + no if parsed.allows(parse_version(v))] == yes


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("a b", 3, "expected a comma or | after a"),
        ("a, | b", 4, "expected a package name"),
        ("a |", 4, "expected a package name, the field ends"),
        ("a (2.0)", 3, r"expected \(OPERATOR VERSION\) after a"),
        ("a (>= )", 3, r"expected \(OPERATOR VERSION\) after a"),
        ("a (>= 1 2)", 3, r"expected \(OPERATOR VERSION\) after a"),
        ("ok, a (>= x:1)", 7, "before the colon is not a number"),
        ("a [amd64", 3, "expected a comma"),
        ("${shlibs:Depends}", 1, "expected a package name"),
    ],
)
def test_the_error_names_the_column(text: str, column: int, message: str) -> None:
    with pytest.raises(BadRelation, match=message) as caught:
        parse_dependencies(text)
    assert caught.value.where["column"] == column


def test_alternatives_are_refused_where_a_field_has_none() -> None:
    with pytest.raises(BadRelation, match="expected a comma after a"):
        parse_relations("a | b")


def test_a_field_of_absurd_length_is_refused() -> None:
    with pytest.raises(BadRelation, match="longer than"):
        parse_dependencies("a" * (1 << 20 | 1))
