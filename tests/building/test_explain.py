"""Why packages are in an image, and what could be left out of it."""

from __future__ import annotations

from pathlib import Path

from builders.building import BARE, BuildWorld
from builders.deb import deb, file, link
from builders.elf import elf
from builders.runtime import runtime
from homeport.building.explain import Explanation, StartedPath, explain
from homeport.building.request import BuildRequest
from homeport.content.thread_pools import Pools
from homeport.progress import CancelToken

LOADER = "/usr/lib/ld.so"
LIB = "usr/lib/x86_64-linux-gnu/libacl.so.1"
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


def test_an_essential_package_is_there_for_what_starts_its_programs(tmp_path: Path) -> None:
    """In rounds: the script of the recipe's program starts one of another Essential package."""
    program = file(elf(interpreter=LOADER), mode=0o755)
    needing = file(elf(interpreter=LOADER, needed=["libacl.so.1"]), mode=0o755)
    found = explained(
        tmp_path,
        "packages: [app, rt]\nconfig: {entrypoint: [/usr/bin/app]}\n",
        deb("app", files={"usr/bin/app": file("#!/usr/bin/sh\negrep x\n", mode=0o755)}),
        deb("rt", files={"usr/lib/ld.so": elf()}),
        deb("dash", essential="yes", files={"usr/bin/dash": program, "usr/bin/sh": link("dash")}),
        deb("grep", essential="yes", files={
            "usr/bin/egrep": file("#!/usr/bin/sh\nexec cp \"$@\"\n", mode=0o755),
            "usr/bin/grep": program,
        }),
        deb("coreutils", essential="yes", pre_depends="libacl1", files={"usr/bin/cp": needing}),
        deb("libacl1", files={LIB: elf(soname="libacl.so.1")}),
    )  # fmt: skip
    started = {each.name: each.started for each in found.packages if each.started}
    assert started == {
        "dash": tuple(
            StartedPath(path=f"/usr/bin/{name}", by="/usr/bin/app") for name in ("dash", "sh")
        ),
        "grep": tuple(
            StartedPath(path=f"/usr/bin/{name}", by="/usr/bin/app") for name in ("egrep", "grep")
        ),
        "coreutils": (StartedPath(path="/usr/bin/cp", by="/usr/bin/egrep"),),
        "libacl1": (StartedPath(path="/usr/lib/*/libacl.so.1*", by="/usr/bin/cp"),),
    }
    assert found.without == ()
