"""Generic names of programs, as ``update-alternatives`` links them: the highest priority wins.

``alternatives`` of the recipe chooses another one.

Link and choice as Debian has them: ``/usr/bin/awk`` → ``/etc/alternatives/awk`` →
``/usr/bin/gawk``, and the slaves of the choice that are in the image.
"""

from __future__ import annotations

from collections.abc import Mapping

from homeport.assemble.steps.step import Step, View
from homeport.assemble.system.paths import ImagePaths
from homeport.debian.scripts.effects import AddAlternative
from homeport.tree.node import Node, Source

_FOLDER = "/etc/alternatives"


def run(view: View) -> Mapping[bytes, Node]:
    if view.system is None:
        return {}
    paths = ImagePaths(view.nodes)
    choices: dict[str, AddAlternative] = {}
    for effect in view.system.effects:
        if not isinstance(effect, AddAlternative) or paths.type_of(effect.path) is None:
            continue
        if view.plan.alternatives.get(effect.name, effect.path) != effect.path:
            continue
        best = choices.get(effect.name)
        if best is None or effect.priority > best.priority:
            choices[effect.name] = effect
    made: dict[bytes, Node] = {}
    for choice in choices.values():
        for link, name, path in ((choice.link, choice.name, choice.path), *choice.slaves):
            place = paths.place(link)
            if paths.type_of(path) is None or place in view.nodes or "/" in name:
                continue
            made[place] = _link(view, f"{_FOLDER}/{name}")
            made[f"{_FOLDER}/{name}".encode().strip(b"/")] = _link(view, path)
    return {path: node for path, node in made.items() if path not in view.nodes}


def _link(view: View, target: str) -> Node:
    return Node(
        type="symlink", mode=0o777, mtime=view.plan.mtime,
        target=target.encode("utf-8", "surrogateescape"),
        source=Source(kind="step", name="alternatives"),
    )  # fmt: skip


STEP = Step(
    name="alternatives",
    about="Links that update-alternatives would make, the highest priority first",
    reads=(),
    writes=("/**",),
    run=run,
)
