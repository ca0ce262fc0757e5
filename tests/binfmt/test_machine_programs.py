"""Programs of other machines that ``verify-helper`` runs."""

from __future__ import annotations

import io
import re

import pytest
from elftools.elf.elffile import ELFFile

from homeport.binfmt.machine_programs import MACHINES, Machine, runs_itself
from homeport.recipe.catalog import shipped_catalog

_ROW = re.compile(
    r'\{"(?P<name>\w+)", "(?P<emulator>\w+)", (?P<bits>\d+), (?P<big>[01]), (?P<machine>\d+), '
    r'(?P<flags>\w+), .*?(?P<size>\d+), "(?P<code>[^"]+)"\}',
    re.DOTALL,
)


def test_they_are_the_probes_of_the_recipe_binfmt() -> None:
    header = shipped_catalog().directory / "binfmt/src/architectures.h"
    rows = [found.groupdict() for found in _ROW.finditer(header.read_text())]
    assert [
        Machine(
            name=row["name"], emulator=row["emulator"], bits=int(row["bits"]),
            machine=int(row["machine"]), flags=int(row["flags"], 0), big_endian=row["big"] == "1",
            code=row["code"].replace("\\x", ""),
        )
        for row in rows
    ] == list(MACHINES)  # fmt: skip


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_a_program_is_an_elf_file_that_starts_at_its_code(machine: Machine) -> None:
    elf = ELFFile(io.BytesIO(machine.program))
    assert (elf.elfclass, elf.little_endian) == (machine.bits, not machine.big_endian)
    (segment,) = elf.iter_segments()
    start = elf["e_entry"] - segment["p_vaddr"]
    assert segment.data()[start:] == bytes.fromhex(machine.code)


def test_a_machine_runs_its_own_programs_and_those_of_its_32_bits() -> None:
    assert runs_itself("amd64", "amd64")
    assert runs_itself("amd64", "386")
    assert runs_itself("arm64", "arm")
    assert not runs_itself("386", "amd64")
    assert not runs_itself("amd64", "arm64")
