"""/etc/ld.so.cache: where the dynamic loader finds libraries outside of its own folders.

Without the file the loader looks in its own folders, and nowhere else. It is written when
/etc/ld.so.conf names a folder with libraries beside those, and when the image has ldconfig,
whose list Python's ``find_library`` reads. Which files of a folder count, and under which
name, is as in ``search_dir`` of ldconfig; where a library lacks the link of its name,
ldconfig makes one, and so does this step.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from homeport.assemble.elf_facts import facts_of, looks_like_elf
from homeport.assemble.ld_so_conf import configured_folders
from homeport.assemble.steps.step import Step, View, text_file
from homeport.assemble.system.ld_so_cache import (
    ARCHITECTURES,
    CachedLibrary,
    ld_so_cache,
    name_key,
)
from homeport.assemble.system.paths import ImagePaths
from homeport.debian.architecture import TRIPLET_OF
from homeport.tree.node import Node, Source

_CACHE = b"etc/ld.so.cache"
_LDCONFIG = "/usr/sbin/ldconfig"
_SOURCE = Source(kind="step", name="ld-cache")


def run(view: View) -> Mapping[bytes, Node]:
    architecture = view.plan.architecture
    if architecture not in ARCHITECTURES or _CACHE in view.nodes:
        return {}
    paths = ImagePaths(view.nodes)
    own = _own_folders(architecture)
    wanted = configured_folders(paths.text_of, paths.names_in)
    known = {paths.place(f"{folder}/.") for folder in own}
    others = [folder for folder in wanted if paths.place(f"{folder}/.") not in known]
    if paths.type_of(_LDCONFIG) is None and not any(
        _is_library(name) for folder in others for name in paths.names_in(folder)
    ):
        return {}
    made: dict[bytes, Node] = {}
    libraries: list[CachedLibrary] = []
    seen: set[bytes] = set()
    for folder in (*wanted, *own):
        place = paths.place(f"{folder}/.")
        if place not in seen:
            seen.add(place)
            search = _Search(view, paths, made)
            libraries += search.folder(folder, "")
            for level in sorted(paths.folders_in(f"{folder}/glibc-hwcaps")):
                libraries += search.folder(folder, level)
    data = ld_so_cache(libraries, architecture)
    return made | {_CACHE: text_file("ld-cache", data, view.plan.mtime)}


def _own_folders(architecture: str) -> tuple[str, ...]:
    """Those that Debian's loader knows without a cache, in ldconfig's order."""
    triplet = TRIPLET_OF[architecture]
    return (f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib", "/usr/lib")


STEP = Step(
    name="ld-cache",
    about="/etc/ld.so.cache, if libraries lie outside the loader's folders or ldconfig is there",
    reads=("/etc/ld.so.conf", "/etc/ld.so.conf.d/*.conf", "/**/*.so*"),
    writes=(f"/{_CACHE.decode()}", "/**/*.so*"),
    run=run,
)


class _Search:
    """The libraries of folders; ``made``: links that they lack."""

    def __init__(self, view: View, paths: ImagePaths, made: dict[bytes, Node]) -> None:
        self._view = view
        self._paths = paths
        self._made = made

    def folder(self, folder: str, hwcaps: str) -> list[CachedLibrary]:
        below = posixpath.join(folder, "glibc-hwcaps", hwcaps) if hwcaps else folder
        found: dict[str, tuple[bool, str, str]] = {}
        for name, soname, is_link, architecture in self._libraries(below):
            known = found.get(soname)
            # A file before a link, then the newer one.
            if known is None or (not is_link, name_key(name)) > (not known[0], name_key(known[1])):
                found[soname] = (is_link, name, architecture)
        for soname, (is_link, name, _) in found.items():
            self._link(f"{below}/{soname}", name, needed=not is_link)
        return [
            CachedLibrary(name=soname, folder=folder, architecture=architecture, hwcaps=hwcaps)
            for soname, (_, _, architecture) in found.items()
        ]

    def _link(self, path: str, name: str, *, needed: bool) -> None:
        if needed and self._paths.type_of(path) is None:
            self._made[self._paths.place(path)] = Node(
                type="symlink", mode=0o777, mtime=self._view.plan.mtime, source=_SOURCE,
                target=name.encode("utf-8", "surrogateescape"),
            )  # fmt: skip

    def _libraries(self, folder: str) -> Iterator[tuple[str, str, bool, str]]:
        """File name, the name that it is found by, whether it is only a link, architecture."""
        for name in filter(_is_library, self._paths.names_in(folder)):
            node = self._view.nodes.get(self._paths.place(f"{folder}/{name}/."))
            if node is not None and node.type == "hardlink":
                node = self._view.nodes.get(node.target)
            if node is None or node.content is None:
                continue
            with node.content.open() as stream:
                if not looks_like_elf(stream.read(4)):
                    continue
            facts = facts_of(node.content, self._view.store)
            architecture = _architecture(facts.machine, self._view.plan.architecture)
            if architecture is None:
                continue
            soname = facts.soname or name
            if self._paths.target_of(f"{folder}/{name}") is None:
                yield name, soname, False, architecture
            elif name == soname or (name.endswith(".so") and soname.startswith(name)):
                yield name, name, True, architecture
            else:
                yield name, soname, False, architecture


_MACHINES = {
    "amd64 64 little": ("amd64",),
    "386 32 little": ("i386", "amd64"),
    "arm64 64 little": ("arm64",),
    "arm 32 little": ("armhf", "armel"),
    "ppc64le 64 little": ("ppc64el",),
    "s390x 64 big": ("s390x",),
    "riscv64 64 little": ("riscv64",),
    "loong64 64 little": ("loong64",),
}


def _architecture(machine: str, image: str) -> str | None:
    """Whose library it is; ``None`` if no program of the image can load it."""
    runs_on = _MACHINES.get(machine, ())
    if image not in runs_on:
        return None
    return image if machine == "arm 32 little" else runs_on[0]


def _is_library(name: str) -> bool:
    """As ``_dl_is_dso``, without what dpkg is just writing."""
    return (
        name.startswith(("lib", "ld-", "ld.so.", "ld64.so."))
        and ".so" in name
        and not name.endswith((".dpkg-new", ".dpkg-tmp"))
    )
