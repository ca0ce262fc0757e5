"""Will this image scan builds here, as BuildKit's protocol for SBOM generators says?

Each case builds an image on the engine with ``attest:sbom=generator=IMAGE`` and reads the
statements that the engine keeps beside it. Not for how complete a scanner is: only that it finds
the packages that every scanner must.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from homeport.buildkit.builds import require_attestations
from homeport.buildkit.helper.trial import Kind, Row, Trial, judged, row
from homeport.buildkit.images import ImageOptions, built_image
from homeport.buildkit.protocol.errors import BuildFailed, EngineTooOld
from homeport.buildkit.session.context_folder import Offer
from homeport.buildkit.solve import Build
from homeport.content.blob import read_verified
from homeport.content.digest import Digest
from homeport.errors import HomeportError
from homeport.images.image import Image, Index
from homeport.oci.platform import parse_platform

_SPDX = "https://spdx.dev/Document"
_TYPE = "in-toto.io/predicate-type"
_LAYER = "layerID: "  # BuildKit's, in the comments of files
#: BuildKit refuses larger ones.
_LARGEST = 40 << 20
#: The SPDX documents of each image that was built; what they are called is the scanner's affair.
_Found = list[list[dict[str, Any]]]

_RELEASE = b'ID=debian\nVERSION_ID="13"\n'
_STANZA = b"""\
Package: libexample1
Status: install ok installed
Architecture: amd64
Source: example
Version: 1.2.3-4+deb13u5
Maintainer: Example <maintainer@example.org>
Description: a package for a test
"""
_APK = b"C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:musl\nV:1.2.5-r9\nA:x86_64\nL:MIT\no:musl\n\n"
_EXTRAS = """\
ARG BUILDKIT_SBOM_SCAN_CONTEXT=true
FROM scratch AS build
ARG BUILDKIT_SBOM_SCAN_STAGE=true
COPY alpine /
FROM scratch
COPY debian /
COPY --from=build /etc/os-release /srv/
"""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A build, and why what it gives is wrong, if it is.

    options: further words for the generator
    """

    name: str
    judge: Callable[[_Found], str]
    dockerfile: str
    platforms: tuple[str, ...] = ()
    options: str = ""


def _names(*wanted: str) -> Callable[[_Found], str]:
    """Packages, as ``name`` or ``name=version``, of the one image."""

    def judge(found: _Found) -> str:
        there = _packages(found[0][0])
        missing = [each for each in wanted if each not in there]
        return f"does not list {', '.join(missing)}" if missing else ""

    return judge


def _packages(predicate: Mapping[str, Any]) -> set[str]:
    found = set()
    for package in predicate.get("packages", ()):
        name, version = str(package.get("name")), package.get("versionInfo")
        found |= {name, f"{name}={version}"}
    return found


def _valid(found: _Found) -> str:
    """The least that SPDX 2 demands of a document (its clauses 6, 7 and 11)."""
    document = found[0][0]
    for key in ("spdxVersion", "SPDXID", "name", "dataLicense", "documentNamespace"):
        if not isinstance(document.get(key), str):
            return f"the document has no {key}"
    if not document["spdxVersion"].startswith("SPDX-2."):
        return f"the document is {document['spdxVersion']}; BuildKit's protocol is SPDX 2"
    information = document.get("creationInfo", {})
    if not information.get("creators") or not information.get("created"):
        return "the document does not say who made it, and when"
    ids = {document["SPDXID"]}
    for key in ("packages", "files"):
        ids |= {each.get("SPDXID") for each in document.get(key, ())}
    for each in document.get("relationships", ()):
        for end in ("spdxElementId", "relatedSpdxElement"):
            name = str(each.get(end))
            if name not in ids and name not in ("NONE", "NOASSERTION"):
                return f"a relationship names {name}, which is not in the document"
    return ""


def _extras(found: _Found) -> str:
    """Of the image, of its stage with Alpine's package, and of the context, whatever is there."""
    if len(found[0]) < 3:
        return f"wrote {len(found[0])} of 3 documents: for the image, a stage and the build context"
    listed = [_packages(each) for each in found[0]]
    there = {("libexample1" in each, "musl" in each) for each in listed}
    for what, packages in (("image", (True, False)), ("stage", (False, True))):
        if packages not in there:
            return f"no document has the packages of the {what} alone"
    return ""


def _each_platform(found: _Found) -> str:
    scanned = [each for each in found if "libexample1" in _packages(each[0])]
    return "" if len(scanned) == 2 else f"{len(scanned)} of 2 platforms have an SBOM with packages"


def _layers(found: _Found) -> str:
    files = found[0][0].get("files", ())
    if any(str(each.get("comment", "")).startswith(_LAYER) for each in files):
        return ""
    return "the engine found none of the listed files in the image: their names are not paths of it"


_DEBIAN = "FROM scratch\nCOPY debian /\n"

CASES: tuple[Case, ...] = (
    Case(name="packages of dpkg's database", dockerfile=_DEBIAN,
         judge=_names("libexample1=1.2.3-4+deb13u5")),
    Case(name="packages of an image without dpkg (status.d)",
         dockerfile="FROM scratch\nCOPY distroless /\n",
         judge=_names("libexample1=1.2.3-4+deb13u5")),
    Case(name="packages of Alpine", dockerfile="FROM scratch\nCOPY alpine /\n",
         judge=_names("musl=1.2.5-r9")),
    Case(name="the document is SPDX 2", dockerfile=_DEBIAN, judge=_valid),
    Case(name="an image with one empty file", dockerfile="FROM scratch\nCOPY empty /\n",
         judge=_valid),
    Case(name="listed files are found in the image's layers", dockerfile=_DEBIAN, judge=_layers),
    Case(name="the build context and a stage are scanned, too", dockerfile=_EXTRAS, judge=_extras),
    Case(name="each platform of an image", dockerfile=_DEBIAN, judge=_each_platform,
         platforms=("linux/amd64", "linux/s390x")),
    Case(name="a parameter of the generator", dockerfile=_DEBIAN, judge=_valid,
         options=",EXAMPLE=one"),
)  # fmt: skip

_FILES = {
    "debian/etc/os-release": _RELEASE,
    "debian/var/lib/dpkg/status": _STANZA,
    "debian/var/lib/dpkg/info/libexample1.list": b"/.\n/usr\n/usr/share\n",
    "distroless/etc/os-release": _RELEASE,
    "distroless/var/lib/dpkg/status.d/libexample1": _STANZA,
    "alpine/etc/os-release": b"ID=alpine\nVERSION_ID=3.22.1\n",
    "alpine/lib/apk/db/installed": _APK,
    "empty": b"",
}


@contextmanager
def deciding(trial: Trial) -> Iterator[Callable[[Case], Row]]:
    """Build a case with the scanner. Raises ``EngineTooOld`` if the engine uses none."""
    require_attestations([trial.engine], trial.runtime.cancel)
    with tempfile.TemporaryDirectory(prefix="homeport-") as place:
        context = Path(place, "context")
        for name, content in _FILES.items():
            path = context / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

        def decide(case: Case) -> Row:
            (Path(place) / "Dockerfile").write_text(case.dockerfile)
            try:
                found = _scanned(trial, case, context, Path(place))
            except EngineTooOld:
                raise
            except BuildFailed as error:
                last_line = f" ({error.log[-1]})" if error.log else ""
                return row(case.name, error.what + last_line)
            except _BadStatement as error:
                return row(case.name, error.what)
            return row(case.name, judged(case.judge, found) if found else "the image has no SBOM")

        yield decide


class _BadStatement(HomeportError):
    """What the engine keeps is not a statement about SPDX."""

    id = "bad-statement"


def _scanned(trial: Trial, case: Case, context: Path, place: Path) -> _Found:
    build = Build(
        frontend="dockerfile.v0",
        attrs={
            "no-cache": "",
            "attest:sbom": f"generator={trial.helper.reference}{case.options}",
            **({"platform": ",".join(case.platforms)} if case.platforms else {}),
        },
        folders={"context": Offer(context), "dockerfile": Offer(place)},
    )
    platforms = [parse_platform(each) for each in case.platforms]
    options = ImageOptions(runtime=trial.runtime)
    with built_image(trial.engine, build, platforms, options) as (value, _):
        return list(_statements(value))


def _statements(value: Image | Index) -> Iterator[list[dict[str, Any]]]:
    """The SPDX documents of each image."""
    for child in value.children if isinstance(value, Index) else ():
        if not child.attests:
            continue
        attestation = child.open()
        if not isinstance(attestation, Image):
            continue
        found = [
            _predicate(attestation, Digest.parse(layer.digest))
            for layer in attestation.document.parsed.content
            if layer.annotations.get(_TYPE) == _SPDX
        ]
        if found:
            yield found


def _predicate(attestation: Image, digest: Digest) -> dict[str, Any]:
    raw = read_verified(attestation.blobs[digest], _LARGEST, "the SBOM")
    try:
        predicate = json.loads(raw)["predicate"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _BadStatement(f"a statement cannot be read: {error}") from error
    if not isinstance(predicate, dict):
        raise _BadStatement("a statement has no SPDX document")
    return predicate


KIND = Kind(name="sbom-scanner", cases=CASES, deciding=deciding)
