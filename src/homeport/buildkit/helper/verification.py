"""Verify a helper image in an engine: make it reachable, run the cases, gather their outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import msgspec

from homeport.buildkit.address import Engine
from homeport.buildkit.helper.cases import CASES, REMOTE, Case
from homeport.buildkit.helper.proof import Helper, Row, prove
from homeport.buildkit.local_registry import local_registry
from homeport.content.digest import Digest
from homeport.errors import UsageError
from homeport.images.address import RegistryAddress, parse_source
from homeport.images.image import Image, Index
from homeport.runtime import Runtime

OpenImage = Callable[[str], AbstractContextManager[Image | Index]]


class HelperVerified(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of every case, with the image that the engine used as its helper."""

    engine: str
    image: str
    digest: Digest
    rows: tuple[Row, ...]

    def count(self, state: str) -> int:
        """How many cases ended so."""
        return sum(row.state == state for row in self.rows)


def verify_helper(
    image: str, engine: Engine, open_image: OpenImage, runtime: Runtime,
    *, cases: Sequence[str] = (),
) -> HelperVerified:  # fmt: skip
    """Build every case with the helper at the address ``image`` and without it.

    cases: run only those whose names contain one of these texts
    """
    chosen = choose_cases(cases)
    with _reachable(image, engine.name, open_image) as (helper, digest):
        rows = tuple(
            prove(
                engine, helper, runtime.store, cases=chosen, progress=runtime.progress,
                cancel=runtime.cancel,
            )
        )  # fmt: skip
    return HelperVerified(engine=engine.name, image=image, digest=digest, rows=rows)


def choose_cases(texts: Sequence[str]) -> list[Case]:
    """The cases whose names contain one of ``texts``; all without texts."""
    cases = [
        case
        for case in CASES
        if not texts or any(text.lower() in case.name.lower() for text in texts)
    ]
    if not cases:
        raise UsageError(f"no case name contains {' or '.join(texts)}")
    return cases


@contextmanager
def _reachable(image: str, engine: str, open_image: OpenImage) -> Iterator[tuple[Helper, Digest]]:
    """The helper as the engine can reach it; a local image is served on 127.0.0.1."""
    address = parse_source(image)
    here = engine.startswith("unix://")
    in_registry = isinstance(address, RegistryAddress)
    if not in_registry and not here:
        raise UsageError(
            f"{engine} cannot reach local images",
            hint=f"homeport push {image} docker://REGISTRY/NAME",
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
        yield Helper(reference=reference, url=served.url if here else ""), value.digest
