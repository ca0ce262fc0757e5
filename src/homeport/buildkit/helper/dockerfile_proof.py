"""Will this image build Dockerfiles here, as ``docker/dockerfile`` does?

Each case is a Dockerfile that is built by the image, as the frontend that ``# syntax=`` names,
and by the frontend inside the engine; files and configuration must be equal. Nothing but the
program of ``machine_programs`` runs in the steps, so no other image is needed. The questions that
``docker buildx build --check`` and ``--call`` ask are cases, too.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from homeport.binfmt.machine_programs import machine
from homeport.buildkit.engine import describe
from homeport.buildkit.helper.compare import differences
from homeport.buildkit.helper.copy_cases import write_context
from homeport.buildkit.helper.frontend_build import Built, by_frontend
from homeport.buildkit.helper.trial import Kind, Row, Trial, judged, not_tried, row
from homeport.buildkit.session.context_folder import Offer
from homeport.buildkit.solve import GATEWAY
from homeport.dockerfile.syntax import BUILT_IN

_MOST_DIFFERENCES = 5


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A Dockerfile, and what is asked about it.

    attrs:   further options of the build
    refused: both must refuse it
    request: a question in place of a build; ``judge`` says why the answer is wrong
    """

    name: str
    dockerfile: str
    attrs: Mapping[str, str] = msgspec.field(default_factory=dict)
    refused: bool = False
    request: str = ""
    judge: Callable[[Any], str] | None = None


def _case(name: str, *lines: str, refused: bool = False, **attrs: str) -> Case:
    attrs = {key.replace("__", ":").replace("_", "-"): value for key, value in attrs.items()}
    return Case(
        name=name, dockerfile="\n".join(("FROM scratch", *lines)) + "\n", attrs=attrs,
        refused=refused,
    )  # fmt: skip


def _describes(answer: Any) -> str:
    names = {each.get("name") for each in answer}
    missing = {"frontend.outline", "frontend.targets"} - names
    return f"does not answer {', '.join(sorted(missing))}" if missing else ""


def _lints(answer: Any) -> str:
    rules = {each.get("ruleName") for each in answer.get("warnings") or ()}
    return (
        "" if "StageNameCasing" in rules else f"finds no StageNameCasing: {sorted(map(str, rules))}"
    )


def _outlines(answer: Any) -> str:
    args = {each.get("name"): each.get("value") for each in answer.get("args") or ()}
    return "" if args.get("colour") == "red" else f"does not tell the argument colour=red: {args}"


def _targets(answer: Any) -> str:
    names = [each.get("name") for each in answer.get("targets") or ()]
    return "" if names == ["one", "two"] else f"the stages are one and two, not {names}"


_QUESTIONED = """\
FROM scratch AS one
ARG colour=red
COPY f1 /$colour
FROM one AS two
COPY f2 /f2
"""

CASES: tuple[Case, ...] = (
    _case("COPY and ADD", "COPY f1 dir /d/", "ADD a.tar.gz /t/", "COPY --chown=1:2 f2 /two"),
    _case("COPY --link and --chmod", "COPY --link --chmod=750 f1 /one"),
    _case("COPY of a here-document", "COPY <<one <<two /d/", "first", "one", "second", "two"),
    _case("COPY by wildcard, without what .dockerignore names", "COPY f* s* empty* /d/"),
    _case("COPY --from another stage", "COPY f1 /one", "FROM scratch AS next",
          "COPY --from=0 /one /two"),
    _case("a named build context", "COPY --from=more top /top"),
    _case("arguments", "ARG from=f1", "ENV to=/one", "COPY $from $to", build_arg__from="f2"),
    _case("a target", "COPY f1 /one", "FROM scratch AS wanted", "COPY f2 /two",
          "FROM scratch", "COPY f1 /three", target="wanted"),
    _case("the configuration", "ENV a=b", "LABEL c=d", "EXPOSE 80/tcp", "VOLUME /v", "USER 7:8",
          "WORKDIR /w", 'ENTRYPOINT ["/e"]', 'CMD ["f"]', "STOPSIGNAL SIGQUIT",
          'HEALTHCHECK --interval=5s CMD ["/h"]', "COPY f1 one", label__x="y"),
    _case("RUN", "COPY program /program", 'RUN ["/program"]'),
    _case("RUN --network=none --mount=type=bind, tmpfs, cache",
          "FROM scratch AS base", "COPY program /b/program",
          "FROM scratch", "RUN --network=none --mount=type=bind,from=base,target=/b"
          ' --mount=type=tmpfs,target=/t --mount=type=cache,target=/c ["/b/b/program"]'),
    _case("an unknown instruction is refused", "COPPY f1 /one", refused=True),
    _case("a file that does not exist is refused", "COPY nope /x", refused=True),
    Case(name="it tells which questions it answers", dockerfile=_QUESTIONED, judge=_describes,
         request="frontend.subrequests.describe"),
    Case(name="--check finds a fault", dockerfile=_QUESTIONED.replace("AS one", "AS One"),
         request="frontend.lint", judge=_lints),
    Case(name="--call=outline tells the arguments", dockerfile=_QUESTIONED,
         request="frontend.outline", judge=_outlines),
    Case(name="--call=targets tells the stages", dockerfile=_QUESTIONED,
         request="frontend.targets", judge=_targets),
)  # fmt: skip


@contextmanager
def deciding(trial: Trial) -> Iterator[Callable[[Case], Row]]:
    """Build a case by the image and by the engine's own frontend."""
    workers = describe(trial.engine, trial.runtime.cancel).workers
    program = machine(workers[0].platforms[0].architecture)
    with tempfile.TemporaryDirectory(prefix="homeport-") as place:
        context = Path(place, "context")
        context.mkdir()
        write_context(context)
        if program is not None:
            (context / "program").write_bytes(program.program)
            (context / "program").chmod(0o755)
        yield _Proving(trial, context, Path(place)).decide


class _Proving(msgspec.Struct, frozen=True):
    trial: Trial
    context: Path
    place: Path

    def decide(self, case: Case) -> Row:
        if case.judge is not None:
            return self._asked(case, case.judge)
        plain = self._build(case, BUILT_IN)
        ours = self._build(case, GATEWAY)
        if case.refused:
            return _both_refuse(case, plain, ours)
        if plain.tree is None:
            return not_tried(case.name, f"the engine's own frontend cannot: {plain.error}")
        if ours.tree is None:
            return row(case.name, ours.error)
        found = differences(plain.tree, ours.tree)[:_MOST_DIFFERENCES]
        found.append(judged(_configured, plain, ours))
        return row(case.name, "; ".join(filter(None, found)))

    def _asked(self, case: Case, judge: Callable[[Any], str]) -> Row:
        built = self._build(case, GATEWAY)
        if built.error:
            return row(case.name, built.error)
        return row(
            case.name, judged(lambda each: judge(json.loads(each.metadata["result.json"])), built)
        )

    def _build(self, case: Case, frontend: str) -> Built:
        (self.place / "Dockerfile").write_text(case.dockerfile)
        folders = {
            "context": Offer(self.context, ignore=(b"skip",)),
            "dockerfile": Offer(self.place, only=(b"Dockerfile",)),
            "more": Offer(self.context / "more"),
        }
        attrs = {"no-cache": "", "context:more": "local:more", **case.attrs}
        return by_frontend(self.trial, frontend, attrs, folders, self.place, request=case.request)


def _configured(plain: Built, ours: Built) -> str:
    if plain.config == ours.config:
        return ""
    return f"the configuration is {ours.config} instead of {plain.config}"


def _both_refuse(case: Case, plain: Built, ours: Built) -> Row:
    if plain.tree is not None:
        return not_tried(case.name, "the engine's own frontend does not refuse this")
    if ours.tree is not None:
        return row(case.name, "was built, but must be refused")
    if not _told(ours.error, plain.error):
        return row(case.name, f"refused with {ours.error!r}, not {plain.error!r}")
    return row(case.name, "", "refused, as it must be")


def _told(error: str, expected: str) -> bool:
    """Whether two refusals have the same reason: words of the Dockerfile are in both."""
    return any(word in error for word in ("COPPY", "nope") if word in expected)


KIND = Kind(name="dockerfile", cases=CASES, deciding=deciding)
