"""Building an image again from its rebuild kit, and comparing every digest.

The kit is untrusted: it is unpacked into a directory of its own, nothing that it names may lie
outside, and steps that run or archives without shipped keys need the user's consent.
Nothing computed before is used, only downloads.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from homeport import __version__
from homeport.assemble.plan import BuildOptions
from homeport.attest.attached.artifacts import attached_artifacts
from homeport.attest.attached.base import Attached
from homeport.attest.inside_index import provenance_inside
from homeport.attest.verification.image import platform_children
from homeport.budget import Limits
from homeport.building.lock import verify_lockfile
from homeport.building.provenance import Element, rebuilt
from homeport.building.rebuild_kit import (
    ARTIFACT_TYPE,
    CATALOG,
    DESCRIPTION,
    LAYER,
    LINKS_BELOW,
    PROOF_LAYER,
    KitDescription,
    with_moved,
)
from homeport.building.request import BuildRequest, BuildResult, Connections, parse_kinds
from homeport.building.run import run_build
from homeport.content.blob import verified
from homeport.errors import AnswerNo, HomeportError, TooLarge, UsageError
from homeport.images.address import LayoutAddress, RegistryAddress, parse_source
from homeport.images.image import Image, Index, digest_of
from homeport.images.transports.oci_layout import OciLayout
from homeport.inspection.report.compare_images import compare
from homeport.layers.plain_folder import write_plain_folder
from homeport.layers.trees import read_tree
from homeport.locking.lock_paths import proof_path
from homeport.locking.verification import NotVerified
from homeport.recipe.catalog import UserCatalog, current_catalog, user_catalog
from homeport.recipe.entries import LocalFiles
from homeport.recipe.loading import find_and_load
from homeport.recipe.model import Recipe
from homeport.recipe.parts import DockerfilePart
from homeport.runtime import Runtime
from homeport.tree.node import Source

SCHEMA = "homeport-rebuild/v1"
#: Bytes of a kit, packed and unpacked: recipes bring small files.
KIT_LIMIT = 1 << 30
_LAYERS = ([LAYER], [LAYER, PROOF_LAYER])
_PROOF_LIMIT = 256 << 20

Verdict = Literal["reproduced", "differs"]


class NoRebuildKit(AnswerNo):
    """Nothing that refers to the image is a rebuild kit."""

    id = "no-rebuild-kit"


class PlatformResult(msgspec.Struct, frozen=True, kw_only=True):
    """expected, built: digests of one platform's manifest."""

    platform: str
    expected: str
    built: str

    @property
    def same(self) -> bool:
        return self.expected == self.built


class RebuildResult(msgspec.Struct, frozen=True, kw_only=True):
    """``homeport-rebuild/v1``.

    expected, built: digests of the index
    kit:             digest of the kit's manifest
    packages:        whether the lockfile's hashes are those that the archives signed, in words
    packages_verified: the same as yes or no
    made_with, homeport: versions that made the image and that built it again
    difference:      the first file that differs, in words; empty if none does
    signed:          whether this rebuilder's statement was signed
    """

    schema: str = SCHEMA
    image: str
    verdict: Verdict
    expected: str
    built: str
    kit: str
    made_with: str
    homeport: str
    platforms: tuple[PlatformResult, ...]
    packages: str
    packages_verified: bool
    difference: str = ""
    signed: bool = False


#: Signs what a rebuilder says about one platform's manifest.
SignRebuilt = Callable[[Image, Element], None]


def rebuild(
    image: str,
    value: Image | Index,
    attached: Attached,
    runtime: Runtime,
    connections: Connections,
    *,
    trust_kit: bool = False,
    mirrors: tuple[str, ...] = (),
    sign: SignRebuilt | None = None,
) -> RebuildResult:
    """Build ``value`` again from the kit that refers to it.

    trust_kit: run the steps of the kit's recipe, and use archives and keys that it brings
    sign:      called for every platform if all is reproduced from packages that were verified
    Raises ``NoRebuildKit``, ``UsageError`` without a consent that is needed, and what building
    raises. A result that differs is a result.
    """
    if not isinstance(value, Index):
        raise UsageError(
            f"{image} is an image of one platform; a rebuild kit belongs to an index",
            hint="name the tag, or the digest of the index",
        )
    with open_kit(image, value, attached, runtime, mirrors=mirrors, trust_kit=trust_kit) as kit:
        request = kit.request
        packages = _verified_packages(request, runtime, connections)
        result = run_build(request, runtime, connections, recipe=kit.recipe)
        with OciLayout(LayoutAddress(path=request.directory / "out")).open(runtime) as built:
            difference = _difference(image, value, built, runtime)
    compared = _compared(image, value, result, kit, difference)
    final = msgspec.structs.replace(
        compared, packages_verified=not packages, packages=packages or "verified"
    )
    if sign is None or final.verdict != "reproduced" or not final.packages_verified:
        return final
    _sign(image, value, sign)
    return msgspec.structs.replace(final, signed=True)


class OpenedKit(msgspec.Struct, frozen=True, kw_only=True):
    """A kit that was found, unpacked and checked.

    request: builds from it, into a layout ``out`` beside it
    """

    artifact: Image
    description: KitDescription
    request: BuildRequest
    recipe: Recipe

    @property
    def lockfile(self) -> Path:
        assert self.request.lockfile is not None
        return self.request.lockfile


@contextmanager
def open_kit(
    image: str, value: Index, attached: Attached, runtime: Runtime, *,
    mirrors: tuple[str, ...] = (), trust_kit: bool = False,
) -> Iterator[OpenedKit]:  # fmt: skip
    """The rebuild kit of ``value``, in a directory that lasts as long as the context.

    Raises ``NoRebuildKit``, ``UsageError`` without a consent that is needed.
    """
    kit = _find_kit(image, value, attached)
    with tempfile.TemporaryDirectory(prefix="homeport-rebuild-") as name:
        folder = Path(name).resolve()
        described = _unpack(kit, folder / "kit", runtime)
        request = _request(described, folder, mirrors)
        with user_catalog(_find_catalog(folder / "kit" / CATALOG)):
            recipe = _recipe(request)
            _check_recipe(recipe, folder / "kit")
            if not trust_kit:
                _ask_consent(recipe, image, kit)
            yield OpenedKit(artifact=kit, description=described, request=request, recipe=recipe)


def _find_catalog(folder: Path) -> Callable[[], UserCatalog] | None:
    """The kit's own catalog; never the one of the user who builds again."""
    if not folder.is_dir():
        return None
    return lambda: UserCatalog(folder=folder, written="the kit's")


def _sign(image: str, value: Index, sign: SignRebuilt) -> None:
    """Say of every platform what its own provenance says, as a builder of its own.

    The index has the digest of the one that was built here, so what it says is what we would say.
    """
    rebuilds = []
    for child in platform_children(value):
        predicate = provenance_inside(value, child)
        opened = child.open()
        if predicate is None or not isinstance(opened, Image):
            raise AnswerNo(
                f"{image} has no provenance for {child.platform}, so there is nothing to sign",
                hint="ask its publisher to build it with --attest provenance",
            )
        rebuilds.append((opened, rebuilt(predicate)))
    for opened, predicate in rebuilds:
        sign(opened, predicate)


def _verified_packages(request: BuildRequest, runtime: Runtime, connections: Connections) -> str:
    """Why nothing shows that the archives signed the kit's packages; empty if something does.

    The kit's proof, or else what the archives and their snapshots still have.
    """
    archives = connections.archives
    try:
        verify_lockfile(
            request.recipe, request.lockfile, request.directory, runtime,
            allow_outside=request.allow_outside,
            access=None if connections.offline else lambda kit: archives(kit, request.mirrors),
        )  # fmt: skip
    except NotVerified as error:
        return f"not verified: {error.what}"
    return ""


def _find_kit(image: str, value: Index, attached: Attached) -> Image:
    for found in attached_artifacts(attached, value.digest, ARTIFACT_TYPE):
        if [layer.media_type for layer in found.document.parsed.layers] in _LAYERS:
            return found
    raise NoRebuildKit(
        f"{image} has no rebuild kit",
        where={"digest": str(value.digest)},
        hint="its publisher writes one with: homeport build RECIPE --push REF",
    )


def _unpack(kit: Image, folder: Path, runtime: Runtime) -> KitDescription:
    layer, *proofs = kit.document.parsed.layers
    if layer.size > KIT_LIMIT:
        raise TooLarge(f"the rebuild kit is larger than {KIT_LIMIT >> 20} MB")
    with verified(kit.blobs[digest_of(layer)], "the rebuild kit") as stream:
        tree = read_tree(
            stream, runtime.store, Source(kind="layer", name="rebuild kit"), runtime.cancel,
            limits=Limits.of_small(KIT_LIMIT),
        )  # fmt: skip
    write_plain_folder(tree, folder, "rebuild kit", runtime.cancel, links_below=LINKS_BELOW)
    try:
        described = msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=KitDescription)
    except (OSError, msgspec.DecodeError) as error:
        raise _bad(f"cannot read its {DESCRIPTION}: {error}") from error
    named = {path: tree.get(os.fsencode(path)) for path in described.paths}
    for path, node in named.items():
        if node is None:
            raise _bad(f"{path!r} is missing")
        if node.type == "symlink":
            raise _bad(f"{path!r} is a link")
    if "/" in described.lockfile:
        raise _bad(f"its lockfile {described.lockfile!r} is in a directory")
    for proof in proofs:
        if proof.size > _PROOF_LIMIT:
            raise TooLarge(f"the lockfile's proof is larger than {_PROOF_LIMIT >> 20} MB")
        with verified(kit.blobs[digest_of(proof)], "the lockfile's proof") as stream:
            proof_path(folder / described.lockfile).write_bytes(stream.readall())
    return described


def _bad(why: str) -> HomeportError:
    return AnswerNo(f"invalid rebuild kit: {why}")


def _request(described: KitDescription, folder: Path, mirrors: tuple[str, ...]) -> BuildRequest:
    kit = folder / "kit"
    return BuildRequest(
        recipe=str(kit / described.recipe),
        outputs=(LayoutAddress(path=folder / "out", tag="rebuilt"),),
        platforms=described.platforms,
        options=BuildOptions(
            labels=described.labels,
            annotations=described.annotations,
            source_date_epoch=described.source_date_epoch,
            compression=described.compression,
            level=described.level,
        ),
        mirrors=mirrors,
        lockfile=kit / described.lockfile,
        locked=True,
        fresh=True,
        attest=parse_kinds(described.attest) if described.attest else (),
        moved={written: kit / path for written, path in described.moved.items()},
        allow_outside=(kit,),
        directory=folder,
        command="homeport verify --rebuild",
    )


def _recipe(request: BuildRequest) -> Recipe:
    return with_moved(find_and_load(request.recipe, request.allow_outside), request.moved)


def _check_recipe(recipe: Recipe, kit: Path) -> None:
    """Nothing of the machine may get into the build."""
    catalog = current_catalog()
    sources: list[Path] = [
        *(each.source for each in recipe.files if isinstance(each, LocalFiles)),
        *(path for path in recipe.extends if not catalog.ships(path)),
        *(key.path for one in recipe.archives for key in one.keys if key.path is not None),
    ]
    for part in recipe.parts:
        if isinstance(part, DockerfilePart):
            sources += [part.file, part.context]
        else:
            sources += [each.source for each in part.inputs if isinstance(each, LocalFiles)]
    for path in sources:
        if not path.resolve().is_relative_to(kit):
            raise _bad(f"its recipe takes {path.name!r} from outside the kit")


def _ask_consent(recipe: Recipe, image: str, kit: Image) -> None:
    """Raise ``UsageError`` for what may act: steps that run, archives and keys of its own."""
    acting = [f"part {part.name}" for part in recipe.parts]
    acting += [
        f"archive {one.name}"
        for one in recipe.archives
        if one.mirrors or any(key.path is not None for key in one.keys)
    ]
    if acting:
        raise UsageError(
            f"the kit's recipe brings its own {', '.join(acting)}",
            hint="add --trust-kit after reading the kit:"
            f" homeport blob {shlex.quote(_blob_address(image, kit))} | tar -xzO",
        )


def _blob_address(image: str, kit: Image) -> str:
    """The kit's files, as ``homeport blob`` takes them."""
    layer = kit.document.parsed.layers[0].digest
    address = parse_source(image)
    if isinstance(address, RegistryAddress):
        return shlex.quote(f"{address.reference.name}@{layer}")
    return shlex.quote(
        f"oci:{address.path}@{layer}" if isinstance(address, LayoutAddress) else image
    )


def _compared(
    image: str, value: Index, result: BuildResult, kit: OpenedKit,
    difference: str,
) -> RebuildResult:  # fmt: skip
    built = {str(each.platform): str(each.image.digest) for each in result.built.images}
    platforms = tuple(
        PlatformResult(
            platform=str(child.platform),
            expected=child.descriptor.digest,
            built=built.get(str(child.platform), ""),
        )
        for child in value.children
        if not child.attests and child.platform is not None
    )
    same = value.digest == result.built.index.digest
    return RebuildResult(
        image=image,
        verdict="reproduced" if same else "differs",
        expected=str(value.digest),
        built=str(result.built.index.digest),
        kit=str(kit.artifact.digest),
        made_with=kit.description.homeport,
        homeport=__version__,
        platforms=platforms,
        packages="",
        packages_verified=False,
        difference="" if same else difference,
    )


def _difference(image: str, value: Index, built: Image | Index, runtime: Runtime) -> str:
    """The first file that differs, or what else does."""
    if value.digest == built.digest:
        return ""
    compared = compare((value, built), (image, "rebuilt"), None, runtime, text=False)
    for one in compared.images:
        if one.files:
            first = one.files[0]
            facts = f" ({', '.join(first.facts)})" if first.facts else ""
            return f"{one.platform_before}: {first.path}: {first.change}{facts}"
    if compared.images:
        one = compared.images[0]
        what = "the config" if one.config else "the bytes of the layer"
        return f"{one.platform_before}: the files are equal; {what} differs"
    return "the images are equal; the attestations differ"
