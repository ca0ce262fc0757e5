from homeport.debian.architecture import ARCHITECTURE_OF, PLATFORM_OF, TRIPLET_OF


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
