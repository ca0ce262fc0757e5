"""Which archive a package comes from where several have it: the first of the recipe."""

from __future__ import annotations

import pytest

from builders.packages import index, package
from homeport.debian.package import Package
from homeport.debian.resolution.archive_order import ArchiveOrder
from homeport.debian.resolution.explain import NoSolution
from homeport.debian.resolution.requirements import Limit, ResolveRequest, parse_root
from homeport.debian.resolution.resolve import Resolution, resolve

RANKS = {"debian": 0, "debian-security": 0, "vendor": 2}


def debian(name: str, version: str = "1", **fields: str) -> Package:
    return package(name, version, **fields)


def security(name: str, version: str) -> Package:
    return package(name, version, archive="debian-security", suite="trixie-security")


def vendor(name: str, version: str = "99", **fields: str) -> Package:
    return package(name, version, archive="vendor", suite="stable", **fields)


def answer(
    packages: list[Package],
    *roots: str,
    overrides: frozenset[str] = frozenset(),
    pins: dict[str, Limit] | None = None,
) -> Resolution | NoSolution:
    request = ResolveRequest(
        roots=tuple(map(parse_root, roots)),
        pins=pins or {},
        archives=ArchiveOrder(ranks=RANKS, overrides={"vendor": overrides}),
    )
    return resolve(index(*packages), "amd64", request)


def sources(found: Resolution | NoSolution) -> dict[str, str]:
    assert isinstance(found, Resolution), found
    return {
        each.package.name: f"{each.package.version} of {each.package.file.archive}"
        for each in found.packages
    }


@pytest.mark.parametrize("version", ["99", "1:0", "1", "0.5"])
def test_the_first_archive_that_has_a_package_wins_whatever_the_versions(version: str) -> None:
    found = answer([debian("app"), vendor("app", version)], "app")
    assert sources(found) == {"app": "1 of debian"}


def test_a_dependency_comes_from_the_first_archive_too() -> None:
    found = answer([debian("app", depends="libc6"), debian("libc6"), vendor("libc6")], "app")
    assert sources(found) == {"app": "1 of debian", "libc6": "1 of debian"}


def test_security_updates_of_debian_replace_its_packages() -> None:
    found = answer([debian("app"), security("app", "1.1"), vendor("app")], "app")
    assert sources(found) == {"app": "1.1 of debian-security"}


def test_what_only_a_later_archive_has_comes_from_there() -> None:
    found = answer([vendor("tool", depends="libc6"), debian("libc6"), vendor("libc6")], "tool")
    assert sources(found) == {"tool": "99 of vendor", "libc6": "1 of debian"}


def test_an_archive_replaces_the_packages_that_it_lists_and_no_others() -> None:
    packages = [
        debian("nginx", depends="libc6"), debian("libc6"),
        vendor("nginx", depends="libc6"), vendor("libc6"),
    ]  # fmt: skip
    found = answer(packages, "nginx", overrides=frozenset({"nginx"}))
    assert sources(found) == {"nginx": "99 of vendor", "libc6": "1 of debian"}


@pytest.mark.parametrize("root", ["app/stable", "app=99/stable"])
def test_a_suite_that_is_named_decides(root: str) -> None:
    assert sources(answer([debian("app"), vendor("app")], root)) == {"app": "99 of vendor"}


def test_a_pin_to_a_suite_decides_for_dependencies() -> None:
    packages = [debian("app", depends="lib"), debian("lib"), vendor("lib")]
    found = answer(packages, "app", pins={"lib": Limit(suite="stable")})
    assert sources(found) == {"app": "1 of debian", "lib": "99 of vendor"}


def test_a_version_alone_names_no_archive() -> None:
    """Else the vendor serves what Debian no longer has, under the pinned version."""
    found = answer([debian("app", "2"), vendor("app", "1")], "app=1")
    assert isinstance(found, NoSolution)
    (problem,) = found.problems
    told = {reject.package.version: reject.why_not for reject in problem.available}
    assert told == {
        "2": "app=1 is required",
        "1": "app comes from debian; to take it from vendor, add it to 'packages' of that archive, "
        "or pin its suite",
    }


def test_a_real_package_of_a_later_archive_does_not_replace_what_is_provided() -> None:
    packages = [
        debian("app", depends="lib"), debian("libt64", provides="lib (= 1)"), vendor("lib"),
    ]  # fmt: skip
    assert sources(answer(packages, "app")) == {"app": "1 of debian", "libt64": "1 of debian"}
    assert sources(answer(packages, "lib")) == {"lib": "99 of vendor"}


def test_a_provider_of_a_later_archive_is_not_chosen_for_its_priority() -> None:
    packages = [
        debian("app", depends="mta"), debian("exim", provides="mta"),
        vendor("mta2", provides="mta", priority="required"),
    ]  # fmt: skip
    assert sources(answer(packages, "app")) == {"app": "1 of debian", "exim": "1 of debian"}
    both = answer(packages, "app", "mta2")
    assert sources(both) == {"app": "1 of debian", "mta2": "99 of vendor"}


def test_higher_versions_of_later_archives_are_reported() -> None:
    found = answer([debian("app"), vendor("app", "2"), vendor("app", "3"), debian("b", "9")], "app")
    assert isinstance(found, Resolution)
    assert list(map(str, found.higher_elsewhere)) == [
        "app: the archive vendor has 3, which is higher; 1 of debian is used, which precedes it"
    ]
