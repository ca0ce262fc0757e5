"""What the steps of a recipe make is shown before anything is built."""

from __future__ import annotations

from pathlib import Path

from builders.building import BuildWorld
from builders.deb import deb
from builders.runtime import runtime
from homeport.building.made_by_steps import Account, ShownRecipe, show_recipe
from homeport.building.request import BuildRequest
from homeport.content.thread_pools import Pools
from homeport.progress import CancelToken

SERVER = deb(
    "server",
    files={"usr/sbin/server": b"x"},
    scripts={
        "postinst": "#!/bin/sh\n"
        "adduser --system --group --uid 812 --home /var/lib/server server\n"
        "install -d -o server -g server -m 0750 /var/lib/server\n"
        "update-alternatives --install /usr/bin/serve serve /usr/sbin/server 10\n"
    },
)


def shown(root: Path, more: str = "") -> ShownRecipe:
    world = BuildWorld(root, [SERVER])
    path = world.write_recipe(f"packages: [server]\nsteps: {{os_release: false{more}}}\n")
    request = BuildRequest(recipe=str(path), platforms=("linux/amd64",), directory=root)
    with Pools(CancelToken(), processor=2) as pools, world.connections(pools) as connections:
        return show_recipe(request, runtime(world.store, pools=pools), connections)


def test_each_step_lists_what_it_makes(tmp_path: Path) -> None:
    found = shown(tmp_path)
    steps = {step.name: step for step in found.steps}
    (home,) = [each for each in steps["packaged_state"].made if each.path == "/var/lib/server"]
    assert (home.type, home.mode, home.uid, home.gid) == ("directory", 0o750, 812, 812)
    links = {each.path: each.target for each in steps["alternatives"].made if each.target}
    assert links["/usr/bin/serve"] == "/etc/alternatives/serve"
    assert {"/etc/passwd", "/etc/group"} <= {each.path for each in steps["accounts"].made}
    assert Account(kind="user", name="server", number=812) in found.accounts
    assert (steps["os_release"].on, steps["ca_hashes"].on) == (False, False)


def test_a_step_that_is_switched_off_makes_nothing(tmp_path: Path) -> None:
    (step,) = [each for each in shown(tmp_path, ", alternatives: false").steps
               if each.name == "alternatives"]  # fmt: skip
    assert (step.on, step.made) == (False, ())
