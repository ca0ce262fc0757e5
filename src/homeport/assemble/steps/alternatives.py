"""Generic names of programs, as ``update-alternatives`` links them: the highest priority wins.

``alternatives`` of the recipe chooses another one.

Link and choice as Debian has them: ``/usr/bin/awk`` → ``/etc/alternatives/awk`` →
``/usr/bin/gawk``, and the slaves of the choice that are in the image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from homeport.assemble.steps.step import Step, View
from homeport.assemble.system.paths import ImagePaths
from homeport.debian.scripts.effects import AddAlternative, Effect
from homeport.tree.node import Node, Source

_FOLDER = "/etc/alternatives"


def run(view: View) -> Mapping[bytes, Node]:
    if view.system is None:
        return {}
    paths = ImagePaths(view.nodes)
    made: dict[bytes, Node] = {}
    for name, offers in registered(view.system.effects, paths).items():
        choice = _choice(name, offers, view.plan.alternatives)
        for link, name_of_link, path in ((choice.link, name, choice.path), *choice.slaves):
            place = paths.place(link)
            if paths.type_of(path) is None or place in view.nodes or "/" in name_of_link:
                continue
            made[place] = _link(view, f"{_FOLDER}/{name_of_link}")
            made[f"{_FOLDER}/{name_of_link}".encode().strip(b"/")] = _link(view, path)
    return {path: node for path, node in made.items() if path not in view.nodes}


def registered(effects: Iterable[Effect], paths: ImagePaths) -> dict[str, list[AddAlternative]]:
    """Generic name → what is registered for it and is in the image, by path."""
    found: dict[str, dict[str, AddAlternative]] = {}
    for effect in effects:
        if isinstance(effect, AddAlternative) and paths.type_of(effect.path) is not None:
            found.setdefault(effect.name, {})[effect.path] = effect
    return {name: [each for _, each in sorted(of.items())] for name, of in sorted(found.items())}


def database(offers: list[AddAlternative], chosen: str | None) -> str:
    """The file of one name in /var/lib/dpkg/alternatives. chosen: what the recipe says."""
    links = {name: link for offer in offers for link, name, _ in offer.slaves}
    slaves = sorted(links)
    lines = ["auto" if chosen is None else "manual", offers[0].link]
    lines += [line for name in slaves for line in (name, links[name])]
    lines.append("")
    for offer in offers:
        targets = {name: path for _, name, path in offer.slaves}
        lines += [offer.path, str(offer.priority)]
        lines += [targets.get(name, "") for name in slaves]
    return "".join(f"{line}\n" for line in [*lines, ""])


def _choice(name: str, offers: list[AddAlternative], wanted: Mapping[str, str]) -> AddAlternative:
    named = [offer for offer in offers if offer.path == wanted.get(name)]
    return max(named or offers, key=lambda offer: offer.priority)


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
