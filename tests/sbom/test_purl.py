"""Package URLs by the rules of their types (purl-spec), as scanners write and compare them."""

from __future__ import annotations

import pytest

from homeport.sbom import purl
from homeport.sbom.model import Component


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        (
            Component(
                kind="rpm", name="bash", version="1:5.2-1.fc39", vendor="fedora",
                architecture="x86_64", distribution="fedora-39", source="bash-5.2-1.fc39.src.rpm",
            ),
            "pkg:rpm/fedora/bash@5.2-1.fc39?arch=x86_64&distro=fedora-39&epoch=1"
            "&upstream=bash-5.2-1.fc39.src.rpm",
        ),
        (
            Component(kind="rpm", name="bash", version="5.2-1", architecture="noarch"),
            "pkg:rpm/bash@5.2-1?arch=noarch",
        ),
        (
            Component(
                kind="apk", name="ca-certificates-bundle", version="20250911-r0", vendor="alpine",
                architecture="x86_64", distribution="alpine-3.22.1", source="ca-certificates",
            ),
            "pkg:apk/alpine/ca-certificates-bundle@20250911-r0"
            "?arch=x86_64&distro=alpine-3.22.1&upstream=ca-certificates",
        ),
        (Component(kind="pypi", name="Typing_Extensions", version="4.1"),
         "pkg:pypi/typing-extensions@4.1"),
        (Component(kind="npm", name="@babel/core", version="7.0.0"),
         "pkg:npm/%40babel/core@7.0.0"),
        (Component(kind="golang", name="github.com/a/b", version="v0.1.0"),
         "pkg:golang/github.com/a/b@v0.1.0"),
    ],
    ids=["rpm", "rpm without an epoch", "apk", "pypi", "npm", "golang"],
)  # fmt: skip
def test_a_component_is_named_by_the_rules_of_its_type(component: Component, expected: str) -> None:
    assert purl.component(component) == expected
