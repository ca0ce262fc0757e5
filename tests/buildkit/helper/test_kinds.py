"""What an image is a helper for, by its configuration."""

from __future__ import annotations

import pytest

from homeport.buildkit.helper.kinds import KINDS, kind_of
from homeport.buildkit.helper.verification import choose_cases
from homeport.errors import UsageError
from homeport.oci.documents import RunConfig


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("copy", RunConfig(entrypoint=("/usr/bin/copy",))),
        ("copy", RunConfig()),
        ("binfmt", RunConfig(entrypoint=("/usr/bin/binfmt",))),
        ("sbom-scanner", RunConfig(entrypoint=("/usr/bin/sbom-scanner",))),
        ("sbom-scanner", RunConfig(cmd=("/bin/syft-scanner",))),
        ("dockerfile", RunConfig(entrypoint=("/bin/dockerfile-frontend",))),
        ("dockerfile", RunConfig(entrypoint=("/x",),
                                 labels={"moby.buildkit.frontend.network.none": "true"})),
    ],
)  # fmt: skip
def test_labels_and_the_name_of_the_program_say_it(kind: str, config: RunConfig) -> None:
    assert kind_of(config).name == kind


def test_names_of_cases_differ_and_a_text_that_is_in_none_is_an_error() -> None:
    for kind in KINDS.values():
        names = [case.name for case in kind.cases]
        assert len(set(names)) == len(names)
        assert choose_cases(kind, [names[-1].upper()])[-1] is kind.cases[-1]
        with pytest.raises(UsageError, match=f"helper for {kind.name} contains nonsense"):
            choose_cases(kind, ["nonsense"])
