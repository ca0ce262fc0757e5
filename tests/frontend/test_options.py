"""What BuildKit's variables ask of the frontend, and how its answers look."""

from __future__ import annotations

import json
import re

import pytest

from homeport.errors import Faults, HomeportError, UsageError
from homeport.frontend.options import read_options
from homeport.frontend.run import error_text, one_layer
from homeport.oci.platform import parse_platform


def options(*given: str, **variables: str) -> dict[str, str]:
    numbered = {f"BUILDKIT_FRONTEND_OPT_{n}": text for n, text in enumerate(given)}
    return {**numbered, **variables}


def test_options_of_a_build_are_read() -> None:
    read = read_options(
        options(
            "filename=./demo.yaml", "platform=linux/amd64,linux/arm/v7", "label:a=b=c",
            "build-arg:HOMEPORT_MIRROR=http://one http://two", "build-arg:SOURCE_DATE_EPOCH=17",
            "build-arg:OTHER=x", "attest:sbom=generator=x", "multi-platform=true",
            BUILDKIT_SESSION_ID="s", OTHER="y",
        )
    )  # fmt: skip
    assert (read.filename, read.session, read.epoch) == ("demo.yaml", "s", 17)
    assert [str(each) for each in read.platforms] == ["linux/amd64", "linux/arm/v7"]
    assert (read.labels, read.sbom, read.multiple) == ({"a": "b=c"}, True, True)
    assert read.mirrors == ("http://one", "http://two")


def test_without_options_the_engine_decides() -> None:
    workers = '[{"ID":"x","Platforms":[{"architecture":"arm64","os":"linux"}]}]'
    read = read_options({"BUILDKIT_WORKERS": workers})
    assert (read.filename, read.platforms) == ("homeport.yaml", ())
    assert read.engine == (parse_platform("linux/arm64").normalized(),)
    assert read_options({"BUILDKIT_WORKERS": "no JSON"}).engine == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("target=x", "no target 'x'"),
        ("context=https://host/repository.git", "not from 'https://host/repository.git'"),
        ("context=git@host:a/b", "not from 'git@host:a/b'"),
        ("build-arg:SOURCE_DATE_EPOCH=soon", "invalid SOURCE_DATE_EPOCH 'soon'"),
        ("build-arg:SOURCE_DATE_EPOCH=" + "9" * 30, "invalid SOURCE_DATE_EPOCH"),
    ],
)
def test_what_a_recipe_cannot_do_is_an_error(given: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        read_options(options(given))


def test_a_config_leaves_layers_to_the_engine() -> None:
    config = {
        "os": "linux", "rootfs": {"type": "layers", "diff_ids": ["sha256:1", "sha256:2"]},
        "history": [{"created_by": "one"}, {"created_by": "two"}], "config": {"User": "1"},
    }  # fmt: skip
    assert json.loads(one_layer(json.dumps(config).encode())) == {
        "os": "linux", "rootfs": {"type": "layers", "diff_ids": []},
        "history": [{"created_by": "one"}], "config": {"User": "1"},
    }  # fmt: skip


def test_errors_have_file_line_and_hint_and_no_control_characters() -> None:
    place = {"file": "homeport.yaml", "line": 3, "column": 5}
    faults = Faults([HomeportError("unknown field", where=place, hint="drop it")], what="1 fault")
    assert error_text(faults) == "homeport.yaml:3:5: unknown field\n  hint: drop it"
    assert error_text(HomeportError("a\x1b[31mb")) == "a\\x1b[31mb"
