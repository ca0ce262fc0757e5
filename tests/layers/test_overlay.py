"""Layers stacked: what each did, what is left, what was shipped for nothing."""

from __future__ import annotations

from builders.inspection import (
    did,
    directory,
    file,
    hardlink,
    history,
    layer,
    opaque,
    symlink,
    whiteout,
)  # fmt: skip
from homeport.inspection.report.waste import find_waste


def test_a_layer_adds_changes_rewrites_and_touches_files() -> None:
    found = history(
        layer(file("a", b"1"), file("b", b"1"), file("c", b"1"), file("d", b"1")),
        layer(file("a", b"2"), file("b", b"1"), file("c", b"1", mode=0o600), file("e", b"1")),
    )
    assert did(found) == [
        {"a": "added", "b": "added", "c": "added", "d": "added"},
        {"a": "changed", "b": "rewritten", "c": "metadata", "e": "added"},
    ]
    assert {path: place.layer for path, place in found.final.items()} == {
        b"a": 1, b"b": 1, b"c": 1, b"d": 0, b"e": 1,
    }  # fmt: skip


def test_a_whiteout_removes_a_directory_with_everything_in_it() -> None:
    found = history(
        layer(directory("d"), file("d/x", b"12345"), file("keep")), layer(whiteout("d"))
    )
    assert did(found)[1] == {"d": "removed", "d/x": "removed"}
    assert [(c.path, c.by, c.wasted) for _, c in found.wasted()] == [(b"d/x", b"d", 5)]
    assert set(found.final) == {b"keep"}


def test_an_opaque_directory_hides_what_is_below_but_not_its_own_siblings() -> None:
    found = history(
        layer(directory("d"), file("d/old", b"123")),
        layer(directory("d"), file("d/new", b"1"), opaque("d")),
    )
    assert set(found.final) == {b"d", b"d/new"}
    assert did(found)[1] == {"d/old": "hidden", "d": "rewritten", "d/new": "added"}


def test_a_whiteout_speaks_of_lower_layers_alone() -> None:
    found = history(layer(file("a", b"1")), layer(file("a", b"2"), whiteout("a")))
    assert b"a" in found.final


def test_a_directory_that_becomes_a_file_takes_its_content_along() -> None:
    found = history(layer(directory("d"), file("d/x", b"123")), layer(file("d", b"1")))
    assert did(found)[1] == {"d/x": "replaced", "d": "changed"}
    assert set(found.final) == {b"d"}


def test_a_content_with_two_names_is_wasted_when_the_last_name_goes() -> None:
    base = layer(file("a", b"12345"), hardlink("b", "a"))
    assert find_waste(history(base, layer(whiteout("a")))).size == 0
    assert find_waste(history(base, layer(whiteout("a"), whiteout("b")))).size == 5


def test_files_below_a_linked_directory_land_where_the_link_leads() -> None:
    found = history(
        layer(directory("usr"), directory("usr/bin"), symlink("bin", "usr/bin")),
        layer(file("bin/tool", b"1")),
    )
    assert b"usr/bin/tool" in found.final
    assert found.resolve(b"bin/tool") == b"usr/bin/tool"


def test_a_link_that_leads_to_itself_leads_nowhere() -> None:
    found = history(layer(symlink("a", "b"), symlink("b", "a")))
    assert found.resolve(b"a") is None


def test_whiteouts_without_a_target_are_problems_and_no_end() -> None:
    found = history(layer(file("a")), layer(whiteout("nothing"), file("b")))
    assert found.problems == [".wh.nothing removes a path that does not exist"]
    assert set(found.final) == {b"a", b"b"}


def test_dives_figures_are_those_of_its_rules() -> None:
    """The worked example of the fact sheet: 100 MB rewritten, 40 MB deleted (scaled down)."""
    base = layer(file("a", b"1" * 1000), directory("d"), file("d/x", b"2" * 400))
    rewritten = layer(file("a", b"3" * 1000))
    one = find_waste(history(base, rewritten, layer(whiteout("d/x"))))
    assert (round(one.dive.score, 3), one.dive.wasted_bytes) == (0.417, 2400)
    assert one.dive.user_wasted == 2.4
    assert (one.size, one.by_cause) == (1400, {"changed": 1000, "removed": 400})
    whole = find_waste(history(base, rewritten, layer(whiteout("d"))))
    assert (round(whole.dive.score, 3), whole.dive.wasted_bytes) == (0.643, 2000)
    assert whole.by_cause == {"changed": 1000, "removed with directory": 400}
