"""Platforms find engines: native first, then emulated, or an error that names them."""

from __future__ import annotations

import pytest

from homeport.buildkit.engine import Description, Worker
from homeport.buildkit.scheduling import NoEngineFor, schedule
from homeport.oci.platform import parse_platform


def engine(*platforms: str) -> Description:
    worker = Worker(id="w", platforms=tuple(map(parse_platform, platforms)), labels=())
    return Description(engine="e", kind="docker", version="", workers=(worker,))


def placed(engines: dict[str, Description], *platforms: str) -> dict[str, list[str]]:
    found = schedule([parse_platform(text) for text in platforms], engines)
    return {name: [str(platform) for platform in each] for name, each in found.items()}


def test_a_platform_goes_to_the_engine_that_runs_it_natively() -> None:
    engines = {"a": engine("linux/amd64", "linux/arm64"), "b": engine("linux/arm64")}
    assert placed(engines, "linux/arm64", "linux/amd64") == {
        "a": ["linux/amd64"],
        "b": ["linux/arm64"],
    }


def test_a_processor_runs_its_elder_too() -> None:
    engines = {"a": engine("linux/amd64"), "b": engine("linux/arm64")}
    assert placed(engines, "linux/386", "linux/arm/v7") == {
        "a": ["linux/386"],
        "b": ["linux/arm/v7"],
    }


def test_emulation_is_better_than_nothing() -> None:
    engines = {"a": engine("linux/amd64"), "b": engine("linux/arm64", "linux/s390x")}
    assert placed(engines, "linux/s390x") == {"b": ["linux/s390x"]}


def test_equal_engines_take_turns() -> None:
    engines = {"a": engine("linux/amd64"), "b": engine("linux/amd64")}
    assert placed(engines, "linux/amd64", "linux/386") == {
        "a": ["linux/amd64"],
        "b": ["linux/386"],
    }


def test_platforms_without_an_engine_are_named_at_once() -> None:
    with pytest.raises(NoEngineFor, match="linux/riscv64, linux/s390x"):
        placed({"a": engine("linux/amd64")}, "linux/riscv64", "linux/amd64", "linux/s390x")
