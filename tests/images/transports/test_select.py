"""A transport is a class and a row of the table: a toy one, added here, works in every command."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from builders.images import everything, index
from builders.runtime import runtime
from homeport.cli.main import run
from homeport.errors import UsageError
from homeport.images.address import (
    TRANSPORTS,
    Address,
    LayoutAddress,
    TransportRow,
    parse_destination,
    parse_source,
)
from homeport.images.image import Image, ImageNotFound, Index
from homeport.images.transports.base import Written
from homeport.images.transports.oci_layout import OciLayout
from homeport.runtime import Runtime


class MemoryAddress(Address, frozen=True, kw_only=True):
    """``memory:NAME``."""

    name: str

    @property
    def scheme(self) -> str:
        return "memory"

    def __str__(self) -> str:
        return f"memory:{self.name}"


class Memory:
    """Images by name, for as long as the process runs."""

    held: ClassVar[dict[str, Image | Index]] = {}

    def __init__(self, address: MemoryAddress) -> None:
        self.address = address

    @contextlib.contextmanager
    def open(self, runtime: Runtime) -> Iterator[Image | Index]:
        if self.address.name not in self.held:
            raise ImageNotFound(f"no image named {self.address.name}")
        yield self.held[self.address.name]

    def write(self, value: Image | Index, runtime: Runtime) -> Written:
        self.held[self.address.name] = value
        return Written(address=self.address, digest=value.digest)


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        TRANSPORTS,
        "memory",
        TransportRow(
            prefix="memory:",
            parse=lambda _text, name: MemoryAddress(name=name),
            serves=f"{__name__}:Memory",
        ),
    )
    monkeypatch.setattr(Memory, "held", {})
    assert sys.modules[__name__].Memory is Memory


def test_a_toy_transport_is_read_and_written_by_commands(tmp_path: Path) -> None:
    value = index()
    OciLayout(LayoutAddress(path=tmp_path / "a", tag="1")).write(value, runtime())
    assert run(["pull", f"oci:{tmp_path}/a:1", "memory:x"]) == 0
    assert Memory.held["x"].digest == value.digest
    assert run(["pull", "memory:x", f"oci:{tmp_path}/b:2"]) == 0
    with OciLayout(LayoutAddress(path=tmp_path / "b", tag="2")).open(runtime()) as found:
        assert everything(found) == everything(value)
    assert run(["pull", "memory:y", f"oci:{tmp_path}/b:3"]) == 1


def test_its_addresses_are_read_and_named_where_a_transport_is_unknown() -> None:
    assert parse_source("memory:x") == parse_destination("memory:x") == MemoryAddress(name="x")
    with pytest.raises(UsageError, match="unknown transport") as caught:
        parse_source("ftp://registry.example/a")
    assert (caught.value.hint or "").endswith("containers-storage:, ./, -, memory:")


@pytest.mark.parametrize("scheme", [key for key in TRANSPORTS if key not in ("docker", "-", "./")])
def test_a_row_parses_addresses_of_its_own_scheme(scheme: str) -> None:
    address = TRANSPORTS[scheme].parse(f"{scheme}:x", "x")
    assert address.scheme == scheme
    assert str(address).startswith(TRANSPORTS[scheme].prefix)
