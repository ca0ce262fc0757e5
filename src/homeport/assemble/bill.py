"""The bill of materials of a layer: which package each file is of, with hashes and licenses.

Made from what was assembled, not from a scan of the result, and kept beside the layer in the
cache. Distribution and suites come from the lockfile (``with_lockfile``); writing documents is
``homeport.sbom``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import partial

import msgspec

from homeport.assemble.plan import BuildPlan, PlannedPackage
from homeport.content.blob import Blob, verified
from homeport.content.code_hash import code_hash
from homeport.content.reading import CHUNK
from homeport.content.store import Store
from homeport.debian.deb.contents import PackageContents
from homeport.debian.deb.status import find_copyright
from homeport.debian.deb822 import Paragraph, parse_paragraph
from homeport.debian.relations import parse_dependencies, parse_relations
from homeport.printable import path_text
from homeport.progress import CancelToken
from homeport.recipe.lock.model import Lockfile
from homeport.sbom.copyright_files import LONGEST_FILE, read_license
from homeport.sbom.model import Bill, BillFile, BillPackage, Distribution, License, Material, Origin
from homeport.tree.node import Node, Tree

_NAMESPACE = "file-checksums"
_DECIDES = ("assemble/bill.py",)
#: Versions of Debian by codename; scanners match by number (distro-info-data).
_RELEASES = {"bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14", "duke": "15"}
_ORIGINS: Mapping[str, Origin] = {
    "package": "package", "local": "local", "inline": "inline", "image": "image",
    "part": "part", "recipe": "recipe", "layer": "layer",
}  # fmt: skip

_SUMS = msgspec.json.Decoder(dict[str, str])


def make_bill(
    plan: BuildPlan,
    contents: Mapping[str, PackageContents],
    tree: Tree,
    store: Store,
    cancel: CancelToken,
) -> Bill:
    """The bill of an assembled image. SHA-1 sums of packaged files are kept in ``store``."""
    sums = _Sha1(store, cancel)
    fields = {name: parse_paragraph(each.control) for name, each in contents.items()}
    provided = _provided(fields)
    return Bill(
        platform=plan.platform,
        distribution=None,
        packages=tuple(
            _package(each, contents, fields[each.name], provided) for each in plan.packages
        ),
        files=tuple(_files(plan, tree, sums)),
        materials=tuple(_material(each) for each in plan.materials),
    )


def with_lockfile(bill: Bill, lockfile: Lockfile) -> Bill:
    """``bill`` with the distribution, and with the suite of each package."""
    suites = {each.file.sha256.hex: each.suite for each in lockfile.platforms[bill.platform]}
    return msgspec.structs.replace(
        bill,
        distribution=_distribution(lockfile),
        packages=tuple(
            msgspec.structs.replace(each, suite=suites.get(each.sha256, ""))
            for each in bill.packages
        ),
    )


def _distribution(lockfile: Lockfile) -> Distribution | None:
    """The first suite that the recipe names decides: packages of others are additions."""
    if not lockfile.archives:
        return None
    codename = lockfile.archives[0].codename.partition("-")[0]
    version = _RELEASES.get(codename, codename)
    return Distribution(id="debian", version=version, name="Debian", codename=codename)


def _package(
    planned: PlannedPackage,
    contents: Mapping[str, PackageContents],
    fields: Paragraph,
    provided: Mapping[str, str],
) -> BillPackage:
    file = planned.file
    return BillPackage(
        name=planned.name,
        version=file.id.version,
        architecture=file.id.architecture,
        source_name=planned.source_name,
        source_version=planned.source_version,
        maintainer=fields.get("Maintainer"),
        homepage=fields.get("Homepage"),
        sha256=file.sha256.hex,
        size=file.size,
        path=file.path,
        archive=file.archive,
        depends=_depends(planned.name, fields, provided),
        slices=tuple(str(each.name) for each in planned.slices),
        license=_license(planned, contents),
    )


def _provided(packages: Mapping[str, Paragraph]) -> dict[str, str]:
    """Names that can be depended on, real and virtual, and the package that has each."""
    names = {
        relation.name: name
        for name, fields in packages.items()
        for relation in parse_relations(fields.get("Provides"))
    }
    return names | {name: name for name in packages}


def _depends(name: str, fields: Paragraph, provided: Mapping[str, str]) -> tuple[str, ...]:
    found = {
        provided[relation.name]
        for field in ("Pre-Depends", "Depends")
        for group in parse_dependencies(fields.get(field))
        for relation in group
        if relation.name in provided
    }
    return tuple(sorted(found - {name}))


def _license(planned: PlannedPackage, contents: Mapping[str, PackageContents]) -> License:
    found = find_copyright(contents[planned.name], contents.get)
    if found.holder is None:
        return License(comment="the package has no copyright file")
    blob = contents[found.holder].blobs.get(found.path)
    where = path_text(found.path)
    if blob is None:
        return License(comment=f"see {where}: it is not in the image")
    if blob.size > LONGEST_FILE:
        return License(comment=f"see {where}: it is too large to be read")
    with verified(blob, "a copyright file") as stream:
        return read_license(stream.readall(), planned.source_name, where)


def _files(plan: BuildPlan, tree: Tree, sums: _Sha1) -> Iterable[BillFile]:
    packages = {each.name: each.file.sha256.hex for each in plan.packages}
    known = {
        name: sums.of_package(digest, nodes) for name, digest, nodes in _by_package(packages, tree)
    }
    for path, entry in tree.items():
        node = tree[entry.target] if entry.type == "hardlink" else entry
        if node.type != "file":
            continue
        owner = node.source.name if node.source.kind == "package" else ""
        content = node.content
        sha256 = content.digest.hex if content is not None else _EMPTY_SHA256
        yield BillFile(
            path=path_text(path),
            size=node.size,
            sha1=known[owner][sha256] if owner in known else sums.of(content),
            sha256=sha256,
            origin=_ORIGINS.get(node.source.kind, "step"),
            owner=owner or _shown(node),
        )


def _shown(node: Node) -> str:
    """What brought a file, without paths of this machine."""
    return node.source.name if node.source.kind in ("step", "image") else ""


def _by_package(
    packages: Mapping[str, str], tree: Tree
) -> Iterable[tuple[str, str, dict[str, Blob]]]:
    found: dict[str, dict[str, Blob]] = {}
    for node in tree.values():
        if node.type == "file" and node.source.kind == "package":
            blobs = found.setdefault(node.source.name, {})
            if node.content is not None:
                blobs[node.content.digest.hex] = node.content
    for name, blobs in found.items():
        yield name, packages[name], blobs


_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_EMPTY_SHA1 = hashlib.sha1(b"", usedforsecurity=False).hexdigest()


class _Sha1:
    """SHA-1 sums, which SPDX requires of every file; of packages they are computed once."""

    def __init__(self, store: Store, cancel: CancelToken) -> None:
        self._store = store
        self._cancel = cancel

    def of_package(self, deb: str, contents: Mapping[str, Blob]) -> dict[str, str]:
        """SHA-256 → SHA-1 of all ``contents`` of a package file."""
        names = hashlib.sha256("\n".join(sorted(contents)).encode()).hexdigest()
        key = f"{code_hash(*_DECIDES)} {deb} {names}"
        kept = self._store.recall(_NAMESPACE, key)
        if kept is not None:
            try:
                found = _SUMS.decode(kept)
            except msgspec.DecodeError:
                found = {}
            if contents.keys() <= found.keys():
                return {**found, _EMPTY_SHA256: _EMPTY_SHA1}
        found = {digest: self.of(blob) for digest, blob in contents.items()}
        self._store.remember(_NAMESPACE, key, msgspec.json.encode(found))
        return {**found, _EMPTY_SHA256: _EMPTY_SHA1}

    def of(self, content: Blob | None) -> str:
        """The sum of one content, verified on the way."""
        hasher = hashlib.sha1(usedforsecurity=False)
        if content is not None:
            with verified(content, "a file of the image") as stream:
                for data in iter(partial(stream.read, CHUNK), b""):
                    self._cancel.check()
                    hasher.update(data)
        return hasher.hexdigest()


def _material(text: str) -> Material:
    name, _, _ = text.partition("@")
    return Material(name=name, uri=text)
