"""What a build asks of the frontend, from the variables that BuildKit sets."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from homeport.errors import UsageError
from homeport.oci.platform import Platform, parse_platform

_PREFIX = "BUILDKIT_FRONTEND_OPT_"
_LABEL = "label:"
_ARGUMENT = "build-arg:"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """One build.

    platforms: empty: that of the engine
    multiple:  an index is wanted even of one platform
    mirrors:   as ``--mirror`` of ``homeport build`` takes them
    epoch:     ``SOURCE_DATE_EPOCH``, if it is given
    sbom:      whether an SBOM was asked for
    request:   a subrequest, such as that of ``--check``; empty: build
    engine:    the platforms of the engine, its own first
    """

    filename: str
    session: str
    platforms: tuple[Platform, ...] = ()
    multiple: bool = False
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    mirrors: tuple[str, ...] = ()
    epoch: int | None = None
    sbom: bool = False
    request: str = ""
    engine: tuple[Platform, ...] = ()


class _WorkerPlatform(msgspec.Struct):
    os: str = ""
    architecture: str = ""
    variant: str = ""


class _Worker(msgspec.Struct, rename="pascal"):
    platforms: list[_WorkerPlatform] = msgspec.field(default_factory=list)


_WORKERS = msgspec.json.Decoder(list[_Worker])


def read_options(environment: Mapping[str, str]) -> Options:
    """Raises ``UsageError`` for what a recipe cannot do."""
    given = dict(
        value.split("=", 1)
        for name, value in environment.items()
        if name.startswith(_PREFIX) and "=" in value
    )
    if target := given.get("target"):
        raise UsageError(f"a recipe has one image, so there is no target {target!r}")
    context = given.get("context", "")
    if "://" in context or context.startswith("git@"):
        raise UsageError(
            f"a recipe is read from a folder, not from {context!r}",
            hint="check the repository out and build the folder",
        )
    arguments = _below(given, _ARGUMENT)
    return Options(
        filename=given.get("filename", "homeport.yaml").removeprefix("./"),
        session=environment.get("BUILDKIT_SESSION_ID", ""),
        platforms=tuple(
            parse_platform(each) for each in given.get("platform", "").split(",") if each
        ),
        multiple=given.get("multi-platform", "") in ("1", "true"),
        labels=_below(given, _LABEL),
        mirrors=tuple(arguments.get("HOMEPORT_MIRROR", "").split()),
        epoch=_epoch(arguments.get("SOURCE_DATE_EPOCH", "")),
        sbom="attest:sbom" in given,
        request=given.get("requestid", ""),
        engine=_engine(environment.get("BUILDKIT_WORKERS", "")),
    )


def _below(given: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {
        key.removeprefix(prefix): value for key, value in given.items() if key.startswith(prefix)
    }


def _epoch(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 11):
        raise UsageError(f"invalid SOURCE_DATE_EPOCH {text!r}: seconds since 1970 are expected")
    return int(text)


def _engine(text: str) -> tuple[Platform, ...]:
    try:
        workers = _WORKERS.decode(text or "[]")
    except msgspec.DecodeError:
        return ()
    return tuple(
        Platform(os=one.os, architecture=one.architecture, variant=one.variant).normalized()
        for worker in workers
        for one in worker.platforms
    )
