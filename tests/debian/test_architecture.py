import pytest

from homeport.debian.architecture import (
    ARCHITECTURE_OF,
    PLATFORM_OF,
    TRIPLET_OF,
    matches_architecture,
)


def test_the_seven_platforms_of_the_catalog_have_their_debian_names() -> None:
    assert {
        "linux/amd64": "amd64",
        "linux/arm64": "arm64",
        "linux/arm/v7": "armhf",
        "linux/386": "i386",
        "linux/ppc64le": "ppc64el",
        "linux/s390x": "s390x",
        "linux/riscv64": "riscv64",
    }.items() <= ARCHITECTURE_OF.items()


def test_the_mapping_goes_both_ways_and_every_architecture_has_a_triplet() -> None:
    assert {ARCHITECTURE_OF[platform]: platform for platform in ARCHITECTURE_OF} == PLATFORM_OF
    assert TRIPLET_OF.keys() == PLATFORM_OF.keys()


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("amd64", "amd64"),
        ("linux-amd64", "amd64"),
        ("any", "amd64 arm64 armel armhf i386"),
        ("linux-any", "amd64 arm64 armel armhf i386"),
        ("gnu-linux-any", "amd64 arm64 armel armhf i386"),
        ("any-any-any", "amd64 arm64 armel armhf i386"),
        ("any-arm", "armel armhf"),
        ("any-amd64", "amd64"),
        ("eabihf-gnu-any-any", "armhf"),
        ("base-gnu-linux-any", "amd64 arm64 i386"),
        ("hurd-any", ""),
        ("musl-linux-any", ""),
        ("any-any-any-any-any", ""),
        ("any-linux", ""),
        ("arm", ""),
    ],
)
def test_wildcards_mean_the_architectures_that_dpkg_says(pattern: str, meant: str) -> None:
    known = ("amd64", "arm64", "armel", "armhf", "i386")
    assert " ".join(name for name in known if matches_architecture(name, pattern)) == meant
