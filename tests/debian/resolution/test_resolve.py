"""Resolution, case by case: packages, a request, the whole answer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.packages import MemoryIndex, index, package
from homeport.debian.package import Package
from homeport.debian.relations import parse_relations
from homeport.debian.resolution.explain import NoSolution
from homeport.debian.resolution.requirements import Limit, ResolveRequest, Root, parse_root
from homeport.debian.resolution.resolve import Resolution, resolve
from homeport.debian.version import BadVersion
from homeport.errors import UsageError


def answer(
    packages: list[Package], *roots: str, without: tuple[str, ...] = (), **request: object
) -> Resolution | NoSolution:
    request = ResolveRequest(
        roots=tuple(map(parse_root, roots)),
        without=frozenset(without),
        **request,  # type: ignore[arg-type]  # fields of ResolveRequest
    )
    return resolve(MemoryIndex(packages), "amd64", request)


def chosen(found: Resolution | NoSolution) -> list[str]:
    assert isinstance(found, Resolution), found
    return [f"{each.package.name}={each.package.version}" for each in found.packages]


def names(found: Resolution | NoSolution) -> str:
    return " ".join(text.partition("=")[0] for text in chosen(found))


def lines(found: Resolution | NoSolution) -> list[str]:
    assert isinstance(found, NoSolution), found
    return [line for problem in found.problems for line in problem.lines()]


def p(name: str, version: str = "1.0", **fields: str) -> Package:
    return package(name, version, **fields)


class TestWhatIsFollowed:
    def test_depends_and_pre_depends_are_followed_and_recommends_never(self) -> None:
        packages = [
            p("a", depends="b", pre_depends="c", recommends="d", suggests="d"),
            p("b", depends="e"),
            *map(p, "cde"),
        ]
        assert names(answer(packages, "a")) == "a b c e"

    def test_a_cycle_ends(self) -> None:
        packages = [p("libc6", depends="libgcc-s1"), p("libgcc-s1", depends="libc6 (>= 1)")]
        assert names(answer(packages, "libc6")) == "libc6 libgcc-s1"

    def test_the_highest_version_is_taken_in_debian_order(self) -> None:
        packages = [p("a", "1.9"), p("a", "1.10"), p("a", "1.10~rc1")]
        assert chosen(answer(packages, "a")) == ["a=1.10"]

    def test_of_one_version_in_two_suites_the_first_of_the_index_is_taken(self) -> None:
        packages = [p("a", suite="trixie"), p("a", suite="trixie-security")]
        found = answer(packages, "a")
        assert isinstance(found, Resolution)
        assert found.packages[0].package.suite == "trixie"

    def test_a_sliced_package_is_there_but_not_followed(self) -> None:
        packages = [p("a", depends="b"), p("b"), p("c", depends="a")]
        request = ResolveRequest(roots=(Root(name="a", follow=False), Root(name="c")))
        assert names(resolve(index(*packages), "amd64", request)) == "a c"

    def test_restrictions_to_other_architectures_and_profiles_do_not_count(self) -> None:
        packages = [
            p("a", depends="b [arm64], c [!arm64], d <!nodoc>, e <nodoc>, b [arm64] | f"),
            *map(p, "cdf"),
        ]
        assert names(answer(packages, "a")) == "a c d f"

    @pytest.mark.parametrize(
        ("restriction", "counts"),
        [
            ("[linux-any]", True),
            ("[any]", True),
            ("[any-amd64]", True),
            ("[hurd-any]", False),
            ("[kfreebsd-any arm64]", False),
            ("[!linux-any]", False),
            ("[!any]", False),
            ("[!hurd-any]", True),
            ("[!hurd-any !amd64]", False),
            ("<!nocheck !cross>", True),
            ("<!nocheck cross>", False),
            ("<!nocheck> <cross>", True),
            ("<stage1> <cross>", False),
            ("[linux-any] <cross>", False),
        ],
    )
    def test_wildcards_and_lists_of_profiles_restrict(self, restriction: str, counts: bool) -> None:
        found = answer([p("a", depends=f"b {restriction}"), p("b")], "a")
        assert names(found) == ("a b" if counts else "a")

    def test_architecture_qualifiers_reduce_to_the_one_architecture(self) -> None:
        packages = [p("a", depends="b:any, c:native, d:amd64"), *map(p, "bcd")]
        assert names(answer(packages, "a")) == "a b c d"

    def test_a_package_of_another_architecture_is_not_there(self) -> None:
        found = answer([p("a", depends="b:arm64"), p("b")], "a")
        assert lines(found) == ["the recipe asks for a", "a 1.0 depends on b:arm64"]


class TestAlternatives:
    def test_the_first_is_taken(self) -> None:
        assert names(answer([p("a", depends="b | c"), p("b"), p("c")], "a")) == "a b"

    def test_the_first_that_is_there_is_taken(self) -> None:
        assert names(answer([p("a", depends="b (>= 2) | c"), p("b"), p("c")], "a")) == "a c"

    @pytest.mark.parametrize("roots", [("a", "z"), ("z", "a")])
    def test_one_that_something_else_brings_is_enough(self, roots: tuple[str, ...]) -> None:
        packages = [
            p("a", depends="b | c"),
            p("z", depends="y"),
            p("y", depends="c"),
            *map(p, "bc"),
        ]
        assert names(answer(packages, *roots)) == "a c y z"

    def test_an_alternative_whose_own_needs_fail_is_given_up(self) -> None:
        packages = [p("a", depends="b | c"), p("b", depends="x"), p("x", depends="gone"), p("c")]
        assert names(answer(packages, "a")) == "a c"

    def test_the_search_goes_back_to_the_choice_that_has_to_do_with_the_failure(self) -> None:
        packages = [
            p("a", depends="b1 | b2, c1 | c2, d1 | d2, e"),
            p("b1"),
            p("b2"),
            p("c1", conflicts="e"),
            p("c2"),
            p("d1"),
            p("d2"),
            p("e", depends="f | g"),
            p("f", conflicts="b1"),
            p("g", conflicts="b1"),
        ]
        assert names(answer(packages, "a")) == "a b2 c2 d1 e f"

    def test_a_choice_without_an_option_left_gives_up_the_choice_that_it_rests_on(self) -> None:
        packages = [
            p("a", depends="b | c"),
            p("b", depends="x | y"),
            p("x", depends="gone"),
            p("y", depends="gone"),
            p("c"),
        ]
        assert names(answer(packages, "a")) == "a c"

    def test_a_choice_that_has_nothing_to_do_with_the_failure_is_not_tried_otherwise(self) -> None:
        # The ten between have a thousand ways, as many as the search is allowed to try.
        between = [p(f"o{n}", depends=f"o{n}a | o{n}b") for n in range(10)]
        packages = [
            p("a", depends="b | c"),
            *between,
            p("z", depends="z1 | z2"),
            p("z1", depends="last"),
            p("z2", depends="last"),
            p("last", conflicts="b"),
            *(p(f"o{n}{letter}") for n in range(10) for letter in "ab"),
            *map(p, "bc"),
        ]
        found = names(answer(packages, "a", *(each.name for each in between), "z")).split()
        assert (found[:2], found[-2:]) == (["a", "c"], ["z", "z1"])

    def test_what_every_option_rests_on_is_remembered_and_not_only_the_last(self) -> None:
        packages = [
            p("a", depends="b | c"),
            p("d", depends="x | y"),
            p("x", depends="needs-c"),
            p("needs-c", conflicts="b"),
            p("y", depends="gone"),
            *map(p, "bc"),
        ]
        assert names(answer(packages, "a", "d")) == "a c d needs-c x"

    def test_a_lower_version_is_taken_where_only_it_fits(self) -> None:
        packages = [p("a", depends="b, c"), p("b", "2"), p("b", "1"), p("c", depends="b (<< 2)")]
        assert chosen(answer(packages, "a")) == ["a=1.0", "b=1", "c=1.0"]


class TestVirtualPackages:
    def test_a_single_provider_is_taken(self) -> None:
        assert names(answer([p("a", depends="v"), p("b", provides="v")], "a")) == "a b"

    def test_a_versioned_dependency_needs_a_versioned_provides(self) -> None:
        packages = [p("a", depends="v (>= 2)"), p("b", provides="v"), p("c", provides="v (= 2.1)")]
        assert names(answer(packages, "a")) == "a c"

    def test_an_unversioned_provides_never_fulfils_a_version(self) -> None:
        found = answer([p("a", depends="v (>= 1)"), p("b", "9", provides="v")], "a")
        assert lines(found) == [
            "the recipe asks for a",
            "a 1.0 depends on v (>= 1)",
            "there is b 9 (amd64, trixie), but it provides v as no version, v (>= 1) is required",
        ]

    def test_the_real_package_wins_over_those_that_provide_its_name(self) -> None:
        packages = [p("a", depends="v"), p("b", provides="v"), p("v")]
        assert names(answer(packages, "a")) == "a v"

    def test_among_several_none_is_chosen_silently(self) -> None:
        packages = [p("a", depends="awk"), p("gawk", provides="awk"), p("mawk", provides="awk")]
        found = answer(packages, "a")
        assert lines(found) == [
            "the recipe asks for a",
            "a 1.0 depends on awk",
            "there is gawk 1.0 (amd64, trixie), but it is one of 2 providers of awk; name one",
            "there is mawk 1.0 (amd64, trixie), but it is one of 2 providers of awk; name one",
        ]
        assert isinstance(found, NoSolution)
        assert found.error().hint == "add one of gawk, mawk to the recipe's packages"

    def test_among_several_the_one_that_is_named_does(self) -> None:
        packages = [p("a", depends="awk"), p("gawk", provides="awk"), p("mawk", provides="awk")]
        assert names(answer(packages, "a", "mawk")) == "a mawk"

    def test_two_required_ones_are_as_many_as_any_two(self) -> None:
        packages = [
            p("a", depends="awk"),
            p("gawk", provides="awk", priority="required"),
            p("mawk", provides="awk", priority="required"),
        ]
        assert lines(answer(packages, "a"))[-1].endswith(
            "it is one of 2 providers of awk; name one"
        )

    def test_where_a_real_package_is_refused_its_providers_are_not_the_reason(self) -> None:
        packages = [
            p("a", depends="v", conflicts="v"),
            p("v"),
            p("v1", provides="v"),
            p("v2", provides="v"),
        ]
        assert lines(answer(packages, "a")) == [
            "the recipe asks for a",
            "a 1.0 depends on v",
            "there is v 1.0 (amd64, trixie), but a 1.0 conflicts with it",
        ]

    def test_among_several_the_required_one_does(self) -> None:
        packages = [
            p("a", depends="awk"),
            p("gawk", provides="awk"),
            p("mawk", provides="awk", priority="required"),
        ]
        assert names(answer(packages, "a")) == "a mawk"

    def test_an_alternative_named_first_comes_before_the_virtual_one(self) -> None:
        packages = [
            p("a", depends="debconf (>= 0.5) | debconf-2.0"),
            p("cdebconf", provides="debconf-2.0"),
            p("debconf", provides="debconf-2.0"),
        ]
        assert names(answer(packages, "a")) == "a debconf"

    def test_an_alternative_waits_for_one_of_several_providers_that_something_else_brings(
        self,
    ) -> None:
        packages = [
            p("a", depends="b | v"),
            p("b"),
            p("v1", provides="v"),
            p("v2", provides="v"),
            p("z", depends="v2"),
        ]
        assert names(answer(packages, "a")) == "a b"
        assert names(answer(packages, "a", "z")) == "a v2 z"

    def test_where_several_provide_it_an_earlier_choice_may_bring_one_of_them(self) -> None:
        packages = [
            p("a", depends="n | v2"),
            p("b", depends="p | q"),
            p("n"),
            p("p", depends="v"),
            p("q", depends="v"),
            p("v1", provides="v"),
            p("v2", provides="v"),
        ]
        assert names(answer(packages, "a", "b")) == "a b p v2"

    def test_a_root_that_one_package_provides_takes_that_package(self) -> None:
        packages = [p("libssl3t64", provides="libssl3 (= 1.0)", depends="zlib1g"), p("zlib1g")]
        assert names(answer(packages, "libssl3")) == "libssl3t64 zlib1g"

    def test_a_root_with_several_providers_or_a_version_must_be_the_real_name(self) -> None:
        gawk, mawk = p("gawk", provides="awk (= 2)"), p("mawk", provides="awk (= 1)")
        assert lines(answer([gawk, mawk], "awk"))[0] == "the recipe asks for awk"
        mawk_required = p("mawk", provides="awk", priority="required")
        assert lines(answer([gawk, mawk_required], "awk")) == [
            "the recipe asks for awk",
            "there is gawk 1.0 (amd64, trixie), but it is one of 2 providers of awk; name one",
            "there is mawk 1.0 (amd64, trixie), but it is one of 2 providers of awk; name one",
        ]
        assert lines(answer([mawk], "awk=1")) == [
            "the recipe asks for awk=1",
            "there is mawk 1.0 (amd64, trixie), but it only provides awk: name that",
        ]


class TestLimits:
    PACKAGES = (
        p("a", "2", suite="sid"),
        p("a", "1.2", suite="trixie"),
        p("a", "1.1", suite="trixie"),
        p("b", depends="a"),
    )

    @pytest.mark.parametrize(
        ("root", "version"),
        [
            ("a", "2"),
            ("a=1.1", "1.1"),
            ("a/trixie", "1.2"),
            ("a=1.1/trixie", "1.1"),
            ("a=1.*", "1.2"),
        ],
    )
    def test_a_root_may_name_version_and_suite(self, root: str, version: str) -> None:
        assert chosen(answer(list(self.PACKAGES), root)) == [f"a={version}"]

    def test_a_limit_of_a_root_holds_for_dependencies_on_it_too(self) -> None:
        assert chosen(answer(list(self.PACKAGES), "b", "a=1.1")) == ["a=1.1", "b=1.0"]

    def test_a_pin_holds_wherever_the_package_is_chosen(self) -> None:
        found = answer(list(self.PACKAGES), "b", pins={"a": Limit(suite="trixie")})
        assert chosen(found) == ["a=1.2", "b=1.0"]

    def test_a_version_of_a_lockfile_is_kept_while_it_fits(self) -> None:
        assert chosen(answer(list(self.PACKAGES), "b", keep={"a": "1.2"})) == ["a=1.2", "b=1.0"]
        assert chosen(answer(list(self.PACKAGES), "a=2", keep={"a": "1.2"})) == ["a=2"]

    def test_a_reluctant_suite_is_used_only_where_it_is_named_or_nothing_else_fits(self) -> None:
        packages = [*self.PACKAGES, p("c", depends="a (>= 2)")]
        not_automatic = frozenset({("debian", "sid")})
        assert chosen(answer(packages, "b", not_automatic=not_automatic)) == ["a=1.2", "b=1.0"]
        assert chosen(answer(packages, "a/sid", not_automatic=not_automatic)) == ["a=2"]
        assert chosen(answer(packages, "c", not_automatic=not_automatic)) == ["a=2", "c=1.0"]
        of_another = frozenset({("vendor", "sid")})
        assert chosen(answer(packages, "b", not_automatic=of_another)) == ["a=2", "b=1.0"]

    def test_a_version_that_is_not_there_is_told_with_those_that_are(self) -> None:
        assert lines(answer(list(self.PACKAGES), "a=3")) == [
            "the recipe asks for a=3",
            "there is a 2 (amd64, sid), but a=3 is required",
            "there is a 1.2 (amd64, trixie), but a=3 is required",
            "there is a 1.1 (amd64, trixie), but a=3 is required",
        ]

    @pytest.mark.parametrize("text", ["", "a b", "a=", "a=1=2", "a/b/c", "/x", "a (>= 1)", "a=x:1"])
    def test_a_root_that_cannot_be_read_is_a_usage_error(self, text: str) -> None:
        with pytest.raises((UsageError, BadVersion), match=r"invalid"):
            parse_root(text)


class TestLeavingOut:
    def test_a_dependency_left_out_on_purpose_is_recorded(self) -> None:
        packages = [p("a", depends="perl-base (>= 5), b"), p("b"), p("perl-base", "5.4")]
        found = answer(packages, "a", without=("perl-base",))
        assert names(found) == "a b"
        assert isinstance(found, Resolution)
        assert [(out.name, out.by.name, out.field, out.text) for out in found.left_out] == [
            ("perl-base", "a", "Depends", "perl-base (>= 5)")
        ]

    def test_what_an_abandoned_choice_left_out_is_not_recorded(self) -> None:
        packages = [p("a", depends="b | c"), p("b", depends="x, d"), p("d", depends="gone"), p("c")]
        found = answer(packages, "a", without=("x",))
        assert names(found) == "a c"
        assert isinstance(found, Resolution)
        assert found.left_out == ()

    def test_leaving_out_one_alternative_does_not_pull_in_the_other(self) -> None:
        packages = [p("a", depends="debconf | cdebconf"), p("debconf"), p("cdebconf")]
        assert names(answer(packages, "a", without=("debconf",))) == "a"

    def test_an_alternative_that_is_there_anyway_fulfils_the_dependency(self) -> None:
        packages = [p("a", depends="debconf | cdebconf"), p("debconf"), p("cdebconf")]
        found = answer(packages, "a", "cdebconf", without=("debconf",))
        assert names(found) == "a cdebconf"
        assert isinstance(found, Resolution)
        assert found.left_out == ()

    def test_leaving_out_the_only_provider_leaves_out_the_virtual_package(self) -> None:
        packages = [p("a", depends="default-mta | mta"), p("exim", provides="default-mta, mta")]
        assert names(answer(packages, "a", without=("exim",))) == "a"

    def test_a_virtual_package_is_left_out_only_with_all_that_provide_it(self) -> None:
        packages = [
            p("a", depends="mta"),
            p("exim", provides="mta"),
            p("nullmailer", provides="mta"),
        ]
        assert names(answer(packages, "a", without=("exim",))) == "a nullmailer"
        found = answer(packages, "a", without=("exim", "nullmailer"))
        assert names(found) == "a"
        assert isinstance(found, Resolution)
        assert [left.name for left in found.left_out] == ["exim"]

    def test_a_real_package_counts_although_those_that_provide_its_name_are_left_out(self) -> None:
        packages = [p("a", depends="mta"), p("exim", provides="mta"), p("mta")]
        assert names(answer(packages, "a", without=("exim",))) == "a mta"

    def test_a_package_that_is_asked_for_cannot_be_left_out(self) -> None:
        assert lines(answer([p("a")], "a", without=("a",))) == [
            "the recipe asks for a",
            "there is a 1.0 (amd64, trixie), but the recipe leaves it out",
        ]


class TestConflicts:
    @pytest.mark.parametrize("field", ["conflicts", "breaks"])
    def test_packages_that_exclude_each_other_are_no_answer(self, field: str) -> None:
        found = answer([p("a", **{field: "b"}), p("b")], "a", "b")
        assert lines(found) == [
            "the recipe asks for b",
            "there is b 1.0 (amd64, trixie), but a 1.0 conflicts with it",
        ]

    @pytest.mark.parametrize("field", ["conflicts", "breaks"])
    def test_whichever_of_the_two_is_chosen_first(self, field: str) -> None:
        found = answer([p("a"), p("b", **{field: "a"})], "a", "b")
        assert lines(found)[-1].endswith("but it conflicts with a 1.0")

    def test_a_conflict_with_a_version_means_the_version_that_is_provided(self) -> None:
        packages = [p("a", conflicts="v (<< 2)"), p("b", provides="v (= 2)")]
        assert names(answer(packages, "a", "b")) == "a b"
        packages = [p("a", conflicts="v (<< 2)"), p("b", provides="v (= 1)")]
        assert lines(answer(packages, "a", "b"))[-1].endswith("a 1.0 conflicts with it")

    def test_a_conflict_with_another_version_is_none(self) -> None:
        assert names(answer([p("a", breaks="b (<< 1)"), p("b")], "a", "b")) == "a b"

    def test_a_package_may_conflict_with_a_name_that_it_provides_itself(self) -> None:
        packages = [p("a", provides="mta", conflicts="mta"), p("b", provides="mta")]
        assert names(answer(packages, "a")) == "a"
        assert lines(answer(packages, "a", "b"))[-1].endswith("a 1.0 conflicts with it")

    def test_a_versioned_conflict_does_not_mean_an_unversioned_provides(self) -> None:
        packages = [p("a", conflicts="v (<< 9)"), p("b", provides="v")]
        assert names(answer(packages, "a", "b")) == "a b"

    def test_a_conflict_makes_the_other_alternative_the_answer(self) -> None:
        packages = [p("a", depends="b | c", conflicts="b"), p("b"), p("c")]
        assert names(answer(packages, "a")) == "a c"


class TestExplanations:
    def test_a_missing_dependency_is_told_with_its_chain_and_near_names(self) -> None:
        packages = [p("app", depends="lib"), p("lib", depends="libzstd (>= 1)"), p("libzstd1")]
        found = answer(packages, "app")
        assert lines(found) == [
            "the recipe asks for app",
            "app 1.0 depends on lib",
            "lib 1.0 depends on libzstd (>= 1)",
            "no package is named libzstd",
        ]
        assert isinstance(found, NoSolution)
        assert found.error().hint == "did you mean libzstd1 or lib?"

    @pytest.mark.parametrize(
        ("asked", "hint"),
        [
            ("a=3", "require an available version, or a date when it was available"),
            ("zzzzzz", "add the archive, suite or component"),
            ("b", "add a suite that has it, or leave it out"),
        ],
    )
    def test_the_error_says_what_to_do_next(self, asked: str, hint: str) -> None:
        found = answer([p("a"), p("b", depends="a (>= 9)")], asked)
        assert isinstance(found, NoSolution)
        assert found.error().hint.startswith(hint)

    def test_all_roots_that_are_not_there_are_told_at_once(self) -> None:
        found = answer([p("a")], "nothing", "a", "nowhere")
        assert lines(found) == [
            "the recipe asks for nothing",
            "no package is named nothing",
            "the recipe asks for nowhere",
            "no package is named nowhere",
        ]

    def test_the_error_holds_the_explanation_as_data(self) -> None:
        found = answer([p("a", depends="b (>= 2)"), p("b")], "a")
        assert isinstance(found, NoSolution)
        error = found.error()
        assert error.to_json() == {
            "id": "unresolvable",
            "exit_code": 1,
            "what": "no packages for amd64 satisfy the request: the recipe asks for a; "
            "a 1.0 depends on b (>= 2); "
            "there is b 1.0 (amd64, trixie), but b (>= 2) is required",
            "where": {"architecture": "amd64"},
            "hint": "add a suite that has it, or leave it out with 'without' in the recipe",
            "gave_up": False,
            "problems": [
                {
                    "chain": [
                        {"by": None, "field": "recipe", "wants": "a"},
                        {"by": "a 1.0 amd64", "field": "Depends", "wants": "b (>= 2)"},
                    ],
                    "available": [
                        {
                            "package": "b 1.0 amd64",
                            "suite": "trixie",
                            "why_not": "b (>= 2) is required",
                        }
                    ],
                    "unknown": [],
                    "near_names": [],
                }
            ],
        }

    def test_every_chosen_package_says_why_it_is_there(self) -> None:
        packages = [p("a", depends="b"), p("b", pre_depends="c | d"), p("c")]
        found = answer(packages, "a=1.0")
        assert isinstance(found, Resolution)
        assert list(map(str, found.chain("c"))) == [
            "the recipe asks for a=1.0",
            "a 1.0 depends on b",
            "b 1.0 pre-depends on c | d",
        ]

    def test_failures_of_lower_versions_do_not_hide_that_of_the_best(self) -> None:
        packages = [p("a", "2", depends="c"), p("a", "1", depends="d"), p("b", depends="a (>= 2)")]
        assert lines(answer(packages, "a", "b")) == [
            "the recipe asks for a",
            "a 2 depends on c",
            "no package is named c",
        ]

    def test_failures_of_all_alternatives_are_told(self) -> None:
        packages = [p("a", depends="b | c"), p("b", depends="gone"), p("c", depends="lost")]
        assert [line for line in lines(answer(packages, "a")) if "no package" in line] == [
            "no package is named gone",
            "no package is named lost",
        ]

    def test_a_search_without_end_gives_up_at_its_bound_and_says_so(self) -> None:
        # Ten pigeons, each of which needs one of nine holes, and each hole takes one.
        holes = range(9)
        packages = [
            package(
                f"h{pigeon}-{hole}",
                provides=f"hole{hole}",
                conflicts=f"hole{hole}",
            )
            for pigeon in range(10)
            for hole in holes
        ]
        packages += [
            package(f"p{pigeon}", depends=" | ".join(f"h{pigeon}-{hole}" for hole in holes))
            for pigeon in range(10)
        ]
        found = answer(packages, *(f"p{pigeon}" for pigeon in range(10)))
        assert isinstance(found, NoSolution)
        assert found.gave_up
        assert "pin a version" in str(found.error().hint)


# Small archives of everything that resolution knows, for laws over all of them.
few = st.sampled_from("abcdef")
relation = st.builds(
    lambda name, constraint: f"{name}{constraint}",
    st.sampled_from("abcdefvw"),
    st.sampled_from(["", "", " (>= 2)", " (<< 2)", " (= 1)"]),
)
group = st.lists(relation, min_size=1, max_size=3).map(" | ".join)
field = st.lists(group, max_size=2).map(", ".join)
archives = st.lists(
    st.builds(
        lambda name, version, depends, provides, conflicts: p(
            name, version, depends=depends, provides=provides, conflicts=conflicts
        ),
        few,
        st.sampled_from("12"),
        field,
        st.sampled_from(["", "v", "w (= 2)", "v (= 1), w"]),
        st.sampled_from(["", "", "", "a", "v", "b (<< 2)"]),
    ),
    max_size=9,
    unique_by=lambda each: (each.name, each.file.id.version),
)
requests = st.lists(few, min_size=1, max_size=3, unique=True)


def fulfils(each: Package, text: str) -> bool:
    """Policy 7, naively: the oracle that the search is held against."""
    (wanted,) = parse_relations(text)
    if each.name == wanted.name and wanted.allows(each.version):
        return True
    return any(
        given.name == wanted.name
        and (wanted.version is None or (given.version is not None and wanted.allows(given.version)))
        for given in each.provides
    )


def is_consistent(packages: list[Package]) -> bool:
    """Every dependency is fulfilled and no two packages exclude each other."""
    if len({each.name for each in packages}) != len(packages):
        return False
    for each in packages:
        for group in (*each.depends, *each.pre_depends):
            if not any(fulfils(other, str(r)) for r in group for other in packages):
                return False
        for conflict in each.conflicts:
            if any(fulfils(o, str(conflict)) for o in packages if o is not each):
                return False
    return True


def any_consistent(archive: list[Package], roots: list[str]) -> bool:
    """Whether some set of packages with these roots is consistent, by trying all."""
    by_name: dict[str, list[Package | None]] = {}
    for each in archive:
        by_name.setdefault(each.name, [None]).append(each)
    if not by_name.keys() >= set(roots):
        return False
    sets: list[list[Package]] = [[]]
    for name, options in by_name.items():
        usable = [option for option in options if option is not None or name not in roots]
        sets = [[*have, *([o] if o else [])] for have in sets for o in usable]
    return any(is_consistent(have) for have in sets)


def several_provide_the_same(archive: list[Package]) -> bool:
    """Whether there is a choice that nobody may make silently."""
    providers = {
        virtual: {each.name for each in archive if virtual in {r.name for r in each.provides}}
        for virtual in "vw"
    }
    return any(len(names) > 1 for names in providers.values())


@settings(max_examples=200, deadline=None)
@given(archives, requests)
def test_an_answer_is_consistent_and_none_is_given_only_where_there_is_none_or_a_choice(
    archive: list[Package], roots: list[str]
) -> None:
    found = answer(archive, *roots)
    if isinstance(found, Resolution):
        packages = [each.package for each in found.packages]
        assert {each.name for each in packages} >= set(roots)
        assert is_consistent(packages)
    elif any_consistent(archive, roots):
        assert several_provide_the_same(archive)


@settings(max_examples=100, deadline=None)
@given(archives, requests, st.randoms(use_true_random=False))
def test_the_order_of_roots_and_of_the_index_does_not_matter(
    archive: list[Package], roots: list[str], random: object
) -> None:
    mixed, mixed_roots = list(archive), list(roots)
    random.shuffle(mixed)  # type: ignore[attr-defined]  # a random.Random
    random.shuffle(mixed_roots)  # type: ignore[attr-defined]  # a random.Random
    assert answer(archive, *roots) == answer(mixed, *mixed_roots)


@settings(max_examples=100, deadline=None)
@given(archives, requests)
def test_asking_for_exactly_what_was_chosen_chooses_the_same(
    archive: list[Package], roots: list[str]
) -> None:
    found = answer(archive, *roots)
    if isinstance(found, Resolution):
        again = answer(archive, *chosen(found))
        assert chosen(again) == chosen(found)
