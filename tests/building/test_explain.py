"""Why packages are in an image, and what could be left out of it."""

from __future__ import annotations

from pathlib import Path

from builders.building import BARE, BuildWorld
from builders.deb import deb, file
from builders.elf import elf
from builders.runtime import runtime
from homeport.building.explain import Explanation, explain
from homeport.building.request import BuildRequest
from homeport.content.thread_pools import Pools
from homeport.progress import CancelToken

LOADER = "/usr/lib/ld.so"
PACKAGES = [
    deb(
        "tool",
        depends="lib, helper",
        files={"usr/bin/tool": file(elf(interpreter=LOADER, needed=["lib.so"]), mode=0o755)},
    ),
    deb("lib", depends="deep", files={"usr/lib/lib.so": elf(), "usr/lib/ld.so": elf()}),
    deb("deep", files={"usr/share/deep": b"x" * 1000}),
    deb("helper", files={"usr/bin/helper": file(b"#!/usr/bin/tool\n", mode=0o755)}),
]


def explained(root: Path, recipe: str, *packages: bytes) -> Explanation:
    world = BuildWorld(root, packages or PACKAGES)
    path = world.write_recipe(BARE + recipe)
    request = BuildRequest(recipe=str(path), platforms=("linux/amd64",), directory=root)
    with Pools(CancelToken(), processor=2) as pools, world.connections(pools) as connections:
        return explain(request, runtime(world.store, pools=pools), connections)


def test_each_package_is_explained_and_what_nothing_loads_can_be_left_out(tmp_path: Path) -> None:
    found = explained(tmp_path, "packages: [tool]\nconfig: {entrypoint: [/usr/bin/tool]}\n")
    assert {each.name: (each.why, each.used) for each in found.packages} == {
        "tool": (("tool",), True),
        "lib": (("tool", "lib"), True),
        "deep": (("tool", "lib", "deep"), False),
        "helper": (("tool", "helper"), False),
    }
    assert found.packages[0].size == max(each.size for each in found.packages)
    assert found.without == ("deep", "helper")
    assert found.saves == 1000 + len(b"#!/usr/bin/tool\n")
    assert [path for path, _ in found.unreached] == ["/usr/bin/helper"]


def test_what_the_recipe_names_is_never_proposed(tmp_path: Path) -> None:
    found = explained(tmp_path, "packages: [tool, helper, deep]\n")
    assert (found.without, found.unreached) == ((), ())


def test_a_script_reaches_its_interpreter_through_env(tmp_path: Path) -> None:
    found = explained(
        tmp_path,
        "packages: [app]\nconfig: {entrypoint: [app]}\n",
        deb("app", depends="shell, env, other",
            files={"usr/bin/app": file(b"#!/usr/bin/env shell\n", mode=0o755)}),
        deb("shell", files={"usr/bin/shell": file(elf(), mode=0o755)}),
        deb("env", files={"usr/bin/env": file(elf(), mode=0o755)}),
        deb("other", files={"usr/bin/other": file(elf(), mode=0o755)}),
    )  # fmt: skip
    assert found.without == ("other",)
    assert [path for path, _ in found.unreached] == ["/usr/bin/other"]
