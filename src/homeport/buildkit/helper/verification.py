"""Verify a helper image in an engine: make it reachable, run the cases, gather their outcomes."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import msgspec

from homeport.buildkit.address import Engine
from homeport.buildkit.engine import describe
from homeport.buildkit.helper.copy_cases import REMOTE
from homeport.buildkit.helper.kinds import KINDS, kind_of
from homeport.buildkit.helper.trial import Helper, Kind, KindName, Named, Row, Trial, prove
from homeport.buildkit.local_registry import local_registry
from homeport.content.digest import Digest
from homeport.errors import UsageError
from homeport.images.address import RegistryAddress, parse_source
from homeport.images.image import Image, ImageNotFound, Index
from homeport.images.platforms import choose_image
from homeport.oci.documents import RunConfig
from homeport.runtime import Runtime

OpenImage = Callable[[str], AbstractContextManager[Image | Index]]


class HelperVerified(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of every case, with the image that the engine used as its helper."""

    kind: KindName
    engine: str
    image: str
    digest: Digest
    rows: tuple[Row, ...]

    def count(self, state: str) -> int:
        """How many cases ended so."""
        return sum(row.state == state for row in self.rows)


def verify_helper(
    image: str, engine: Engine, open_image: OpenImage, runtime: Runtime,
    *, kind: KindName | None = None, cases: Sequence[str] = (), register: bool = False,
) -> HelperVerified:  # fmt: skip
    """Try on an engine what the helper at the address ``image`` must do.

    kind:     what it is a helper for; by default what its configuration says
    cases:    run only those whose names contain one of these texts
    register: emulators may be registered with the engine's kernel, and removed again
    """
    with _reachable(image, engine, open_image, runtime) as (helper, config, digest):
        chosen = KINDS[kind] if kind else kind_of(config)
        trial = Trial(engine=engine, helper=helper, runtime=runtime, register=register)
        rows = tuple(prove(trial, chosen, choose_cases(chosen, cases)))
    return HelperVerified(
        kind=chosen.name, engine=engine.name, image=image, digest=digest, rows=rows
    )


def choose_cases(kind: Kind, texts: Sequence[str]) -> list[Named]:
    """The cases whose names contain one of ``texts``; all without texts."""
    cases = [
        case
        for case in kind.cases
        if not texts or any(text.lower() in case.name.lower() for text in texts)
    ]
    if not cases:
        raise UsageError(f"no case name of a helper for {kind.name} contains {' or '.join(texts)}")
    return cases


@contextmanager
def _reachable(
    image: str, engine: Engine, open_image: OpenImage, runtime: Runtime
) -> Iterator[tuple[Helper, RunConfig, Digest]]:
    """The helper as the engine can reach it; a local image is served on 127.0.0.1."""
    address = parse_source(image)
    here = engine.name.startswith("unix://")
    in_registry = isinstance(address, RegistryAddress)
    if not in_registry and not here:
        raise UsageError(
            f"{engine.name} cannot reach local images",
            hint=f"homeport push {shlex.quote(image)} docker://REGISTRY/NAME",
        )
    with (
        open_image(image) as value,
        local_registry(None if in_registry else value, {"remote.txt": REMOTE}) as served,
    ):
        if isinstance(address, RegistryAddress):
            name = address.reference
            reference = f"{name.registry}/{name.repository}@{value.digest}"
        else:
            reference = served.reference(value.digest)
        config = _config(value, engine, runtime)
        helper = Helper(
            reference=reference, url=served.url if here else "",
            entrypoint=config.entrypoint or config.cmd or (),
            environment=dict(each.partition("=")[::2] for each in config.env),
        )  # fmt: skip
        yield helper, config, value.digest


def _config(value: Image | Index, engine: Engine, runtime: Runtime) -> RunConfig:
    """How the image is started on the engine's machine. Raises ``UsageError``."""
    workers = describe(engine, runtime.cancel).workers
    native = workers[0].platforms[0] if workers and workers[0].platforms else None
    try:
        config = choose_image(value, native).config()
    except ImageNotFound as error:
        raise UsageError(f"the image does not run on {engine.name}: {error.what}") from error
    if config is None:
        raise UsageError("an artifact cannot be a helper: it has no image configuration")
    return config.parsed.config
