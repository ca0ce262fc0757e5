"""Platforms and Debian's architectures name each other."""

from __future__ import annotations

import pytest

from homeport.debian.architecture import ARCHITECTURE_OF, PLATFORM_OF
from homeport.errors import UsageError
from homeport.oci.platform import parse_platform
from homeport.recipe.platforms import debian_architecture


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURE_OF.values()))
def test_every_architecture_is_that_of_its_platform(architecture: str) -> None:
    assert debian_architecture(parse_platform(PLATFORM_OF[architecture])) == architecture


@pytest.mark.parametrize(
    ("platform", "architecture"),
    [
        ("linux/arm", "armhf"),
        ("linux/arm64/v8", "arm64"),
        ("x86_64", "amd64"),
        ("linux/amd64/v3", "amd64"),
    ],
)
def test_other_spellings_and_later_variants_have_an_architecture_too(
    platform: str, architecture: str
) -> None:
    assert debian_architecture(parse_platform(platform)) == architecture


@pytest.mark.parametrize("platform", ["linux/arm/v6", "windows/amd64", "linux/vax", "linux/arm/v9"])
def test_a_platform_without_one_is_refused(platform: str) -> None:
    with pytest.raises(UsageError):
        debian_architecture(parse_platform(platform))
