"""Will this helper image serve in that engine? Each case is built with it and without it.

With it: the frontend's switches ``BUILDKIT_DISABLE_FILEOP=1`` and ``override-copy-image``,
which engines before BuildKit 0.11 know. Without it: the engine's own file operations. The
results must be equal, and each COPY and ADD must have had our image, named by its digest,
as its input: operations are named by the hash of their bytes, so the engine cannot have
used another one. Not for the engine of COPY itself (``homeport.copying``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from homeport.buildkit.engine import Description, describe
from homeport.buildkit.helper.compare import differences
from homeport.buildkit.helper.copy_cases import CASES, Case, write_context
from homeport.buildkit.helper.spool import BoundedSpool
from homeport.buildkit.helper.trial import Kind, Row, Trial
from homeport.buildkit.llb.marshal import digest_of
from homeport.buildkit.llb.ops import Constraints, Op, Platform, SourceOp
from homeport.buildkit.protobuf import encode
from homeport.buildkit.protocol.errors import BuildFailed, EngineTooOld
from homeport.buildkit.session.context_folder import Offer
from homeport.buildkit.solve import Build, Export, solve
from homeport.buildkit.status import Steps
from homeport.layers.trees import read_tree
from homeport.tree.node import Source, Tree

_SWITCH = "build-arg:BUILDKIT_DISABLE_FILEOP"
_REMOVED = "was removed in BuildKit"
_MOST_DIFFERENCES = 5
_AS_PUBLIC = "as public helpers do: matched directories keep their names"


class _Built(msgspec.Struct, frozen=True, kw_only=True):
    tree: Tree | None
    error: str
    steps: Steps | None

    @property
    def copies(self) -> list[str]:
        """Digests of what ran for COPY and ADD."""
        if self.steps is None:
            return []
        return [
            digest
            for digest, step in self.steps.by_digest.items()
            if "] COPY " in step.vertex.name or "] ADD " in step.vertex.name
        ]

    @property
    def seconds(self) -> float:
        assert self.steps is not None
        return sum(self.steps.by_digest[digest].seconds or 0.0 for digest in self.copies)


@contextmanager
def deciding(trial: Trial) -> Iterator[Callable[[Case], Row]]:
    """Build a case with the helper and without. Raises ``EngineTooOld`` where none is used."""
    sources = expected_sources(trial.helper.reference, describe(trial.engine, trial.runtime.cancel))
    with tempfile.TemporaryDirectory(prefix="homeport-") as place:
        context = Path(place, "context")
        context.mkdir()
        write_context(context)
        yield _Proving(trial, context, Path(place), sources).decide


KIND = Kind(name="copy", cases=CASES, deciding=deciding)


def expected_sources(reference: str, description: Description) -> frozenset[str]:
    """Digests that the operation "use this image as the helper" has, one for each platform."""
    found = set()
    for platform in {p for worker in description.workers for p in worker.platforms}:
        op = Op(
            source=SourceOp(
                identifier=f"docker-image://{reference}", attrs={"image.recordtype": "internal"}
            ),
            platform=Platform(
                architecture=platform.architecture, os=platform.os, variant=platform.variant
            ),
            constraints=Constraints(),
        )
        found.add(digest_of(encode(op)))
    return frozenset(found)


class _Proving(msgspec.Struct, frozen=True):
    trial: Trial
    context: Path
    place: Path
    sources: frozenset[str]

    def decide(self, case: Case) -> Row:
        if "{url}" in case.dockerfile and not self.trial.helper.url:
            return Row(name=case.name, state="not tried", why="the engine is not on this machine")
        dockerfile = case.dockerfile.replace("{url}", self.trial.helper.url)
        plain = self._build(case.public or dockerfile, {})
        switches = {_SWITCH: "1", "override-copy-image": self.trial.helper.reference}
        helped = self._build(dockerfile, switches)
        if _REMOVED in helped.error:
            raise EngineTooOld(
                f"this engine no longer uses helper images: {helped.error}",
                hint="BuildKit before 0.11 does, for example dockerd 20.10",
            )
        if case.refused == "both":
            return _both_refuse(case, plain, helped)
        if case.refused == "helper" and helped.tree is None and plain.tree is not None:
            why = "refused, as public helpers do; the engine's own copying is more tolerant"
            return Row(name=case.name, state="passed", why=why)
        return self._judge(case, plain, helped)

    def _judge(self, case: Case, plain: _Built, helped: _Built) -> Row:
        if plain.tree is None:
            why = f"the engine itself cannot build this: {plain.error}"
            return Row(name=case.name, state="not tried", why=why)
        if helped.tree is None:
            return Row(name=case.name, state="failed", why=helped.error)
        why = self._not_ours(helped) or "; ".join(
            differences(plain.tree, helped.tree)[:_MOST_DIFFERENCES]
        )
        return Row(
            name=case.name,
            state="failed" if why else "passed",
            why=why or (_AS_PUBLIC if case.public else ""),
            helper_seconds=helped.seconds,
            plain_seconds=plain.seconds,
        )

    def _not_ours(self, helped: _Built) -> str:
        """Why it is not proved that our image did every copy; empty if it is."""
        assert helped.steps is not None
        if not helped.copies:
            return "no COPY or ADD ran"
        for digest in helped.copies:
            vertex = helped.steps.by_digest[digest].vertex
            if not self.sources & set(vertex.inputs):
                return f"{vertex.name} did not use {self.trial.helper.reference}"
            if vertex.cached:
                return f"{vertex.name} was not run, but found in the engine's cache"
        return ""

    def _build(self, dockerfile: str, switches: Mapping[str, str]) -> _Built:
        file = self.place / "Dockerfile"
        file.write_text(dockerfile)
        with tempfile.TemporaryFile(dir=self.place) as spool:
            build = Build(
                frontend="dockerfile.v0",
                attrs={"no-cache": "", **switches},
                folders={"context": Offer(self.context), "dockerfile": Offer(self.place)},
                exports=(Export(type="tar", to=BoundedSpool(spool)),),
            )
            try:
                solved = solve(self.trial.engine, build, cancel=self.trial.runtime.cancel)
            except BuildFailed as error:
                last_line = f" ({error.log[-1]})" if error.log else ""
                return _Built(tree=None, error=error.what + last_line, steps=None)
            spool.seek(0)
            source = Source(kind="step", name="result")
            tree = read_tree(spool, self.trial.runtime.store, source, self.trial.runtime.cancel)
        return _Built(tree=tree, error="", steps=solved.steps)


def _both_refuse(case: Case, plain: _Built, helped: _Built) -> Row:
    if plain.tree is not None:
        return Row(name=case.name, state="not tried", why="the engine itself does not refuse this")
    if helped.tree is not None:
        return Row(name=case.name, state="failed", why="was built, but must be refused")
    return Row(name=case.name, state="passed", why="refused, as it must be")
