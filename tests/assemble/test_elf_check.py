"""No image is written whose program cannot start: loaders and libraries, on every machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.elf import MACHINES, elf
from builders.tree import file, symlink, tree
from homeport.assemble.elf_check import check
from homeport.assemble.elf_facts import facts_of
from homeport.assemble.tree_merge import TreeMerger
from homeport.content.blob import BytesBlob
from homeport.content.store import Store
from homeport.errors import HomeportError
from homeport.tree.node import Node, Source

LOADER = "/lib64/ld-linux-x86-64.so.2"


def checked(nodes: dict[str, Node], tmp_path: Path, architecture: str = "amd64") -> list[str]:
    """Warnings, or faults marked ``!``."""
    whole = TreeMerger(0)
    whole.add_all(tree(nodes).items())
    try:
        return list(check(whole.finish(), architecture, (), Store(tmp_path)))
    except HomeportError as error:
        return [f"! {fault.what}" for fault in getattr(error, "faults", [error])]


def program(**more: object) -> Node:
    return file(elf(interpreter=LOADER, **more), 0o755)  # type: ignore[arg-type]


SYSTEM = {
    "lib64": symlink(b"usr/lib64"),
    "usr/lib64/ld-linux-x86-64.so.2": symlink(b"../lib/x86_64-linux-gnu/ld.so"),
    "usr/lib/x86_64-linux-gnu/ld.so": file(elf()),
    "usr/lib/x86_64-linux-gnu/libc.so.6": file(elf(needed=["ld.so"])),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_what_an_elf_file_needs_is_read_on_every_machine(machine: str, tmp_path: Path) -> None:
    data = elf(machine, interpreter="/lib/ld.so", needed=["libc.so.6", "libm.so.6"], rpath="/r")
    facts = facts_of(BytesBlob(data), Store(tmp_path))

    assert facts.problem == ""
    assert facts.interpreter == "/lib/ld.so"
    assert facts.needed == ("libc.so.6", "libm.so.6")
    assert facts.search == ("/r",)
    assert facts_of(BytesBlob(data), Store(tmp_path)) == facts  # remembered
    cut = facts_of(BytesBlob(data[:64]), Store(tmp_path))
    assert cut.problem == "its program headers lie outside the file"


def test_a_program_with_all_it_needs_is_in_order(tmp_path: Path) -> None:
    assert checked({**SYSTEM, "usr/bin/x": program(needed=["libc.so.6"])}, tmp_path) == []


def test_a_library_that_nobody_provides_is_named_with_who_needs_it(tmp_path: Path) -> None:
    nodes = {**SYSTEM, "usr/bin/x": program(needed=["libc.so.6", "libgone.so.1"])}
    assert checked(nodes, tmp_path) == [
        "! /usr/bin/x needs the library libgone.so.1, which is not in the image"
    ]


def test_without_its_loader_nothing_starts(tmp_path: Path) -> None:
    nodes = {name: node for name, node in SYSTEM.items() if name != "lib64"}
    assert checked({**nodes, "usr/bin/x": program()}, tmp_path) == [
        f"! /usr/bin/x needs the loader {LOADER}, which is not in the image"
    ]


def test_a_library_of_another_machine_does_not_count(tmp_path: Path) -> None:
    nodes = {
        **SYSTEM,
        "usr/bin/x": program(needed=["liba.so"]),
        "usr/lib/x86_64-linux-gnu/liba.so": file(elf("386")),
    }
    assert checked(nodes, tmp_path) == [
        "! /usr/bin/x needs the library liba.so, which is not in the image"
    ]


@pytest.mark.parametrize(
    "path", ["$ORIGIN/../priv", "${ORIGIN}/../priv", "/usr/priv", "/none:/usr/priv"]
)
def test_a_file_may_say_where_its_libraries_are(path: str, tmp_path: Path) -> None:
    nodes = {
        **SYSTEM,
        "usr/bin/x": program(needed=["liba.so"], runpath=path),
        "usr/priv/liba.so": file(elf()),
    }
    assert checked(nodes, tmp_path) == []


def test_a_private_library_is_an_error_for_a_program_and_a_warning_for_a_plug_in(
    tmp_path: Path,
) -> None:
    private = {"usr/lib/priv/liba.so": file(elf())}
    plug_in = {**SYSTEM, **private, "usr/lib/plug.so": file(elf(needed=["liba.so"]))}
    assert checked(plug_in, tmp_path) == [
        "/usr/lib/plug.so needs liba.so, which is at /usr/lib/priv/liba.so, where the dynamic "
        "loader does not search: only programs that have loaded it already can use it; "
        "for others, add to the recipe: "
        "links: [{path: /usr/lib/x86_64-linux-gnu/liba.so, target: /usr/lib/priv/liba.so}]"
    ]
    own = {
        "usr/lib/priv/liba.so": file(elf(), source=WHOLE),
        "usr/lib/plug.so": file(elf(needed=["liba.so"]), source=WHOLE),
    }
    assert checked({**SYSTEM, **own}, tmp_path) == []
    assert checked({**SYSTEM, **private, "usr/bin/x": program(needed=["liba.so"])}, tmp_path) == [
        "! /usr/bin/x needs the library liba.so, which is at /usr/lib/priv/liba.so, "
        "where the dynamic loader does not search"
    ]


def test_a_library_of_a_program_must_find_its_own_libraries(tmp_path: Path) -> None:
    """As libblas.so.3 of Debian: only an alternative puts it where the loader searches."""
    nodes = {
        **SYSTEM,
        "usr/bin/x": program(needed=["liba.so"]),
        "usr/lib/liba.so": file(elf(needed=["libblas.so.3"])),
        "usr/lib/blas/libblas.so.3": file(elf()),
    }
    assert checked(nodes, tmp_path) == [
        "! /usr/lib/liba.so needs the library libblas.so.3, which is at "
        "/usr/lib/blas/libblas.so.3, where the dynamic loader does not search"
    ]
    linked = {**nodes, "usr/lib/libblas.so.3": symlink(b"blas/libblas.so.3")}
    assert checked(linked, tmp_path) == []


def test_links_are_followed_inside_the_tree_and_loops_end(tmp_path: Path) -> None:
    nodes = {
        **SYSTEM,
        "usr/bin/x": program(needed=["liba.so", "libb.so"]),
        "usr/lib/liba.so": symlink(b"/opt/liba.so.1"),
        "opt/liba.so.1": file(elf()),
        "usr/lib/libb.so": symlink(b"libb.so"),
    }
    assert checked(nodes, tmp_path) == [
        "! /usr/bin/x needs the library libb.so, which is not in the image"
    ]


def test_a_script_needs_its_interpreter(tmp_path: Path) -> None:
    nodes = {"bin/sh": file(b"", 0o755), "a": file(b"#! /bin/sh -e\n", 0o755)}
    assert checked(nodes, tmp_path) == []
    assert checked({**nodes, "b": file(b"#!/bin/perl\n", 0o755)}, tmp_path) == [
        "! /b is a script for '/bin/perl', which is not in the image"
    ]
    assert checked({**nodes, "b": file(b"#!/bin/perl\n", 0o644)}, tmp_path) == []


def test_scripts_of_whole_packages_are_one_warning_for_each_interpreter(tmp_path: Path) -> None:
    whole = Source(kind="package", name="tools")
    nodes = {
        name: file(b"#!/bin/perl\n", 0o755, source=whole) for name in ("usr/bin/a", "usr/bin/b")
    }
    assert checked(nodes, tmp_path) == [
        "/usr/bin/a and 1 more are scripts for '/bin/perl', which is not in the image;"
        " to run them, packages: [perl-base]"
    ]


WHOLE = Source(kind="package", name="tools")


def test_what_nothing_in_a_whole_package_loads_is_one_warning_for_the_package(
    tmp_path: Path,
) -> None:
    nodes = {
        **SYSTEM,
        "usr/bin/x": program(needed=["libc.so.6"]),
        "usr/lib/tools/a.so": file(elf(needed=["libgone.so.1"]), source=WHOLE),
        "usr/lib/tools/b.so": file(elf(needed=["libaway.so.1"]), source=WHOLE),
        "usr/share/tools/testdata": file(elf(interpreter="/libexec/ld.so"), source=WHOLE),
    }
    assert checked(nodes, tmp_path) == [
        "tools: /usr/lib/tools/a.so and 2 more need files that are not in the image: "
        "ld.so, libaway.so.1, libgone.so.1; to leave them out, "
        "exclude: [/usr/lib/tools/a.so, /usr/lib/tools/b.so, /usr/share/tools/testdata]"
    ]


def test_what_a_program_of_a_whole_package_loads_must_be_complete(tmp_path: Path) -> None:
    nodes = {
        **SYSTEM,
        "usr/bin/x": file(elf(interpreter=LOADER, needed=["liba.so"]), 0o755, source=WHOLE),
        "usr/lib/liba.so": file(elf(needed=["libgone.so.1"]), source=WHOLE),
    }
    assert checked(nodes, tmp_path) == [
        "! /usr/lib/liba.so needs the library libgone.so.1, which is not in the image"
    ]


def test_a_private_library_that_the_program_has_loaded_is_found(tmp_path: Path) -> None:
    nodes = {
        **SYSTEM,
        "usr/bin/x": program(needed=["liba.so", "libb.so"], runpath="/usr/lib/priv"),
        "usr/lib/priv/liba.so": file(elf(needed=["libb.so"])),
        "usr/lib/priv/libb.so": file(elf()),
    }
    assert checked(nodes, tmp_path) == []


@given(data=st.binary(max_size=400), at=st.integers(0, 300))
def test_a_broken_elf_file_is_a_warning_never_a_crash(
    data: bytes, at: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = elf(interpreter=LOADER, needed=["libc.so.6"])
    broken = whole[:4] + whole[4:at] + data
    facts = facts_of(BytesBlob(broken), Store(tmp_path_factory.getbasetemp() / "elf"))
    assert facts.problem or isinstance(facts.needed, tuple)
